package livemigrationtest

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/livemigration/livemigration-go"
)

// maxRecords is how many requests are remembered; beyond that the oldest ones go.
const maxRecords = 10_000

// Request is what the server has recorded of a request. It prints in one line, without its headers and body.
type Request struct {
	// Operation is what the request asks for: an endpoint, also when the credentials were refused; [Handshake] when
	// there were none although the server asks for them; empty when there is no such endpoint.
	Operation Operation
	Method    string
	Host      string
	Path      string
	Query     url.Values
	// Header is as it arrived, but the values of Authorization, Proxy-Authorization and Cookie are [REDACTED].
	Header http.Header
	// Body is as it arrived; nothing but its Reveal method shows it. It is empty when a fault has kept the server from
	// reading it.
	Body livemigration.Secret
	// Authenticated says whether the request's credentials were accepted. It is always true on a server
	// [WithoutAuthentication], but for the endpoints of OAuth.
	Authenticated bool
	// StatusCode is that of the answer, 0 when there was none or is none yet.
	StatusCode int
	// Time is the time.Now of the arrival.
	Time time.Time
}

// String returns the operation, method, path and status.
func (r Request) String() string {
	return fmt.Sprintf("%s: %s %s: %d", r.Operation, r.Method, r.Path, r.StatusCode)
}

// GoString returns what String does.
func (r Request) GoString() string { return r.String() }

// Format writes what String returns for every verb.
func (r Request) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, r.String()) }

// Requests returns the requests that have arrived, in that order: the last 10,000 of them.
func (s *Server) Requests() []Request { return s.recorder.all() }

// ResetRequests forgets the requests that have arrived.
func (s *Server) ResetRequests() { s.recorder.reset() }

// entry is a request on record. What is written later is guarded by the recorder's lock.
type entry struct {
	request  Request // without the query, which is only taken apart for those who ask
	rawQuery string
}

type recorder struct {
	mu      sync.Mutex
	entries []*entry
}

func (r *recorder) add(req *http.Request, c *call) *entry {
	e := &entry{rawQuery: req.URL.RawQuery, request: Request{
		Operation: c.operation(), Method: method(req), Host: host(req), Path: req.URL.Path,
		Header: redact(req.Header), Authenticated: c.verdict.accepted, Time: time.Now(),
	}}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.entries) >= 2*maxRecords { // seldom, and half at once, so that each request is moved once at most
		r.entries = append([]*entry(nil), r.entries[len(r.entries)-maxRecords:]...)
	}
	r.entries = append(r.entries, e)
	return e
}

func host(r *http.Request) string {
	if r.Host != "" {
		return r.Host
	}
	return r.URL.Host
}

// redact copies a header: a client may use its own again.
func redact(h http.Header) http.Header {
	out := h.Clone()
	for _, name := range []string{"Authorization", "Proxy-Authorization", "Cookie"} {
		for i := range out[name] {
			out[name][i] = "[REDACTED]"
		}
	}
	return out
}

func (r *recorder) setBody(e *entry, body []byte) {
	if len(body) == 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	e.request.Body = livemigration.Secret(body)
}

func (r *recorder) setStatus(e *entry, status int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e.request.StatusCode = status
}

func (r *recorder) all() []Request {
	r.mu.Lock()
	defer r.mu.Unlock()
	last := r.entries[max(0, len(r.entries)-maxRecords):]
	out := make([]Request, 0, len(last))
	for _, e := range last {
		request := e.request
		request.Header = request.Header.Clone()
		request.Query, _ = url.ParseQuery(e.rawQuery) // what can be parsed of it
		out = append(out, request)
	}
	return out
}

func (r *recorder) reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.entries = nil
}
