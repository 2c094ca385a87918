package exchange

import (
	"context"
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go/internal/pacing"
)

// paced gives an exchanger a pacer of its own.
func paced(c *Config) { c.Pacer = pacing.New(pacing.Config{}) }

// held is for how long the scope of the tests gets no turn.
func held(x *Exchanger) time.Duration {
	return x.Pacer.Held(scope)
}

// hold makes the pacer hold everybody, as a 429 to another request does.
func hold(t *testing.T, x *Exchanger, d time.Duration) {
	turn, err := x.Turn(t.Context(), scope, pacing.Call, 0)
	require.NoError(t, err)
	turn.Done(pacing.Report{Limit: -1, Remaining: -1, Rejected: true, RetryAfter: d})
}

// waits is how long a call waits for its turn.
func waits(t *testing.T, x *Exchanger, class pacing.Class) (waited time.Duration) {
	r := reading()
	r.Class, r.Waited = class, &waited
	x.Do(t.Context(), r)
	return waited
}

// A bucket of four with two tokens left: a call may go at once as long as one more than a quarter is left, so a wait tells
// that a request was counted.
func TestWhatIsReportedToThePacer(t *testing.T) {
	t.Parallel()
	learned := reply(200, "", "RateLimit-Limit", "4", "RateLimit-Remaining", "2")
	for _, tc := range []struct {
		name   string
		step   step
		waits  bool // the next call
		atMost time.Duration
	}{
		{"no response: its turn is given back", fail(io.EOF), false, 0},
		{"unsent: its turn is given back", unsent(io.EOF), false, 0},
		{"a failure that says nothing: its turn is given back", reply(502, "<html>"), false, 0},
		{"a success that says nothing: there is no limit any more", reply(200, ""), false, 0},
		{"an unusable success is counted as well", reply(200, "<html>", "RateLimit-Limit", "4", "RateLimit-Remaining", "1"), true, 6 * time.Second},
		{"a failure with headers", reply(404, "", "RateLimit-Limit", "4", "RateLimit-Remaining", "1"), true, 6 * time.Second},
		{"plenty left", reply(200, "", "RateLimit-Limit", "4", "RateLimit-Remaining", "3"), false, 0},
		{"nothing left", reply(200, "", "RateLimit-Limit", "4", "RateLimit-Remaining", "0"), true, 6 * time.Second},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				x := script(learned, tc.step, reply(200, "")).exchanger(paced, attempts(1))
				require.Zero(t, waits(t, x, pacing.Call))
				require.Zero(t, waits(t, x, pacing.Call))
				waited := waits(t, x, pacing.Call)
				assert.Equal(t, tc.waits, waited > 0, waited)
				assert.LessOrEqual(t, waited, tc.atMost)
			})
		})
	}
}

func TestARejectionHoldsEverybody(t *testing.T) {
	t.Parallel()
	const bucket = `{"errorCode":"RATE_LIMITED_TOKEN_BUCKET","parameters":["/p",20,4,2,30]}`
	for _, tc := range []struct {
		name string
		step step
		held time.Duration
	}{
		{"429 with Retry-After", reply(429, "", "Retry-After", "20"), 20 * time.Second},
		{"429 with parameters", reply(429, bucket), 20 * time.Second},
		{"503 with Retry-After", reply(503, "", "Retry-After", "20"), 20 * time.Second},
		{"429 without", reply(429, ""), 0},
		{"503 without", reply(503, ""), 0},
		{"500 with Retry-After, which is not about the number of requests", reply(500, "", "Retry-After", "20"), 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				x := script(tc.step).exchanger(paced, attempts(1))
				x.Do(t.Context(), reading())
				assert.InDelta(t, tc.held.Seconds()+0.5, held(x).Seconds(), 0.5+1e-6)
				assert.Zero(t, x.Pacer.Held("another scope"))
			})
		})
	}
}

