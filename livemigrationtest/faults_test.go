package livemigrationtest_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go/livemigrationtest"
)

// everywhere runs a test over each kind of connection. No server asks for credentials.
func everywhere(t *testing.T, test func(t *testing.T, srv *livemigrationtest.Server)) {
	t.Helper()
	for name, opts := range map[string][]livemigrationtest.Option{
		"TCP": nil, "TLS": {livemigrationtest.WithTLS()}, "HTTP/2": {livemigrationtest.WithHTTP2()},
		"in process":           {livemigrationtest.WithInProcess()},
		"in process, HTTP/2":   {livemigrationtest.WithInProcess(), livemigrationtest.WithHTTP2()},
		"in process as second": {livemigrationtest.WithTLS(), livemigrationtest.WithInProcess()},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, newServer(t, append(opts, livemigrationtest.WithoutAuthentication())...))
		})
	}
}

// sendBroken sends a request that a fault of the connection strikes.
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

func overHTTP2(t *testing.T) bool { return strings.Contains(t.Name(), "HTTP/2") }

func TestWholeResponses(t *testing.T) {
	t.Parallel()
	const own = media2024 + ";charset=utf-8"
	tests := map[string]struct {
		fault     livemigrationtest.Fault
		status    int
		mediaType string
		body      string // regular expression
		header    map[string]string
		processed bool
	}{
		"status": {
			fault: livemigrationtest.Status(500), status: 500, mediaType: "application/json",
			body: `^{"detail":".+","error":500,"errorCode":"UNEXPECTED_ERROR","parameters":\[\],"reason":"Internal Server Error"}$`,
		},
		"status refined": {
			fault: livemigrationtest.Status(403).WithCode("IP_ADDRESS_NOT_ON_ACCESS_LIST").WithDetail("Not you.").
				WithRetryAfter(1500*time.Millisecond).WithHeader("sunset", "soon"),
			status: 403, mediaType: "application/json",
			body:   `"detail":"Not you\.","error":403,"errorCode":"IP_ADDRESS_NOT_ON_ACCESS_LIST",.*"reason":"Forbidden"`,
			header: map[string]string{"Retry-After": "2", "Sunset": "soon", "X-Error-Code": "IP_ADDRESS_NOT_ON_ACCESS_LIST"},
		},
		"status, processed": {
			fault: livemigrationtest.Status(503).Processed(), status: 503, mediaType: "application/json",
			body: "Service Unavailable", processed: true,
		},
		"401": {fault: livemigrationtest.Status(401), status: 401, mediaType: "application/json", body: `"error" : 401`},
		"408": {fault: livemigrationtest.Status(408), status: 408, mediaType: "application/json", body: `"REQUEST_TIMEOUT"`},
		"410": {fault: livemigrationtest.Status(410), status: 410, mediaType: "application/json", body: `"VERSION_GONE"`},
		"429": {fault: livemigrationtest.Status(429), status: 429, mediaType: "application/json", body: `"RATE_LIMITED"`},
		"460": {fault: livemigrationtest.Status(460), status: 460, mediaType: "application/json", body: `"UNEXPECTED_ERROR"`},
		"upgrading": {
			fault: livemigrationtest.Upgrading(), status: 405, mediaType: "application/json", body: `"WRITES_NOT_ALLOWED_DURING_APP_UPGRADES"`,
		},
		"error in a success": {
			fault: livemigrationtest.ErrorInSuccess(409).WithCode("NOT_READY").WithDetail("Wait."), status: 200, mediaType: own,
			body: `^{"detail":"Wait\.","error":409,"errorCode":"NOT_READY","parameters":\[\],"reason":"Conflict"}$`,
		},
		"gateway page": {
			fault:  livemigrationtest.RawStatus(502, "text/html", "<h1>502</h1>").WithRetryAfter(0),
			status: 502, mediaType: "text/html", body: "^<h1>502</h1>$", header: map[string]string{"Retry-After": "0"},
		},
		"421":        {fault: livemigrationtest.RawStatus(421, "", ""), status: 421, body: "^$"},
		"nothing":    {fault: livemigrationtest.RawStatus(504, "", "").Processed(), status: 504, body: "^$", processed: true},
		"no content": {fault: livemigrationtest.RawStatus(204, "", "x"), status: 204, body: "^$"},
		"not JSON": {
			fault: livemigrationtest.NonJSONBody(), status: 200, mediaType: "text/html; charset=utf-8", body: "^<!DOCTYPE html>", processed: true,
		},
		"redirect": {
			fault: livemigrationtest.Redirect("https://example.com/x"), status: 307, body: "^$",
			header: map[string]string{"Location": "https://example.com/x"},
		},
		"byte order mark": {
			fault: livemigrationtest.ByteOrderMark(), status: 201, mediaType: own, body: "^\xef\xbb\xbf{\"_id\":", processed: true,
		},
		"wrong type": {
			fault: livemigrationtest.WrongMediaType(), status: 201, mediaType: "text/plain; charset=utf-8", body: `^{"_id":`, processed: true,
		},
		"slow": {fault: livemigrationtest.SlowBody(time.Nanosecond), status: 201, mediaType: own, body: `^{"_id":`, processed: true},
		"stalled": {
			fault: livemigrationtest.StalledBody(time.Nanosecond), status: 201, mediaType: own, body: `^{"_id":.*}$`, processed: true,
		},
		"the zero one": {fault: livemigrationtest.Fault{}, status: 201, mediaType: own, body: `^{"_id":`, processed: true},
		"a header": {
			fault: livemigrationtest.Fault{}.WithHeader("X-Request-Id", "b"), status: 201, mediaType: own, body: `^{"_id":`,
			header: map[string]string{"X-Request-Id": "b"}, processed: true,
		},
		"last of its connection": {
			fault: livemigrationtest.Fault{}.WithHeader("Connection", "close"), status: 201, mediaType: own, body: `^{"_id":`, processed: true,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			everywhere(t, func(t *testing.T, srv *livemigrationtest.Server) {
				srv.Inject(livemigrationtest.CreateMigration, tt.fault, 1)
				client := srv.HTTPClient()
				client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
				res := read(t, client, createRequest(srv).build(t, srv.URL()))
				assert.Equal(t, tt.status, res.status)
				assert.Equal(t, tt.mediaType, res.header.Get("Content-Type"))
				assert.Regexp(t, tt.body, res.body)
				for key, value := range tt.header {
					assert.Equal(t, value, res.header.Get(key), key)
				}
				assert.Empty(t, res.header.Get("WWW-Authenticate"), "a server without authentication never challenges")
				assert.Equal(t, tt.processed, len(srv.Migrations()) == 1, "processed")
				assert.Equal(t, []int{tt.status}, statuses(srv))
				assert.Equal(t, http.StatusCreated, send(t, srv, createRequest(srv)).status, "once")
			})
		})
	}
}

