package delivery

import (
	"net/http"
	"slices"
	"sync/atomic"
)

// lane is a pool of connections. The transport is behind functions because a dump by reflection would find what was sent
// last in the buffers of connections.
type lane struct {
	roundTrip func(*http.Request) (*http.Response, error)
	closeIdle func()
	// fresh makes a lane with connections of its own. It is nil for a transport that cannot be copied.
	fresh func() *lane
	// h1 says that the last connection spoke HTTP/1.
	h1 atomic.Bool
	// dead says that a connection swallowed a request, and that idle connections are closed before the next one. Right
	// after the request its connection does not count as idle yet.
	dead atomic.Bool
}

func newLane(base http.RoundTripper) *lane {
	l := &lane{roundTrip: base.RoundTrip, closeIdle: func() {}}
	if closer, ok := base.(interface{ CloseIdleConnections() }); ok {
		l.closeIdle = closer.CloseIdleConnections
	}
	if standard, ok := base.(*http.Transport); ok {
		l.fresh = func() *lane { return newLane(copyOf(standard)) }
	}
	return l
}

// copyOf copies a transport without its connections. A map that holds a function for HTTP/2, as golang.org/x/net makes
// one, would lead back to the connections of the original. net/http adds such a function by itself where it chooses
// HTTP/2, and leaves it out of a clone: that would offer HTTP/2 to the server and then speak HTTP/1.
func copyOf(t *http.Transport) *http.Transport {
	c := t.Clone() // net/http has chosen now
	if t.TLSNextProto["h2"] != nil {
		c.TLSNextProto, c.ForceAttemptHTTP2 = nil, true
	}
	return c
}

// leave makes the next requests use other connections than those of l: one of them swallowed a request. Requests that are
// under way stay where they are. Over HTTP/2 net/http itself would keep to the one connection.
func (t *Transport) leave(l *lane) {
	if l.fresh == nil {
		l.dead.Store(true)
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.lane.Load() != l {
		return // another request has left it
	}
	t.lane.Store(l.fresh())
	if l != t.first {
		t.left = append(t.left, l)
	}
	// A connection that was in use the last time may be idle now.
	for _, old := range t.left {
		old.closeIdle()
	}
	const most = 8
	t.left = slices.Delete(t.left, 0, max(0, len(t.left)-most))
}

// CloseIdleConnections closes the connections that no request uses, those of the user's transport too.
func (t *Transport) CloseIdleConnections() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, l := range append([]*lane{t.first, t.lane.Load()}, t.left...) {
		l.closeIdle()
	}
}
