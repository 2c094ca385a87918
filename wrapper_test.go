package livemigration_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go"
	"github.com/livemigration/livemigration-go/livemigrationtest"
)

// net/http retries a request that calls itself idempotent when a connection breaks that it has used before.
func TestAWrapperThatCallsACreateRequestIdempotent(t *testing.T) {
	t.Parallel()
	srv := livemigrationtest.NewServer()
	defer srv.Close()
	var names []string
	client := newClient(t, srv.ServiceAccountCredentials(), livemigration.WithBaseURL(srv.URL()),
		wrapper(func(req *http.Request, base http.RoundTripper) (*http.Response, error) {
			trace := &httptrace.ClientTrace{WroteHeaderField: func(_ string, values []string) { names = append(names, values...) }}
			out := req.Clone(httptrace.WithClientTrace(req.Context(), trace))
			out.Header.Set("Idempotency-Key", "abc")
			out.Header.Set("X-Idempotency-Key", "abc")
			return base.RoundTrip(out)
		}))
	defer client.CloseIdleConnections()
	_, err := client.AvailableProjects.List(t.Context(), srv.OrgID())
	require.NoError(t, err)
	srv.Inject(livemigrationtest.CreateMigration, livemigrationtest.ResetAfterRequest(), 1)
	_, err = client.Migrations.Create(t.Context(), srv.ProjectID(), srv.SampleRequest())
	require.ErrorIs(t, err, livemigration.ErrOutcomeUnknown)
	assert.Len(t, srv.Migrations(), 1)
	for _, value := range names {
		assert.NotContains(t, value, "Basic ", "a trace that a wrapper has set sees no client secret")
	}
}

// A circuit breaker gives up while the transport inside goes on.
func TestAWrapperThatReturnsEarly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv := inProcess()
		var first atomic.Bool
		client := accountClient(t, srv, wrapper(func(req *http.Request, base http.RoundTripper) (*http.Response, error) {
			if first.Swap(true) {
				return base.RoundTrip(req)
			}
			go func() {
				if resp, err := base.RoundTrip(req.WithContext(context.WithoutCancel(req.Context()))); err == nil {
					_ = resp.Body.Close()
				}
			}()
			time.Sleep(2 * time.Second)
			return nil, errors.New("circuit breaker")
		}))
		srv.Inject(livemigrationtest.IssueToken, livemigrationtest.SlowBody(5*time.Second), 1)
		_, err := client.Migrations.Create(t.Context(), srv.ProjectID(), srv.SampleRequest())
		require.ErrorIs(t, err, livemigration.ErrOutcomeUnknown)
		time.Sleep(time.Minute)
		assert.Len(t, srv.Migrations(), 1)
	})
}

// meddling returns a client below which meddle stands.
func meddling(t *testing.T, srv *livemigrationtest.Server, meddle func(*http.Request, http.RoundTripper) (*http.Response, error), opts ...livemigration.Option) *livemigration.Client {
	t.Helper()
	base := srv.HTTPClient().Transport
	hc := &http.Client{Transport: roundTripper(func(req *http.Request) (*http.Response, error) { return meddle(req, base) })}
	return newClient(t, srv.ServiceAccountCredentials(), append(opts, livemigration.WithBaseURL(srv.URL()), livemigration.WithHTTPClient(hc))...)
}

// If a retry gets no turn, the attempt before may have taken effect.
func TestNoTurnAfterALostResponse(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv := inProcess(livemigrationtest.WithSpeed(1), livemigrationtest.WithProjects(2))
		defer srv.Close()
		var client *livemigration.Client
		var id livemigration.MigrationID
		client = meddling(t, srv, func(req *http.Request, base http.RoundTripper) (*http.Response, error) {
			resp, err := base.RoundTrip(req)
			if err != nil || req.Method != http.MethodPut && !strings.HasSuffix(req.URL.Path, "/validate") {
				return resp, err
			}
			// Meanwhile another call is rejected, for long.
			srv.Inject(livemigrationtest.AnyOperation, livemigrationtest.Status(429).WithRetryAfter(10*time.Minute), 1)
			if req.Method == http.MethodPut {
				_, _ = client.Migrations.Get(t.Context(), srv.ProjectID(), id)
			} else {
				_, _ = client.Validations.Get(t.Context(), srv.ProjectIDs()[1], livemigration.ValidationID(id))
			}
			return nil, fmt.Errorf("malformed response %q", "x "+req.Header.Get("Authorization"))
		})
		id = create(t, srv, client)
		_, err := client.Migrations.WaitReadyForCutover(t.Context(), srv.ProjectID(), id)
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		err = client.Migrations.Cutover(ctx, srv.ProjectID(), id)
		require.ErrorIs(t, err, livemigration.ErrOutcomeUnknown)
		require.ErrorIs(t, err, livemigration.ErrRateLimited)

		request := srv.SampleRequest()
		request.Destination.ProjectID = "" // the method's
		_, err = client.Validations.Create(ctx, srv.ProjectIDs()[1], request)
		var late *livemigration.PacingError
		require.ErrorAs(t, err, &late)
		assert.Regexp(t, `not sent: rate limited for another (5m|4m59s), past the context's deadline; last error: malformed response .*\[REDACTED\]`, err.Error())
		assert.Equal(t, 1, late.Attempts)
		assert.Positive(t, late.Duration)
	})
}
