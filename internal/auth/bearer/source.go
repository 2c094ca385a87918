package bearer

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"

	"golang.org/x/oauth2"
)

// sourceTimeout is after how long a call of a source is abandoned, so that there can be another one.
const sourceTimeout = time.Minute

// NewSource returns a Transport with the tokens of a user's source. A source that hangs delays no request beyond its
// context, and costs at most one goroutine a minute.
func NewSource(origin *url.URL, source oauth2.TokenSource, base http.RoundTripper) *Transport {
	fetch := func(ctx context.Context, _ string) (*oauth2.Token, error) {
		var token *oauth2.Token
		var err error
		done := make(chan struct{})
		go func() {
			defer close(done)
			token, err = source.Token()
		}()
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-done:
			if err != nil {
				err = explain(err)
			}
			return token, err
		}
	}
	tokens := &cache{from: "token source", fetch: fetch, timeout: sourceTimeout}
	return &Transport{origin: origin, base: base, tokens: tokens}
}

// explain makes an [*EndpointError] of the response that a token endpoint has given to a source of x/oauth2.
func explain(err error) error {
	var refused *oauth2.RetrieveError
	if !errors.As(err, &refused) || refused.Response == nil || refused.Response.StatusCode/100 == 2 {
		return err
	}
	resp, body := refused.Response, refused.Body[:min(len(refused.Body), maxBody)]
	return &EndpointError{http.MethodPost, "token source", resp.StatusCode, resp.Header, body, err}
}
