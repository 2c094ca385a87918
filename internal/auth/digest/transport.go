package digest

import (
	"crypto/rand"
	"errors"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"unicode/utf8"

	"github.com/livemigration/livemigration-go/internal/auth"
)

// Transport is an [http.RoundTripper] that authenticates the requests to one origin with HTTP Digest. It is safe for
// concurrent use and never changes a request it is given.
//
// Requests to other origins and requests that already have an Authorization header pass unchanged. A 401 without a
// challenge that is supported is the caller's to read. In Response.Request the caller finds the request it made, not the
// one with the credentials.
//
// It has no CloseIdleConnections method, so that a caller that gives up does not close the connections of the others.
type Transport struct {
	origin auth.Origin
	base   http.RoundTripper

	// credentials are behind a function so that no way of printing a Transport reaches them.
	credentials func() (username, password string)
	newCnonce   func() string

	// session is the one that requests are authenticated with, nil until there has been a challenge.
	session atomic.Pointer[session]

	// open says that the response to a probe was not a challenge, and quiet that the response to any request was not.
	// Until there is a challenge, probing is then useless, and so is letting others wait for a session.
	open, quiet atomic.Bool

	// accepted says that the server has accepted the credentials and has not rejected them since, and nodes that it has
	// rejected a good nonce and then accepted another attempt.
	accepted, nodes atomic.Bool

	mu     sync.Mutex
	flight chan struct{} // closed when the negotiation in flight ends; nil if there is none
	recent []*session    // the latest ones, so that the count of a nonce does not start again
}

// NewTransport returns a Transport for one origin, which is the scheme, host and port of a URL. Default ports need not be
// written, and the case of scheme and host does not matter. It fails if username or password is empty or has control
// characters, if username is not UTF-8, if origin is not absolute, or if base is nil.
func NewTransport(origin *url.URL, username, password string, base http.RoundTripper) (*Transport, error) {
	switch {
	case origin == nil || origin.Scheme == "" || origin.Hostname() == "":
		return nil, errors.New("digest: the origin must be an absolute URL")
	case username == "":
		return nil, errors.New("digest: the user name is empty")
	case hasControl(username) || !utf8.ValidString(username):
		return nil, errors.New("digest: the user name has control characters or is not UTF-8")
	case password == "":
		return nil, errors.New("digest: the password is empty")
	case hasControl(password):
		return nil, errors.New("digest: the password has control characters")
	case base == nil:
		return nil, errors.New("digest: the base transport is nil")
	}
	return &Transport{
		origin:      auth.OriginOf(origin),
		base:        base,
		credentials: func() (string, string) { return username, password },
		newCnonce:   rand.Text,
	}, nil
}

// RoundTrip sends req with credentials, and with as few other requests as possible.
//
// Without a nonce it first obtains a challenge. A GET, HEAD or OPTIONS request without a body is sent as it is; before
// any other request, a GET without a body is sent. If that GET fails for reasons that also concern the request (a
// redirect, 407, 429, 5xx, or a 401 without a challenge that is supported), the caller gets its response, and req has not
// been sent.
//
// A request whose nonce is no longer accepted is sent again with another one, if its body can be read again with GetBody.
// If not, the caller gets the 401. That is once, and more often only if the credentials have been accepted before, since
// the server may then be several nodes with nonces of their own.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	if !t.origin.Concerns(req) {
		return t.base.RoundTrip(req)
	}
	e := exchange{transport: t, req: req, body: req.Body}
	defer e.end()
	resp, err := e.run()
	if err != nil {
		return nil, err
	}
	resp.Request = req
	return resp, nil
}

// Secrets are what no message may show.
func (t *Transport) Secrets() []string {
	username, password := t.credentials()
	return []string{username, password}
}

// Explain reads the challenge of a 401 to an authenticated request: whether its nonce was too old, or what else the
// caller should know.
func (*Transport) Explain(h http.Header) (stale bool, explanation string) {
	challenge, ok := selectChallenge(parseChallenges(h))
	if !ok {
		return false, "the server offers no Digest challenge that this client supports"
	}
	return challenge.stale, ""
}

// CountsRequests reports that a server rejects a request that it gets a second time as it is.
func (*Transport) CountsRequests() bool { return true }

// live returns the session to use, or nil if there has to be a negotiation.
func (t *Transport) live() *session {
	s := t.session.Load()
	if s != nil && s.exhausted() {
		t.session.CompareAndSwap(s, nil)
		return nil
	}
	return s
}

// depart gives the caller a session, or a channel that closes when the negotiation in flight ends. If it gives neither,
// the caller is the one that negotiates, and must arrive.
func (t *Transport) depart() (*session, <-chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	// The flight that this caller just missed may have ended with a session.
	if s := t.live(); s != nil {
		return s, nil
	}
	if t.flight != nil {
		return nil, t.flight
	}
	t.flight = make(chan struct{})
	return nil, nil
}

// arrive wakes the callers that wait for the negotiation in flight.
func (t *Transport) arrive() {
	t.mu.Lock()
	defer t.mu.Unlock()
	close(t.flight)
	t.flight = nil
}

// sessionFor returns the session of c. A nonce that is already in use keeps its session, since its count must not start
// again.
func (t *Transport) sessionFor(c challenge, used *session) *session {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, s := range append([]*session{used, t.session.Load()}, t.recent...) {
		if s.isFor(c) {
			return s
		}
	}
	username, password := t.credentials()
	made := newSession(c, username, password, t.newCnonce())
	t.recent = append([]*session{made}, t.recent[:min(len(t.recent), manySessions-1)]...)
	return made
}

// adopt returns the session for a first challenge, and shares it.
func (t *Transport) adopt(c challenge) *session {
	s := t.sessionFor(c, nil)
	t.session.CompareAndSwap(nil, s)
	t.open.Store(false)
	t.quiet.Store(false)
	return s
}

// keep shares the session that authenticated a request, or the one that the response announces, in place of the one
// that the request was first sent with. If another caller has replaced that meanwhile, the other's choice counts.
func (t *Transport) keep(used, s *session, resp *http.Response) {
	if resp.StatusCode == http.StatusUnauthorized {
		return
	}
	if nonce := nextNonce(resp.Header); nonce != "" && nonce != s.keys().challenge.nonce {
		s = s.following(nonce)
	}
	if s != used {
		t.session.CompareAndSwap(used, s)
	}
}
