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

func TestATurnThatComesTooLateFailsAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := New(Config{})
		turn, err := p.Wait(t.Context(), scope, Call, time.Hour)
		require.NoError(t, err)
		turn.Done(Report{Limit: 100, Remaining: 0, Rejected: true, RetryAfter: time.Minute})
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		var late *TooLate
		_, err = p.Wait(ctx, scope, Call, time.Hour)
		require.ErrorAs(t, err, &late)
		assert.InDelta(t, time.Minute, late.Wait, float64(2*time.Second))
		_, err = p.Wait(t.Context(), scope, Call, 30*time.Second)
		require.ErrorAs(t, err, &late)
		assert.Zero(t, time.Since(start))

		// A wait that becomes too long ends when that shows.
		long, cancelLong := context.WithTimeout(t.Context(), 90*time.Second)
		defer cancelLong()
		var waiting sync.WaitGroup
		waiting.Go(func() {
			_, err := p.Wait(long, scope, Poll, time.Hour)
			assert.ErrorAs(t, err, &late)
			assert.Equal(t, 10*time.Second, time.Since(start))
		})
		time.Sleep(10 * time.Second)
		p.find(scope).budget.inFlight++
		turn = Turn{pacer: p, scope: scope, bucket: p.find(scope)}
		turn.Done(Report{Limit: 100, Remaining: 0, Rejected: true, RetryAfter: 2 * time.Hour})
		waiting.Wait()
	})
}

func TestTooLateSaysWhy(t *testing.T) {
	t.Parallel()
	assert.EqualError(t, &TooLate{Wait: 1249 * time.Millisecond, Deadline: true}, "not sent: its turn within the rate limit comes in 1.2s, after the context's deadline")
	assert.EqualError(t, &TooLate{Wait: time.Hour}, "not sent: its turn within the rate limit comes in 1h0m0s, which is too late")
}

func TestAnEndedContextGivesUpItsPlace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, p := newServer(100), New(Config{})
		s.tokens = 0
		require.NoError(t, take(p, s, t.Context(), Call))
		ctx, cancel := context.WithCancel(t.Context())
		var all sync.WaitGroup
		for range 1000 {
			all.Go(func() {
				_, err := p.Wait(ctx, scope, Poll, time.Hour)
				assert.ErrorIs(t, err, context.Canceled)
			})
		}
		var other sync.WaitGroup
		other.Go(func() { assert.NoError(t, take(p, s, t.Context(), Poll)) })
		synctest.Wait()
		start := time.Now()
		cancel()
		all.Wait()
		assert.Zero(t, time.Since(start))
		other.Wait()
		assert.Zero(t, p.find(scope).length(Poll))
	})
}

func TestACeiling(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := New(Config{PerMinute: 60, Burst: 5})
		start := time.Now()
		var order []Class
		var mu sync.Mutex
		var all sync.WaitGroup
		wait := func(class Class) {
			all.Go(func() {
				turn, err := p.Wait(t.Context(), "a", class, time.Hour)
				assert.NoError(t, err)
				turn.Cancel()
				mu.Lock()
				defer mu.Unlock()
				order = append(order, class)
			})
			synctest.Wait()
		}
		for range 10 {
			wait(Poll)
		}
		wait(Call)
		all.Wait()
		assert.Equal(t, 6*time.Second, time.Since(start).Round(time.Millisecond))
		assert.Equal(t, Call, order[5])
		ctx, cancel := context.WithTimeout(t.Context(), time.Second/2)
		defer cancel()
		_, err := p.Wait(ctx, scope, Call, time.Hour)
		require.ErrorAs(t, err, new(*TooLate))
	})
}

func TestACeilingLetsNobodyIntoAHold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := New(Config{PerMinute: 60, Burst: 1})
		tell(t, p, Call, Report{Limit: 1000, Remaining: 900})
		start, went := time.Now(), make(chan time.Duration, 60)
		var all sync.WaitGroup
		for range 60 {
			all.Go(func() {
				turn, err := p.Wait(t.Context(), scope, Call, time.Hour)
				assert.NoError(t, err)
				went <- time.Since(start)
				if len(went) == 5 {
					turn.Done(Report{Limit: 1000, Remaining: 0, Rejected: true, RetryAfter: 5 * time.Minute})
					return
				}
				turn.Done(Report{Limit: 1000, Remaining: 800})
			})
		}
		all.Wait()
		close(went)
		for at := range went {
			assert.False(t, at > 6*time.Second && at < 5*time.Minute, "at %s", at)
		}
	})
}
