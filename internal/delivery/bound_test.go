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
	}{
		"the attempt's time":                       {0, true, time.Hour, 30 * time.Second, context.DeadlineExceeded},
		"the caller's context":                     {0, true, time.Second, time.Second, context.Canceled},
		"a grace, and the context goes on":         {time.Minute, true, time.Hour, 30 * time.Second, context.DeadlineExceeded},
		"a grace, and the request is on its way":   {10 * time.Second, true, time.Second, 11 * time.Second, context.Canceled},
		"a grace, and nothing has been sent":       {10 * time.Second, false, time.Second, time.Second, context.Canceled},
		"a grace that outlives the attempt's time": {time.Hour, true, time.Second, 30 * time.Second, context.DeadlineExceeded},
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
				done()
			})
		})
	}
}
