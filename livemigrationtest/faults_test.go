package livemigrationtest_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go"
	"github.com/livemigration/livemigration-go/livemigrationtest"
)

// overBoth runs a test over a socket, over TLS and in process. Each server asks for no credentials.
func overBoth(t *testing.T, test func(t *testing.T, srv *livemigrationtest.Server)) {
	t.Helper()
	for name, opt := range map[string]livemigrationtest.Option{
		"socket": nil, "TLS": livemigrationtest.WithTLS(), "in process": livemigrationtest.InProcess(),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, newServer(t, opt, livemigrationtest.WithoutAuthentication()))
		})
	}
}

// sendBroken sends a request that a fault on the connection strikes. It is a POST that no client repeats by itself.
func sendBroken(t *testing.T, srv *livemigrationtest.Server, r request) (res *http.Response, body string, err error) {
	t.Helper()
	res, err = srv.HTTPClient().Do(r.build(t, srv.URL()))
	if err != nil {
		return nil, "", err
	}
	defer func() { assert.NoError(t, res.Body.Close()) }()
	data, err := io.ReadAll(res.Body)
	return res, string(data), err
}

func createRequest(srv *livemigrationtest.Server) request {
	return endpoint(srv, livemigrationtest.CreateMigration, v2Prefix, "")
}

func TestResetBeforeRequest(t *testing.T) {
	t.Parallel()
	overBoth(t, func(t *testing.T, srv *livemigrationtest.Server) {
		srv.Inject(livemigrationtest.CreateMigration, livemigrationtest.ResetBeforeRequest(), 1)
		_, _, err := sendBroken(t, srv, createRequest(srv))
		require.ErrorIs(t, err, syscall.ECONNRESET)
		assert.Empty(t, srv.Migrations(), "not carried out")
		assert.Equal(t, []int{0}, statuses(srv))
		assert.Empty(t, srv.Requests()[0].Body.Reveal())
	})
}

func TestResetAfterRequest(t *testing.T) {
	t.Parallel()
	overBoth(t, func(t *testing.T, srv *livemigrationtest.Server) {
		srv.Inject(livemigrationtest.CreateMigration, livemigrationtest.ResetAfterRequest(), 1)
		_, _, err := sendBroken(t, srv, createRequest(srv))
		require.ErrorIs(t, err, syscall.ECONNRESET)
		assert.Len(t, srv.Migrations(), 1, "carried out")
		assert.Equal(t, []int{0}, statuses(srv))
		assert.NotEmpty(t, srv.Requests()[0].Body.Reveal())
	})
}

func TestTruncatedBody(t *testing.T) {
	t.Parallel()
	overBoth(t, func(t *testing.T, srv *livemigrationtest.Server) {
		srv.Inject(livemigrationtest.AnyOperation, livemigrationtest.TruncatedBody(), 4)
		res, body, err := sendBroken(t, srv, createRequest(srv))
		require.ErrorIs(t, err, io.ErrUnexpectedEOF)
		assert.Equal(t, http.StatusCreated, res.StatusCode)
		assert.NotEmpty(t, body)
		assert.Greater(t, res.ContentLength, int64(len(body)))
		require.Len(t, srv.Migrations(), 1, "carried out")

		srv.Advance(2 * time.Hour)
		res, body, err = sendBroken(t, srv, endpoint(srv, livemigrationtest.Cutover, v2Prefix, string(srv.Migrations()[0].ID)))
		require.ErrorIs(t, err, io.ErrUnexpectedEOF)
		assert.Equal(t, http.StatusAccepted, res.StatusCode)
		assert.Empty(t, body)
		assert.Equal(t, isWorking, looks(srv.Migrations()[0]), "carried out")

		_, _, err = sendBroken(t, srv, endpoint(srv, livemigrationtest.CreateLinkToken, v2Prefix, ""))
		require.ErrorIs(t, err, io.ErrUnexpectedEOF)
		_, _, err = sendBroken(t, srv, endpoint(srv, livemigrationtest.DeleteLinkToken, v2Prefix, ""))
		require.ErrorIs(t, err, syscall.ECONNRESET, "a 204 cannot have a body")
		assert.Zero(t, srv.LinkTokens(), "carried out")
	})
}

