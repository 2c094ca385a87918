package exchange

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go/internal/auth/bearer"
)

var errStopped = errors.New("the user pressed Ctrl-C")

// stopped is a context that is cancelled after a time.
func stopped(t *testing.T, after time.Duration) context.Context {
	ctx, cancel := context.WithCancelCause(t.Context())
	timer := time.AfterFunc(after, func() { cancel(errStopped) })
	t.Cleanup(func() {
		timer.Stop()
		cancel(nil)
	})
	return ctx
}

func TestAContextThatHasEndedSendsNothing(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errStopped)
	s := script(reply(200, ""))
	o := s.exchanger().Do(ctx, creating())
	assert.Equal(t, Failed, o.Verdict)
	assert.Empty(t, s.requests)
	assert.Zero(t, o.Attempts)
	assert.False(t, o.Waiting)
	assert.ErrorIs(t, o.Ended, context.Canceled)
	assert.ErrorIs(t, o.Failure.Err, context.Canceled)
	assert.ErrorIs(t, o.Failure.Err, errStopped)
	assert.Equal(t, "context canceled: the user pressed Ctrl-C", o.Failure.Text)
}

func TestAContextThatEndsInAnAttempt(t *testing.T) {
	t.Parallel()
	dialling := func(req *http.Request) (*http.Response, error) { // it does not reach a connection
		<-req.Context().Done()
		return nil, req.Context().Err()
	}
	for _, tc := range []struct {
		name string
		*Request
		steps []step
		want  Verdict
	}{
		{"read", reading(), []step{hang}, Failed},
		{"creation that may have arrived", creating(), []step{hang}, Unknown},
		{"creation in the body of its response", creating(), []step{stuck(`{"_id":"` + id)}, Unknown},
		{"creation that was not sent", creating(), []step{dialling}, Failed},
		{"cutover", cutting(), []step{hang}, Failed},
		{"second attempt of a read", reading(), []step{slow(time.Second, reply(503, "", "Retry-After", "0")), hang}, Failed},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				const limit = 10 * time.Second
				s := script(tc.steps...)
				tc.Decode = func(body []byte, err error) (string, error) { return string(body), err }
				o := s.exchanger().Do(stopped(t, limit), tc.Request)
				assert.Equal(t, limit, time.Since(s.begun), "it returns at once")
				assert.Equal(t, tc.want, o.Verdict)
				assert.ErrorIs(t, o.Ended, context.Canceled)
				assert.ErrorIs(t, o.Ended, errStopped)
				assert.ErrorIs(t, o.Failure.Err, context.Canceled)
				assert.False(t, o.Waiting)
				assert.Len(t, s.requests, len(tc.steps))
				assert.Equal(t, len(tc.steps) > 1, !o.Before.None(), "the failure of the attempt before is not lost")
			})
		})
	}
}

// The deadline of the caller is the only one that is an error of a context.
func TestTheDeadlineOfTheCaller(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, r := range []*Request{reading(), creating()} {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			o := script(hang).exchanger().Do(ctx, r)
			assert.Equal(t, 10*time.Second, o.Duration)
			assert.Equal(t, context.DeadlineExceeded, o.Ended)
			assert.ErrorIs(t, o.Failure.Err, context.DeadlineExceeded)
			assert.Equal(t, "context deadline exceeded", o.Failure.Text)
		}
	})
}

func TestAContextThatEndsBetweenTwoAttempts(t *testing.T) {
	t.Parallel()
	rejected := reply(429, "", "Retry-After", "100")
	for _, tc := range []struct {
		name string
		*Request
		steps  []step
		status int
	}{
		{"read", reading(), []step{rejected}, 429},
		{"creation that was rejected for now", creating(), []step{rejected}, 429},
		{"cutover that may have been carried out", cutting(), []step{reply(500, "", "Retry-After", "100")}, 500},
		{"cutover that was rejected for now after that, which may be retried", cutting(), []step{fail(io.EOF), rejected}, 429},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := script(tc.steps...)
				o := s.exchanger().Do(stopped(t, 30*time.Second), tc.Request)
				assert.Equal(t, 30*time.Second, time.Since(s.begun), "it returns at once")
				assert.Equal(t, Failed, o.Verdict)
				assert.True(t, o.Waiting)
				assert.Equal(t, len(tc.steps) > 1, !o.Before.None())
				assert.ErrorIs(t, o.Ended, errStopped)
				require.NotNil(t, o.Failure.Response, "what the attempt before failed with")
				assert.Equal(t, tc.status, o.Failure.Response.StatusCode)
				assert.Equal(t, len(tc.steps), o.Attempts)
			})
		})
	}
}

