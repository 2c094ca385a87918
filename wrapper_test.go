package livemigration_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"strings"
	"sync"
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
func TestAWrapperThatCallsACreationIdempotent(t *testing.T) {
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
	_, err = client.Migrations.Create(t.Context(), srv.ProjectID(), srv.Request())
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
		_, err := client.Migrations.Create(t.Context(), srv.ProjectID(), srv.Request())
		require.ErrorIs(t, err, livemigration.ErrOutcomeUnknown)
		time.Sleep(time.Minute)
		assert.Len(t, srv.Migrations(), 1)
	})
}

// meddling returns a client below which meddle stands.
func meddling(t *testing.T, srv *livemigrationtest.Server, meddle func(*http.Request, http.RoundTripper) (*http.Response, error), opts ...livemigration.Option) *livemigration.Client {
	t.Helper()
	base := srv.HTTPClient().Transport
	hc := &http.Client{Transport: transportFunc(func(req *http.Request) (*http.Response, error) { return meddle(req, base) })}
	return newClient(t, srv.ServiceAccountCredentials(), append(opts, livemigration.WithBaseURL(srv.URL()), livemigration.WithHTTPClient(hc))...)
}

// Creations that are rejected for their token have not been carried out, whoever asks for the next one.
func TestATokenThatDiesUnderManyCreations(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv := inProcess()
		defer srv.Close()
		var down atomic.Bool
		client := meddling(t, srv, func(req *http.Request, base http.RoundTripper) (*http.Response, error) {
			if strings.HasSuffix(req.URL.Path, "/token") && down.CompareAndSwap(true, false) {
				time.Sleep(time.Second)
				return nil, errors.New("connection refused")
			}
			if req.Method == http.MethodPost {
				time.Sleep(time.Second) // so that all are rejected
			}
			return base.RoundTrip(req)
		})
		_, err := client.AvailableProjects.List(t.Context(), srv.OrgID())
		require.NoError(t, err)
		srv.ExpireTokens()
		down.Store(true)
		var all sync.WaitGroup
		for range 5 {
			all.Go(func() {
				_, err := client.Migrations.Create(t.Context(), srv.ProjectID(), srv.Request())
				assert.NoError(t, err)
			})
		}
		all.Wait()
		assert.Equal(t, 5, count(srv, livemigrationtest.CreateMigration, 401))
		assert.Len(t, srv.Migrations(), 5)
	})
}

// What a call has not got its turn for after its first attempt may have been carried out by that.
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
				_, _ = client.Migrations.Get(req.Context(), srv.ProjectID(), id)
			} else {
				_, _ = client.Validations.Get(req.Context(), srv.ProjectIDs()[1], livemigration.ValidationID(id))
			}
			return nil, fmt.Errorf("malformed response %q", "x "+req.Header.Get("Authorization"))
		})
		id = create(t, srv, client)
		_, err := client.Migrations.WaitReadyForCutover(t.Context(), srv.ProjectID(), id)
		require.NoError(t, err)
		err = client.Migrations.Cutover(t.Context(), srv.ProjectID(), id)
		require.ErrorIs(t, err, livemigration.ErrOutcomeUnknown)
		require.ErrorIs(t, err, livemigration.ErrRateLimited)

		request := srv.Request()
		request.Destination.ProjectID = "" // the method's
		_, err = client.Validations.Create(t.Context(), srv.ProjectIDs()[1], request)
		var late *livemigration.PacingError
		require.ErrorAs(t, err, &late)
		require.ErrorContains(t, err, "the attempt before: malformed response")
		require.ErrorContains(t, err, "[REDACTED]")
		assert.Equal(t, 1, late.Attempts)
		assert.Positive(t, late.Duration)
	})
}

func TestATransportThatPanicsWhileATokenIsFetched(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv := inProcess()
		defer srv.Close()
		var once atomic.Bool
		client := meddling(t, srv, func(req *http.Request, base http.RoundTripper) (*http.Response, error) {
			if !once.Swap(true) {
				panic("a broken transport")
			}
			return base.RoundTrip(req)
		})
		list := func() error {
			_, err := client.AvailableProjects.List(t.Context(), srv.OrgID())
			return err
		}
		assert.Panics(t, func() { _ = list() })
		start := time.Now()
		require.NoError(t, list())
		assert.Zero(t, time.Since(start))
	})
}

func TestAHugeMaxBackoff(t *testing.T) {
	t.Parallel()
	paced(t, 0, []livemigration.Option{livemigration.WithRetryPolicy(livemigration.RetryPolicy{MaxBackoff: math.MaxInt64})}, func(t *testing.T, srv *livemigrationtest.Server, client *livemigration.Client) {
		id := create(t, srv, client)
		srv.Inject(livemigrationtest.GetMigration, livemigrationtest.Status(429).WithRetryAfter(5*time.Second), 1)
		var all sync.WaitGroup
		for range 2 {
			all.Go(func() {
				_, err := client.Migrations.Get(t.Context(), srv.ProjectID(), id)
				assert.NoError(t, err)
			})
			synctest.Wait()
		}
		all.Wait()
	})
}

// dumped keeps what a test would have printed.
type dumped struct{ bytes.Buffer }

func (d *dumped) Errorf(format string, args ...any) { fmt.Fprintf(d, format, args...) }

// A dump by reflection must not reach the buffers of connections, in which the last request and response stand. It reads
// without locks all that it reaches, down to the zone of a time, so nothing else runs beside it.
func TestADumpFindsNoConnection(t *testing.T) {
	require.NotEmpty(t, time.Now().String()) // the zone is read when it is first needed
	const secret, token = "mdb_sa_sk_0123456789abcdefghij", "TOKENTOKENTOKENTOKEN"
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if strings.HasSuffix(r.URL.Path, "/token") {
			_, _ = io.WriteString(w, `{"access_token":"`+token+`","token_type":"Bearer","expires_in":3600}`)
			return
		}
		_, _ = io.WriteString(w, `[]`)
	}))
	defer server.Close()
	for _, opts := range [][]livemigration.Option{nil, {livemigration.WithRateLimit(60, 60)}} {
		connect := func() *livemigration.Client {
			client := newClient(t, livemigration.ServiceAccount("mdb_sa_id_1", secret), append(opts, livemigration.WithBaseURL(server.URL))...)
			t.Cleanup(client.CloseIdleConnections)
			return client
		}
		client := connect()
		_, err := client.AvailableProjects.List(t.Context(), "0123456789abcdef01234567")
		require.NoError(t, err)
		var dump dumped
		assert.Equal(&dump, connect(), client)
		require.NotEmpty(t, dump.String())
		for _, hidden := range []string{secret, token, "Bearer ", "uthorization:"} {
			assert.NotContains(t, dump.String(), hidden)
		}
	}
}
