// Package digest is the client side of HTTP Digest authentication: RFC 7616 with MD5, SHA-256 or SHA-512-256 and qop=auth,
// and the form of RFC 2069 for servers that send no qop.
//
// Reads share one nonce and its count, so that a read is one request for as long as the server accepts the nonce. Each
// change first gets a nonce that only it uses, so that its body is sent once, and never without credentials.
package digest

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"net/url"
	"sync/atomic"

	"github.com/livemigration/livemigration-go/internal/auth"
)

// ErrNotChallenged is the error of a change when the request for its challenge was answered with success.
var ErrNotChallenged = errors.New("the server answered a request without credentials with success instead of asking for " +
	"them, so the request was not sent with its credentials; check the base URL")

// Transport is an [http.RoundTripper] that authenticates the requests to one origin. It is safe for concurrent use and
// never changes a request that it is given. Requests to other origins, or with credentials, pass unchanged.
type Transport struct {
	username, password *string // package fmt does not print what a pointer in a struct leads to
	origin             *url.URL
	base               http.RoundTripper
	shared             atomic.Pointer[session] // of reads; nil until there is a challenge
	turn               chan struct{}           // full while a read asks for the first challenge
	challenged         atomic.Bool             // the server has sent a challenge that this package can answer
	accepted           atomic.Bool             // the server has answered a request with these credentials with success
}

// New returns a Transport for one origin. User name and password must not contain control characters.
func New(username, password string, origin *url.URL, base http.RoundTripper) *Transport {
	turn := make(chan struct{}, 1)
	return &Transport{username: &username, password: &password, origin: origin, base: base, turn: turn}
}

func (t *Transport) Secrets() []string { return []string{*t.username, *t.password} }

// Explain says why Digest could not be used, for the header of a 401. It returns nothing once the server has sent a
// challenge that could be answered: the 401 then has other reasons.
func (t *Transport) Explain(h http.Header) string {
	if t.challenged.Load() {
		return ""
	}
	_, problem := readChallenges(h)
	return problem
}

// Stale reports whether the header of a 401 says that the nonce of its request has expired.
func Stale(h http.Header) bool {
	c, _ := readChallenges(h)
	return c.stale()
}

// RoundTrip sends a request with credentials. The first GET is sent without them to get a challenge; others wait for it,
// each until its own context ends. A GET whose nonce has expired is sent once more, and, if the server has accepted the
// credentials before, twice. A 401 for a nonce that this very GET has asked for is final, unless the server calls it stale.
//
// Any other request is sent once, after one with the same method and URL, but no body and no credentials. If that is
// answered with anything but a challenge, the caller gets the answer, or [ErrNotChallenged] for a success.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	switch {
	case !auth.Concerns(t.origin, req):
		return t.base.RoundTrip(req)
	case req.Method == http.MethodGet:
		return t.read(req)
	default:
		return t.change(req)
	}
}

func (t *Transport) read(req *http.Request) (*http.Response, error) {
	first, resp, err := t.session(req)
	if first == nil {
		return resp, err
	}
	s, fresh := first, resp != nil
	for attempt := 1; ; attempt++ {
		if resp != nil {
			auth.Discard(resp)
		}
		if resp, err = t.authenticated(req, s); err != nil {
			return nil, err
		}
		if resp.StatusCode != http.StatusUnauthorized {
			// A nonce is shared once it has worked: a server may limit its uses, and this read needs one.
			t.shared.CompareAndSwap(first, s)
			return resp, nil
		}
		next := t.sessionFor(resp)
		if next == nil || next.nonce == s.nonce ||
			attempt == 1 && fresh && !next.stale || attempt == 2 && !t.accepted.Load() || attempt == 3 {
			return resp, nil
		}
		s = next
	}
}

// session returns the session of reads. If there is none, it gets one, or waits while another read does. The response is
// the one with the challenge, or, without a session, the one that the caller gets.
func (t *Transport) session(req *http.Request) (*session, *http.Response, error) {
	if s := t.shared.Load(); s != nil {
		return s, nil, nil
	}
	select {
	case t.turn <- struct{}{}:
		defer func() { <-t.turn }()
	case <-req.Context().Done():
		return nil, nil, context.Cause(req.Context())
	}
	if s := t.shared.Load(); s != nil {
		return s, nil, nil
	}
	s, resp, err := t.negotiate(req)
	t.shared.Store(s)
	return s, resp, err
}

func (t *Transport) change(req *http.Request) (*http.Response, error) {
	s, resp, err := t.negotiate(req)
	if s != nil {
		auth.Discard(resp)
		return t.authenticated(req, s)
	}
	if req.Body != nil {
		_ = req.Body.Close()
	}
	if err == nil && resp.StatusCode/100 == 2 {
		auth.Discard(resp)
		return nil, &auth.Unsent{Err: ErrNotChallenged}
	}
	return resp, err
}

// negotiate sends a request without body and credentials, and returns the response and the session for its challenge.
func (t *Transport) negotiate(req *http.Request) (*session, *http.Response, error) {
	probe := req.WithContext(auth.WithNegotiation(req.Context()))
	probe.Body, probe.GetBody, probe.ContentLength = http.NoBody, nil, 0
	probe.Header = req.Header.Clone()
	probe.Header.Del("Content-Type")
	probe.Header.Del("Expect")
	resp, err := t.base.RoundTrip(probe)
	if err != nil {
		return nil, nil, err
	}
	return t.sessionFor(resp), resp, nil
}

// sessionFor returns the session for the challenge of a 401, nil if there is none that can be answered.
func (t *Transport) sessionFor(resp *http.Response) *session {
	c, problem := readChallenges(resp.Header)
	if problem != "" || resp.StatusCode != http.StatusUnauthorized {
		return nil
	}
	t.challenged.Store(true)
	if s := t.shared.Load(); s != nil && s.nonce == c.params["nonce"] {
		return s // its count continues
	}
	return newSession(c, resp.Cookies(), *t.username, *t.password, rand.Text())
}

// authenticated sends a request with the credentials and the cookies of a session.
func (t *Transport) authenticated(req *http.Request, s *session) (*http.Response, error) {
	out := req.WithContext(req.Context()) // a shallow copy
	out.Header = req.Header.Clone()
	out.Header["Authorization"] = []string{s.authorization(req.Method, req.URL.RequestURI())}
	s.addCookies(out)
	resp, err := t.base.RoundTrip(out)
	if err != nil {
		return nil, err
	}
	resp.Request = req // which has no credentials
	if resp.StatusCode/100 == 2 {
		t.accepted.Store(true)
	}
	return resp, nil
}
