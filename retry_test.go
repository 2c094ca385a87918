package livemigration

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestALongRetryAfterEndsTheCallAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		s := script(reply(429, `{"errorCode":"RATE_LIMITED"}`, "Retry-After", "86400"))
		_, err := s.client(t).Migrations.Get(t.Context(), destinationID, validID)
		require.ErrorIs(t, err, ErrRateLimited)
		var api *APIError
		require.ErrorAs(t, err, &api)
		assert.Equal(t, 24*time.Hour, api.RetryAfter)
		assert.ErrorContains(t, err, "retry after 24h0m0s")
		assert.Len(t, s.requests, 1)
		assert.Zero(t, time.Since(start))
	})
}

func TestACancelledWaitReturnsAtOnceWithBothErrors(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		s := script(reply(429, `{"errorCode":"RATE_LIMITED"}`, "Retry-After", "100"))
		start := time.Now()
		time.AfterFunc(30*time.Second, cancel)
		_, err := s.client(t).Migrations.Create(ctx, destinationID, validRequest())
		assert.Equal(t, 30*time.Second, time.Since(start))
		require.ErrorIs(t, err, context.Canceled)
		require.ErrorIs(t, err, ErrRateLimited)
		assert.NotErrorIs(t, err, ErrOutcomeUnknown)
		assert.EqualError(t, err, "livemigration: POST /groups/e01c9427f054fe80745f3f6c/liveMigrations: context canceled while waiting to retry after: 429 RATE_LIMITED (retry after 1m40s)")
	})
}

func TestTheErrorOfAContextIsAlwaysInTheChain(t *testing.T) {
	t.Parallel()
	cause := errors.New("the user pressed Ctrl-C")
	hang := func(req *http.Request) (*http.Response, error) {
		<-req.Context().Done()
		return nil, context.Cause(req.Context()) // as net/http gives it
	}
	for name, step := range map[string]func(*http.Request) (*http.Response, error){
		"while a request is under way": hang,
		"between two attempts":         reply(429, "", "Retry-After", "100"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				for want, make := range map[error]func() (context.Context, context.CancelFunc){
					context.DeadlineExceeded: func() (context.Context, context.CancelFunc) {
						return context.WithTimeoutCause(t.Context(), 20*time.Second, cause)
					},
					context.Canceled: func() (context.Context, context.CancelFunc) {
						ctx, cancel := context.WithCancelCause(t.Context())
						time.AfterFunc(20*time.Second, func() { cancel(cause) })
						return ctx, func() { cancel(nil) }
					},
				} {
					ctx, cancel := make()
					_, err := script(step).client(t).Migrations.Get(ctx, destinationID, validID)
					if want == context.Canceled || name == "while a request is under way" { // otherwise the wait does not fit the deadline
						require.ErrorIs(t, err, want)
						require.ErrorIs(t, err, cause)
					}
					_, err = waits["complete"](script(hang).client(t), ctx)
					require.ErrorIs(t, err, want)
					cancel()
				}
			})
		})
	}
}

func TestAnAttemptThatTakesTooLongIsNoDeadlineOfTheCaller(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client := script(func(req *http.Request) (*http.Response, error) {
			<-req.Context().Done()
			return nil, req.Context().Err()
		}).client(t, once)
		_, err := client.Migrations.Get(t.Context(), destinationID, validID)
		require.EqualError(t, err, "livemigration: GET "+getPath+": no response within 30s")
		assert.NotErrorIs(t, err, context.DeadlineExceeded)
		var timeout net.Error
		require.ErrorAs(t, err, &timeout)
		assert.True(t, timeout.Timeout())
		_, err = client.Migrations.Create(t.Context(), destinationID, validRequest())
		require.ErrorIs(t, err, ErrOutcomeUnknown)
	})
}

func TestACancelledCreateThatMayHaveArrivedIsAnUnknownOutcome(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	s := script(func(req *http.Request) (*http.Response, error) {
		cancel()
		<-req.Context().Done()
		return nil, req.Context().Err()
	})
	_, err := s.client(t).Migrations.Create(ctx, destinationID, validRequest())
	require.ErrorIs(t, err, ErrOutcomeUnknown)
	require.ErrorIs(t, err, context.Canceled)
	assert.Len(t, s.requests, 1)
	_, err = s.client(t).Migrations.Get(ctx, destinationID, validID)
	require.ErrorIs(t, err, context.Canceled)
	assert.NotErrorIs(t, err, ErrOutcomeUnknown)
	assert.EqualError(t, err, "livemigration: GET "+getPath+": context canceled")
}

