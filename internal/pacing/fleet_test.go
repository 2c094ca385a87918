package pacing_test

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/livemigration/livemigration-go/internal/pacing"
)

// server is a token bucket of a server, which fills in steps, and responds after a while.
type server struct {
	capacity, refill int
	per, latency     time.Duration
	others           time.Duration // between two requests of other programs; 0: there are none

	mu     sync.Mutex
	tokens int
	filled time.Time
	served int // requests of others included
}

func (s *server) request() pacing.Report {
	time.Sleep(rand.N(2 * s.latency))
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	for ; now.Sub(s.filled) >= s.per; s.filled = s.filled.Add(s.per) {
		s.tokens = min(s.capacity, s.tokens+s.refill)
	}
	if s.tokens == 0 {
		return pacing.Report{Limit: s.capacity, Remaining: 0, Rejected: true, RetryAfter: s.filled.Add(s.per).Sub(now)}
	}
	s.tokens--
	s.served++
	return pacing.Report{Limit: s.capacity, Remaining: s.tokens}
}

func TestManyWatchesKeepWithinTheBucket(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		server  *server
		watches int
		share   float64 // of the tokens that are used, at least
		most    int     // of rejections
	}{
		"a project, filled bit by bit":       {&server{capacity: 1200, refill: 1, per: 120 * time.Millisecond}, 200, 0.85, 3},
		"a project, filled once a minute":    {&server{capacity: 1200, refill: 500, per: time.Minute}, 200, 0.85, 3},
		"a project, many more watches":       {&server{capacity: 1200, refill: 500, per: time.Minute}, 600, 0.85, 3},
		"an organization":                    {&server{capacity: 500, refill: 250, per: time.Minute}, 200, 0.85, 3},
		"a smaller bucket than is published": {&server{capacity: 100, refill: 100, per: time.Minute}, 100, 0.4, 5},
		"responses that take long":           {&server{capacity: 1200, refill: 500, per: time.Minute, latency: 2 * time.Second}, 200, 0.85, 3},
		"other programs use most of it":      {&server{capacity: 1200, refill: 500, per: time.Minute, others: time.Minute / 400}, 200, 0.1, 60},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s, p := tc.server, newPacer()
				s.tokens, s.filled, s.latency = s.capacity, time.Now(), max(s.latency, 20*time.Millisecond)
				limits := pacing.Bucket{Capacity: 1200, Refill: 500, Per: time.Minute}
				if s.capacity == 500 {
					limits = pacing.Bucket{Capacity: 500, Refill: 250, Per: time.Minute}
				}
				const minutes = 10
				ctx, cancel := context.WithTimeout(t.Context(), minutes*time.Minute)
				defer cancel()
				watch := func(turn func() error, report func(pacing.Report), interval time.Duration) {
					for turn() == nil {
						report(s.request())
						select {
						case <-ctx.Done():
						case <-time.After(interval/2 + rand.N(interval)):
						}
					}
				}
				var all sync.WaitGroup
				var rejected atomic.Int32
				if s.others > 0 {
					all.Go(func() { watch(ctx.Err, func(pacing.Report) {}, s.others) })
				}
				for range tc.watches {
					all.Go(func() {
						turn := func() error { return p.Wait(ctx, scope, limits, poll, anyTime) }
						report := func(r pacing.Report) {
							p.Report(scope, r)
							if r.Rejected {
								rejected.Add(1)
							}
						}
						watch(turn, report, 10*time.Second)
					})
				}
				all.Wait()
				share := float64(s.served) / float64(s.capacity+int(minutes*time.Minute/s.per)*s.refill)
				t.Logf("served %d (%.0f%%), rejected %d", s.served, 100*share, rejected.Load())
				assert.LessOrEqual(t, int(rejected.Load()), tc.most)
				assert.Greater(t, share, tc.share)
			})
		})
	}
}