// The parameters of a 429 tell the size of the bucket and when it is full, where no header does.
func TestThePacerLearnsFromTheParametersOfA429(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		header []string
		want   time.Duration // of the next turn but one: a bucket that fills in a minute, spread over its tokens
	}{
		{"the capacity of the parameters", nil, 15 * time.Second},
		{"the limit of the header comes first", []string{"RateLimit-Limit", "2"}, 30 * time.Second},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				rejected := reply(429, `{"errorCode":"RATE_LIMITED_TOKEN_BUCKET","parameters":["/p",0,4,2,30]}`, tc.header...)
				x := script(rejected, fail(io.EOF)).exchanger(paced, attempts(1))
				require.Zero(t, waits(t, x, pacing.Call))
				assert.Equal(t, tc.want, waits(t, x, pacing.Call))
			})
		})
	}
}

func TestPollsGiveWayToCalls(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		next := func(class pacing.Class) time.Duration {
			x := script(reply(200, "", "RateLimit-Limit", "10", "RateLimit-Remaining", "4"), reply(200, "")).exchanger(paced)
			require.Zero(t, waits(t, x, class))
			return waits(t, x, class)
		}
		assert.Zero(t, next(pacing.Call))
		assert.Greater(t, next(pacing.Poll), 10*time.Second)
	})
}

func TestTheTimeOfTurnsIsAddedUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := script(slow(time.Second, fail(io.EOF)), reply(200, ""))
		x := s.exchanger(paced)
		hold(t, x, 20*time.Second)
		waited := time.Hour
		r := reading()
		r.Waited = &waited
		o := x.Do(t.Context(), r)
		assert.Equal(t, Done, o.Verdict)
		assert.Equal(t, 2, o.Attempts)
		assert.GreaterOrEqual(t, waited, time.Hour+20*time.Second)
		assert.LessOrEqual(t, waited, time.Hour+22*time.Second)
		assert.GreaterOrEqual(t, s.times[0], 20*time.Second, "an attempt begins with its turn")
	})
}

// The time of an attempt begins when it has its turn.
func TestATurnIsNoPartOfTheTimeOfAnAttempt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		x := script(slow(29*time.Second, reply(200, ""))).exchanger(paced, attempts(1))
		hold(t, x, 100*time.Second)
		o := x.Do(t.Context(), reading())
		assert.Equal(t, Done, o.Verdict)
		assert.Greater(t, o.Duration, 129*time.Second)
	})
}

// A wait has waited for the turn of its first attempt before the call.
func TestATurnThatWasGivenIsUsedOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		x := script(fail(io.EOF), reply(200, "")).exchanger(paced)
		turn, err := x.Turn(t.Context(), scope, pacing.Poll, 0)
		require.NoError(t, err)
		hold(t, x, 20*time.Second)
		r := reading()
		var waited time.Duration
		r.Turn, r.Waited = &turn, &waited
		s := x.Transport.(*scripted)
		o := x.Do(t.Context(), r)
		assert.Equal(t, Done, o.Verdict)
		assert.Zero(t, s.times[0], "the turn was there")
		assert.GreaterOrEqual(t, s.times[1], 20*time.Second, "the next attempt waits for one of its own")
		assert.Equal(t, pacing.Turn{}, turn, "it has been taken over")
		assert.GreaterOrEqual(t, waited, 18*time.Second)
	})
}

func TestATurnThatComesTooLate(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name     string
		held     time.Duration
		deadline time.Duration
		outage   time.Duration
		late     bool
		why      bool // the deadline
	}{
		{"in time", 299 * time.Second, time.Hour, 0, false, false},
		{"longer than any call waits", 301 * time.Second, time.Hour, 0, true, false},
		{"after the deadline", 20 * time.Second, 10 * time.Second, 0, true, true},
		{"a wait that outlives more", 301 * time.Second, time.Hour, 15 * time.Minute, false, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), tc.deadline)
				defer cancel()
				x := script(reply(200, "")).exchanger(paced)
				hold(t, x, tc.held)
				_, err := x.Turn(ctx, scope, pacing.Poll, tc.outage)
				var late *pacing.TooLate
				if !tc.late {
					require.NoError(t, err)
					return
				}
				require.ErrorAs(t, err, &late)
				assert.Equal(t, tc.why, late.Deadline)
			})
		})
	}
}

