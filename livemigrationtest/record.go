package livemigrationtest

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/livemigration/livemigration-go"
)

// maxRecords is how many requests are remembered; beyond that the oldest ones are dropped.
const maxRecords = 10_000

// Request is a request that the server has recorded. It prints in one line, without its headers and body.
type Request struct {
	// Operation is what the request asks for: an endpoint, also when the credentials were rejected; [Handshake] when it
	// has no credentials although the server asks for them; empty when there is no such endpoint.
	Operation Operation
	Method    string
	Host      string
	Path      string
	Query     url.Values
	// Header is as it arrived, except that the values of Authorization, Proxy-Authorization and Cookie are [REDACTED].
	Header http.Header
	// Body is as it arrived. Only its Reveal method shows it. It is empty when a fault kept the server from reading it.
	Body livemigration.Secret
	// Authenticated says whether the credentials were accepted. It is always true on a server [WithoutAuthentication],
	// except at the endpoints of OAuth.
	Authenticated bool
	// StatusCode is that of the response, 0 when there was none or is none yet.
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

// RequestFilter chooses among recorded requests.
type RequestFilter func(Request) bool

// OfOperation chooses the requests of these operations. [AnyOperation] means what it means for [Server.Inject].
func OfOperation(ops ...Operation) RequestFilter {
	return func(r Request) bool {
		return slices.Contains(ops, r.Operation) || slices.Contains(ops, AnyOperation) && r.anyOperation()
	}
}

func (r Request) anyOperation() bool { return r.Authenticated && !r.Operation.ofOAuth() }

// Requests returns the requests that have arrived, in order, of the last 10,000 those that all filters choose.
// [Server.DroppedRequests] tells whether there were more.
func (s *Server) Recorded(filters ...RequestFilter) []Request { return s.recorder.matching(filters) }

// DroppedRequests returns how many requests [Server.Recorded] does not list any more. While it is 0, the list is
// complete.
func (s *Server) DroppedRequests() int { return s.recorder.dropped() }

// Count returns how many requests of the operation have arrived, also those that [Server.Recorded] does not list any
// more.
func (s *Server) RequestCount(op Operation) int { return s.recorder.count(op) }

// ResetRequests forgets the requests that have arrived. All counts begin at 0 again.
func (s *Server) ResetRequests() { s.recorder.reset() }

// entry is a request on record. What is written later is guarded by the recorder's lock.
type entry struct {
	request  Request // without the query, which is only taken apart for those who ask
	rawQuery string
}

type recorder struct {
	mu      sync.Mutex
	entries []*entry
	arrived int
	counts  map[Operation]int
}

func (r *recorder) add(req *http.Request, c *call) *entry {
	e := &entry{rawQuery: req.URL.RawQuery, request: Request{
		Operation: c.operation(), Method: method(req), Host: host(req), Path: req.URL.Path,
		Header: redact(req.Header), Authenticated: c.verdict.accepted, Time: c.arrived,
	}}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.entries) >= 2*maxRecords { // seldom, and half at once, so that each request is moved once at most
		r.entries = append([]*entry(nil), r.entries[len(r.entries)-maxRecords:]...)
	}
	r.entries = append(r.entries, e)
	r.countIn(e.request)
	return e
}

// countIn counts a request. The caller holds the lock.
func (r *recorder) countIn(request Request) {
	if r.counts == nil {
		r.counts = make(map[Operation]int)
	}
	r.arrived++
	r.counts[request.Operation]++
	if request.anyOperation() {
		r.counts[AnyOperation]++
	}
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

func (r *recorder) matching(filters []RequestFilter) []Request {
	out := []Request{}
	for _, request := range r.all() {
		if !slices.ContainsFunc(filters, func(chooses RequestFilter) bool { return !chooses(request) }) {
			out = append(out, request)
		}
	}
	return out
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

func (r *recorder) dropped() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return max(0, r.arrived-maxRecords)
}

func (r *recorder) count(op Operation) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.counts[op]
}

func (r *recorder) reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.entries, r.arrived, r.counts = nil, 0, nil
}