func TestConnectionFaults(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		fault     livemigrationtest.Fault
		http1     error
		http2     string // in the text of the error
		processed bool
	}{
		"reset before the request": {livemigrationtest.ResetBeforeRequest(), syscall.ECONNRESET, "INTERNAL_ERROR", false},
		"reset after the request":  {livemigrationtest.ResetAfterRequest(), syscall.ECONNRESET, "INTERNAL_ERROR", true},
		"refused stream":           {livemigrationtest.RefusedStream(), syscall.ECONNRESET, "REFUSED_STREAM", true},
		"GOAWAY":                   {livemigrationtest.GoAway(), syscall.ECONNRESET, "GOAWAY", true},
		"truncated body":           {livemigrationtest.TruncatedBody(), io.ErrUnexpectedEOF, "unexpected EOF", true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			everywhere(t, func(t *testing.T, srv *livemigrationtest.Server) {
				srv.Inject(livemigrationtest.CreateMigration, tt.fault, 1)
				req := createRequest(srv).build(t, srv.URL())
				req.GetBody = nil // else net/http believes that the request was not processed, and sends it again
				res, err := srv.HTTPClient().Do(req)
				if err == nil {
					_, err = io.ReadAll(res.Body)
					require.NoError(t, res.Body.Close())
				}
				if overHTTP2(t) {
					require.ErrorContains(t, err, tt.http2)
				} else {
					require.ErrorIs(t, err, tt.http1)
				}
				assert.Equal(t, tt.processed, len(srv.Migrations()) == 1, "processed")
				assert.Len(t, srv.Recorded(), 1)
				assert.Zero(t, srv.PendingFaultCount())
				assert.Equal(t, http.StatusCreated, send(t, srv, createRequest(srv)).status, "the server goes on")
			})
		})
	}
}

