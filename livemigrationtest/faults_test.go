package livemigrationtest_test

import (
	"io"
	"net/http"
	"strings"
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
		"socket": nil, "TLS": livemigrationtest.WithTLS(), "in process": livemigrationtest.WithInProcess(),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, newServer(t, opt, livemigrationtest.WithoutAuthentication()))
		})
	}
}

// sendBroken sends a request that a fault on the connection strikes. It is a POST that no client retries by itself.
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

func TestWholeResponses(t *testing.T) {
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
			body: `^{"detail":".+","error":500,"errorCode":"UNEXPECTED_ERROR","parameters":\[\],"reason":"Internal Server Error"}$`,
		},
		"status refined": {
			fault: livemigrationtest.Status(403).WithCode("IP_ADDRESS_NOT_ON_ACCESS_LIST").WithDetail("Not you.").
				WithRetryAfter(1500*time.Millisecond).WithHeader("sunset", "soon"),
			status: 403, mediaType: "application/json",
			body:   `"detail":"Not you\.","error":403,"errorCode":"IP_ADDRESS_NOT_ON_ACCESS_LIST",.*"reason":"Forbidden"`,
			header: map[string]string{"Retry-After": "2", "Sunset": "soon"},
		},
		"status carried out": {
			fault: livemigrationtest.Status(503).Processed(), status: 503, mediaType: "application/json",
			body: "Service Unavailable", carriedOut: true,
		},
		"status 401": {
			fault: livemigrationtest.Status(401), status: 401, mediaType: "application/json",
			body: "Unauthorized", header: map[string]string{"WWW-Authenticate": "Digest "},
		},
		"status 429": {fault: livemigrationtest.Status(429), status: 429, mediaType: "application/json", body: `"RATE_LIMITED"`},
		"status 401 refined": {
			fault:  livemigrationtest.Status(401).WithCode("X").WithDetail(`a "b"`),
			status: 401, mediaType: "application/json", body: `"detail" : "a \\"b\\"",\n  "errorCode" : "X"`,
		},
		"status 408": {fault: livemigrationtest.Status(408), status: 408, mediaType: "application/json", body: `"REQUEST_TIMEOUT"`},
		"status 460": {fault: livemigrationtest.Status(460), status: 460, mediaType: "application/json", body: `"UNEXPECTED_ERROR"`},
		"status 499": {fault: livemigrationtest.RawStatus(499, "", "").Processed(), status: 499, body: "^$", carriedOut: true},
		"upstream took too long": {
			fault: livemigrationtest.RawStatus(408, "text/html", "upstream took too long").Processed(), status: 408,
			mediaType: "text/html", body: "^upstream took too long$", carriedOut: true,
		},
		"error in a success": {
			fault:  livemigrationtest.ErrorInSuccess(409).WithCode("NOT_READY").WithDetail("Wait."),
			status: 200, mediaType: media2024 + ";charset=utf-8",
			body: `^{"detail":"Wait\.","error":409,"errorCode":"NOT_READY","parameters":\[\],"reason":"Conflict"}$`,
		},
		"error in a success, done": {
			fault: livemigrationtest.ErrorInSuccess(500).Processed(), status: 200, mediaType: media2024 + ";charset=utf-8",
			body: `"error":500,"errorCode":"UNEXPECTED_ERROR"`, carriedOut: true,
		},
		"byte order mark": {
			fault: livemigrationtest.ByteOrderMark(), status: 201, mediaType: media2024 + ";charset=utf-8",
			body: "^\xef\xbb\xbf{\"_id\":", carriedOut: true,
		},
		"status 409": {fault: livemigrationtest.Status(409), status: 409, mediaType: "application/json", body: `"CONFLICT"`},
		"status 410": {fault: livemigrationtest.Status(410), status: 410, mediaType: "application/json", body: `"VERSION_GONE"`},
		"gateway page": {
			fault:  livemigrationtest.RawStatus(502, "text/html", "<h1>502</h1>").WithRetryAfter(0),
			status: 502, mediaType: "text/html", body: "^<h1>502</h1>$", header: map[string]string{"Retry-After": "0"},
		},
		"nothing":            {fault: livemigrationtest.RawStatus(504, "", ""), status: 504, mediaType: "", body: "^$"},
		"nothing, done":      {fault: livemigrationtest.RawStatus(504, "", "").Processed(), status: 504, body: "^$", carriedOut: true},
		"no content":         {fault: livemigrationtest.RawStatus(204, "", "x"), status: 204, body: "^$"},
		"not JSON":           {fault: livemigrationtest.NonJSONBody(), status: 200, mediaType: "text/html; charset=utf-8", body: "^<!DOCTYPE html>", carriedOut: true},
		"redirect":           {fault: livemigrationtest.Redirect("https://example.com/x"), status: 307, body: "^$", header: map[string]string{"Location": "https://example.com/x"}},
		"wrong media type":   {fault: livemigrationtest.WrongMediaType(), status: 201, mediaType: "text/plain; charset=utf-8", body: `^{"_id":`, carriedOut: true},
		"slow by nothing":    {fault: livemigrationtest.SlowBody(0).WithHeader("X-A", "b"), status: 201, mediaType: media2024 + ";charset=utf-8", body: `^{"_id":`, header: map[string]string{"X-A": "b"}, carriedOut: true},
		"slow by a little":   {fault: livemigrationtest.SlowBody(time.Nanosecond), status: 201, mediaType: media2024 + ";charset=utf-8", body: `^{"_id":`, carriedOut: true},
		"the zero one":       {fault: livemigrationtest.Fault{}, status: 201, mediaType: media2024 + ";charset=utf-8", body: `^{"_id":`, carriedOut: true},
		"header of no fault": {fault: livemigrationtest.Fault{}.WithHeader("X-A", "b"), status: 201, mediaType: media2024 + ";charset=utf-8", body: `^{"_id":`, carriedOut: true},
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
				assert.NotEmpty(t, srv.Recorded()[0].Body.Reveal())
				assert.Equal(t, http.StatusCreated, send(t, srv, createRequest(srv)).status, "once")
			})
		})
	}
}

