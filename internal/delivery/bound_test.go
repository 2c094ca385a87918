package delivery

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestBound(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		grace time.Duration
		sent  bool
		ends  time.Duration // the caller's context
		want  time.Duration
		err   error
		cause error
	}{
		"the attempt's time":                       {0, true, time.Hour, 30 * time.Second, context.DeadlineExceeded, context.DeadlineExceeded},
		"the caller's context":                     {0, true, time.Second, time.Second, context.Canceled, context.Canceled},
		"a grace, and the context goes on":         {time.Minute, true, time.Hour, 30 * time.Second, context.DeadlineExceeded, context.DeadlineExceeded},
		"a grace, and the request is on its way":   {10 * time.Second, true, time.Second, 11 * time.Second, context.Canceled, context.DeadlineExceeded},
		"a grace, and nothing has been sent":       {10 * time.Second, false, time.Second, time.Second, context.Canceled, context.Canceled},
		"a grace that outlives the attempt's time": {time.Hour, true, time.Second, 30 * time.Second, context.DeadlineExceeded, context.DeadlineExceeded},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var s State
				s.Begin()
				if tc.sent {
					s.Hide()
				}
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				time.AfterFunc(tc.ends, cancel)
				begun := time.Now()
				bounded, done := s.Bound(ctx, 30*time.Second, tc.grace)
				<-bounded.Done()
				assert.Equal(t, tc.want, time.Since(begun))
				assert.Equal(t, tc.err, bounded.Err())
				assert.Equal(t, tc.cause, context.Cause(bounded))
				done()
			})
		})
	}
}

// Without a grace the deadline of the caller is that of the request, and keeps its error.
func TestBoundKeepsTheDeadlineOfTheCaller(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		bounded, done := new(State).Bound(ctx, 30*time.Second, 0)
		defer done()
		want, _ := ctx.Deadline()
		deadline, ok := bounded.Deadline()
		assert.True(t, ok)
		assert.Equal(t, want, deadline)
		<-bounded.Done()
		assert.Equal(t, context.DeadlineExceeded, bounded.Err())
	})
}

// To follow a context of another package, package context starts a goroutine.
func TestBoundLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	for _, grace := range []time.Duration{0, time.Hour} {
		synctest.Test(t, func(t *testing.T) { // it fails if a goroutine is left
			ctx := &expiring{Context: t.Context(), done: make(chan struct{})}
			bounded, done := new(State).Bound(ctx, 30*time.Second, grace)
			done()
			assert.Error(t, bounded.Err())
		})
	}
}

func TestAGraceThatNothingWasSentInEndsWithTheDeadline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var s State
		s.Begin()
		bounded, done := s.Bound(ctx, 30*time.Second, time.Minute)
		defer done()
		<-bounded.Done()
		assert.Equal(t, context.DeadlineExceeded, context.Cause(bounded))
	})
}
