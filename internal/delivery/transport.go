package delivery

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/livemigration/livemigration-go/internal/auth"
)

// Transport stands between the credentials' transport and the user's. It notes what happens to requests that have a
// [State], and passes others on unchanged. After a request that timed out without a response it uses other connections.
type Transport struct {
	standard bool
	first    *lane // the user's transport
	lane     atomic.Pointer[lane]

	mu   sync.Mutex
	left []*lane
}

// NewTransport returns a Transport that sends through base.
func NewTransport(base http.RoundTripper) *Transport {
	_, standard := base.(*http.Transport)
	t := &Transport{standard: standard, first: newLane(base)}
	t.lane.Store(t.first)
	return t
}

// RoundTrip sends a request through the base.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	l, s := t.lane.Load(), stateOf(req.Context())
	if s == nil {
		return l.roundTrip(req)
	}
	if l.dead.CompareAndSwap(true, false) {
		l.closeIdle()
	}
	s.enter(auth.IsNegotiation(req.Context()), t.standard)
	resp, err := l.roundTrip(s.once(req, req.URL.Scheme == "https" && !l.h1.Load()))
	if err == nil && resp != nil {
		l.h1.Store(resp.ProtoMajor == 1)
	}
	if err != nil && swallowed(req, err) {
		t.leave(l)
	}
	if err == nil && s.rejectedForItsCount(req, resp) {
		// Before the credentials see it: they would take it for an expired nonce, and send the request a third time.
		_ = resp.Body.Close()
		resp, err = nil, errSentTwice
	}
	if reason, ok := unprocessed(err); ok && t.standard {
		s.phase.Store(nothing)
		return nil, &unprocessedError{reason, err}
	}
	s.leave(resp, err)
	return resp, err
}

// swallowed reports whether time ran out without a response.
func swallowed(req *http.Request, err error) bool {
	ctx := req.Context()
	var timeout net.Error
	return errors.Is(ctx.Err(), context.DeadlineExceeded) || errors.Is(context.Cause(ctx), context.DeadlineExceeded) ||
		errors.As(err, &timeout) && timeout.Timeout()
}

// unprocessedError is the server's word that it did not process a request: the HTTP/2 error REFUSED_STREAM, or a GOAWAY
// whose last stream is below that of the request (RFC 9113, section 8.7).
type unprocessedError struct {
	reason string
	err    error
}

func (e *unprocessedError) Error() string { return "not processed by the server: " + e.reason }

// Unwrap returns the error of net/http.
func (e *unprocessedError) Unwrap() error { return e.err }

// unprocessed recognizes both by their text: net/http exports neither of the errors, and its hook for a retry also
// runs for others, after which the request may have been carried out.
func unprocessed(err error) (reason string, ok bool) {
	if err == nil {
		return "", false
	}
	_, after, found := strings.Cut(err.Error(), "http2: Transport: cannot retry err [")
	reason, _, complete := strings.Cut(after, "] after Request.Body was written")
	ok = found && complete && (strings.Contains(reason, "; REFUSED_STREAM; ") ||
		reason == "http2: Transport received Server's graceful shutdown GOAWAY")
	return reason, ok
}

// errSentTwice takes the place of a 401 that says nothing about the keys: net/http has sent a request a second time by
// itself, with the same Authorization header, and a server that has seen the first one rejects its nonce count. Over
// HTTP/1 that happens to reads only, over HTTP/2 to all that may be sent twice.
var errSentTwice = fmt.Errorf("the connection broke, and the retry by net/http was rejected for its nonce count: %w", io.ErrUnexpectedEOF)

func (s *State) rejectedForItsCount(req *http.Request, resp *http.Response) bool {
	return s.Counted && resp != nil && resp.Body != nil && resp.StatusCode == http.StatusUnauthorized &&
		(req.Method == http.MethodGet || s.h2.Load()) && s.twice.Load()
}

var errNotOverH2 = errors.New("the HTTP/2 stream broke, and the request must not be sent twice")

var idempotencyHeaders = [...]string{"Idempotency-Key", "X-Idempotency-Key"}

// once keeps net/http from sending by itself what must not be carried out twice. Over HTTP/2 it retries a request whose
// body it can read again also when the server has had all of it. Over HTTP/1 it retries one with a header that calls it
// idempotent, and a wrapper of the user may have set that.
//
// Where HTTP/2 is expected, the body cannot be read again: then the error of net/http tells why the request failed.
func (s *State) once(req *http.Request, h2 bool) *http.Request {
	if !s.Once {
		return req
	}
	once := req.WithContext(req.Context())
	once.Header = auth.CloneHeader(req.Header)
	for _, name := range idempotencyHeaders {
		delete(once.Header, name)
	}
	getBody := req.GetBody
	switch {
	case h2:
		once.GetBody = nil
	case getBody != nil:
		once.GetBody = func() (io.ReadCloser, error) {
			if s.h2.Load() {
				return nil, errNotOverH2
			}
			return getBody()
		}
	}
	return once
}

// Entrance stands between the wrappers of the user and the transport of the credentials: a request that arrives here
// with its context is seen from here on.
type Entrance struct{ Base http.RoundTripper }

// RoundTrip passes a request on.
func (e *Entrance) RoundTrip(req *http.Request) (*http.Response, error) {
	if s := stateOf(req.Context()); s != nil {
		s.inside.Add(1)
		defer s.inside.Add(-1)
		s.phase.CompareAndSwap(unknown, nothing)
	}
	return e.Base.RoundTrip(req)
}
