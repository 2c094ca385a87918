package pacing

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// tell takes a turn and reports on it. It returns how long the turn took.
func tell(t *testing.T, p *Pacer, class Class, r Report) time.Duration {
	t.Helper()
	start := time.Now()
	turn, err := p.Wait(t.Context(), scope, class, 2*time.Hour)
	require.NoError(t, err)
	turn.Done(r)
	return time.Since(start)
}

func TestARequestWithoutAResponseCostsNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := New(Config{})
		tell(t, p, Call, Report{Limit: 100, Remaining: 50})
		for range 100 {
			turn, err := p.Wait(t.Context(), scope, Call, time.Hour)
			require.NoError(t, err)
			turn.Cancel()
		}
		assert.Zero(t, tell(t, p, Call, Report{Limit: 100, Remaining: 49}))
	})
}

func TestAnEmptyBudgetIsNoReasonToGiveUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, p := newServer(100), New(Config{})
		require.NoError(t, take(p, s, t.Context(), Call))
		time.Sleep(time.Minute)
		for range 88 {
			require.NoError(t, take(p, s, t.Context(), Call))
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
		defer cancel()
		var all sync.WaitGroup
		for range 80 {
			all.Go(func() { assert.NoError(t, take(p, s, ctx, Poll)) })
		}
		all.Wait()
		assert.Zero(t, s.rejected)
	})
}

func TestPollsDoNotStarve(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := New(Config{})
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		low := Report{Limit: 100, Remaining: 10}
		polls := 0
		var all sync.WaitGroup
		all.Go(func() {
			for {
				turn, err := p.Wait(ctx, scope, Poll, time.Hour)
				if err != nil {
					return
				}
				polls++
				turn.Done(low)
			}
		})
		for ctx.Err() == nil {
			tell(t, p, Call, low)
			time.Sleep(20 * time.Second)
		}
		all.Wait()
		assert.Greater(t, polls, 50)
	})
}

func TestOddNumbersDoNotStick(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := New(Config{})
		tell(t, p, Call, Report{Limit: 1_000_000, Remaining: 0, Rejected: true, RetryAfter: time.Second, Per: 1e6 * time.Hour})
		tell(t, p, Call, Report{Limit: 100, Remaining: 99})
		assert.Less(t, tell(t, p, Poll, Report{Limit: 100, Remaining: 98}), time.Minute)

		tell(t, p, Call, Report{Limit: 100, Remaining: 0, Rejected: true, RetryAfter: 1000 * time.Hour})
		assert.LessOrEqual(t, tell(t, p, Call, Report{Limit: 100, Remaining: 99}), longest+maxJitter)
	})
}

// Guesses slow a call down, and no more.
func TestACallDoesNotFailForAGuess(t *testing.T) {
	t.Parallel()
	for _, limit := range []int{1, 2, 10} {
		synctest.Test(t, func(t *testing.T) {
			s, p := newServer(limit), New(Config{})
			s.per, s.refill = time.Second, limit
			for range 30 {
				ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
				require.NoError(t, take(p, s, ctx, Call))
				cancel()
			}
			assert.Zero(t, s.rejected)
		})
	}
}

func TestAFullBucketIsNoReasonToWaitForCalls(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, p := newServer(100), New(Config{})
		s.latency = 0
		start := time.Now()
		for range 75 {
			require.NoError(t, take(p, s, t.Context(), Call))
		}
		assert.Zero(t, time.Since(start))
		for range 50 {
			require.NoError(t, take(p, s, t.Context(), Call))
		}
		assert.Greater(t, time.Since(start), 30*time.Second)
		assert.Zero(t, s.rejected)
	})
}