func TestOversizedBody(t *testing.T) {
	t.Parallel()
	overBoth(t, func(t *testing.T, srv *livemigrationtest.Server) {
		for _, n := range []int64{0, 5, 14, 15, 1 << 20} {
			srv.Inject(livemigrationtest.CreateMigration, livemigrationtest.OversizedBody(n), 1)
			res, body, err := sendBroken(t, srv, createRequest(srv))
			require.NoError(t, err)
			assert.Equal(t, http.StatusCreated, res.StatusCode)
			assert.Len(t, body, int(n))
			assert.Equal(t, n, res.ContentLength)
			assert.Equal(t, n >= 14, json.Valid([]byte(body)), "%d bytes", n)
		}
		assert.Len(t, srv.Migrations(), 5, "carried out")

		send(t, srv, endpoint(srv, livemigrationtest.CreateLinkToken, v2Prefix, ""))
		srv.Inject(livemigrationtest.DeleteLinkToken, livemigrationtest.OversizedBody(100), 1)
		res, body, err := sendBroken(t, srv, endpoint(srv, livemigrationtest.DeleteLinkToken, v2Prefix, ""))
		require.NoError(t, err)
		assert.Equal(t, http.StatusOK, res.StatusCode)
		assert.Len(t, body, 100)
	})
}

// A client hangs up when it has had enough; nothing waits for it to read the rest.
func TestOversizedBodyAbandoned(t *testing.T) {
	t.Parallel()
	overBoth(t, func(t *testing.T, srv *livemigrationtest.Server) {
		srv.Inject(livemigrationtest.CreateMigration, livemigrationtest.OversizedBody(1<<40), 1)
		res, err := srv.HTTPClient().Do(createRequest(srv).build(t, srv.URL()))
		require.NoError(t, err)
		_, err = io.ReadFull(res.Body, make([]byte, 1<<16))
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		assert.Equal(t, http.StatusConflict, send(t, srv, endpoint(srv, livemigrationtest.Cutover, v2Prefix, string(srv.Migrations()[0].ID))).status)
	})
}

func TestWholeAnswers(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		fault      livemigrationtest.Fault
		status     int
		mediaType  string
		body       string // regular expression
		header     map[string]string
		carriedOut bool
	}{
		"status": {
			fault: livemigrationtest.Status(500), status: 500, mediaType: "application/json",
			body: `^{"error":500,"errorCode":"UNEXPECTED_ERROR","reason":"Internal Server Error","detail":".+","parameters":\[\]}$`,
		},
		"status refined": {
			fault: livemigrationtest.Status(403).WithCode("IP_ADDRESS_NOT_ON_ACCESS_LIST").WithDetail("Not you.").
				WithRetryAfter(1500*time.Millisecond).WithHeader("sunset", "soon"),
			status: 403, mediaType: "application/json",
			body:   `"errorCode":"IP_ADDRESS_NOT_ON_ACCESS_LIST","reason":"Forbidden","detail":"Not you\."`,
			header: map[string]string{"Retry-After": "2", "Sunset": "soon"},
		},
		"status carried out": {
			fault: livemigrationtest.Status(503).CarriedOut(), status: 503, mediaType: "application/json",
			body: "Service Unavailable", carriedOut: true,
		},
		"status 401": {
			fault: livemigrationtest.Status(401), status: 401, mediaType: "application/json;charset=ISO-8859-1",
			body: "Unauthorized", header: map[string]string{"WWW-Authenticate": "Digest "},
		},
		"status 429": {fault: livemigrationtest.Status(429), status: 429, mediaType: "application/json", body: `"RATE_LIMITED"`},
		"status 409": {fault: livemigrationtest.Status(409), status: 409, mediaType: "application/json", body: `"CONFLICT"`},
		"status 410": {fault: livemigrationtest.Status(410), status: 410, mediaType: "application/json", body: `"VERSION_GONE"`},
		"gateway page": {
			fault:  livemigrationtest.RawStatus(502, "text/html", "<h1>502</h1>").WithRetryAfter(0),
			status: 502, mediaType: "text/html", body: "^<h1>502</h1>$", header: map[string]string{"Retry-After": "0"},
		},
		"nothing":            {fault: livemigrationtest.RawStatus(504, "", ""), status: 504, mediaType: "", body: "^$"},
		"nothing, done":      {fault: livemigrationtest.RawStatus(504, "", "").CarriedOut(), status: 504, body: "^$", carriedOut: true},
		"no content":         {fault: livemigrationtest.RawStatus(204, "", "x"), status: 204, body: "^$"},
		"not JSON":           {fault: livemigrationtest.NonJSONBody(), status: 200, mediaType: "text/html; charset=utf-8", body: "^<!DOCTYPE html>", carriedOut: true},
		"redirect":           {fault: livemigrationtest.Redirect("https://example.com/x"), status: 307, body: "^$", header: map[string]string{"Location": "https://example.com/x"}},
		"wrong media type":   {fault: livemigrationtest.WrongMediaType(), status: 201, mediaType: "text/plain; charset=utf-8", body: `^{"_id":`, carriedOut: true},
		"slow by nothing":    {fault: livemigrationtest.SlowBody(0).WithHeader("X-A", "b"), status: 201, mediaType: media2024, body: `^{"_id":`, header: map[string]string{"X-A": "b"}, carriedOut: true},
		"slow by a little":   {fault: livemigrationtest.SlowBody(time.Nanosecond), status: 201, mediaType: media2024, body: `^{"_id":`, carriedOut: true},
		"the zero one":       {fault: livemigrationtest.Fault{}, status: 201, mediaType: media2024, body: `^{"_id":`, carriedOut: true},
		"header of no fault": {fault: livemigrationtest.Fault{}.WithHeader("X-A", "b"), status: 201, mediaType: media2024, body: `^{"_id":`, carriedOut: true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			overBoth(t, func(t *testing.T, srv *livemigrationtest.Server) {
				srv.Inject(livemigrationtest.CreateMigration, tt.fault, 1)
				client := srv.HTTPClient()
				client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
				res := read(t, client, createRequest(srv).build(t, srv.URL()))
				assert.Equal(t, tt.status, res.status)
				assert.Equal(t, tt.mediaType, res.header.Get("Content-Type"))
				assert.Regexp(t, tt.body, res.body)
				for key, value := range tt.header {
					assert.Contains(t, res.header.Get(key), value, key)
				}
				assert.Equal(t, tt.carriedOut, len(srv.Migrations()) == 1, "carried out")
				assert.Equal(t, []int{tt.status}, statuses(srv))
				assert.NotEmpty(t, srv.Requests()[0].Body.Reveal())
				assert.Equal(t, http.StatusCreated, send(t, srv, createRequest(srv)).status, "once")
			})
		})
	}
}

