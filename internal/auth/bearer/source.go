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

	"github.com/livemigration/livemigration-go/internal/redact"
	"github.com/livemigration/livemigration-go/internal/response"
)

// NewSourceTransport returns a Transport whose tokens come from somebody else. A source that blocks does not keep a
// request from ending with its context.
func NewSourceTransport(origin *url.URL, source oauth2.TokenSource, base http.RoundTripper) *Transport {
	calls := sourceCalls{source: source}
	return newTransport(origin, func(ctx context.Context, _ string) (Token, time.Duration, error) {
		pending := calls.pendingOne()
		select {
		case <-ctx.Done():
			return Token{}, 0, fmt.Errorf("token source: %w", ctx.Err())
		case <-pending.done:
			token, err := readToken(pending.token, pending.err)
			return token, 0, err
		}
	}, base)
}

// patience is how long requests wait for a call of a source that is under way before there is another one.
const patience = time.Minute

// sourceCalls calls a source. Requests share the call that is under way: of a source that blocks, each attempt of a
// request would leave one behind. A call that hangs for longer than the patience is left alone.
type sourceCalls struct {
	source  oauth2.TokenSource
	mu      sync.Mutex
	pending *sourceCall // nil: none
}

// sourceCall is one call. Its result is there once done is closed.
type sourceCall struct {
	begun time.Time
	done  chan struct{}
	token *oauth2.Token
	err   error
}

// pendingOne is the call that is under way, else a new one.
func (s *sourceCalls) pendingOne() *sourceCall {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pending != nil && time.Since(s.pending.begun) < patience {
		return s.pending
	}
	c := &sourceCall{begun: time.Now(), done: make(chan struct{}), err: errors.New("the source has ended without a result")}
	s.pending = c
	go func() {
		defer s.end(c)
		c.token, c.err = s.source.Token()
	}()
	return c
}

func (s *sourceCalls) end(c *sourceCall) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pending == c {
		s.pending = nil
	}
	close(c.done)
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
