package pacing

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// server is a token bucket that fills by refill every per, and responds after a while.
type server struct {
	capacity, refill int
	per, latency     time.Duration
	quiet            bool // says nothing about limits with what it carries out

	mu       sync.Mutex
	tokens   int
	filled   time.Time
	served   []time.Time
	rejected int
}

func newServer(capacity int) *server {
	return &server{capacity: capacity, refill: capacity, per: time.Minute, latency: 20 * time.Millisecond, tokens: capacity, filled: time.Now()}
}

func (s *server) request() Report {
	time.Sleep(s.latency)
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	for ; now.Sub(s.filled) >= s.per; s.filled = s.filled.Add(s.per) {
		s.tokens = min(s.capacity, s.tokens+s.refill)
	}
	if s.tokens == 0 {
		s.rejected++
		return Report{Limit: s.capacity, Remaining: 0, Rejected: true, RetryAfter: s.filled.Add(s.per).Sub(now), Per: s.per * time.Duration(s.capacity) / time.Duration(s.refill)}
	}
	s.tokens--
	s.served = append(s.served, now)
	if s.quiet {
		return Report{Limit: -1, Remaining: -1}
	}
	return Report{Limit: s.capacity, Remaining: s.tokens}
}

func (s *server) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.served)
}

const scope = "project"

// take makes one request when it has its turn.
func take(p *Pacer, s *server, ctx context.Context, class Class) error {
	turn, err := p.Wait(ctx, scope, class, time.Hour)
	if err == nil {
		turn.Done(s.request())
	}
	return err
}

// poll makes requests as a wait does, until the context ends.
func poll(p *Pacer, s *server, ctx context.Context, interval time.Duration) {
	for {
		if take(p, s, ctx, Poll) != nil {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(interval/2 + rand.N(interval)):
		}
	}
}

func TestManyPollsKeepWithinTheBucket(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*server){
		"filled at once":                func(*server) {},
		"filled bit by bit":             func(s *server) { s.per, s.refill = time.Minute/100, 1 },
		"filled now and then":           func(s *server) { s.per, s.refill = 6*time.Second, 10 },
		"filled long ago":               func(s *server) { s.tokens, s.filled = 15, time.Now().Add(-50*time.Second) },
		"published for a project":       func(s *server) { s.capacity, s.tokens, s.refill = 1200, 1200, 500 },
		"published for an organization": func(s *server) { s.capacity, s.tokens, s.refill = 500, 500, 250 },
		"filled seldom":                 func(s *server) { s.per = 5 * time.Minute },
		"responses that take long":      func(s *server) { s.latency = 2 * time.Second },
		"responses in another order":    func(s *server) { s.latency = 0 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s, p := newServer(100), New(Config{})
				change(s)
				const watches, minutes = 100, 20
				ctx, cancel := context.WithTimeout(t.Context(), minutes*time.Minute)
				defer cancel()
				require.NoError(t, take(p, s, ctx, Call))
				var all sync.WaitGroup
				for range watches {
					all.Go(func() { poll(p, s, ctx, 10*time.Second) })
				}
				all.Wait()
				perMinute := float64(s.refill) / s.per.Minutes()
				share := float64(s.count()) / (minutes * perMinute)
				t.Logf("served %d (%.0f %% of what is allowed), rejected %d", s.count(), 100*share, s.rejected)
				assert.LessOrEqual(t, s.rejected, s.count()/100)
				assert.Greater(t, share, 0.55)
			})
		})
	}
}

func TestAnEmptyBucketHoldsEverybodyAndLetsThemGoOneByOne(t *testing.T) {
	t.Parallel()
	for _, quiet := range []bool{false, true} {
		for _, class := range []Class{Call, Poll} {
			synctest.Test(t, func(t *testing.T) {
				s, p := newServer(100), New(Config{})
				s.quiet, s.tokens, s.latency = quiet, 0, time.Millisecond
				require.NoError(t, take(p, s, t.Context(), Call))
				assert.Equal(t, 1, s.rejected)
				start := time.Now()
				var all sync.WaitGroup
				for range 60 {
					all.Go(func() { assert.NoError(t, take(p, s, t.Context(), class)) })
				}
				all.Wait()
				assert.Equal(t, 1, s.rejected)
				require.Len(t, s.served, 60)
				assert.GreaterOrEqual(t, s.served[0].Sub(start), 59*time.Second)
				for i := 2; i < len(s.served); i++ {
					assert.Greater(t, s.served[i].Sub(s.served[i-1]), 300*time.Millisecond, "request %d", i)
				}
			})
		}
	}
}