func TestStatusIsEnveloped(t *testing.T) {
	t.Parallel()
	srv := newOpenServer(t)
	srv.Inject(livemigrationtest.AnyOperation, livemigrationtest.Status(500), 1)
	r := createRequest(srv)
	r.path += "?envelope=true"
	res := send(t, srv, r)
	assert.Equal(t, 500, res.status)
	assert.EqualValues(t, 500, res.object(t)["status"])
}

// A request that is refused stays refused when the answer to it goes wrong.
func TestRefusedAndCarriedOut(t *testing.T) {
	t.Parallel()
	srv := newOpenServer(t)
	srv.Inject(livemigrationtest.CreateMigration, livemigrationtest.NonJSONBody(), 1)
	r := createRequest(srv)
	r.body = "{}"
	assert.Equal(t, http.StatusOK, send(t, srv, r).status)
	assert.Empty(t, srv.Migrations())
}

func TestFaultQueue(t *testing.T) {
	t.Parallel()
	srv := newOpenServer(t)
	srv.Inject(livemigrationtest.GetMigration, livemigrationtest.Status(501).After(1), 2)
	srv.Inject(livemigrationtest.AnyOperation, livemigrationtest.Status(502).After(-1), 1)
	srv.Inject(livemigrationtest.GetMigration, livemigrationtest.Status(503).After(1), 1)
	srv.Inject(livemigrationtest.GetMigration, livemigrationtest.Status(504), 0)
	srv.Inject(livemigrationtest.GetMigration, livemigrationtest.Status(504), -1)
	srv.Inject(livemigrationtest.Handshake, livemigrationtest.Status(504), 1)
	assert.Equal(t, 5, srv.PendingFaults())

	get := endpoint(srv, livemigrationtest.GetMigration, v2Prefix, "0123456789abcdef01234567")
	list := endpoint(srv, livemigrationtest.ListAvailableProjects, v2Prefix, "")
	nowhere := request{method: http.MethodGet, path: "/nowhere"}
	for i, step := range []struct {
		request request
		want    int
	}{{get, 404}, {get, 501}, {nowhere, 502}, {list, 200}, {get, 501}, {get, 404}, {get, 503}, {get, 404}} {
		assert.Equal(t, step.want, send(t, srv, step.request).status, "step %d", i)
	}
	assert.Equal(t, 1, srv.PendingFaults(), "there is no handshake without authentication")
	srv.ClearFaults()
	assert.Zero(t, srv.PendingFaults())
}