func TestAContextThatEndsAsAResponseArrives(t *testing.T) {
	t.Parallel()
	later := reply(503, "", "Retry-After", "0")
	for _, tc := range []struct {
		name string
		*Request
		reply    step
		attempts int
		want     Verdict
		waiting  bool
	}{
		{"read", reading(), reply(503, ""), 5, Failed, true},
		{"last attempt of a read", reading(), reply(503, ""), 1, Failed, false}, // it ended for that
		{"read that was rejected", reading(), reply(403, ""), 5, Failed, false},
		{"cutover", cutting(), reply(408, ""), 5, Failed, true},
		{"creation that was not carried out", creating(), later, 5, Failed, true},
		{"creation that may have been carried out", creating(), reply(503, ""), 5, Unknown, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			s := script(func(req *http.Request) (*http.Response, error) {
				cancel()
				return tc.reply(req)
			})
			o := s.exchanger(attempts(tc.attempts)).Do(ctx, tc.Request)
			assert.Equal(t, tc.want, o.Verdict)
			assert.Equal(t, tc.waiting, o.Waiting)
			assert.ErrorIs(t, o.Ended, context.Canceled)
			assert.NotNil(t, o.Failure.Response)
			assert.Len(t, s.requests, 1)
		})
	}
}

// A wait that ends after the deadline is not begun.
func TestAWaitThatDoesNotFitTheDeadline(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name     string
		deadline time.Duration
		attempts int
	}{{"does not fit", 10 * time.Second, 1}, {"fits", 12 * time.Second, 2}} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), tc.deadline)
				defer cancel()
				s := script(reply(429, "", "Retry-After", "10"), reply(404, ""))
				o := s.exchanger().Do(ctx, reading())
				assert.Equal(t, Failed, o.Verdict)
				assert.Equal(t, tc.attempts, o.Attempts)
				assert.NoError(t, o.Ended)
				assert.False(t, o.Waiting)
				assert.Equal(t, tc.attempts == 1, time.Since(s.begun) == 0)
			})
		})
	}
}

func TestTimeoutsAreNamed(t *testing.T) {
	t.Parallel()
	ownTimeout := &net.OpError{Op: "read", Net: "tcp", Err: context.DeadlineExceeded}
	for _, tc := range []struct {
		name string
		step step
		want string
		took time.Duration
	}{
		{"an attempt", hang, "no response within 30s", 30 * time.Second},
		{"the body of a response", stuck("{"), "no response within 30s", 30 * time.Second},
		{"a shorter time of the user's transport", slow(5*time.Second, fail(ownTimeout)), "read tcp: context deadline exceeded", 5 * time.Second},
		{"the token endpoint", tokenEndpoint(hang), "POST https://atlas.invalid/api/oauth/token: no response within 30s", 30 * time.Second},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := reading()
				r.Decode = func(body []byte, err error) (string, error) { return "", err }
				o := script(tc.step).exchanger(attempts(1)).Do(t.Context(), r)
				assert.Equal(t, Failed, o.Verdict)
				assert.Equal(t, tc.want, o.Failure.Text)
				assert.Equal(t, tc.took, o.Duration)
				assert.NotErrorIs(t, o.Failure.Err, context.DeadlineExceeded, "no deadline of the caller's has passed")
				var timeout net.Error
				require.ErrorAs(t, o.Failure.Err, &timeout)
				assert.True(t, timeout.Timeout())
			})
		})
	}
}