// A 204 has no body that could be cut, so nothing arrives of it.
func TestTruncatedNothing(t *testing.T) {
	t.Parallel()
	srv := newOpenServer(t)
	send(t, srv, endpoint(srv, livemigrationtest.CreateLinkToken, v2Prefix, ""))
	srv.Inject(livemigrationtest.DeleteLinkToken, livemigrationtest.TruncatedBody(), 1)
	_, _, err := sendBroken(t, srv, endpoint(srv, livemigrationtest.DeleteLinkToken, v2Prefix, ""))
	require.ErrorIs(t, err, syscall.ECONNRESET)
	assert.Zero(t, srv.LinkTokenCount())
}

func TestSwitchedProtocols(t *testing.T) {
	t.Parallel()
	srv := newOpenServer(t)
	srv.Inject(livemigrationtest.CreateMigration, livemigrationtest.RawStatus(101, "", "").WithHeader("Upgrade", "x"), 1)
	res, err := srv.HTTPClient().Do(createRequest(srv).build(t, srv.URL()))
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	assert.Equal(t, http.StatusSwitchingProtocols, res.StatusCode)
	assert.Empty(t, srv.Migrations())
}

func TestOversizedBody(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, srv *livemigrationtest.Server) {
		for _, n := range []int64{5, 14, 1 << 20} {
			srv.Inject(livemigrationtest.CreateMigration, livemigrationtest.OversizedBody(n), 1)
			res, body, err := sendBroken(t, srv, createRequest(srv))
			require.NoError(t, err)
			assert.Equal(t, http.StatusCreated, res.StatusCode)
			assert.Len(t, body, int(n))
			assert.Equal(t, n >= 14, json.Valid([]byte(body)), "%d bytes", n)
		}
		assert.Len(t, srv.Migrations(), 3)
	})
}

// Delays are real time or the bubble's, and do not depend on the job clock.
func TestDelays(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv := newOpenServer(t, livemigrationtest.WithSpeed(0))
		srv.Inject(livemigrationtest.CreateMigration, livemigrationtest.SlowBody(time.Hour), 1)
		start := time.Now()
		assert.Equal(t, http.StatusCreated, send(t, srv, createRequest(srv)).status)
		assert.Equal(t, time.Hour, time.Since(start))

		srv.Inject(livemigrationtest.CreateMigration, livemigrationtest.StalledBody(time.Hour), 1)
		start = time.Now()
		res, err := srv.HTTPClient().Do(createRequest(srv).build(t, srv.URL()))
		require.NoError(t, err)
		half := make([]byte, res.ContentLength/2)
		_, err = io.ReadFull(res.Body, half)
		require.NoError(t, err)
		assert.Zero(t, time.Since(start), "the head and half of the body come at once")
		rest, err := io.ReadAll(res.Body)
		require.NoError(t, err)
		assert.Equal(t, time.Hour, time.Since(start))
		assert.True(t, json.Valid(append(half, rest...)))
		require.NoError(t, res.Body.Close())
	})
}

func TestDelaysEnd(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]livemigrationtest.Fault{
		"slow": livemigrationtest.SlowBody(time.Hour), "stalled": livemigrationtest.StalledBody(time.Hour),
	} {
		for _, by := range []string{"the client", "Close"} {
			t.Run(name+" by "+by, func(t *testing.T) {
				t.Parallel()
				everywhere(t, func(t *testing.T, srv *livemigrationtest.Server) {
					srv.Inject(livemigrationtest.CreateMigration, fault, 1)
					ctx, cancel := context.WithCancel(t.Context())
					defer cancel()
					client, req := srv.HTTPClient(), createRequest(srv).build(t, srv.URL()).WithContext(ctx)
					done := make(chan error)
					go func() {
						res, err := client.Do(req)
						if err == nil {
							_, err = io.ReadAll(res.Body)
							_ = res.Body.Close()
						}
						done <- err
					}()
					require.Eventually(t, func() bool { return len(srv.Migrations()) == 1 }, 30*time.Second, time.Millisecond)
					if by == "Close" {
						srv.Close()
						require.Error(t, <-done)
						return
					}
					cancel()
					require.ErrorIs(t, <-done, context.Canceled)
				})
			})
		}
	}
}

