package livemigration

import (
	"context"
	"errors"
	"fmt"
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
		assert.EqualError(t, err, "livemigration: Migrations.Create: POST /groups/e01c9427f054fe80745f3f6c/liveMigrations: context canceled; last error: 429 RATE_LIMITED (retry after 1m40s)")
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
		"while a request is in flight": hang,
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
					if want == context.Canceled || name == "while a request is in flight" { // otherwise the wait does not fit the deadline
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
		require.EqualError(t, err, "livemigration: Migrations.Get: GET "+getPath+": no complete response within 30s")
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
	_, err := s.client(t).Migrations.Create(ctx, destinationID, validRequest(), WithGrace(0))
	require.ErrorIs(t, err, ErrOutcomeUnknown)
	require.ErrorIs(t, err, context.Canceled)
	assert.Len(t, s.requests, 1)
	_, err = s.client(t).Migrations.Get(ctx, destinationID, validID)
	require.ErrorIs(t, err, context.Canceled)
	assert.NotErrorIs(t, err, ErrOutcomeUnknown)
	assert.EqualError(t, err, "livemigration: Migrations.Get: GET "+getPath+": context canceled")
}

func TestCredentialsThatDoNotUseTheBaseTransport(t *testing.T) {
	t.Parallel()
	own := &closingTransport{roundTripperFunc: fail(errors.New("token server down")), close: func() { t.Error("closed the connections of other callers") }}
	client, err := NewClient(credentialsFunc(func(*url.URL, http.RoundTripper) (http.RoundTripper, error) { return own, nil }), once)
	require.NoError(t, err)
	_, err = client.Migrations.Create(t.Context(), destinationID, validRequest())
	require.ErrorIs(t, err, ErrOutcomeUnknown, "what they sent is not known")
}

// Behind a transport that is not net/http's, every failure counts as one after sending.
func TestARetryThatIsRejected(t *testing.T) {
	t.Parallel()
	atlas := func(status int) func(*http.Request) (*http.Response, error) {
		return reply(status, fmt.Sprintf(`{"error":%d,"errorCode":"X"}`, status), "Retry-After", "1")
	}
	reset := fail(syscall.ECONNRESET)
	type steps = []func(*http.Request) (*http.Response, error)
	for name, tc := range map[string]struct {
		steps    steps
		deleted  error // what is in the error of LinkTokens.Delete, nil for success
		cutover  error
		unknown  bool // the outcome of the cutover
		requests int
	}{
		"reset, then success":                 {steps{reset, reply(202, "")}, nil, nil, false, 2},
		"reset, then not found":               {steps{reset, atlas(404)}, nil, ErrNotFound, true, 2},
		"reset, then a gateway's 404":         {steps{reset, reply(404, "<p>")}, ErrNotFound, ErrNotFound, true, 2},
		"reset, then conflict":                {steps{reset, atlas(409)}, ErrConflict, ErrConflict, true, 2},
		"reset, then forbidden":               {steps{reset, reply(403, "")}, ErrForbidden, ErrForbidden, true, 2},
		"gateway, then not found":             {steps{reply(502, "<p>"), atlas(404)}, nil, ErrNotFound, true, 2},
		"server error, then not found":        {steps{atlas(500), atlas(404)}, nil, ErrNotFound, true, 2},
		"rejected for now, then not found":    {steps{atlas(503), atlas(404)}, ErrNotFound, ErrNotFound, false, 2},
		"rate limited, then not found":        {steps{reply(429, ""), atlas(404)}, ErrNotFound, ErrNotFound, false, 2},
		"reset, rate limited, then not found": {steps{reset, reply(429, ""), atlas(404)}, nil, ErrNotFound, true, 3},
		"not found":                           {steps{atlas(404)}, ErrNotFound, ErrNotFound, false, 1},
		"reset each time":                     {steps{reset}, syscall.ECONNRESET, syscall.ECONNRESET, false, 5},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := script(tc.steps...)
				err := s.client(t).LinkTokens.Delete(t.Context(), validID)
				require.ErrorIs(t, err, tc.deleted)
				assert.NotErrorIs(t, err, ErrOutcomeUnknown)
				assert.Len(t, s.requests, tc.requests)

				s = script(tc.steps...)
				err = s.client(t).Migrations.Cutover(t.Context(), destinationID, validID)
				require.ErrorIs(t, err, tc.cutover)
				assert.Equal(t, tc.unknown, errors.Is(err, ErrOutcomeUnknown))
				assert.False(t, MayHaveCreated(err))
				if tc.unknown {
					assert.ErrorContains(t, err, "outcome unknown: Atlas may have cut over migration "+validID+" of project "+string(destinationID)+"; call Migrations.Get to find out: ")
				}
				assert.Len(t, s.requests, tc.requests)
			})
		})
	}
}

