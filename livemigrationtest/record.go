package livemigrationtest

import (
	"fmt"
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
	// Operation is what the request asks for: an endpoint, even if the credentials were rejected; [Handshake] if it has
	// no credentials although the server asks for them; empty if there is no such endpoint.
	Operation Operation
	Method    string
	Host      string
	Path      string
	Query     url.Values
	// Header is as it arrived, except that the values of Authorization, Proxy-Authorization and Cookie are [REDACTED].
	Header http.Header
	// Body is as it arrived. Only its Reveal method shows it.
	Body livemigration.Secret
	// Authenticated says whether the credentials were accepted. It is always true on a server [WithoutAuthentication],
	// except at the endpoints of OAuth.
	Authenticated bool
	// StatusCode is the status of the response, 0 if there was none or is none yet.
	StatusCode int
	// Time is the time.Now of the arrival.
	Time time.Time
}

// String returns the operation, method, path and status.
func (r Request) String() string {
	return fmt.Sprintf("%s: %s %s: %d", r.Operation, r.Method, r.Path, r.StatusCode)
}

// RequestFilter chooses among recorded requests.
type RequestFilter func(Request) bool

// OfOperation chooses the requests of these operations. [AnyOperation] means what it means for [Server.Inject].
func OfOperation(ops ...Operation) RequestFilter {
	return func(r Request) bool {
		return slices.Contains(ops, r.Operation) || slices.Contains(ops, AnyOperation) && r.anyOperation()
	}
}

func (r Request) anyOperation() bool { return r.Authenticated && !r.Operation.ofOAuth() }

// Recorded returns the requests that have arrived, in order: those of the last 10,000 that all filters choose.
func (s *Server) Recorded(filters ...RequestFilter) []Request {
	s.recorder.mu.Lock()
	defer s.recorder.mu.Unlock()
	entries := s.recorder.entries
	out := []Request{}
	for _, e := range entries[max(0, len(entries)-maxRecords):] {
		request := e.request
		request.Header = request.Header.Clone()
		request.Query, _ = url.ParseQuery(e.rawQuery) // what can be parsed of it
		if !slices.ContainsFunc(filters, func(chooses RequestFilter) bool { return !chooses(request) }) {
			out = append(out, request)
		}
	}
	return out
}

// RequestCount returns how many requests of the operation have arrived, including those that [Server.Recorded] has
// dropped.
func (s *Server) RequestCount(op Operation) int {
	s.recorder.mu.Lock()
	defer s.recorder.mu.Unlock()
	return s.recorder.counts[op]
}

// ResetRequests forgets the requests that have arrived. All counts start at 0 again.
func (s *Server) ResetRequests() {
	s.recorder.mu.Lock()
	defer s.recorder.mu.Unlock()
	s.recorder.entries, s.recorder.counts = nil, nil
}

// entry is a recorded request. What is written later is guarded by the recorder's lock.
type entry struct {
	request  Request // without the query, which is only parsed when it is read
	rawQuery string
}

type recorder struct {
	mu      sync.Mutex
	entries []*entry
	counts  map[Operation]int
}

func (r *recorder) add(c *call) *entry {
	req := c.request
	e := &entry{rawQuery: req.URL.RawQuery, request: Request{
		Operation: c.operation(), Method: req.Method, Host: req.Host, Path: req.URL.Path, Header: req.Header.Clone(),
		Body: livemigration.Secret(c.body), Authenticated: c.verdict.accepted, Time: c.arrived,
	}}
	for _, name := range []string{"Authorization", "Proxy-Authorization", "Cookie"} {
		for i := range e.request.Header[name] {
			e.request.Header[name][i] = "[REDACTED]"
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.entries) >= 2*maxRecords { // half at once, so that each request is moved once at most
		r.entries = append([]*entry(nil), r.entries[len(r.entries)-maxRecords:]...)
	}
	r.entries = append(r.entries, e)
	if r.counts == nil {
		r.counts = make(map[Operation]int)
	}
	r.counts[e.request.Operation]++
	if e.request.anyOperation() {
		r.counts[AnyOperation]++
	}
	return e
}

func (r *recorder) setStatus(e *entry, status int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e.request.StatusCode = status
}