func TestACallWhoseTurnComesTooLate(t *testing.T) {
	t.Parallel()
	const tooLong = 400 * time.Second
	t.Run("at once", func(t *testing.T) {
		t.Parallel()
		for _, r := range []*Request{reading(), creating(), cutting()} {
			synctest.Test(t, func(t *testing.T) {
				s := script(reply(200, ""))
				x := s.exchanger(paced)
				hold(t, x, tooLong)
				r.Body = []byte("{}")
				o := x.Do(t.Context(), r)
				assert.Equal(t, Failed, o.Verdict)
				require.NotNil(t, o.Failure.TooLate)
				assert.Same(t, o.Failure.TooLate, o.Failure.Err)
				assert.InDelta(t, tooLong.Seconds(), o.Failure.TooLate.Wait.Seconds(), 1.01)
				assert.Zero(t, o.Attempts, "it has not been one")
				assert.Empty(t, s.requests)
				assert.True(t, o.Before.None())
				assert.Zero(t, time.Since(s.begun))
			})
		}
	})
	for _, tc := range []struct {
		*Request
		want Verdict
	}{{reading(), Failed}, {deleting(), Failed}, {cutting(), Unknown}} {
		t.Run("after an attempt that may have been carried out/"+tc.Endpoint.Name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var x *Exchanger
				s := script(func(req *http.Request) (*http.Response, error) {
					turn, err := x.Turn(t.Context(), scope, pacing.Call, 0)
					require.NoError(t, err)
					turn.Done(pacing.Report{Limit: -1, Remaining: -1, Rejected: true, RetryAfter: tooLong})
					return fail(io.EOF)(req)
				})
				x = s.exchanger(paced)
				o := x.Do(t.Context(), tc.Request)
				assert.Equal(t, tc.want, o.Verdict)
				require.NotNil(t, o.Failure.TooLate)
				assert.Equal(t, io.EOF, o.Before.Err, "the failure of the attempt before is not lost")
				assert.Equal(t, 1, o.Attempts)
			})
		})
	}
}

// A transport closes the body of every request.
func TestTheBodyOfARequestWithoutATurnIsClosed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		x := script(reply(200, "")).exchanger(paced)
		hold(t, x, 400*time.Second)
		body := &closeNoted{Reader: http.NoBody}
		ctx := context.WithValue(t.Context(), callKey{}, &call{x: x, Request: creating()})
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://atlas.invalid", body)
		require.NoError(t, err)
		_, err = (&attemptTransport{x}).RoundTrip(req)
		require.ErrorAs(t, err, new(*pacing.TooLate))
		assert.Equal(t, 1, body.closed)
	})
}

// A retry whose turn comes after the deadline is not waited for.
func TestARetryThatIsHeldBeyondTheDeadline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		var x *Exchanger
		s := script(func(req *http.Request) (*http.Response, error) {
			hold(t, x, time.Minute)
			return fail(io.EOF)(req)
		})
		x = s.exchanger(paced)
		o := x.Do(ctx, reading())
		assert.Equal(t, Failed, o.Verdict)
		assert.Equal(t, io.EOF, o.Failure.Err)
		assert.Nil(t, o.Failure.TooLate)
		assert.Zero(t, time.Since(s.begun))
	})
}

func TestAContextThatEndsWhileATurnIsWaitedFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := script(reply(200, ""))
		x := s.exchanger(paced)
		hold(t, x, time.Minute)
		r := creating()
		r.Grace = time.Hour
		o := x.Do(stopped(t, 10*time.Second), r)
		assert.Equal(t, Failed, o.Verdict)
		assert.Equal(t, 10*time.Second, time.Since(s.begun))
		assert.ErrorIs(t, o.Ended, errStopped)
		assert.Empty(t, s.requests)
		assert.Zero(t, o.Attempts)
	})
}