// tokenEndpoint is a step of credentials that need an access token first, whose endpoint does what s does.
func tokenEndpoint(s step) step {
	origin := &url.URL{Scheme: "https", Host: "atlas.invalid"}
	return bearer.NewAccount(origin, "client", "s3cret", s).RoundTrip
}

// With a grace a request that is on its way outlives the caller's context.
func TestGrace(t *testing.T) {
	t.Parallel()
	const ends = 10 * time.Second // of the context
	dialling := func(req *http.Request) (*http.Response, error) {
		<-req.Context().Done()
		return nil, req.Context().Err()
	}
	within := func(d time.Duration, s step) step { // s after a while, if the request's context lasts
		return sent(func(req *http.Request) (*http.Response, error) {
			select {
			case <-req.Context().Done():
				return nil, req.Context().Err()
			case <-time.After(d):
				return s(req)
			}
		})
	}
	for _, tc := range []struct {
		name  string
		grace time.Duration
		steps []step
		want  Verdict
		took  time.Duration
	}{
		{"none", 0, []step{within(12*time.Second, respond(201, "{}"))}, Unknown, ends},
		{"long enough", 5 * time.Second, []step{within(12*time.Second, respond(201, "{}"))}, Done, 12 * time.Second},
		{"too short", time.Second, []step{within(12*time.Second, respond(201, "{}"))}, Unknown, 11 * time.Second},
		{"not needed", time.Hour, []step{within(time.Second, respond(201, "{}"))}, Done, time.Second},
		{"a failure", 5 * time.Second, []step{within(12*time.Second, respond(409, atlasError))}, Failed, 12 * time.Second},
		{"no further attempt", 5 * time.Second, []step{within(12*time.Second, respond(429, "", "Retry-After", "0"))}, Failed, 12 * time.Second},
		{"not longer than an attempt takes", time.Hour, []step{hang}, Unknown, 30 * time.Second},
		{"not for a request that was not sent", time.Hour, []step{dialling}, Failed, ends},
		{"not between two attempts", time.Hour, []step{reply(429, "", "Retry-After", "100")}, Failed, ends},
		{"for the body of a response too", 5 * time.Second, []step{stuck("{")}, Unknown, 15 * time.Second},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := script(tc.steps...)
				r := creating()
				r.Grace = tc.grace
				r.Decode = func(_ []byte, err error) (string, error) { return "", err }
				o := s.exchanger().Do(stopped(t, ends), r)
				assert.Equal(t, tc.want, o.Verdict, o.Failure.Text)
				assert.Equal(t, tc.took, o.Duration)
				assert.Len(t, s.requests, 1)
				if tc.took >= ends {
					assert.ErrorIs(t, o.Ended, errStopped)
				}
			})
		})
	}
}

// A grace changes nothing while the context goes on.
func TestGraceDoesNotOutliveItsAttempt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := reading()
		r.Grace = time.Hour
		s := script(fail(io.EOF), hang, unsent(syscall.ECONNREFUSED), reply(200, ""))
		o := s.exchanger().Do(t.Context(), r)
		assert.Equal(t, Done, o.Verdict)
		assert.Equal(t, 4, o.Attempts)
		for i, req := range s.requests {
			assert.Error(t, req.Context().Err(), "the context of attempt %d has ended", i+1)
		}
	})
}

// foreign is a context of another package. To follow one, package context starts a goroutine.
type foreign struct {
	context.Context
	done chan struct{}
}

func (f foreign) Done() <-chan struct{} { return f.done }

func TestNothingOfACallGoesOnAfterIt(t *testing.T) {
	t.Parallel()
	for _, grace := range []time.Duration{0, time.Hour} {
		synctest.Test(t, func(t *testing.T) { // it fails if a goroutine is left
			s := script(fail(io.EOF), hang, reply(503, "", "Retry-After", "0"), unsent(io.EOF), reply(200, ""))
			r := reading()
			r.Grace = grace
			ctx := foreign{t.Context(), make(chan struct{})}
			require.Equal(t, Done, s.exchanger(paced).Do(ctx, r).Verdict)
			require.Len(t, s.requests, 5)
		})
	}
}