// An envelope that is asked for is there, unless that is the fault.
func TestFaultsAndEnvelopes(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		fault livemigrationtest.Fault
		body  string
	}{
		"status":             {livemigrationtest.Status(500), `^{"status":500,"content":{`},
		"error in a success": {livemigrationtest.ErrorInSuccess(409), `^{"status":200,"content":{"detail":".*","error":409,`},
		"without envelope":   {livemigrationtest.WithoutEnvelope(), `^{"_id":"`},
		"byte order mark":    {livemigrationtest.ByteOrderMark(), "^\xef\xbb\xbf{\"status\":201,"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := newOpenServer(t)
			srv.Inject(livemigrationtest.CreateMigration, tt.fault, 1)
			r := createRequest(srv)
			r.path += "?envelope=true"
			assert.Regexp(t, tt.body, send(t, srv, r).body)
		})
	}
}

func TestInjection(t *testing.T) {
	t.Parallel()
	srv := newServer(t, livemigrationtest.WithInProcess())
	r := endpoint(srv, livemigrationtest.ListAvailableProjects, v2Prefix, "")
	status := func(r request) int { return send(t, srv, r).status }
	srv.Inject(livemigrationtest.ListAvailableProjects, livemigrationtest.Status(500).After(1), 2)
	srv.Inject(livemigrationtest.AnyOperation, livemigrationtest.Status(503), 1)
	srv.Inject(livemigrationtest.Handshake, livemigrationtest.Status(502).After(6), 1)
	srv.Inject(livemigrationtest.ListAvailableProjects, livemigrationtest.Status(500), 0)
	assert.Equal(t, 4, srv.PendingFaultCount())
	got := []int{status(r)}
	for range 5 {
		got = append(got, status(authorize(t, srv, r)))
	}
	assert.Equal(t, []int{401, 200, 500, 500, 503, 200}, got, "in order, and a handshake is none of them")
	assert.Equal(t, 502, status(r))
	assert.Zero(t, srv.PendingFaultCount())
	srv.Inject(livemigrationtest.AnyOperation, livemigrationtest.Status(500), 1)
	srv.ClearFaults()
	assert.Equal(t, 200, status(authorize(t, srv, r)))
}

// A request that Atlas rejects changes nothing, whatever the response to it becomes.
func TestRejectedAndProcessed(t *testing.T) {
	t.Parallel()
	srv := newOpenServer(t)
	srv.Inject(livemigrationtest.CreateMigration, livemigrationtest.NonJSONBody(), 1)
	r := createRequest(srv)
	r.body = "{}"
	assert.Equal(t, http.StatusOK, send(t, srv, r).status)
	assert.Empty(t, srv.Migrations())
}

func TestFaultsForCluster(t *testing.T) {
	t.Parallel()
	srv := newOpenServer(t)
	others := createRequest(srv)
	events := others
	events.body = strings.Replace(others.body, `"orders"`, `"events"`, 1)
	for op, id := range map[livemigrationtest.Operation]string{
		livemigrationtest.CreateMigration: "", livemigrationtest.GetMigration: create(t, srv, livemigrationtest.CreateMigration),
	} {
		for _, fault := range []livemigrationtest.Fault{livemigrationtest.Status(500), livemigrationtest.ResetBeforeRequest()} {
			srv.ForCluster("events").Inject(op, fault, 1)
			assert.Less(t, send(t, srv, endpoint(srv, op, v2Prefix, id)).status, 300)
			assert.Equal(t, 1, srv.PendingFaultCount())
			srv.ClearFaults()
		}
	}
	srv.ForCluster("events").Inject(livemigrationtest.AnyOperation, livemigrationtest.Status(500), 1)
	assert.Less(t, send(t, srv, endpoint(srv, livemigrationtest.ListAvailableProjects, v2Prefix, "")).status, 300, "about no cluster")
	assert.Equal(t, 500, send(t, srv, events).status)
	assert.Equal(t, 201, send(t, srv, events).status)
}
