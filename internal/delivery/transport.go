package delivery

import (
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/livemigration/livemigration-go/internal/auth"
)

// Transport stands between the credentials' transport and the user's. It notes what happens to requests that have a
// [State], and passes others on unchanged.
type Transport struct {
	// base is a function because a dump by reflection would find what was sent last in the buffers of connections.
	base     func(*http.Request) (*http.Response, error)
	standard bool
}

// NewTransport returns a Transport that sends through base.
func NewTransport(base http.RoundTripper) *Transport {
	_, standard := base.(*http.Transport)
	return &Transport{base.RoundTrip, standard}
}

// RoundTrip sends a request through the base.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	s := stateOf(req.Context())
	if s == nil {
		return t.base(req)
	}
	s.enter(auth.IsNegotiation(req.Context()), t.standard)
	resp, err := t.base(s.once(req))
	if err == nil && s.rejectedForItsCount(req, resp) {
		// Before the credentials see it: they would take it for an expired nonce, and send the request a third time.
		_ = resp.Body.Close()
		resp, err = nil, errSentTwice
	}
	s.leave(resp, err)
	return resp, err
}

// errSentTwice takes the place of a 401 that says nothing about the keys: net/http has sent a read a second time by
// itself, with the same Authorization header, and a server that has seen the first one rejects its nonce count.
var errSentTwice = fmt.Errorf("the connection broke, and the retry by net/http was rejected for its nonce count: %w", io.ErrUnexpectedEOF)

func (s *State) rejectedForItsCount(req *http.Request, resp *http.Response) bool {
	return s.Counted && resp != nil && resp.Body != nil && resp.StatusCode == http.StatusUnauthorized &&
		req.Method == http.MethodGet && s.twice.Load()
}

var errNotOverH2 = errors.New("the HTTP/2 stream broke, and the request must not be sent twice")

var idempotencyHeaders = [...]string{"Idempotency-Key", "X-Idempotency-Key"}

// once keeps net/http from sending by itself what must not be carried out twice. Over HTTP/2 it retries a request whose
// body it can read again also when the server has had all of it. Over HTTP/1 it retries one with a header that calls it
// idempotent, and a wrapper of the user may have set that.
func (s *State) once(req *http.Request) *http.Request {
	if !s.Once {
		return req
	}
	once := req.WithContext(req.Context())
	once.Header = auth.CloneHeader(req.Header)
	for _, name := range idempotencyHeaders {
		delete(once.Header, name)
	}
	if getBody := req.GetBody; getBody != nil {
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
