package delivery

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptrace"
	"sync"
	"sync/atomic"
)

// State belongs to one attempt. It notes whether a connection was handed the attempt's request with its credentials.
// It is safe for concurrent use.
type State struct {
	// Change says that the attempt is a POST, PUT or DELETE: it gets its own connection, which its request may use once.
	Change bool
	// End ends the context of the attempt with a cause. Nil: nothing ends it early.
	End func(cause error)

	handed atomic.Bool
	// rejected: the request was answered with 401, so that a bearer token may be renewed and the request sent again.
	rejected atomic.Bool

	mu     sync.Mutex
	own    *http.Transport // of a change; nil until its first request, and where a copy would lose something
	chosen bool            // own is decided
	shared *http.Transport // the client's own transport that the attempt has used; nil for a user's
}

type stateKey struct{}

// WithState returns the context of an attempt.
func WithState(ctx context.Context, s *State) context.Context {
	return context.WithValue(ctx, stateKey{}, s)
}

func stateOf(ctx context.Context) *State {
	s, _ := ctx.Value(stateKey{}).(*State)
	return s
}

// HandedOver reports whether a connection may have got the request with its credentials, and did not answer it with 401.
// From then on only a response says what became of it.
func (s *State) HandedOver() bool { return s.handed.Load() && !s.rejected.Load() }

// Close ends the connection of a change. Call it when the response has been read.
func (s *State) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.own != nil {
		s.own.CloseIdleConnections()
	}
}

// Unsent marks an error of a request that no connection was handed. A transport that makes its own error around it
// without wrapping it takes the mark away, and the request counts as one that may have been sent.
type Unsent struct{ Err error }

// Error returns the message of Err.
func (e *Unsent) Error() string { return e.Err.Error() }

// Unwrap returns Err.
func (e *Unsent) Unwrap() error { return e.Err }

// IsUnsent reports whether err carries the mark. Of joined errors each must carry it: the others may be about a request
// that was sent another way.
func IsUnsent(err error) bool {
	for err != nil {
		switch e := err.(type) {
		case *Unsent:
			return true
		case interface{ Unwrap() error }:
			err = e.Unwrap()
		case interface{ Unwrap() []error }:
			joined := e.Unwrap()
			for _, one := range joined {
				if !IsUnsent(one) {
					return false
				}
			}
			return len(joined) > 0
		default:
			return false
		}
	}
	return false
}

var (
	// ErrConnectionsEnded says that net/http looked for a third connection within one request. It does so without a
	// pause and without a limit when a server closes each connection or resets each stream.
	ErrConnectionsEnded = errors.New("two connections ended before a response")
	// ErrConnectionEnded is the same for a change, which has one connection.
	ErrConnectionEnded = errors.New("the connection ended before a response")
	// ErrSwitched is a response that switches to another protocol. No context ends its body.
	ErrSwitched = errors.New("unexpected response: 101 Switching Protocols")
	// ErrSentBefore stops a wrapper that sends the request of one attempt a second time.
	ErrSentBefore = errors.New("a request that changes something is sent once in an attempt, and it was sent before")
)

// watch follows the connections of one request by the two hooks of [httptrace].
type watch struct {
	state         *State
	authenticated bool
	// most is how many connections one request may use: a read gets a second one when an idle connection was closed
	// meanwhile.
	most  int
	trace httptrace.ClientTrace

	mu    sync.Mutex
	looks int // since the last connection
	got   int
	seen  bool // a hook ran at all
	ended error
}

// getConn runs when net/http looks for a connection. For an HTTP/2 connection that is in use it runs twice.
func (w *watch) getConn(string) {
	const mostLooks = 2
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen = true
	w.looks++
	if w.looks <= mostLooks && w.got < w.most {
		return
	}
	w.ended = ErrConnectionsEnded
	if w.state.Change && w.got > 0 {
		w.ended = ErrConnectionEnded
	}
	if w.state.End != nil {
		w.state.End(w.ended)
	}
}

func (w *watch) gotConn(httptrace.GotConnInfo) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.looks = 0
	w.got++
	if w.authenticated {
		w.state.handed.Store(true)
	}
}
