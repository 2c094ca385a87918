package bearer

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/oauth2"

	"github.com/livemigration/livemigration-go/internal/redact"
	"github.com/livemigration/livemigration-go/internal/response"
)

// NewSourceTransport returns a Transport whose tokens come from somebody else. A source that blocks does not keep a
// request from ending with its context.
func NewSourceTransport(origin *url.URL, source oauth2.TokenSource, base http.RoundTripper) *Transport {
	return NewTransport(origin, func(ctx context.Context, _ string) (Token, time.Duration, error) {
		type result struct {
			token *oauth2.Token
			err   error
		}
		done := make(chan result, 1)
		go func() {
			token, err := source.Token()
			done <- result{token, err}
		}()
		select {
		case <-ctx.Done():
			return Token{}, 0, fmt.Errorf("token source: %w", ctx.Err())
		case r := <-done:
			token, err := readToken(r.token, r.err)
			return token, 0, err
		}
	}, base)
}

func readToken(token *oauth2.Token, err error) (Token, error) {
	var rejected *oauth2.RetrieveError
	switch {
	case errors.As(err, &rejected) && rejected.Response != nil:
		e := response.NewError(rejected.Response.StatusCode, rejected.Response.Header, rejected.Body, redact.New(nil))
		e.Method, e.Path = http.MethodPost, "token source"
		if req := rejected.Response.Request; req != nil && req.URL != nil {
			e.Path = req.URL.Path
		}
		return Token{}, e
	case err != nil:
		return Token{}, fmt.Errorf("token source: %w", err)
	}
	read, err := tokenOf(token)
	if err != nil {
		return Token{}, fmt.Errorf("token source: %w", err)
	}
	return read, nil
}

func tokenOf(token *oauth2.Token) (Token, error) {
	if token == nil || token.AccessToken == "" {
		return Token{}, errors.New("there is no token in it")
	}
	if !strings.EqualFold(token.Type(), "Bearer") {
		return Token{}, errors.New("it is not a bearer token")
	}
	read := Token{Value: token.AccessToken}
	if !token.Expiry.IsZero() {
		read.Lifetime = max(time.Until(token.Expiry), 1) // an expired one is still tried, once
	}
	return read, nil
}
