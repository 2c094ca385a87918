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

// server is a token bucket that fills by refill every per, and answers after a while.
type server struct {
	capacity, refill int
	per, answers     time.Duration
	quiet            bool // says nothing about limits with what it carries out

	mu      sync.Mutex
	tokens  int
	filled  time.Time
	served  []time.Time
	refused int
}

func newServer(capacity int) *server {
	return &server{capacity: capacity, refill: capacity, per: time.Minute, answers: 20 * time.Millisecond, tokens: capacity, filled: time.Now()}
}

func (s *server) request() Report {
	time.Sleep(s.answers)
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	for ; now.Sub(s.filled) >= s.per; s.filled = s.filled.Add(s.per) {
		s.tokens = min(s.capacity, s.tokens+s.refill)
	}
	if s.tokens == 0 {
		s.refused++
		return Report{Limit: s.capacity, Remaining: 0, Refused: true, RetryAfter: s.filled.Add(s.per).Sub(now), Per: s.per * time.Duration(s.capacity) / time.Duration(s.refill)}
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
		"answers that take long":        func(s *server) { s.answers = 2 * time.Second },
		"answers in another order":      func(s *server) { s.answers = 0 },
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
				t.Logf("served %d (%.0f %% of what is allowed), refused %d", s.count(), 100*share, s.refused)
				assert.LessOrEqual(t, s.refused, s.count()/100)
				assert.Greater(t, share, 0.55)
			})
		})
	}
}

func TestARefusalHoldsEverybodyAndLetsThemGoOneByOne(t *testing.T) {
	t.Parallel()
	for _, quiet := range []bool{false, true} {
		for _, class := range []Class{Call, Poll} {
			synctest.Test(t, func(t *testing.T) {
				s, p := newServer(100), New(Config{})
				s.quiet, s.tokens, s.answers = quiet, 0, time.Millisecond
				require.NoError(t, take(p, s, t.Context(), Call))
				assert.Equal(t, 1, s.refused)
				start := time.Now()
				var all sync.WaitGroup
				for range 60 {
					all.Go(func() { assert.NoError(t, take(p, s, t.Context(), class)) })
				}
				all.Wait()
				assert.Equal(t, 1, s.refused)
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
		assert.Zero(t, s.refused)
	})
}

func TestAFullBucketIsNoReasonToWaitForCalls(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, p := newServer(100), New(Config{})
		s.answers = 0
		start := time.Now()
		for range 75 {
			require.NoError(t, take(p, s, t.Context(), Call))
		}
		assert.Zero(t, time.Since(start))
		for range 50 {
			require.NoError(t, take(p, s, t.Context(), Call))
		}
		assert.Greater(t, time.Since(start), 30*time.Second)
		assert.Zero(t, s.refused)
	})
}

func TestATurnThatComesTooLateFailsAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := New(Config{})
		turn, err := p.Wait(t.Context(), scope, Call, time.Hour)
		require.NoError(t, err)
		turn.Done(Report{Limit: 100, Remaining: 0, Refused: true, RetryAfter: time.Minute})
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
		turn.Done(Report{Limit: 100, Remaining: 0, Refused: true, RetryAfter: 2 * time.Hour})
		waiting.Wait()
	})
}

func TestTooLateSaysWhy(t *testing.T) {
	t.Parallel()
	assert.EqualError(t, &TooLate{Wait: 1249 * time.Millisecond, Deadline: true}, "not sent: its turn within the rate limit comes in 1.2s, after the context's deadline")
	assert.EqualError(t, &TooLate{Wait: time.Hour}, "not sent: its turn within the rate limit comes in 1h0m0s, which is too late")
}

// A scope has one bucket, and does not wait for that of another.
func TestOneBucketForAScope(t *testing.T) {
	t.Parallel()
	p := New(Config{})
	turn, err := p.Wait(t.Context(), "a", Call, time.Hour)
	require.NoError(t, err)
	turn.Done(Report{Limit: 100, Remaining: 0, Refused: true, RetryAfter: time.Hour})
	assert.Greater(t, p.Held("a"), time.Minute)
	assert.Zero(t, p.Held("b"))
	_, err = p.Wait(t.Context(), "b", Call, 0)
	require.NoError(t, err)
	_, err = p.Wait(t.Context(), "a", Poll, time.Minute)
	require.ErrorAs(t, err, new(*TooLate))
}

func TestCancelling(t *testing.T) {
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

func TestADeafPacerLearnsNothing(t *testing.T) {
	t.Parallel()
	p := New(Config{Deaf: true})
	turn, err := p.Wait(t.Context(), scope, Call, time.Hour)
	require.NoError(t, err)
	turn.Done(Report{Limit: 100, Remaining: 0, Refused: true, RetryAfter: time.Hour})
	_, err = p.Wait(t.Context(), scope, Call, time.Second)
	require.NoError(t, err)
}

func TestTheNilPacerGivesTurns(t *testing.T) {
	t.Parallel()
	var p *Pacer
	turn, err := p.Wait(t.Context(), scope, Poll, time.Hour)
	require.NoError(t, err)
	turn.Done(Report{Limit: 1, Remaining: 0, Refused: true})
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

// tell takes a turn and reports on it. It returns how long the turn took.
func tell(t *testing.T, p *Pacer, class Class, r Report) time.Duration {
	t.Helper()
	start := time.Now()
	turn, err := p.Wait(t.Context(), scope, class, 2*time.Hour)
	require.NoError(t, err)
	turn.Done(r)
	return time.Since(start)
}

func TestARequestWithoutAnAnswerCostsNothing(t *testing.T) {
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

func TestTheEndOfABudgetIsNoReasonToGiveUp(t *testing.T) {
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
		assert.Zero(t, s.refused)
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
					turn.Done(Report{Limit: 1000, Remaining: 0, Refused: true, RetryAfter: 5 * time.Minute})
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
		tell(t, p, Call, Report{Limit: 1_000_000, Remaining: 0, Refused: true, RetryAfter: time.Second, Per: 1e6 * time.Hour})
		tell(t, p, Call, Report{Limit: 100, Remaining: 99})
		assert.Less(t, tell(t, p, Poll, Report{Limit: 100, Remaining: 98}), time.Minute)

		tell(t, p, Call, Report{Limit: 100, Remaining: 0, Refused: true, RetryAfter: 1000 * time.Hour})
		assert.LessOrEqual(t, tell(t, p, Call, Report{Limit: 100, Remaining: 99}), longest+maxJitter)
	})
}

// Guesses slow a call down, and no more.
func TestACallIsNotRefusedForAGuess(t *testing.T) {
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
			assert.Zero(t, s.refused)
		})
	}
}
