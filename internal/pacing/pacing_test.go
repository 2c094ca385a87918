package pacing_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go/internal/pacing"
)

const (
	scope   = "project"
	call    = false
	poll    = true
	anyTime = 1000 * time.Hour
)

// published is one token a second.
var published = pacing.Bucket{Capacity: 100, Refill: 60, Per: time.Minute}

func newPacer() *pacing.Pacer { return pacing.New(pacing.Config{MaxHold: 5 * time.Minute}) }

// wait returns how long a request waited for its turn.
func wait(t *testing.T, p *pacing.Pacer, kind bool) time.Duration {
	t.Helper()
	start := time.Now()
	require.NoError(t, p.Wait(t.Context(), scope, published, kind, anyTime))
	return time.Since(start)
}

// burst returns how many requests get their turn at once.
func burst(t *testing.T, p *pacing.Pacer, kind bool) (n int) {
	t.Helper()
	for p.Wait(t.Context(), scope, published, kind, 0) == nil {
		n++
	}
	return n
}

func TestABucketIsSpentAndFilled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPacer()
		assert.Equal(t, 91, burst(t, p, poll), "polls leave a tenth")
		assert.Equal(t, 9, burst(t, p, call), "calls do not")
		for range 5 {
			assert.Equal(t, time.Second, wait(t, p, call).Round(time.Millisecond))
		}
		assert.Equal(t, 10*time.Second, wait(t, p, poll).Round(time.Millisecond))
		time.Sleep(time.Hour)
		assert.Equal(t, 100, burst(t, p, call))
	})
}

func TestReportsCorrectTheBucket(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		report pacing.Report
		burst  int           // of calls
		step   time.Duration // between two calls after it
	}{
		"nothing is said":          {pacing.Report{Limit: -1, Remaining: -1}, 99, time.Second},
		"the same":                 {pacing.Report{Limit: 100, Remaining: 99}, 99, time.Second},
		"fewer tokens":             {pacing.Report{Limit: 100, Remaining: 40}, 40, time.Second},
		"no token":                 {pacing.Report{Limit: 100, Remaining: 0}, 0, time.Second},
		"fewer, without the limit": {pacing.Report{Limit: -1, Remaining: 40}, 40, time.Second},
		"more tokens":              {pacing.Report{Limit: 100, Remaining: 100}, 99, time.Second},
		"more than the limit":      {pacing.Report{Limit: 100, Remaining: 1 << 40}, 99, time.Second},
		"a smaller bucket":         {pacing.Report{Limit: 50, Remaining: 49}, 49, 2 * time.Second},
		"a larger bucket":          {pacing.Report{Limit: 200, Remaining: 150}, 99, time.Second / 2},
		"rejected":                 {pacing.Report{Limit: -1, Remaining: -1, Rejected: true}, 0, time.Second},
		"rejected, with a limit":   {pacing.Report{Limit: 50, Remaining: 10, Rejected: true}, 0, 2 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				p := newPacer()
				require.Zero(t, wait(t, p, call))
				p.Report(scope, tc.report)
				p.Report("never used", tc.report)
				assert.Equal(t, tc.burst, burst(t, p, call))
				wait(t, p, call)
				assert.Equal(t, tc.step, wait(t, p, call).Round(time.Millisecond))
			})
		})
	}
}

func TestARetryAfterHoldsTheScope(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		retryAfter, hold time.Duration
	}{
		"as long as asked": {20 * time.Second, 20 * time.Second},
		"at most MaxHold":  {24 * time.Hour, 5 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				p := newPacer()
				start := time.Now()
				require.NoError(t, p.Wait(t.Context(), scope, published, call, 0))
				p.Report(scope, pacing.Report{Limit: -1, Remaining: -1, Rejected: true, RetryAfter: tc.retryAfter})
				p.Report(scope, pacing.Report{Limit: 100, Remaining: 90}) // of an earlier request
				p.Report(scope, pacing.Report{Limit: -1, Remaining: -1, Rejected: true, RetryAfter: time.Second})
				require.NoError(t, p.Wait(t.Context(), "another", published, call, 0))

				var waiting sync.WaitGroup
				var lock sync.Mutex
				turns := map[time.Duration]int{}
				for range 60 {
					waiting.Go(func() {
						assert.NoError(t, p.Wait(t.Context(), scope, published, call, anyTime))
						lock.Lock()
						defer lock.Unlock()
						turns[time.Since(start).Truncate(time.Second)]++
					})
				}
				waiting.Wait()
				assert.Len(t, turns, 60, "one after the other")
				for second := range turns {
					assert.GreaterOrEqual(t, second, tc.hold)
					assert.LessOrEqual(t, second, tc.hold+time.Minute)
				}
			})
		})
	}
}