func TestNothingSaidIsNothingPaced(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := New(Config{})
		start := time.Now()
		for range 1000 {
			turn, err := p.Wait(t.Context(), scope, Poll, time.Hour)
			require.NoError(t, err)
			turn.Done(Report{Limit: -1, Remaining: -1})
		}
		assert.Zero(t, time.Since(start))
		assert.Empty(t, p.buckets)

		// A server that has stopped saying so is not paced any more either.
		turn, err := p.Wait(t.Context(), scope, Poll, time.Hour)
		require.NoError(t, err)
		turn.Done(Report{Limit: 100, Remaining: 11})
		for range 100 {
			turn, err := p.Wait(t.Context(), scope, Poll, time.Hour)
			require.NoError(t, err)
			turn.Done(Report{Limit: -1, Remaining: -1})
		}
		assert.Less(t, time.Since(start), 2*time.Minute)
	})
}

func TestCallsGoBeforePolls(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, p := newServer(100), New(Config{})
		ctx, cancel := context.WithCancel(t.Context())
		require.NoError(t, take(p, s, ctx, Call))
		var polls sync.WaitGroup
		for range 300 {
			polls.Go(func() { poll(p, s, ctx, time.Second) })
		}
		time.Sleep(3 * time.Minute)
		start := time.Now()
		for range 10 {
			require.NoError(t, take(p, s, ctx, Call))
		}
		assert.Less(t, time.Since(start), 45*time.Second, "polls wait for minutes")
		cancel()
		polls.Wait()
		assert.Zero(t, s.rejected)
	})
}

// A scope has one bucket, and does not wait for that of another.
func TestOneBucketForAScope(t *testing.T) {
	t.Parallel()
	p := New(Config{})
	turn, err := p.Wait(t.Context(), "a", Call, time.Hour)
	require.NoError(t, err)
	turn.Done(Report{Limit: 100, Remaining: 0, Rejected: true, RetryAfter: time.Hour})
	assert.Greater(t, p.Held("a"), time.Minute)
	assert.Zero(t, p.Held("b"))
	_, err = p.Wait(t.Context(), "b", Call, 0)
	require.NoError(t, err)
	_, err = p.Wait(t.Context(), "a", Poll, time.Minute)
	require.ErrorAs(t, err, new(*TooLate))
}

func TestADeafPacerLearnsNothing(t *testing.T) {
	t.Parallel()
	p := New(Config{Deaf: true})
	turn, err := p.Wait(t.Context(), scope, Call, time.Hour)
	require.NoError(t, err)
	turn.Done(Report{Limit: 100, Remaining: 0, Rejected: true, RetryAfter: time.Hour})
	_, err = p.Wait(t.Context(), scope, Call, time.Second)
	require.NoError(t, err)
}

func TestTheNilPacerGivesTurns(t *testing.T) {
	t.Parallel()
	var p *Pacer
	turn, err := p.Wait(t.Context(), scope, Poll, time.Hour)
	require.NoError(t, err)
	turn.Done(Report{Limit: 1, Remaining: 0, Rejected: true})
	turn.Cancel()
}

func TestWhatIsKnownOfABucketIsForgottenInTheEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := New(Config{})
		tell := func(scope string) {
			turn, err := p.Wait(t.Context(), scope, Call, time.Hour)
			require.NoError(t, err)
			turn.Done(Report{Limit: 100, Remaining: 50})
		}
		for i := range 1024 {
			tell(string(rune('a' + i)))
		}
		time.Sleep(2 * keptFor)
		tell("new")
		assert.Len(t, p.buckets, 1)
	})
}
