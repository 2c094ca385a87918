package bearer_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go/internal/auth"
	"github.com/livemigration/livemigration-go/internal/auth/bearer"
)

const (
	clientID     = "mdb_sa_id_1"
	clientSecret = "mdb_sa_sk_hunter2&co"
)

// atlas issues tokens and accepts the ones that it has issued and not revoked.
type atlas struct {
	lifetime time.Duration                                    // of tokens; 0: an hour
	issuing  func(*http.Request) (*http.Response, error)      // before a token is issued; nil, nil: it is
	serving  func(req *http.Request, token string) (code int) // of other requests; 0: by the token

	mu      sync.Mutex
	issued  int
	good    map[string]bool
	fetches []*http.Request
	forms   []string
	arrived []string // tokens of other requests
	bodies  []string
}

func response(code int, header http.Header, body string) *http.Response {
	return &http.Response{StatusCode: code, Header: header, Body: io.NopCloser(strings.NewReader(body))}
}

func (a *atlas) RoundTrip(req *http.Request) (*http.Response, error) {
	var body []byte
	if req.Body != nil {
		body, _ = io.ReadAll(req.Body)
		_ = req.Body.Close()
	}
	if strings.HasPrefix(req.URL.Path, "/api/oauth/") {
		return a.oauth(req, string(body))
	}
	token := strings.TrimPrefix(req.Header.Get("Authorization"), "Bearer ")
	a.mu.Lock()
	defer a.mu.Unlock()
	a.arrived, a.bodies = append(a.arrived, token), append(a.bodies, string(body))
	code := 0
	if a.serving != nil {
		code = a.serving(req, token)
	}
	switch {
	case code != 0:
	case a.good[token]:
		code = 200
	default:
		code = 401
	}
	return response(code, nil, "body of the response"), nil
}

func (a *atlas) oauth(req *http.Request, form string) (*http.Response, error) {
	a.mu.Lock()
	a.fetches, a.forms = append(a.fetches, req), append(a.forms, form)
	a.mu.Unlock()
	if a.issuing != nil {
		if resp, err := a.issuing(req); resp != nil || err != nil {
			return resp, err
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if strings.HasSuffix(req.URL.Path, "/revoke") {
		a.good = nil
		return response(200, nil, ""), nil
	}
	a.issued++
	token := fmt.Sprint("token-", a.issued)
	if a.good == nil {
		a.good = map[string]bool{}
	}
	a.good[token] = true
	lifetime := max(a.lifetime, time.Hour)
	if a.lifetime > 0 {
		lifetime = a.lifetime
	}
	return response(200, nil, fmt.Sprintf(`{"access_token":%q,"token_type":"Bearer","expires_in":%g}`, token, lifetime.Seconds())), nil
}

func (a *atlas) revokeAll() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.good = nil
}

var origin = &url.URL{Scheme: "https", Host: "atlas.example"}

func (a *atlas) account() *bearer.Account {
	return bearer.NewAccount(origin, clientID, clientSecret, a)
}

func get(ctx context.Context, transport http.RoundTripper) (int, error) {
	return do(ctx, transport, nil)
}

func do(ctx context.Context, transport http.RoundTripper, body io.Reader) (int, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://atlas.example/x", body)
	if err != nil {
		return 0, err
	}
	req.Header.Set("User-Agent", "tool/1.0")
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	_, err = io.ReadAll(resp.Body)
	return resp.StatusCode, err
}

// succeeds sends a request and expects a success.
func succeeds(t *testing.T, transport http.RoundTripper) {
	t.Helper()
	code, err := get(t.Context(), transport)
	require.NoError(t, err)
	require.Equal(t, 200, code)
}

func TestARejectedTokenIsFetchedAgainOnce(t *testing.T) {
	t.Parallel()
	once := func() io.Reader { return io.MultiReader(strings.NewReader("once")) }
	again := func() io.Reader { return strings.NewReader("again") }
	for name, tc := range map[string]struct {
		body    func() io.Reader
		always  bool // Atlas rejects every token
		code    int
		arrived []string
	}{
		"without a body":                       {func() io.Reader { return nil }, false, 200, []string{"token-1", "token-2"}},
		"with a body that can be read again":   {again, false, 200, []string{"token-1", "token-2"}},
		"with a body that cannot":              {once, false, 401, []string{"token-1"}},
		"the second rejection counts":          {again, true, 401, []string{"token-1", "token-2"}},
		"the second rejection, without a body": {func() io.Reader { return nil }, true, 401, []string{"token-1", "token-2"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := &atlas{}
			a := server.account()
			succeeds(t, a)
			server.revokeAll()
			if tc.always {
				server.serving = func(*http.Request, string) int { return 401 }
			}
			code, err := do(t.Context(), a, tc.body())
			require.NoError(t, err)
			assert.Equal(t, tc.code, code)
			assert.Equal(t, tc.arrived, server.arrived[1:])
			for i := range tc.arrived[1:] {
				assert.Equal(t, server.bodies[1], server.bodies[2+i])
			}
			server.serving = nil
			succeeds(t, a)
		})
	}
}

func TestNothingPrintsASecret(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		base := roundTripper((&atlas{}).RoundTrip) // a function: what the server knows is not the point
		a := bearer.NewAccount(origin, clientID, clientSecret, base)
		succeeds(t, a)
		synctest.Wait() // until nothing changes what is printed
		source := bearer.NewSource(origin, tokenFunc(nil), base)
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x"} {
			for _, value := range []any{a, *a, a.Transport, source, struct{ rt http.RoundTripper }{a}} {
				text := fmt.Sprintf(verb, value)
				for _, secret := range a.Secrets() {
					assert.NotContains(t, text, secret, verb)
				}
			}
		}
	})
}

func TestTheContextOfAFetch(t *testing.T) {
	t.Parallel()
	type key struct{}
	server := &atlas{}
	a := server.account()
	_, err := get(context.WithValue(t.Context(), key{}, "a user's trace"), a)
	require.NoError(t, err)
	assert.Nil(t, server.fetches[0].Context().Value(key{}), "it would see the secret")
	assert.True(t, auth.IsNegotiation(server.fetches[0].Context()))
}