func TestCredentialsThatDoNotUseTheBaseTransport(t *testing.T) {
	t.Parallel()
	own := &closingTransport{roundTripperFunc: fail(errors.New("token server down")), close: func() { t.Error("closed the connections of other callers") }}
	client, err := NewClient(credentialsFunc(func(*url.URL, http.RoundTripper) (http.RoundTripper, error) { return own, nil }), once)
	require.NoError(t, err)
	_, err = client.Migrations.Create(t.Context(), destinationID, validRequest())
	require.ErrorIs(t, err, ErrOutcomeUnknown, "nobody knows what they sent")
}

// What was sent is unknown behind a transport that gives no trace, so a failure counts as one after sending.
func TestRetriedOperationsWithAnUnknownOutcome(t *testing.T) {
	t.Parallel()
	reset := fail(syscall.ECONNRESET)
	conflict := reply(409, `{"errorCode":"X"}`)
	for _, tc := range []struct {
		name     string
		first    func(*http.Request) (*http.Response, error)
		second   func(*http.Request) (*http.Response, error)
		delete   error // what is in the error of LinkTokens.Delete, nil for success
		cutover  error
		unknown  bool // what a cutover's error also is
		requests int
	}{
		{"reset, then success", reset, reply(202, ""), nil, nil, false, 2},
		{"reset, then not found", reset, reply(404, ""), nil, ErrNotFound, true, 2},
		{"reset, then conflict", reset, conflict, ErrConflict, ErrConflict, true, 2},
		{"reset, then forbidden", reset, reply(403, ""), ErrForbidden, ErrForbidden, true, 2},
		{"gateway, then not found", reply(502, "<html>"), reply(404, ""), nil, ErrNotFound, true, 2},
		{"server error, then not found", reply(500, `{"errorCode":"UNEXPECTED_ERROR"}`), reply(404, ""), nil, ErrNotFound, true, 2},
		{"rejected for now, then not found", reply(503, "", "Retry-After", "1"), reply(404, ""), ErrNotFound, ErrNotFound, false, 2},
		{"rate limited, then not found", reply(429, ""), reply(404, ""), ErrNotFound, ErrNotFound, false, 2},
		{"rate limited after a reset, then not found", reset, nil, nil, ErrNotFound, true, 3},
		{"not found", reply(404, ""), nil, ErrNotFound, ErrNotFound, false, 1},
		{"reset for ever", reset, reset, syscall.ECONNRESET, syscall.ECONNRESET, false, 5},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				steps := []func(*http.Request) (*http.Response, error){tc.first, tc.second}
				if tc.requests == 3 {
					steps = append(steps[:1], reply(429, ""), reply(404, ""))
				}
				s := script(steps...)
				err := s.client(t).LinkTokens.Delete(t.Context(), validID)
				require.ErrorIs(t, err, tc.delete)
				assert.NotErrorIs(t, err, ErrOutcomeUnknown)
				assert.Len(t, s.requests, tc.requests)

				s = script(steps...)
				err = s.client(t).Migrations.Cutover(t.Context(), destinationID, validID)
				require.ErrorIs(t, err, tc.cutover)
				assert.Equal(t, tc.unknown, errors.Is(err, ErrOutcomeUnknown))
				assert.Len(t, s.requests, tc.requests)
			})
		})
	}
}

func TestMayHaveCreated(t *testing.T) {
	t.Parallel()
	assert.False(t, MayHaveCreated(nil))
	assert.False(t, MayHaveCreated(&APIError{StatusCode: 500}))
	assert.True(t, MayHaveCreated(fmt.Errorf("tool: %w", &OutcomeUnknownError{})), "one that somebody else has made")
	cutover, creation := &OutcomeUnknownError{Method: http.MethodPut}, &OutcomeUnknownError{Method: http.MethodPost}
	assert.False(t, MayHaveCreated(cutover))
	assert.True(t, MayHaveCreated(errors.Join(cutover, creation)))
	assert.True(t, MayHaveCreated(errors.Join(creation, cutover)))
	assert.True(t, MayHaveCreated(errors.Join(cutover, fmt.Errorf("tool: %w", creation))))
}

