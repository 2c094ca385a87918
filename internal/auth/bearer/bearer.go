// Package bearer authenticates requests with access tokens (RFC 6750) that are fetched when they are needed.
//
// One token serves all requests. It is fetched once for all that wait for it, renewed shortly before it expires, and fetched
// again when the server rejects it. Neither an error message nor a printed value contains a token.
package bearer

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/sync/singleflight"

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
			return nil, &EndpointError{"token source", received}
		}
		return token, err
	}
	return &Transport{origin: origin, base: base, tokens: &cache{from: "token source", fetch: fetch, timeout: fetchTimeout}}
}

// RoundTrip sends req with a token. Without one, it fails with an [*auth.Unsent].
//
// A request that is rejected with 401 has not been processed. It is sent once more, if there is another token.
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
	resp, err := t.send(req, value)
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
	req = req.WithContext(req.Context()) // a shallow copy
	if req.Body != nil {
		if req.Body, err = req.GetBody(); err != nil {
			return nil, err
		}
	}
	return t.send(req, another)
}

func (t *Transport) send(req *http.Request, value string) (*http.Response, error) {
	out := req.WithContext(req.Context())
	out.Header = req.Header.Clone()
	out.Header.Set("Authorization", "Bearer "+value)
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
}

func (e *EndpointError) Error() string {
	return fmt.Sprint(e.Response.Status, " ", http.StatusText(e.Response.Status))
}

const (
	fetchTimeout = 30 * time.Second // then a fetch is abandoned, so that there can be another one
	maxMargin    = time.Minute      // a token is renewed when a tenth of its lifetime is left, at most this long before its end
	maxPause     = time.Hour        // a longer Retry-After is cut to this
)

// cache keeps the current token.
type cache struct {
	from    string // where tokens come from, for errors
	fetch   func(ctx context.Context, userAgent string) (*oauth2.Token, error)
	timeout time.Duration // of fetch
	flight  singleflight.Group

	mu                sync.Mutex
	current, previous *token // nil: none
	failure           error
	failureEnds       time.Time // until then nobody fetches, and the failure counts
}

type token struct {
	value            string
	renewAt, expires time.Time
	rejected         bool
}

func (t *token) good(now time.Time) bool { return t != nil && !t.rejected && now.Before(t.expires) }

// get returns a token. While the current one is good, nobody waits for its renewal.
func (c *cache) get(ctx context.Context, userAgent string) (string, error) {
	c.mu.Lock()
	now, old, failure := time.Now(), c.current, c.failure
	good := old.good(now)
	fetch := !now.Before(c.failureEnds) && (!good || !now.Before(old.renewAt))
	if fetch && good {
		old.renewAt = now.Add(old.expires.Sub(now) / 2) // for the next attempt, if this one fails
	}
	c.mu.Unlock()
	var fetched <-chan singleflight.Result
	if fetch {
		fetched = c.flight.DoChan("", func() (any, error) { return c.renew(old, userAgent) })
	}
	switch {
	case good:
		return old.value, nil
	case !fetch:
		return "", failure
	}
	select {
	case <-ctx.Done():
		return "", &auth.Unsent{Err: fmt.Errorf("%s: %w", c.from, ctx.Err())}
	case result := <-fetched:
		if result.Err != nil {
			return "", result.Err
		}
		return result.Val.(*token).value, nil
	}
}

// renew replaces an old token. It belongs to no caller: its context has a timeout, and no values of theirs.
func (c *cache) renew(old *token, userAgent string) (*token, error) {
	asked := time.Now()
	if current := c.usable(); current != nil && current != old { // another renewal has just ended
		return current, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), c.timeout)
	defer cancel()
	defer context.AfterFunc(ctx, func() { c.flight.Forget("") })() // a user's source knows no context
	fetched, err := c.call(ctx, userAgent)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		c.failure, c.failureEnds = &auth.Unsent{Err: fmt.Errorf("%s: %w", c.from, err)}, time.Now()
		var refused *EndpointError
		if errors.As(err, &refused) {
			pause, _ := response.RetryAfter(refused.Response.Header, nil, time.Now())
			c.failureEnds = c.failureEnds.Add(min(pause, maxPause))
		}
		return nil, c.failure
	}
	fresh := &token{value: fetched.AccessToken, expires: fetched.Expiry}
	if fresh.expires.IsZero() { // until it is rejected
		fresh.expires = asked.AddDate(100, 0, 0)
	}
	fresh.renewAt = fresh.expires.Add(-min(fresh.expires.Sub(asked)/10, maxMargin))
	if c.current != nil && c.current.value != fresh.value {
		c.previous = c.current
	}
	c.current = fresh
	return fresh, nil
}

// usable returns the current token, nil if there is none that is good.
func (c *cache) usable() *token {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.current.good(time.Now()) {
		return nil
	}
	return c.current
}

// call fetches a token that can be sent. It runs on a goroutine of this package, where a panic of a user's code would end
// the program.
func (c *cache) call(ctx context.Context, userAgent string) (t *oauth2.Token, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			t, err = nil, fmt.Errorf("panic: %v", cause)
		}
	}()
	t, err = c.fetch(ctx, userAgent)
	switch {
	case err != nil && ctx.Err() != nil: // which must not read like the end of a caller's context
		err = fmt.Errorf("no response within %s", c.timeout)
	case err != nil:
	case t == nil || t.AccessToken == "":
		err = errors.New("there is no token in it")
	case t.Type() != "Bearer":
		err = errors.New("it is not a bearer token")
	case strings.ContainsFunc(t.AccessToken, func(r rune) bool { return r <= ' ' || r > '~' }):
		err = errors.New("it contains characters that are not allowed in a header")
	}
	return t, err
}

func (c *cache) reject(value string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.current != nil && c.current.value == value {
		c.current.rejected = true
	}
}
