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
	// pool is the client's own transport. It is replaced after an attempt without a usable response. Nil for a user's.
	pool atomic.Pointer[http.Transport]
	// looks says that base was seen to look for a connection itself. A copy of a transport loses the protocols that are
	// registered with it, and those look for none.
	looks   atomic.Bool
	leaving atomic.Bool // idle connections of the user's transport are to be closed before the next request
}

// New returns a Transport that sends through the user's transport.
func New(base http.RoundTripper) *Transport { return &Transport{base: base} }

// NewOwn returns a Transport that sends through transport, which nothing else uses.
func NewOwn(transport *http.Transport) *Transport {
	t := &Transport{base: transport}
	t.pool.Store(transport)
	t.looks.Store(true)
	return t
}

func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx := req.Context()
	s, ok := ctx.Value(stateKey{}).(*State)
	if !ok {
		return t.alone(req)
	}
	w := &watch{state: s, authenticated: !auth.IsNegotiation(ctx)}
	err := t.reject(req, w)
	if err != nil {
		if req.Body != nil {
			_ = req.Body.Close()
		}
		return nil, err
	}
	_, standard := s.base.(*http.Transport)
	if w.authenticated && !standard {
		s.handed.Store(true)
	}
	resp, err := s.base.RoundTrip(w.prepare(req, standard))
	w.mu.Lock()
	looked, connections, ended := w.looks+w.got > 0, w.got, w.ended
	w.mu.Unlock()
	if looked && !s.clone {
		t.looks.Store(true)
	}
	switch {
	case err != nil:
	case resp == nil:
		err = errors.New("the transport returned neither a response nor an error")
	case resp.StatusCode == http.StatusSwitchingProtocols: // no context ends its body
		_ = resp.Body.Close()
		err = errSwitched
	case resp.StatusCode == http.StatusUnauthorized && standard && connections > 1:
		// Digest's nonce count is rejected when net/http sends a request again. That says nothing about the keys.
		_ = resp.Body.Close()
		err = errConnectionEnded
	}
	if ended != nil && err != nil {
		err = ended
	}
	unsent := err != nil && (!w.authenticated || standard && connections == 0 && (s.clone || looked))
	if w.authenticated && !unsent {
		s.handed.Store(true)
		s.rejected.Store(err == nil && resp.StatusCode == http.StatusUnauthorized)
	}
	switch {
	case err == nil:
		resp.Request = req // shows whether this was a request with credentials
		return resp, nil
	case !unsent:
		return nil, err
	case connections == 0:
		err = nameProxy(req, s.base, err)
	}
	return nil, &auth.Unsent{Err: err}
}

// alone sends a request that is no part of an attempt, such as one for a token.
func (t *Transport) alone(req *http.Request) (*http.Response, error) {
	ctx, end := context.WithCancelCause(req.Context())
	s := t.NewState(req.Method != http.MethodGet && !auth.IsNegotiation(ctx))
	s.End = end
	resp, err := t.RoundTrip(req.WithContext(WithState(ctx, s)))
	if err != nil || resp.StatusCode == http.StatusMisdirectedRequest {
		t.Leave(s)
	}
	return resp, err
}

// reject returns an error for a change that must not be sent, or cannot be. A user's transport asks for the proxy before it
// looks for a connection, so nothing would show that the request was not sent.
func (t *Transport) reject(req *http.Request, w *watch) error {
	s := w.state
	if !s.change {
		return nil
	}
	if w.authenticated && s.handed.Load() && !s.rejected.Swap(false) {
		return errSentBefore
	}
	if user, ok := s.base.(*http.Transport); ok && !s.clone && user.Proxy != nil {
		if _, err := user.Proxy(req); err != nil {
			return &auth.Unsent{Err: err}
		}
	}
	return nil
}

// nameProxy says that a request did not get past a proxy: a user's transport reports only its bare status text.
func nameProxy(req *http.Request, base http.RoundTripper, err error) error {
	standard, ok := base.(*http.Transport)
	if !ok || standard.Proxy == nil || req.Context().Err() != nil {
		return err
	}
	if proxy, _ := standard.Proxy(req); proxy != nil {
		return fmt.Errorf("through the proxy %s: %w", proxy.Host, err)
	}
	return err
}

// prepare returns the request as the transport gets it. Without GetBody net/http cannot send a body twice, and without the
// headers that call a request idempotent it has no reason to. Another transport may share the hooks with its own requests,
// so it gets none.
func (w *watch) prepare(req *http.Request, standard bool) *http.Request {
	ctx := req.Context()
	if standard {
		w.trace = httptrace.ClientTrace{GetConn: w.getConn, GotConn: w.gotConn}
		ctx = httptrace.WithClientTrace(ctx, &w.trace)
	}
	req = req.WithContext(ctx)
	req.GetBody = nil
	if w.state.change {
		req.Close = w.state.clone && w.authenticated // its own connection ends with it
		req.Header = req.Header.Clone()
		delete(req.Header, "Idempotency-Key")
		delete(req.Header, "X-Idempotency-Key")
	}
	return req
}

// ownIdle ends an idle connection of a change, even where net/http takes it for one in use when the attempt ends.
const ownIdle = time.Second

// copyOf copies a transport without its connections. A function for HTTP/2 in TLSNextProto would lead back to the
// connections of the original; net/http adds one where it chooses HTTP/2.
func copyOf(t *http.Transport, idle time.Duration) *http.Transport {
	c := t.Clone()
	if t.TLSNextProto["h2"] != nil {
		c.TLSNextProto = nil
		c.ForceAttemptHTTP2 = true
	}
	c.IdleConnTimeout = idle
	if c.OnProxyConnectResponse == nil {
		c.OnProxyConnectResponse = CheckProxy
	}
	return c
}

// Leave makes the next requests use other connections than those of an attempt that got no usable response. Requests in
// flight stay where they are.
func (t *Transport) Leave(s *State) {
	pool := t.pool.Load()
	switch {
	case s.clone: // its connection has ended
	case pool == nil:
		t.CloseIdleConnections()
		t.leaving.Store(true) // the connection may not count as idle yet
	case s.base == pool && t.pool.CompareAndSwap(pool, copyOf(pool, pool.IdleConnTimeout)):
		pool.CloseIdleConnections()
	}
}

// CloseIdleConnections closes the connections that no request uses, even those of a user's transport.
func (t *Transport) CloseIdleConnections() {
	base := t.base
	if pool := t.pool.Load(); pool != nil {
		base = pool
	}
	if closer, ok := base.(interface{ CloseIdleConnections() }); ok {
		closer.CloseIdleConnections()
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

func (e *ProxyError) Error() string {
	text := fmt.Sprintf("the proxy rejected the connection: %d %s", e.Status, http.StatusText(e.Status))
	if e.Status == http.StatusProxyAuthRequired {
		text += " (check the user and password of the proxy)"
	}
	return text
}