// A change to a fault does not change the one that it was made from.
func TestFaultIsAValue(t *testing.T) {
	t.Parallel()
	srv := newOpenServer(t)
	base := livemigrationtest.Status(500).WithHeader("X-A", "base")
	_ = base.WithHeader("X-A", "other")
	srv.Inject(livemigrationtest.AnyOperation, base, 1)
	assert.Equal(t, "base", send(t, srv, createRequest(srv)).header.Get("X-A"))
}

func TestOperationFaultsSpareHandshake(t *testing.T) {
	t.Parallel()
	srv := newServer(t, livemigrationtest.InProcess())
	srv.Inject(livemigrationtest.AnyOperation, livemigrationtest.Status(418), 1)
	r := endpoint(srv, livemigrationtest.ListAvailableProjects, v2Prefix, "")
	assert.Equal(t, 401, send(t, srv, r).status, "no credentials")
	assert.Equal(t, 401, send(t, srv, r.with("Authorization", "Digest a=b")).status, "wrong credentials")
	signed := authorize(t, srv, r)
	assert.Equal(t, 418, send(t, srv, signed).status)
}

func TestHandshakeFaults(t *testing.T) {
	t.Parallel()
	srv := newServer(t, livemigrationtest.InProcess())
	srv.Inject(livemigrationtest.Handshake, livemigrationtest.Status(503), 1)
	srv.Inject(livemigrationtest.Handshake, livemigrationtest.ResetAfterRequest(), 1)
	r := endpoint(srv, livemigrationtest.ListAvailableProjects, v2Prefix, "")
	assert.Equal(t, 401, send(t, srv, r.with("Authorization", "Digest a=b")).status, "those are credentials")
	assert.Equal(t, 503, send(t, srv, r).status)
	_, _, err := sendBroken(t, srv, r)
	require.ErrorIs(t, err, syscall.ECONNRESET)
	assert.Equal(t, 401, send(t, srv, r).status)
}

func TestSlowBody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv := newOpenServer(t)
		srv.Inject(livemigrationtest.CreateMigration, livemigrationtest.SlowBody(time.Hour), 1)
		begin := time.Now()
		assert.Equal(t, http.StatusCreated, send(t, srv, createRequest(srv)).status)
		assert.Equal(t, time.Hour, time.Since(begin))
		assert.Equal(t, isNew, looks(srv.Migrations()[0]), "the job clock has no part in it")
	})
}

func TestStalledBody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv := newOpenServer(t)
		srv.Inject(livemigrationtest.CreateMigration, livemigrationtest.StalledBody(time.Hour), 1)
		begin := time.Now()
		res, err := srv.HTTPClient().Do(createRequest(srv).build(t, srv.URL()))
		require.NoError(t, err)
		assert.Zero(t, time.Since(begin), "the head comes at once")
		half := make([]byte, res.ContentLength/2)
		_, err = io.ReadFull(res.Body, half)
		require.NoError(t, err)
		assert.Zero(t, time.Since(begin), "and half of the body")
		rest, err := io.ReadAll(res.Body)
		require.NoError(t, err)
		assert.Equal(t, time.Hour, time.Since(begin))
		assert.True(t, json.Valid(append(half, rest...)))
		require.NoError(t, res.Body.Close())
	})
	overBoth(t, func(t *testing.T, srv *livemigrationtest.Server) {
		srv.Inject(livemigrationtest.CreateMigration, livemigrationtest.StalledBody(time.Hour), 1)
		ctx, cancel := context.WithCancel(t.Context())
		res, err := srv.HTTPClient().Do(createRequest(srv).build(t, srv.URL()).WithContext(ctx))
		require.NoError(t, err)
		half := make([]byte, res.ContentLength/2)
		_, err = io.ReadFull(res.Body, half)
		require.NoError(t, err)
		cancel()
		_, err = io.ReadAll(res.Body)
		require.ErrorIs(t, err, context.Canceled)
		require.NoError(t, res.Body.Close())
		assert.Len(t, srv.Migrations(), 1)

		srv.Inject(livemigrationtest.CreateMigration, livemigrationtest.StalledBody(time.Nanosecond), 1)
		assert.True(t, json.Valid([]byte(send(t, srv, createRequest(srv)).body)))
	})
}

