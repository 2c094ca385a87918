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

const maxRecords = 10_000 // that are remembered

// Request is a request that the server has recorded.
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

// Recorded returns the requests of these operations that have arrived, or of all, in order. It forgets all but the last
// 10,000.
func (s *Server) Recorded(ops ...Operation) []Request {
	s.recorder.mu.Lock()
	defer s.recorder.mu.Unlock()
	requests := s.recorder.requests
	out := []Request{}
	for _, r := range requests[max(0, len(requests)-maxRecords):] {
		if len(ops) == 0 || slices.Contains(ops, r.Operation) || slices.Contains(ops, AnyOperation) && r.anyOperation() {
			request := *r
			request.Header = r.Header.Clone()
			out = append(out, request)
		}
	}
	return out
}

func (r *Request) anyOperation() bool {
	return r.Authenticated && r.Operation != IssueToken && r.Operation != RevokeToken
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
	s.recorder.requests, s.recorder.counts = nil, nil
}

type recorder struct {
	mu       sync.Mutex
	requests []*Request
	counts   map[Operation]int
}

func (r *recorder) add(c *call) *Request {
	req := c.request
	recorded := &Request{
		Operation: c.operation(), Method: req.Method, Host: req.Host, Path: req.URL.Path, Query: c.query, Header: req.Header.Clone(),
		Body: livemigration.Secret(c.body), Authenticated: c.verdict.accepted, Time: c.arrived,
	}
	for _, name := range []string{"Authorization", "Proxy-Authorization", "Cookie"} {
		for i := range recorded.Header[name] {
			recorded.Header[name][i] = "[REDACTED]"
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.requests) >= 2*maxRecords { // half at once, so that each request is moved once at most
		r.requests = slices.Clone(r.requests[len(r.requests)-maxRecords:])
	}
	r.requests = append(r.requests, recorded)
	if r.counts == nil {
		r.counts = make(map[Operation]int)
	}
	r.counts[recorded.Operation]++
	if recorded.anyOperation() {
		r.counts[AnyOperation]++
	}
	return recorded
}

func (r *recorder) setStatus(recorded *Request, status int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	recorded.StatusCode = status
}
