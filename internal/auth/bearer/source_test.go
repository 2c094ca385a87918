package bearer

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"github.com/livemigration/livemigration-go/internal/response"
)

type tokenFunc func() (*oauth2.Token, error)

func (f tokenFunc) Token() (*oauth2.Token, error) { return f() }

type baseFunc func(*http.Request) (*http.Response, error)

func (f baseFunc) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

func TestTokensOfASource(t *testing.T) {
	t.Parallel()
	token := func(kind string) *oauth2.Token { return &oauth2.Token{AccessToken: "t0k3n", TokenType: kind} }
	at := &http.Request{URL: &url.URL{Path: "/issue"}}
	for name, tc := range map[string]struct {
		token *oauth2.Token
		err   error
		want  string // of the error
		path  string // of a response.Error
	}{
		"a token":               {token("bearer"), nil, "", ""},
		"nothing":               {nil, nil, "token source: there is no token in it", ""},
		"an empty token":        {&oauth2.Token{}, nil, "token source: there is no token in it", ""},
		"another type":          {token("mac"), nil, "token source: it is not a bearer token", ""},
		"an error":              {nil, errors.New("sealed"), "token source: sealed", ""},
		"a rejection":           {nil, &oauth2.RetrieveError{Response: &http.Response{StatusCode: 401, Request: at}}, "POST /issue: 401 Unauthorized", "/issue"},
		"a rejection from afar": {nil, &oauth2.RetrieveError{Response: &http.Response{StatusCode: 503}}, "POST token source: 503 Service Unavailable", "token source"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sent := ""
			transport := NewSourceTransport(&url.URL{Scheme: "https", Host: "a"}, tokenFunc(func() (*oauth2.Token, error) { return tc.token, tc.err }),
				baseFunc(func(req *http.Request) (*http.Response, error) {
					sent = req.Header.Get("Authorization")
					return &http.Response{StatusCode: 200, Body: http.NoBody}, nil
				}))
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://a/", nil)
			require.NoError(t, err)
			_, err = transport.RoundTrip(req)
			if tc.want == "" {
				require.NoError(t, err)
				assert.Equal(t, "Bearer t0k3n", sent)
				return
			}
			require.EqualError(t, err, tc.want)
			var none *TokenError
			require.ErrorAs(t, err, &none)
			assert.Empty(t, sent)
			var rejected *response.Error
			if errors.As(err, &rejected) {
				assert.Equal(t, tc.path, rejected.Path)
			}
		})
	}
}

func TestASourceThatBlocksDoesNotKeepARequest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		defer close(release)
		transport := NewSourceTransport(&url.URL{Scheme: "https", Host: "a"}, tokenFunc(func() (*oauth2.Token, error) { <-release; return nil, nil }), nil)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://a/", nil)
		require.NoError(t, err)
		_, err = transport.RoundTrip(req)
		require.ErrorIs(t, err, context.DeadlineExceeded)
	})
}

func TestASourceThatBlocksIsCalledOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int32
		release := make(chan struct{})
		transport := NewSourceTransport(&url.URL{Scheme: "https", Host: "a"}, tokenFunc(func() (*oauth2.Token, error) {
			calls.Add(1)
			<-release
			return &oauth2.Token{AccessToken: "t0k3n"}, nil
		}), baseFunc(func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Body: http.NoBody}, nil
		}))
		get := func() error {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://a/", nil)
			require.NoError(t, err)
			_, err = transport.RoundTrip(req)
			return err
		}
		for range 20 {
			require.ErrorIs(t, get(), context.DeadlineExceeded)
		}
		assert.EqualValues(t, 1, calls.Load())
		time.Sleep(patience)
		require.ErrorIs(t, get(), context.DeadlineExceeded)
		assert.EqualValues(t, 2, calls.Load(), "a call that hangs is left alone after a while")
		time.AfterFunc(time.Millisecond, func() { close(release) })
		require.NoError(t, get(), "a later request gets the token of the call that others gave up")
		assert.EqualValues(t, 2, calls.Load())
		transport.Forget("t0k3n")
		require.NoError(t, get())
		assert.EqualValues(t, 3, calls.Load(), "a call that has ended is not used again")
	})
}