func TestATurnThatComesTooLate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPacer()
		wait(t, p, call)
		p.Report(scope, pacing.Report{Limit: -1, Remaining: -1, Rejected: true, RetryAfter: 20 * time.Second})
		start := time.Now()
		short, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		for name, tc := range map[string]struct {
			ctx      context.Context
			longest  time.Duration
			deadline bool
		}{
			"deadline":     {short, time.Hour, true},
			"longest wait": {t.Context(), 20 * time.Second, false},
		} {
			err := p.Wait(tc.ctx, scope, published, call, tc.longest)
			var late *pacing.TooLate
			require.ErrorAs(t, err, &late, name)
			assert.Equal(t, tc.deadline, late.Deadline, name)
			assert.Equal(t, 21*time.Second, late.Wait.Round(time.Millisecond), name)
		}
		assert.Zero(t, time.Since(start), "it is known at once")

		// Those who wait already lengthen the wait. What gave up does not.
		var waiting sync.WaitGroup
		queued, giveUp := context.WithCancel(t.Context())
		for range 40 {
			waiting.Go(func() { assert.ErrorIs(t, p.Wait(queued, scope, published, call, anyTime), context.Canceled) })
		}
		synctest.Wait()
		var late *pacing.TooLate
		require.ErrorAs(t, p.Wait(t.Context(), scope, published, call, 0), &late)
		assert.Equal(t, 61*time.Second, late.Wait.Round(time.Millisecond))
		giveUp()
		waiting.Wait()
		assert.Zero(t, time.Since(start), "a context that ends is seen at once")
		require.ErrorAs(t, p.Wait(t.Context(), scope, published, call, 0), &late)
		assert.Equal(t, 21*time.Second, late.Wait.Round(time.Millisecond))
		require.ErrorIs(t, p.Wait(queued, "another", published, call, anyTime), context.Canceled)
	})
}

func TestAHoldThatGrowsIsSeen(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPacer()
		start := time.Now()
		wait(t, p, call)
		hold := func(d time.Duration) {
			p.Report(scope, pacing.Report{Limit: -1, Remaining: -1, Rejected: true, RetryAfter: d})
		}
		hold(time.Minute)
		var patient, impatient time.Duration
		var waiting sync.WaitGroup
		waiting.Go(func() { patient = wait(t, p, call) })
		waiting.Go(func() {
			assert.ErrorAs(t, p.Wait(t.Context(), scope, published, poll, 2*time.Minute), new(*pacing.TooLate))
			impatient = time.Since(start)
		})
		time.Sleep(10 * time.Second)
		hold(4 * time.Minute)
		waiting.Wait()
		assert.Equal(t, 251*time.Second, patient.Round(time.Millisecond))
		assert.LessOrEqual(t, impatient, 40*time.Second)
	})
}

func TestCallsGoBeforePolls(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPacer()
		ctx, cancel := context.WithCancel(t.Context())
		var polls sync.WaitGroup
		for range 300 {
			polls.Go(func() { _ = p.Wait(ctx, scope, published, poll, anyTime) })
		}
		time.Sleep(time.Minute)
		start := time.Now()
		for range 9 {
			wait(t, p, call)
		}
		assert.Zero(t, time.Since(start))
		cancel()
		polls.Wait()
	})
	synctest.Test(t, func(t *testing.T) { // where there is no tenth to leave
		p := pacing.New(pacing.Config{Ceiling: &pacing.Bucket{Capacity: 1, Refill: 1, Per: time.Second}})
		wait(t, p, call)
		var polls sync.WaitGroup
		for range 5 {
			polls.Go(func() { wait(t, p, poll) })
		}
		synctest.Wait()
		for range 3 {
			assert.Equal(t, time.Second, wait(t, p, call).Round(time.Millisecond))
		}
		polls.Wait()
	})
}
