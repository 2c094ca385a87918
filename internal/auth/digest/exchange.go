package digest

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/livemigration/livemigration-go/internal/auth"
)

// exchange is one call of RoundTrip.
type exchange struct {
	transport *Transport
	req       *http.Request
	body      io.ReadCloser // of the next attempt; nil once it is the base's to close
	leads     bool          // others wait for this exchange to get a challenge
}

// run decides how the request gets its credentials.
func (e *exchange) run() (*http.Response, error) {
	s, err := e.session()
	switch {
	case err != nil:
		return nil, err
	case s != nil:
		return e.authenticate(s, false)
	case e.transport.open.Load():
		return e.plain(e.req.Context())
	case e.isSafe():
		return e.plain(auth.WithNegotiation(e.req.Context()))
	default:
		return e.probe()
	}
}

// end releases what is still held, however the exchange went.
func (e *exchange) end() {
	e.arrive()
	if e.body != nil {
		e.body.Close()
	}
}

// session returns a live session. If a first negotiation is in flight it waits for its outcome. If it returns none, the
// exchange has to negotiate.
func (e *exchange) session() (*session, error) {
	t := e.transport
	if s := t.live(); s != nil {
		return s, nil
	}
	if t.open.Load() || t.quiet.Load() && e.isSafe() {
		return nil, nil
	}
	s, inFlight := t.depart()
	if inFlight == nil {
		e.leads = s == nil
		return s, nil
	}
	select {
	case <-inFlight:
		return t.live(), nil
	case <-e.req.Context().Done():
		return nil, e.req.Context().Err()
	}
}

// arrive wakes those who wait as soon as the outcome is known, which is before the exchange is over.
func (e *exchange) arrive() {
	if e.leads {
		e.leads = false
		e.transport.arrive()
	}
}

// plain sends the caller's request without credentials, and with them if that is what the server wants.
func (e *exchange) plain(ctx context.Context) (*http.Response, error) {
	resp, err := e.attempt(ctx, nil)
	if err != nil {
		return nil, err
	}
	c, ok := challengeOf(resp)
	if !ok {
		if !leavesOpen(resp.StatusCode) {
			e.transport.quiet.Store(true)
		}
		return resp, nil
	}
	s := e.transport.adopt(c)
	e.arrive()
	if !e.rewind() {
		return resp, nil
	}
	auth.Discard(resp)
	return e.authenticate(s, true)
}

// probe obtains a challenge with a request that cannot do anything, and then sends the caller's.
func (e *exchange) probe() (*http.Response, error) {
	resp, err := e.transport.send(probeFor(e.req))
	if err != nil {
		return nil, err
	}
	if c, ok := challengeOf(resp); ok {
		s := e.transport.adopt(c)
		e.arrive()
		auth.Discard(resp)
		return e.authenticate(s, true)
	}
	if leavesOpen(resp.StatusCode) {
		return resp, nil
	}
	e.transport.open.Store(true)
	e.arrive()
	auth.Discard(resp)
	return e.plain(e.req.Context())
}

// authenticate sends the caller's request with credentials, and again while its nonce is not accepted and another attempt
// is worth it. A fresh session is one negotiated in this exchange.
func (e *exchange) authenticate(first *session, fresh bool) (*http.Response, error) {
	t, s, rejected := e.transport, first, false
	for n := 1; ; n++ {
		resp, err := e.attempt(e.req.Context(), s)
		if err != nil {
			return nil, err
		}
		c, ok := challengeOf(resp)
		if !ok {
			t.keep(first, s, resp)
			t.learn(resp.StatusCode, rejected)
			return resp, nil
		}
		if !t.worthAttempt(s, c, n, fresh) {
			t.accepted.Store(false)
			return resp, nil
		}
		rejected = rejected || !c.stale
		// The next attempt has a new nonce to itself until it has succeeded. With a shared one, concurrent callers could use
		// it up first on a server that limits its uses.
		next := t.sessionFor(c, s)
		if !e.rewind() {
			t.session.CompareAndSwap(first, next)
			return resp, nil
		}
		auth.Discard(resp)
		if !keepsNonce(n) {
			s = next
		}
	}
}

