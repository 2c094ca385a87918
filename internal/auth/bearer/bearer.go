// Package bearer authenticates requests with access tokens (RFC 6750) that are fetched when they are needed.
//
// One token serves all requests. It is fetched once for all that wait for it, renewed shortly before it expires, and fetched
// again when the server rejects it. Neither an error message nor a printed value contains a token.
package bearer

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync/atomic"

	"github.com/livemigration/livemigration-go/internal/auth"
)

// Transport sends requests to one origin with a token. Requests to other origins, and requests that have credentials, pass
// unchanged. It is safe for concurrent use.
type Transport struct {
	origin   *url.URL
	base     http.RoundTripper
	tokens   *cache
	accepted atomic.Bool
}

// RoundTrip sends req with a token. Without one, it fails with a [*TokenError].
//
// A request that is rejected with 401 has not been processed. It is sent once more, with another token, if there is one and
// if GetBody can repeat its body. Otherwise the 401 is returned.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	if !auth.Concerns(t.origin, req) {
		return t.base.RoundTrip(req)
	}
	value, err := t.tokens.get(req.Context(), req.UserAgent())
	if err != nil {
		if req.Body != nil {
			_ = req.Body.Close()
		}
		return nil, err
	}
	resp, err := t.send(req, req.Body, value)
	if err != nil || resp.StatusCode != http.StatusUnauthorized {
		return resp, err
	}
	t.tokens.reject(value)
	another, err := t.tokens.get(req.Context(), req.UserAgent())
	if err != nil {
		auth.Discard(resp)
		return nil, err
	}
	if another != value { // else a token source keeps it, and does not know that it was revoked
		if body, ok := auth.Rewound(req); ok {
			auth.Discard(resp)
			return t.send(req, body, another)
		}
	}
	return resp, nil
}

func (t *Transport) send(req *http.Request, body io.ReadCloser, value string) (*http.Response, error) {
	out := req.WithContext(req.Context()) // a shallow copy
	out.Header = req.Header.Clone()
	out.Header.Set("Authorization", "Bearer "+value)
	out.Body = body
	resp, err := t.base.RoundTrip(out)
	if err != nil {
		return nil, err
	}
	resp.Request = req
	if s := resp.StatusCode; s < 500 && s != http.StatusUnauthorized && s != http.StatusProxyAuthRequired { // not a gateway's
		t.accepted.Store(true)
	}
	return resp, nil
}

// Accepted reports whether the server has accepted a token.
func (t *Transport) Accepted() bool { return t.accepted.Load() }

// Secrets are the texts that no message may show: the current token and the one before it.
func (t *Transport) Secrets() (values []string) {
	t.tokens.mu.Lock()
	defer t.tokens.mu.Unlock()
	for _, known := range []*token{t.tokens.current, t.tokens.previous} {
		if known != nil {
			values = append(values, *known.value)
		}
	}
	return values
}

// Format keeps a base that remembers its requests from being printed.
func (t *Transport) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "bearer.Transport") }

// TokenError says that there is no token, so the request was not processed: it was not sent, or was rejected with 401.
type TokenError struct{ Err error }

// Error returns the message of Err.
func (e *TokenError) Error() string { return e.Err.Error() }

// Unwrap returns Err.
func (e *TokenError) Unwrap() error { return e.Err }

// EndpointError is a response of a token endpoint that is not a success.
type EndpointError struct {
	Method, Path string
	Status       int
	Header       http.Header
	Body         []byte // at most 64 KiB; may contain secrets
	cause        error  // of a user's token source
}

// Error returns the status only: the error around it names the endpoint, and a body may contain secrets.
func (e *EndpointError) Error() string { return fmt.Sprint(e.Status, " ", http.StatusText(e.Status)) }

// Unwrap returns the error of a user's token source.
func (e *EndpointError) Unwrap() error { return e.cause }
