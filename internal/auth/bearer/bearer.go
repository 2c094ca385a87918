// Package bearer authenticates requests with access tokens (RFC 6750) that are fetched when they are needed.
//
// One token serves all requests. It is fetched once for all that wait for it, renewed shortly before it expires, and fetched
// again when the server rejects it. Neither an error message nor a printed value contains a token.
package bearer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"golang.org/x/oauth2"

	"github.com/livemigration/livemigration-go/internal/auth"
	"github.com/livemigration/livemigration-go/internal/response"
)

// Transport sends requests to one origin with a token. Requests to other origins, and requests that have credentials, pass
// unchanged. It is safe for concurrent use.
type Transport struct {
	origin *url.URL
	base   http.RoundTripper
	tokens *cache
}

// NewSource returns a Transport with the tokens of a user's source.
func NewSource(origin *url.URL, source oauth2.TokenSource, base http.RoundTripper) *Transport {
	fetch := func(context.Context, string) (*oauth2.Token, error) {
		token, err := source.Token()
		var refused *oauth2.RetrieveError
		if errors.As(err, &refused) && refused.Response != nil && refused.Response.StatusCode/100 != 2 {
			received := &response.Received{Status: refused.Response.StatusCode, Header: refused.Response.Header, Body: refused.Body}
			return nil, &EndpointError{"token source", received, err}
		}
		return token, err
	}
	return &Transport{origin: origin, base: base, tokens: &cache{from: "token source", fetch: fetch}}
}

// RoundTrip sends req with a token. Without one, it fails with an [*auth.Unsent].
//
// A request that is rejected with 401 has not been processed. It is sent once more, with another token, if there is one.
// Otherwise the 401 is returned.
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
	if another == value || req.Body != nil && req.GetBody == nil { // a source may not know that its token was revoked
		return resp, nil
	}
	auth.Discard(resp)
	body := req.Body
	if body != nil {
		if body, err = req.GetBody(); err != nil {
			return nil, err
		}
	}
	return t.send(req, body, another)
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
	return resp, nil
}

// Secrets are the texts that no message may show: the current token and the one before it.
func (t *Transport) Secrets() (values []string) {
	t.tokens.mu.Lock()
	defer t.tokens.mu.Unlock()
	for _, known := range []*token{t.tokens.current, t.tokens.previous} {
		if known != nil {
			values = append(values, known.value)
		}
	}
	return values
}

// EndpointError is a response of a token endpoint that is not a success.
type EndpointError struct {
	Path     string
	Response *response.Received // its body may contain secrets
	cause    error              // of a user's token source
}

func (e *EndpointError) Error() string {
	return fmt.Sprint(e.Response.Status, " ", http.StatusText(e.Response.Status))
}

func (e *EndpointError) Unwrap() error { return e.cause }
