package benchmarks

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// The IDs are made up. The server accepts any key.
const (
	projectID   = "5f1a2b3c4d5e6f7081920a02"
	migrationID = "5f1a2b3c4d5e6f7081920a03"
	publicKey   = "abcdefgh"
	privateKey  = "01234567-89ab-cdef-0123-456789abcdef"
	token       = "a-token"

	challenge = `Digest realm="MMS Public API", domain="", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", algorithm=MD5, qop="auth", stale=false`
	migration = `{"_id":"` + migrationID + `","status":"WORKING","readyForCutover":false,"migrationHosts":["vm001.example.com"]}`
)

// server asks for Digest credentials and responds with bytes that it has ready, so that its own cost does not hide the
// client's. It does not check the credentials; the tests with foreign servers do that.
type server struct {
	latency  time.Duration
	requests atomic.Int64
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.requests.Add(1)
	_, _ = io.Copy(io.Discard, r.Body) // what does not arrive is the client's failure too
	time.Sleep(s.latency)
	switch {
	case r.Header["Authorization"] == nil:
		challenged.write(w)
	case r.Method == http.MethodPost:
		created.write(w)
	default:
		found.write(w)
	}
}

// response is ready: its headers are not made anew for each request.
type response struct {
	status                        int
	body                          []byte
	mediaType, length, challenges []string
}

var (
	challenged = newResponse(http.StatusUnauthorized, `{"error":401,"reason":"Unauthorized"}`, challenge)
	found      = newResponse(http.StatusOK, migration)
	created    = newResponse(http.StatusCreated, migration)
)

func newResponse(status int, body string, challenges ...string) *response {
	return &response{status, []byte(body), []string{"application/json"}, []string{strconv.Itoa(len(body))}, challenges}
}

func (a *response) write(w http.ResponseWriter) {
	header := w.Header()
	header["Content-Type"], header["Content-Length"] = a.mediaType, a.length
	if a.challenges != nil {
		header["Www-Authenticate"] = a.challenges
	}
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body) // a client that has gone notices by itself
}

// start returns the server's address and what makes transports for it: of net/http, or without sockets in process.
func (s *server) start(inProcess bool) (url string, transport func() http.RoundTripper, stop func()) {
	if inProcess {
		return "http://127.0.0.1", func() http.RoundTripper { return &processTransport{s} }, func() {}
	}
	listener := httptest.NewServer(s)
	return listener.URL, func() http.RoundTripper {
		return &http.Transport{MaxIdleConns: parallelCallers, MaxIdleConnsPerHost: parallelCallers}
	}, listener.Close
}

// processTransport calls a handler in the caller's goroutine.
type processTransport struct{ handler http.Handler }

func (t *processTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := req.Context().Err(); err != nil {
		return nil, err
	}
	arrived := *req
	if arrived.Body == nil {
		arrived.Body = http.NoBody
	}
	defer arrived.Body.Close()
	response := &processResponse{header: make(http.Header, 4)}
	t.handler.ServeHTTP(response, &arrived)
	return &http.Response{
		StatusCode: response.status, Header: response.header, Request: req, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Body: response, ContentLength: int64(response.body.Len()),
	}, nil
}

// processResponse is written by a handler, and then read as the response's body.
type processResponse struct {
	status int
	header http.Header
	body   bytes.Buffer
}

func (a *processResponse) Header() http.Header         { return a.header }
func (a *processResponse) WriteHeader(status int)      { a.status = status }
func (a *processResponse) Write(p []byte) (int, error) { return a.body.Write(p) }
func (a *processResponse) Read(p []byte) (int, error)  { return a.body.Read(p) }
func (a *processResponse) Close() error                { return nil }

func apiPath(version string) string {
	return "/api/atlas/" + version + "/groups/" + projectID + "/liveMigrations"
}

// decoded makes sure that a fast peer has not skipped its work.
func decoded(id string, hosts []string) bool {
	return id == migrationID && strings.Join(hosts, "") != ""
}