func TestMayHaveCreated(t *testing.T) {
	t.Parallel()
	assert.False(t, MayHaveCreated(nil))
	assert.False(t, MayHaveCreated(&APIError{StatusCode: 500}))
	assert.True(t, MayHaveCreated(fmt.Errorf("tool: %w", &OutcomeUnknownError{})), "one that the program has made")
	cutover, creation := &OutcomeUnknownError{Method: http.MethodPut}, &OutcomeUnknownError{Method: http.MethodPost}
	assert.False(t, MayHaveCreated(cutover))
	assert.True(t, MayHaveCreated(errors.Join(cutover, creation)))
	assert.True(t, MayHaveCreated(errors.Join(creation, cutover)))
	assert.True(t, MayHaveCreated(errors.Join(cutover, fmt.Errorf("tool: %w", creation))))
}

func TestOutcomeUnknownErrors(t *testing.T) {
	t.Parallel()
	const path = "/groups/e01c9427f054fe80745f3f6c/liveMigrations"
	const upper = "6560F2A46560F2A46560F2A4"
	const page = ` instead of JSON; is a proxy or login page in between?`
	for name, tc := range map[string]struct {
		step func(*http.Request) (*http.Response, error)
		id   string
		want string
	}{
		"reset":                {fail(syscall.ECONNRESET), "", "connection reset by peer"},
		"gateway page":         {reply(502, "<b>oops</b>"), "", "502 Bad Gateway: oops"},
		"Atlas's 500":          {reply(500, `{"error":500,"errorCode":"X","detail":"d"}`, "X-Request-Id", "req-1"), "", "500 X: d"},
		"success without ID":   {reply(201, `{"status":"NEW"}`), "", "unexpected response: no well-formed _id in it"},
		"success that is HTML": {reply(201, "<html>please log in", "Content-Type", "text/html"), "", `unexpected response: 201 text/html ("please log in")` + page},
		"empty success":        {reply(201, ""), "", "unexpected response: 201 (empty)" + page},
		"half a success":       {reply(201, `{"status":"NEW","_id":"`+validID+`","migrationHosts":["vm0`), validID, "unexpected response: 201: unexpected end of JSON input"},
		// Atlas lists no migrations, so what stands in the place of the ID is shown to a person.
		"ID in upper case":   {reply(201, `{"_id":"`+upper+`"}`), "", `unexpected response: no well-formed _id in it; its _id is "` + upper + `"`},
		"a secret as the ID": {reply(201, `{"_id":"hunter2\u0007`+upper+`"}`), "", `unexpected response: no well-formed _id in it; its _id is "[REDACTED]\a` + upper + `"`},
		"a long ID":          {reply(201, `{"_id":"`+strings.Repeat("x", 300)+`"}`), "", "unexpected response: no well-formed _id in it"},
		"half an ID":         {reply(201, `{"_id":"`+validID[:20]), "", "unexpected response: 201: unexpected end of JSON input"},
		"a list":             {reply(201, `["_id","`+validID+`"]`), "", "unexpected response: 201: unexpected array"},
		"another object's":   {reply(201, `{"a":{"_id":"`+validID+`"},"status":7}`), "", "unexpected response: no well-formed _id in it"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := script(tc.step)
			_, err := s.client(t).Migrations.Create(t.Context(), destinationID, validRequest())
			assert.Len(t, s.requests, 1)
			var unknown *OutcomeUnknownError
			require.ErrorAs(t, err, &unknown)
			assert.ErrorIs(t, err, ErrOutcomeUnknown)
			assert.Equal(t, [...]string{"Migrations.Create", "POST", path, tc.id}, [...]string{unknown.Operation, unknown.Method, unknown.Path, unknown.ID})
			id := ""
			if tc.id != "" {
				id = "; its ID is " + tc.id
			}
			assert.EqualError(t, err, "livemigration: Migrations.Create: POST "+path+": outcome unknown: Atlas may have started a migration of cluster "+
				`"exampleClusterA" of source project `+string(sourceID)+` to cluster "exampleClusterB" of Atlas project `+string(destinationID)+
				"; check the Atlas UI before you start it again"+id+": "+tc.want)
			assert.True(t, MayHaveCreated(fmt.Errorf("tool: %w", err)))
			var api *APIError
			assert.Equal(t, errors.As(err, &api), errors.Is(err, ErrServer))
			assert.Equal(t, name == "Atlas's 500", unknown.RequestID == "req-1")
		})
	}
}
