// Package delivery tells whether the request of an attempt may have reached the server, and keeps net/http from sending
// a request twice by itself.
//
// It knows connections and the hooks of net/http. It does not know what a request is for, nor whether it is retried.
package delivery

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
	"time"
)

// State tracks the request of one attempt. After an error a connection may still be about to write, so a request that
// has a connection counts as sent. It is safe for concurrent use.
type State struct {
	// Once says that the request must not be carried out twice. Counted says that a server rejects a request that it
	// gets a second time as it is, as HTTP Digest does. Both are set before the first attempt.
	Once, Counted bool

	phase atomic.Int32
	// standard: the transport below is net/http's own, whose trace tells everything.
	standard atomic.Bool
	// arrived: the request may have arrived, and nothing later in the attempt takes that back.
	arrived atomic.Bool
	// answered: the connection has brought the first byte of a response.
	answered atomic.Bool
	// twice: net/http has sent the request a second time by itself, because a connection broke before its response. Over
	// HTTP/1 it does so with requests that change nothing and with those of which it has written nothing; over HTTP/2
	// with every request whose body it can read again.
	twice atomic.Bool
	h2    atomic.Bool
	// inside counts the requests that wrappers of the user have passed on and that have not returned. An attempt that is
	// over for a wrapper may still go on there.
	inside atomic.Int32

	trace httptrace.ClientTrace
}

const (
	unknown    int32 = iota // nothing tells what becomes of the request
	nothing                 // it has not reached a connection
	handshake               // what is sent carries no credentials
	connecting              // the transport looks for a connection
	connected               // the transport has one
)

type stateKey struct{}

// OfLibrary marks the key of a value that requests for credentials keep.
func (stateKey) OfLibrary() {}

// WithState returns the context of a request that s tracks.
func WithState(ctx context.Context, s *State) context.Context {
	s.trace = httptrace.ClientTrace{
		GetConn: func(string) { s.connecting() },
		GotConn: func(info httptrace.GotConnInfo) { s.connected(info.Conn) },

		GotFirstResponseByte: func() { s.answered.Store(true) },
	}
	return httptrace.WithClientTrace(context.WithValue(ctx, stateKey{}, s), &s.trace)
}

func stateOf(ctx context.Context) *State {
	s, _ := ctx.Value(stateKey{}).(*State)
	return s
}

// Begin starts an attempt.
func (s *State) Begin() {
	s.arrived.Store(false)
	s.h2.Store(false)
	s.phase.Store(nothing)
}

// Hide says that the request is passed to a transport that may send it in ways that nobody here sees.
func (s *State) Hide() { s.phase.Store(unknown) }

// Unsent reports whether the server cannot have got the request with its credentials.
func (s *State) Unsent() bool {
	phase := s.phase.Load()
	return !s.Arrived() && s.inside.Load() == 0 && phase != unknown && phase != connected
}

// Arrived reports whether the request may have arrived, whatever happened later in the attempt.
func (s *State) Arrived() bool { return s.arrived.Load() }

// TwiceOverH2 reports whether net/http may have had the request carried out more than once.
func (s *State) TwiceOverH2() bool { return s.twice.Load() && s.h2.Load() }

// enter notes a request on its way to the user's transport. If that is not net/http's own, at most its trace shows what
// it does.
func (s *State) enter(negotiation, standard bool) {
	s.standard.Store(standard)
	s.twice.Store(false)
	switch {
	case negotiation:
		s.phase.Store(handshake)
	case standard:
		s.phase.Store(nothing)
	default:
		s.phase.Store(unknown)
	}
}

// leave notes how the user's transport returned. A 401 is the one response after which the credentials may send the
// request again as if for the first time.
func (s *State) leave(resp *http.Response, err error) {
	phase := s.phase.Load()
	unauthorized := err == nil && resp != nil && resp.StatusCode == http.StatusUnauthorized
	if (phase == connected || phase == unknown) && !unauthorized {
		s.arrived.Store(true)
	}
}

// connecting takes connected back for net/http's own transport over HTTP/1 only: that one looks for a second connection
// when it has written nothing to the first, or when the request changes nothing. Other transports may share the
// request's trace with requests of their own.
func (s *State) connecting() {
	switch s.phase.Load() {
	case handshake:
		return
	case connected:
		if !s.answered.Load() {
			s.twice.Store(true)
		}
		if !s.standard.Load() || s.h2.Load() {
			return
		}
	}
	s.phase.Store(connecting)
}

func (s *State) connected(conn net.Conn) {
	if secure, ok := conn.(*tls.Conn); ok && secure.ConnectionState().NegotiatedProtocol == "h2" {
		s.h2.Store(true)
	}
	s.answered.Store(false)
	if s.phase.Load() != handshake {
		s.phase.Store(connected)
	}
}

// Bound limits an attempt to its time, and to the caller's context. With a grace a request that is on its way outlives
// that context; one that has not been sent ends with it. The cause of the end tells a time that ran out.
func (s *State) Bound(ctx context.Context, limit, grace time.Duration) (context.Context, context.CancelFunc) {
	if grace <= 0 {
		return context.WithTimeout(ctx, limit)
	}
	graced, end := context.WithCancelCause(context.WithoutCancel(ctx))
	bounded, cancel := context.WithTimeout(graced, limit)
	var timer atomic.Pointer[time.Timer]
	stop := context.AfterFunc(ctx, func() {
		if s.Unsent() {
			end(ctx.Err())
			return
		}
		timer.Store(time.AfterFunc(grace, func() { end(context.DeadlineExceeded) }))
	})
	return bounded, func() {
		stop()
		if t := timer.Load(); t != nil {
			t.Stop()
		}
		cancel()
		end(nil)
	}
}