func TestOutcomeUnknownErrors(t *testing.T) {
	t.Parallel()
	const path = "/groups/e01c9427f054fe80745f3f6c/liveMigrations"
	for _, tc := range []struct {
		name, message string
		step          func(*http.Request) (*http.Response, error)
		unknown       bool
	}{
		{"reset", "connection reset by peer", fail(syscall.ECONNRESET), true},
		{"no response", "EOF", fail(io.EOF), true},
		{"gateway page", "502 Bad Gateway: oops", reply(502, "<b>oops</b>"), true},
		{"gateway, empty 503", "503 Service Unavailable", reply(503, ""), true},
		{"gateway, empty 504", "504 Gateway Timeout", reply(504, ""), true},
		{"gateway, useless Retry-After", "503 Service Unavailable", reply(503, "", "Retry-After", "soon"), true},
		{"Atlas's 503", "503 X", reply(503, `{"errorCode":"X"}`), true},
		{"Atlas's 500", "500 X", reply(500, `{"errorCode":"X"}`), true},
		{"Atlas's 504", "504 X", reply(504, `{"errorCode":"X"}`), true},
		{"500 without JSON", "500 Internal Server Error", reply(500, ""), true},
		{"408", "408 Request Timeout: upstream took too long", reply(408, "<html>upstream took too long</html>"), true},
		{"421", "421 Misdirected Request", reply(421, ""), true},
		{"425", "425 Too Early", reply(425, ""), true},
		{"460", "460", reply(460, ""), true},
		{"499", "499", reply(499, ""), true},
		{"success without id", "unusable response: no well-formed _id in it", reply(201, `{"status":"NEW"}`), true},
		{"success that is HTML", "unusable response: it is not JSON: please log in", reply(201, "<html>please log in"), true},
		{"empty success", "unusable response: it is empty", reply(201, ""), true},
		{"a gateway's own status", "520: oops", reply(520, "<b>oops"), true},
		{"rejection", "409 X", reply(409, `{"errorCode":"X"}`), false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := script(tc.step)
			_, err := s.client(t).Migrations.Create(t.Context(), destinationID, validRequest())
			assert.Len(t, s.requests, 1)
			var unknown *OutcomeUnknownError
			if !tc.unknown {
				assert.EqualError(t, err, "livemigration: POST "+path+": "+tc.message)
				assert.False(t, errors.As(err, &unknown))
				assert.False(t, MayHaveCreated(err))
				return
			}
			require.ErrorAs(t, err, &unknown)
			assert.ErrorIs(t, err, ErrOutcomeUnknown)
			assert.Equal(t, "POST", unknown.Method)
			assert.Equal(t, path, unknown.Path)
			assert.EqualError(t, err, "livemigration: POST "+path+": a migration of cluster \"exampleClusterA\" of source project "+string(sourceID)+
				" to cluster \"exampleClusterB\" of Atlas project "+string(destinationID)+" may have been started, look for it in Atlas before you start it again: "+tc.message)
			assert.True(t, MayHaveCreated(fmt.Errorf("tool: %w", err)))
			var api *APIError
			if errors.As(err, &api) {
				assert.Equal(t, api.StatusCode >= 500, errors.Is(err, ErrServer))
			}
		})
	}
}

// Nothing else finds the job again, so what stands in the place of its id is shown to a person.
func TestAnOddIDOfANewMigrationIsShown(t *testing.T) {
	t.Parallel()
	const upper = "6560F2A46560F2A46560F2A4"
	for name, tc := range map[string]struct{ body, want string }{
		"upper case":    {`{"_id":"` + upper + `","status":"NEW"}`, `no well-formed _id in it; its _id is "` + upper + `"`},
		"an object":     {`{"_id":{"$oid":"` + validID + `"},"status":"NEW"}`, `no well-formed _id in it; its _id is {"$oid":"` + validID + `"}`},
		"a secret":      {`{"_id":"hunter2\u0007` + upper + `"}`, `its _id is "[REDACTED]\u0007` + upper + `"`},
		"a broken body": {`{"_id":7,"status":tru`, "its _id is 7"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			req := validRequest()
			req.Source.Username, req.Source.Password = "u", "hunter2"
			_, err := script(reply(201, tc.body)).client(t).Migrations.Create(t.Context(), destinationID, req)
			require.True(t, MayHaveCreated(err))
			assert.ErrorContains(t, err, tc.want)
		})
	}
	for _, body := range []string{`{"_id":null,"status":"NEW"}`, `{"_id":"` + strings.Repeat("x", 300) + `"}`} {
		_, err := script(reply(201, body)).client(t).Migrations.Create(t.Context(), destinationID, validRequest())
		require.True(t, MayHaveCreated(err))
		assert.NotContains(t, err.Error(), "its _id is")
	}
}