// An envelope that is asked for is there, unless that is the fault.
func TestFaultsAndEnvelopes(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		fault livemigrationtest.Fault
		body  string
	}{
		"error in a success": {livemigrationtest.ErrorInSuccess(409), `^{"status":200,"content":{"detail":".*","error":409,`},
		"without envelope":   {livemigrationtest.WithoutEnvelope(), `^{"_id":"`},
		"byte order mark":    {livemigrationtest.ByteOrderMark(), "^\xef\xbb\xbf{\"status\":201,"},
	}
	for name, tt := range tests {
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

// The mark stands before errors and access tokens, too, and not where there is no body.
func TestByteOrderMarks(t *testing.T) {
	t.Parallel()
	const mark = "\xef\xbb\xbf"
	srv := newOpenServer(t)
	account := ownAccount(srv)
	srv.Inject(livemigrationtest.IssueToken, livemigrationtest.ByteOrderMark(), 1)
	assert.True(t, strings.HasPrefix(send(t, srv, account.ask(tokenPath, "grant_type=client_credentials")).body, mark+`{"access_token"`))
	srv.Inject(livemigrationtest.DeleteLinkToken, livemigrationtest.ByteOrderMark(), 2)
	remove := endpoint(srv, livemigrationtest.DeleteLinkToken, v2Prefix, "")
	assert.True(t, strings.HasPrefix(send(t, srv, remove).body, mark+`{"detail"`))
	send(t, srv, endpoint(srv, livemigrationtest.CreateLinkToken, v2Prefix, ""))
	assert.Empty(t, send(t, srv, remove).body)
}

func TestErrorInSuccessOfNoEndpoint(t *testing.T) {
	t.Parallel()
	srv := newOpenServer(t)
	for _, path := range []string{"/nowhere", v2Prefix + "/nowhere"} {
		srv.Inject(livemigrationtest.AnyOperation, livemigrationtest.ErrorInSuccess(404), 1)
		res := send(t, srv, request{method: http.MethodGet, path: path})
		assert.Equal(t, http.StatusOK, res.status)
		assert.Equal(t, "application/json", res.header.Get("Content-Type"))
	}
}

// Nothing of a response that a fault replaces is left.
func TestReplacedError(t *testing.T) {
	t.Parallel()
	srv := newOpenServer(t)
	srv.Inject(livemigrationtest.DeleteLinkToken, livemigrationtest.ErrorInSuccess(500).Processed(), 1)
	res := send(t, srv, endpoint(srv, livemigrationtest.DeleteLinkToken, v2Prefix, ""))
	assert.Equal(t, http.StatusOK, res.status)
	assert.Empty(t, res.header.Get("X-Error-Code"))
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

// A request that is rejected stays rejected when the response to it goes wrong.
func TestRejectedAndCarriedOut(t *testing.T) {
	t.Parallel()
	srv := newOpenServer(t)
	srv.Inject(livemigrationtest.CreateMigration, livemigrationtest.NonJSONBody(), 1)
	r := createRequest(srv)
	r.body = "{}"
	assert.Equal(t, http.StatusOK, send(t, srv, r).status)
	assert.Empty(t, srv.Migrations())
}

// The client's policy, end to end: what may be retried is, and what may not is not.
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
				srv := newServer(t, livemigrationtest.WithInProcess())
				srv.Inject(tt.op, tt.fault, 1)
				client := newClient(t, srv)
				_, err := client.Migrations.Create(t.Context(), srv.ProjectID(), srv.SampleRequest())
				if tt.err == nil {
					require.NoError(t, err)
				} else {
					require.ErrorIs(t, err, tt.err)
				}
				assert.Len(t, srv.Migrations(), tt.migrations)
				_, err = client.AvailableProjects.List(t.Context(), srv.OrgID())
				require.NoError(t, err)
				assert.Zero(t, srv.PendingFaultCount())
			})
		})
	}
}