func TestSlowBodyCancelled(t *testing.T) {
	t.Parallel()
	overBoth(t, func(t *testing.T, srv *livemigrationtest.Server) {
		srv.Inject(livemigrationtest.CreateMigration, livemigrationtest.SlowBody(time.Hour), 1)
		ctx, cancel := context.WithCancelCause(t.Context())
		cause := errors.New("enough")
		done := make(chan error)
		go func() {
			_, err := srv.HTTPClient().Do(createRequest(srv).build(t, srv.URL()).WithContext(ctx))
			done <- err
		}()
		require.Eventually(t, func() bool { return len(srv.Migrations()) == 1 }, 10*time.Second, time.Millisecond)
		cancel(cause)
		require.ErrorIs(t, <-done, cause)
		assert.Equal(t, []int{0}, statuses(srv))
	})
}

func TestSlowBodyEndsOnClose(t *testing.T) {
	t.Parallel()
	overBoth(t, func(t *testing.T, srv *livemigrationtest.Server) {
		srv.Inject(livemigrationtest.CreateMigration, livemigrationtest.SlowBody(time.Hour), 1)
		client, req := srv.HTTPClient(), createRequest(srv).build(t, srv.URL())
		done := make(chan error)
		go func() {
			_, err := client.Do(req)
			done <- err
		}()
		require.Eventually(t, func() bool { return len(srv.Migrations()) == 1 }, 10*time.Second, time.Millisecond)
		srv.Close()
		require.Error(t, <-done)
		assert.Equal(t, []int{0}, statuses(srv))
	})
}

// The client's policy, end to end: what may be repeated is, and what may not is not.
func TestClientAgainstFaults(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		op         livemigrationtest.Operation
		fault      livemigrationtest.Fault
		err        error
		migrations int
	}{
		"reset before":             {livemigrationtest.CreateMigration, livemigrationtest.ResetBeforeRequest(), livemigration.ErrOutcomeUnknown, 0},
		"reset after":              {livemigrationtest.CreateMigration, livemigrationtest.ResetAfterRequest(), livemigration.ErrOutcomeUnknown, 1},
		"reset of the handshake":   {livemigrationtest.Handshake, livemigrationtest.ResetBeforeRequest(), nil, 1},
		"truncated":                {livemigrationtest.CreateMigration, livemigrationtest.TruncatedBody(), livemigration.ErrOutcomeUnknown, 1},
		"not JSON":                 {livemigrationtest.CreateMigration, livemigrationtest.NonJSONBody(), livemigration.ErrOutcomeUnknown, 1},
		"rate limit":               {livemigrationtest.CreateMigration, livemigrationtest.Status(429).WithRetryAfter(time.Minute), nil, 1},
		"server error":             {livemigrationtest.CreateMigration, livemigrationtest.Status(500), livemigration.ErrServer, 0},
		"server error of a GET":    {livemigrationtest.ListAvailableProjects, livemigrationtest.Status(500), nil, 1},
		"stalled for too long":     {livemigrationtest.CreateMigration, livemigrationtest.StalledBody(time.Hour), livemigration.ErrOutcomeUnknown, 1},
		"slower than the time-out": {livemigrationtest.CreateMigration, livemigrationtest.SlowBody(time.Hour), livemigration.ErrOutcomeUnknown, 1},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				srv := newServer(t, livemigrationtest.InProcess())
				srv.Inject(tt.op, tt.fault, 1)
				client := newClient(t, srv)
				_, err := client.Migrations.Create(t.Context(), srv.ProjectID(), srv.Request())
				if tt.err == nil {
					require.NoError(t, err)
				} else {
					require.ErrorIs(t, err, tt.err)
				}
				assert.Len(t, srv.Migrations(), tt.migrations)
				_, err = client.AvailableProjects.List(t.Context(), srv.OrgID())
				require.NoError(t, err)
				assert.Zero(t, srv.PendingFaults())
			})
		})
	}
}

// Over a real connection a body that is still on its way is cut off, too.
func TestResetWithLargeBody(t *testing.T) {
	t.Parallel()
	srv := newServer(t, livemigrationtest.WithoutAuthentication())
	srv.Inject(livemigrationtest.CreateMigration, livemigrationtest.ResetBeforeRequest(), 1)
	r := createRequest(srv)
	r.body = strings.Repeat(" ", 64<<20)
	_, _, err := sendBroken(t, srv, r)
	require.Error(t, err) // of the write or of the read, whichever is first
	assert.Equal(t, []int{0}, statuses(srv))
}
