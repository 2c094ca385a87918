// Package delivery sends the requests of attempts over connections, and says whether a connection was handed a request
// with credentials.
//
// Reads share a pool of connections. A change gets its own connection, which no request has used before and none uses
// after it, so that net/http has no reason to send it twice.
package delivery

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/livemigration/livemigration-go/internal/auth"
)

// Transport stands between the credentials and the network.
type Transport struct {
	base http.RoundTripper
	user *http.Transport // base, where it is net/http's and the user's
	// pool is the client's own transport. It is replaced after an attempt without a usable response. Nil for a user's.
	pool atomic.Pointer[http.Transport]
	// looks says that base was seen to look for a connection itself. A copy of a transport loses the protocols that are
	// registered with it, and those look for none.
	looks atomic.Bool
	// leaving says that idle connections of the user's transport are to be closed before the next request.
	leaving atomic.Bool
}

// New returns a Transport that sends through the user's transport.
func New(base http.RoundTripper) *Transport {
	standard, _ := base.(*http.Transport)
	return &Transport{base: base, user: standard}
}

// NewOwn returns a Transport that sends through transport, which nothing else uses.
func NewOwn(transport *http.Transport) *Transport {
	t := &Transport{base: transport}
	t.pool.Store(transport)
	t.looks.Store(true)
	return t
}

// RoundTrip sends one request.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	negotiation := auth.IsNegotiation(req.Context())
	s := stateOf(req.Context())
	if s == nil {
		ctx, cancel := context.WithCancelCause(req.Context())
		s = &State{Change: req.Method != http.MethodGet && !negotiation, End: cancel}
		req = req.WithContext(ctx)
	}
	if s.Change && !negotiation && s.handed.Load() && !s.rejected.Swap(false) {
		closeBody(req)
		return nil, ErrSentBefore
	}
	base, clone := t.choose(s)
	if s.Change && !clone && t.user != nil && t.user.Proxy != nil {
		// net/http asks for the proxy before it looks for a connection, so nothing would show that the request was not sent.
		if _, err := t.user.Proxy(req); err != nil {
			closeBody(req)
			return nil, &Unsent{err}
		}
	}
	w := &watch{state: s, authenticated: !negotiation, most: 2}
	if s.Change {
		w.most = 1
	}
	return t.send(req, s, base, w, clone)
}

func (t *Transport) send(req *http.Request, s *State, base http.RoundTripper, w *watch, clone bool) (*http.Response, error) {
	_, standard := base.(*http.Transport)
	if w.authenticated && !standard {
		s.handed.Store(true)
	}
	resp, err := base.RoundTrip(w.prepare(req, standard, clone))
	w.mu.Lock()
	looked, connections, ended := w.seen, w.got, w.ended
	w.mu.Unlock()
	if looked && !clone {
		t.looks.Store(true)
	}
	switch {
	case err != nil:
	case resp == nil:
		err = errors.New("the transport returned neither a response nor an error")
	case resp.StatusCode == http.StatusSwitchingProtocols:
		_ = resp.Body.Close()
		resp, err = nil, ErrSwitched
	case resp.StatusCode == http.StatusUnauthorized && standard && connections > 1:
		// Digest's nonce count is rejected when net/http sends a request again. That says nothing about the keys.
		_ = resp.Body.Close()
		resp, err = nil, ErrConnectionEnded
	}
	if ended != nil && err != nil {
		err = ended
	}
	unsent := err != nil && (!w.authenticated || standard && connections == 0 && (clone || looked))
	if w.authenticated && !unsent {
		s.handed.Store(true)
		s.rejected.Store(err == nil && resp.StatusCode == http.StatusUnauthorized)
	}
	if stateOf(req.Context()) == nil && (err != nil || resp.StatusCode == http.StatusMisdirectedRequest) {
		t.Leave(s)
	}
	switch {
	case !unsent:
		return resp, err
	case connections > 0:
		return nil, &Unsent{err}
	default:
		return nil, &Unsent{nameProxy(req, base, err)}
	}
}

// nameProxy says that a request did not get past a proxy: a user's transport reports only its bare status text.
func nameProxy(req *http.Request, base http.RoundTripper, err error) error {
	standard, ok := base.(*http.Transport)
	if !ok || standard.Proxy == nil || req.Context().Err() != nil {
		return err
	}
	proxy, proxyErr := standard.Proxy(req)
	if proxyErr != nil || proxy == nil {
		return err
	}
	return fmt.Errorf("through the proxy %s: %w", proxy.Host, err)
}

