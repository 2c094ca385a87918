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
	End func(cause error) // ends the context of the attempt; set it before the first request

	change bool // a POST, PUT or DELETE, which is sent once
	base   http.RoundTripper
	clone  bool // base is a copy that only this attempt uses
	handed atomic.Bool
	// rejected: the request was answered with 401, so that a bearer token may be renewed and the request sent again.
	rejected atomic.Bool
}

// NewState returns the state of an attempt. A change gets its own connection.
func (t *Transport) NewState(change bool) *State {
	s := &State{change: change, base: t.base}
	pool := t.pool.Load()
	if pool != nil {
		s.base = pool
	}
	switch original, _ := s.base.(*http.Transport); {
	case change && original != nil && t.looks.Load():
		s.base, s.clone = copyOf(original, ownIdle), true
	case pool == nil && t.leaving.CompareAndSwap(true, false):
		t.CloseIdleConnections()
	}
	return s
}

type stateKey struct{}

func WithState(ctx context.Context, s *State) context.Context {
	return context.WithValue(ctx, stateKey{}, s)
}

// HandedOver reports whether a connection may have got the request with its credentials, and did not answer it with 401.
// From then on only a response says what became of it.
func (s *State) HandedOver() bool { return s.handed.Load() && !s.rejected.Load() }

// Close ends the connection of a change. Call it when the response has been read.
func (s *State) Close() {
	if s.clone {
		s.base.(*http.Transport).CloseIdleConnections()
	}
}

var (
	// net/http looks for connections without a pause or a limit when a server closes each, or resets each stream.
	errConnectionsEnded = errors.New("two connections ended before a response")
	errConnectionEnded  = errors.New("the connection ended before a response")
	errSwitched         = errors.New("unexpected response: 101 Switching Protocols")
	errSentBefore       = errors.New("a request that changes something is sent once in an attempt, and it was sent before")
)

// watch follows the connections of one request by the two hooks of [httptrace].
type watch struct {
	state         *State
	authenticated bool
	trace         httptrace.ClientTrace

	mu    sync.Mutex
	looks int // since the last connection
	got   int
	ended error
}

// getConn runs when net/http looks for a connection. For an HTTP/2 connection that is in use it runs twice. A read may use
// a second connection, because an idle one may have been closed meanwhile.
func (w *watch) getConn(string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.looks++
	switch {
	case w.state.change && w.got > 0:
		w.ended = errConnectionEnded
	case w.looks > 2 || w.got > 1:
		w.ended = errConnectionsEnded
	default:
		return
	}
	w.state.End(w.ended)
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
