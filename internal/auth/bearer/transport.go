// Package bearer authenticates requests with access tokens (RFC 6750) that are fetched when they are needed.
//
// One token serves all requests of a [Transport]. It is fetched once however many requests ask for it at the same time,
// renewed shortly before it expires, and replaced once when the server rejects it. No error and no printed value of this
// package holds a token.
//
// It knows how a token is fetched, kept and used. It does not know what a request is for, and retries only for the sake
// of a token.
package bearer

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/livemigration/livemigration-go/internal/auth"
)

// Token is an access token.
type Token struct {
	Value string
	// Lifetime is for how long it is good, counted from before it was asked for. 0: until it is rejected.
	Lifetime time.Duration
}

// fetchFunc obtains a new access token. The context and the user agent are those of the request that needs it; the
// context is marked as one of a request that only obtains credentials. With an error it may say after what pause the
// server wants to be asked again; until then, all who need a token get that error.
type fetchFunc func(ctx context.Context, userAgent string) (token Token, pause time.Duration, err error)

// Transport is an [http.RoundTripper] that authenticates the requests to one origin. It is safe for concurrent use and
// never changes a request it is given. Requests to other origins, and those that have credentials already, pass
// unchanged.
type Transport struct {
	origin auth.Origin
	base   http.RoundTripper
	tokens cache
}

// newTransport returns a Transport for the origin of a URL.
func newTransport(origin *url.URL, fetch fetchFunc, base http.RoundTripper) *Transport {
	return &Transport{origin: auth.OriginOf(origin), base: base, tokens: cache{fetch: fetch}}
}

// RoundTrip sends req with a token. A request that is rejected with 401 is sent once more with a new token, if its
// body can be read again with GetBody. An error of fetching a token is a [*TokenError]; the request has not been sent then.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	if !t.origin.Concerns(req) {
		return t.base.RoundTrip(req)
	}
	token, err := t.tokens.get(req.Context(), req.UserAgent(), "")
	if err != nil {
		closeBody(req)
		return nil, err
	}
	resp, err := t.send(req, req.Body, token)
	if err != nil || resp.StatusCode != http.StatusUnauthorized {
		return resp, err
	}
	body, ok := auth.Rewound(req)
	if !ok {
		return resp, nil
	}
	auth.Discard(resp)
	if token, err = t.tokens.get(req.Context(), req.UserAgent(), token); err != nil {
		if body != nil {
			_ = body.Close()
		}
		return nil, err
	}
	return t.send(req, body, token)
}

func (t *Transport) send(req *http.Request, body io.ReadCloser, token string) (*http.Response, error) {
	out := req.WithContext(req.Context()) // a shallow copy
	out.Header = auth.CloneHeader(req.Header)
	out.Header["Authorization"] = []string{"Bearer " + token}
	out.Body = body
	resp, err := t.base.RoundTrip(out)
	switch {
	case err != nil:
		return nil, err
	case resp == nil:
		return nil, errors.New("bearer: the base transport returned neither a response nor an error")
	}
	resp.Request = req
	return resp, nil
}

func closeBody(req *http.Request) {
	if req.Body != nil {
		_ = req.Body.Close()
	}
}

// Secrets are what no message may show: the recent tokens.
func (t *Transport) Secrets() []string { return t.Recent() }

// Explain has nothing to say about a 401: its challenge does not tell why.
func (*Transport) Explain(http.Header) (stale bool, explanation string) { return false, "" }

// CountsRequests reports that a request may be sent a second time as it is.
func (*Transport) CountsRequests() bool { return false }

// Recent returns the tokens that a response may show: the current one, and some before it.
func (t *Transport) Recent() []string { return t.tokens.recent() }

// Current returns the token that the next request would be sent with, empty when one would be fetched.
func (t *Transport) Current() string { return t.tokens.current() }

// Forget makes the next request fetch a token if the current one is value.
func (t *Transport) Forget(value string) { t.tokens.forget(value) }

// TokenError says that there is no access token, so that the request that needs it has not been sent.
type TokenError struct{ Err error }

// Error returns the message of Err.
func (e *TokenError) Error() string { return e.Err.Error() }

// Unwrap returns Err.
func (e *TokenError) Unwrap() error { return e.Err }