// prepare returns the request as the transport gets it. Without GetBody net/http cannot send a body twice, and without the
// headers that call a request idempotent it has no reason to. Another transport may share the hooks with its own requests,
// so it gets none.
func (w *watch) prepare(req *http.Request, standard, clone bool) *http.Request {
	ctx := req.Context()
	if standard {
		w.trace = httptrace.ClientTrace{GetConn: w.getConn, GotConn: w.gotConn}
		ctx = httptrace.WithClientTrace(ctx, &w.trace)
	}
	req = req.WithContext(ctx)
	req.GetBody = nil
	if !w.state.Change {
		return req
	}
	req.Close = clone && w.authenticated // its own connection ends with it
	for _, name := range [...]string{"Idempotency-Key", "X-Idempotency-Key"} {
		if _, has := req.Header[name]; has {
			req.Header = req.Header.Clone()
			delete(req.Header, name)
		}
	}
	return req
}

// choose returns the transport of a request, and whether it is a copy that only this attempt uses.
func (t *Transport) choose(s *State) (base http.RoundTripper, clone bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	pool := t.pool.Load()
	if s.Change && !s.chosen {
		s.chosen = true
		switch {
		case pool != nil:
			s.own = copyOf(pool)
		case t.user != nil && t.looks.Load():
			s.own = copyOf(t.user)
		}
	}
	switch {
	case s.own != nil:
		return s.own, true
	case pool != nil:
		s.shared = pool
		return pool, false
	case t.leaving.CompareAndSwap(true, false):
		t.closeUsers()
	}
	return t.base, false
}

// copyOf copies a transport without its connections. A function for HTTP/2 in TLSNextProto would lead back to the
// connections of the original; net/http adds one where it chooses HTTP/2.
func copyOf(t *http.Transport) *http.Transport {
	c := t.Clone()
	if t.TLSNextProto["h2"] != nil {
		c.TLSNextProto = nil
		c.ForceAttemptHTTP2 = true
	}
	// An idle connection of a copy ends soon even where net/http takes it for one in use when the attempt ends.
	c.IdleConnTimeout = time.Second
	if c.OnProxyConnectResponse == nil {
		c.OnProxyConnectResponse = CheckProxy
	}
	return c
}

// Leave makes the next requests use other connections than those of an attempt that got no usable response. Requests in
// flight stay where they are.
func (t *Transport) Leave(s *State) {
	s.mu.Lock()
	shared, own := s.shared, s.own
	s.mu.Unlock()
	switch {
	case own != nil: // its connection has ended
	case shared != nil:
		if t.pool.CompareAndSwap(shared, copyOfPool(shared)) {
			shared.CloseIdleConnections()
		}
	default:
		// The connection may not count as idle yet, so they are closed before the next request too.
		t.closeUsers()
		t.leaving.Store(true)
	}
}

func copyOfPool(shared *http.Transport) *http.Transport {
	fresh := copyOf(shared)
	fresh.IdleConnTimeout = shared.IdleConnTimeout
	return fresh
}

// CloseIdleConnections closes the connections that no request uses, even those of a user's transport.
func (t *Transport) CloseIdleConnections() {
	if pool := t.pool.Load(); pool != nil {
		pool.CloseIdleConnections()
		return
	}
	t.closeUsers()
}

func (t *Transport) closeUsers() {
	if closer, ok := t.base.(interface{ CloseIdleConnections() }); ok {
		closer.CloseIdleConnections()
	}
}

func closeBody(req *http.Request) {
	if req.Body != nil {
		_ = req.Body.Close()
	}
}

// ProxyError says that a proxy did not connect.
type ProxyError struct{ Status int }

// CheckProxy is for [http.Transport.OnProxyConnectResponse]. Without it net/http's error is the bare status text.
func CheckProxy(_ context.Context, _ *url.URL, _ *http.Request, resp *http.Response) error {
	if resp.StatusCode == http.StatusOK {
		return nil
	}
	return &ProxyError{resp.StatusCode}
}

// Error names the status.
func (e *ProxyError) Error() string {
	text := fmt.Sprintf("the proxy rejected the connection: %d %s", e.Status, http.StatusText(e.Status))
	if e.Status == http.StatusProxyAuthRequired {
		text += " (check the user and password of the proxy)"
	}
	return text
}