// attempt sends the caller's request, with credentials if there is a session.
func (e *exchange) attempt(ctx context.Context, s *session) (*http.Response, error) {
	out := e.req.WithContext(ctx) // a shallow copy
	if s != nil {
		bodyHash, err := e.bodyHash(s)
		if err != nil {
			return nil, err
		}
		method := out.Method
		if method == "" {
			method = http.MethodGet
		}
		out.Header = auth.CloneHeader(e.req.Header)
		out.Header["Authorization"] = []string{s.authorization(method, out.URL.RequestURI(), bodyHash)}
	}
	out.Body, e.body = e.body, nil
	return e.transport.send(out)
}

// send hands a request to the base.
func (t *Transport) send(req *http.Request) (*http.Response, error) {
	resp, err := t.base.RoundTrip(req)
	if err == nil && resp == nil {
		return nil, errors.New("digest: the base transport returned neither a response nor an error")
	}
	return resp, err
}

// bodyHash returns the hash of the body if the credentials cover it. The body itself stays unread.
func (e *exchange) bodyHash(s *session) (string, error) {
	if !s.hashesBody() {
		return "", nil
	}
	h := s.keys().algorithm.new()
	if auth.HasBody(e.req) {
		if e.req.GetBody == nil {
			return "", errors.New("digest: qop=auth-int needs a request with GetBody")
		}
		body, err := e.req.GetBody()
		if err != nil {
			return "", fmt.Errorf("digest: reading the body for qop=auth-int: %w", err)
		}
		defer body.Close()
		if _, err := io.Copy(h, body); err != nil {
			return "", fmt.Errorf("digest: reading the body for qop=auth-int: %w", err)
		}
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// rewind makes the body ready for another attempt and reports whether that is possible.
func (e *exchange) rewind() bool {
	body, ok := auth.Rewound(e.req)
	if ok {
		e.body = body
	}
	return ok
}

// isSafe reports whether the caller's request may go out before its credentials do.
func (e *exchange) isSafe() bool {
	switch e.req.Method {
	case "", http.MethodGet, http.MethodHead, http.MethodOptions:
		return !auth.HasBody(e.req)
	default:
		return false
	}
}

// probeFor returns the request that draws a challenge in place of req.
func probeFor(req *http.Request) *http.Request {
	probe := req.WithContext(auth.WithNegotiation(req.Context()))
	probe.Method = http.MethodGet
	probe.Body, probe.GetBody, probe.ContentLength = nil, nil, 0
	probe.TransferEncoding, probe.Trailer = nil, nil
	probe.Header = auth.CloneHeader(req.Header)
	for name := range probe.Header {
		if describesBody(name) {
			delete(probe.Header, name)
		}
	}
	return probe
}

// describesBody reports whether a header field speaks of the body, or of the conditions for using it, which the probe
// does not share.
func describesBody(name string) bool {
	switch name = http.CanonicalHeaderKey(name); name {
	case "Expect", "Range", "Trailer", "Transfer-Encoding":
		return true
	default:
		return strings.HasPrefix(name, "Content-") || strings.HasPrefix(name, "If-")
	}
}

// challengeOf returns the challenge of a response, and false if it has none that is supported.
func challengeOf(resp *http.Response) (challenge, bool) {
	if resp.StatusCode != http.StatusUnauthorized {
		return challenge{}, false
	}
	return selectChallenge(parseChallenges(resp.Header))
}

// leavesOpen reports whether a response without a challenge says nothing about how the server authenticates requests.
func leavesOpen(status int) bool {
	switch status {
	case http.StatusUnauthorized, http.StatusProxyAuthRequired, http.StatusTooManyRequests,
		http.StatusRequestTimeout, http.StatusMisdirectedRequest, http.StatusTooEarly, 460, 499: // of gateways
		return true
	default:
		return status >= 500 || status >= 300 && status < 400
	}
}
