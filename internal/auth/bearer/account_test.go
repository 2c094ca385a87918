package bearer

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go/internal/response"
)

const (
	clientID     = "mdb_sa_id_1"
	clientSecret = "mdb_sa_sk_hunter2"
	goodToken    = `{"access_token":"t0ken-1","token_type":"Bearer","expires_in":3600}`
)

// endpoint is a token endpoint, and a server that takes every token.
type endpoint struct {
	status   int
	header   http.Header
	body     string
	broken   error // in place of the end of the body
	err      error // in place of a response
	requests []*http.Request
	forms    []string
}

func (e *endpoint) RoundTrip(req *http.Request) (*http.Response, error) {
	var form []byte
	if req.Body != nil {
		form, _ = io.ReadAll(req.Body)
		_ = req.Body.Close()
	}
	e.requests, e.forms = append(e.requests, req), append(e.forms, string(form))
	if !strings.HasPrefix(req.URL.Path, "/api/oauth/") {
		return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: http.NoBody, Request: req}, nil
	}
	if e.err != nil {
		return nil, e.err
	}
	header := e.header.Clone()
	if header == nil {
		header = http.Header{}
	}
	if header.Get("Content-Type") == "" {
		header.Set("Content-Type", "application/json")
	}
	body := io.Reader(strings.NewReader(e.body))
	if e.broken != nil {
		body = io.MultiReader(body, brokenReader{e.broken})
	}
	return &http.Response{StatusCode: e.status, Header: header, Body: io.NopCloser(body), ContentLength: -1, Request: req}, nil
}

type brokenReader struct{ err error }

func (r brokenReader) Read([]byte) (int, error) { return 0, r.err }

func newAccount(e *endpoint) *Account {
	return NewAccount(&url.URL{Scheme: "https", Host: "atlas.example"}, clientID, clientSecret, e)
}

// ownKey is the key of a value of the library, and foreignKey one of somebody else.
type (
	ownKey     struct{}
	foreignKey struct{}
)

func (ownKey) OfLibrary() {}

func TestAnAccountFetchesItsToken(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{"plain": goodToken, "byte order mark": "\xef\xbb\xbf" + goodToken} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := &endpoint{status: 200, body: body}
			a := newAccount(e)
			ctx := context.WithValue(context.WithValue(t.Context(), ownKey{}, "own"), foreignKey{}, "foreign")
			req := request(t, ctx, nil)
			req.Header.Set("User-Agent", "tool/1.0")
			resp, err := a.RoundTrip(req)
			require.NoError(t, err)
			assert.Equal(t, 200, resp.StatusCode)

			require.Len(t, e.requests, 2)
			fetch := e.requests[0]
			assert.Equal(t, "POST https://atlas.example/api/oauth/token", fetch.Method+" "+fetch.URL.String())
			id, secret, _ := fetch.BasicAuth()
			assert.Equal(t, []string{clientID, clientSecret, "grant_type=client_credentials"}, []string{id, secret, e.forms[0]})
			assert.Equal(t, "application/json", fetch.Header.Get("Accept"))
			assert.Equal(t, "tool/1.0", fetch.Header.Get("User-Agent"))
			assert.Equal(t, "own", fetch.Context().Value(ownKey{}))
			assert.Nil(t, fetch.Context().Value(foreignKey{}), "a trace would see the secret")
			assert.Equal(t, "Bearer t0ken-1", e.requests[1].Header.Get("Authorization"))
			assert.Subset(t, a.Secrets(), []string{clientID, clientSecret, "t0ken-1", strings.TrimPrefix(fetch.Header.Get("Authorization"), "Basic ")})
		})
	}
}

func TestFailuresOfATokenEndpoint(t *testing.T) {
	t.Parallel()
	network := errors.New("connection reset")
	for name, tc := range map[string]struct {
		endpoint endpoint
		want     string
		is       error
		status   int // of the response.Error
		retry    time.Duration
	}{
		"OAuth's error": {endpoint: endpoint{status: 401, body: `{"error":"invalid_client","error_description":"no ` + clientSecret + `"}`},
			want: "POST /api/oauth/token: 401 invalid_client: no [REDACTED]", status: 401},
		"Atlas's error": {endpoint: endpoint{status: 403, body: `{"error":403,"errorCode":"IP_ADDRESS_NOT_ON_ACCESS_LIST","detail":"no"}`},
			want: "POST /api/oauth/token: 403 IP_ADDRESS_NOT_ON_ACCESS_LIST: no", status: 403},
		"a page": {endpoint: endpoint{status: 502, body: "<h1>Bad Gateway</h1>", header: http.Header{"Content-Type": {"text/html"}}},
			want: "POST /api/oauth/token: 502 Bad Gateway: Bad Gateway", status: 502},
		"rate limited": {endpoint: endpoint{status: 429, header: http.Header{"Retry-After": {"7"}}, body: `{"errorCode":"RATE_LIMITED"}`},
			want: "POST /api/oauth/token: 429 RATE_LIMITED (retry after 7s)", status: 429, retry: 7 * time.Second},
		"a count is no wait": {endpoint: endpoint{status: 429, body: `{"errorCode":"RATE_LIMITED","parameters":["/p",600,1]}`},
			want: "POST /api/oauth/token: 429 RATE_LIMITED", status: 429},
		"a redirect": {endpoint: endpoint{status: 302, header: http.Header{"Location": {"https://evil.example"}}},
			want: "POST /api/oauth/token: 302 Found: redirect to evil.example rejected: check the base URL", status: 302},
		"an error inside a success": {endpoint: endpoint{status: 200, body: `{"error":"invalid_scope"}`},
			want: "POST https://atlas.example/api/oauth/token: unusable response: invalid_scope"},
		"another kind of token": {endpoint: endpoint{status: 200, body: `{"access_token":"t0ken-1","token_type":"mac"}`},
			want: "POST https://atlas.example/api/oauth/token: unusable response: it is not a bearer token"},
		"no network":           {endpoint: endpoint{err: network}, want: "POST https://atlas.example/api/oauth/token: connection reset", is: network},
		"a response that ends": {endpoint: endpoint{status: 200, body: `{"acc`, broken: io.ErrUnexpectedEOF}, want: "POST https://atlas.example/api/oauth/token: oauth2: cannot fetch token: unexpected EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newAccount(&tc.endpoint)
			_, err := a.RoundTrip(request(t, t.Context(), strings.NewReader("body")))
			require.ErrorAs(t, err, new(*TokenError))
			require.EqualError(t, err, tc.want)
			if tc.is != nil {
				require.ErrorIs(t, err, tc.is)
			}
			var failed *response.Error
			if tc.status == 0 {
				require.ErrorAs(t, err, new(*endpointError))
				require.NotErrorAs(t, err, &failed)
				return
			}
			require.ErrorAs(t, err, &failed)
			assert.Equal(t, tc.status, failed.StatusCode)
			_, pause, _ := a.fetch(t.Context(), a.http)
			assert.Equal(t, tc.retry, pause)
		})
	}
	t.Run("the context has ended", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := newAccount(&endpoint{err: network}).RoundTrip(request(t, ctx, nil))
		require.ErrorIs(t, err, context.Canceled)
		require.EqualError(t, err, "POST https://atlas.example/api/oauth/token: context canceled")
	})
}

func TestRevoke(t *testing.T) {
	t.Parallel()
	e := &endpoint{status: 200, body: goodToken}
	a := newAccount(e)
	require.NoError(t, a.Revoke(t.Context(), "tool/1.0"))
	assert.Empty(t, e.requests, "there is no token yet")
	_, err := a.RoundTrip(request(t, t.Context(), nil))
	require.NoError(t, err)

	e.err = errors.New("connection reset")
	require.EqualError(t, a.Revoke(t.Context(), "tool/1.0"), "connection reset")
	e.err, e.status, e.body = nil, 503, `{"errorCode":"X"}`
	require.EqualError(t, a.Revoke(t.Context(), "tool/1.0"), "POST /api/oauth/revoke: 503 X")
	assert.Equal(t, "t0ken-1", a.Current(), "it may still be valid")

	e.status, e.body = 200, ""
	require.NoError(t, a.Revoke(t.Context(), "tool/1.0"))
	assert.Empty(t, a.Current())
	last := e.requests[len(e.requests)-1]
	assert.Equal(t, "https://atlas.example/api/oauth/revoke", last.URL.String())
	assert.Equal(t, "tool/1.0", last.Header.Get("User-Agent"))
	assert.Equal(t, "token=t0ken-1&token_type_hint=access_token", e.forms[len(e.forms)-1])
	id, secret, _ := last.BasicAuth()
	assert.Equal(t, []string{clientID, clientSecret}, []string{id, secret})
}

func TestWhatTheTransportTells(t *testing.T) {
	t.Parallel()
	r := newRig(time.Hour)
	assert.False(t, r.CountsRequests())
	stale, explanation := r.Explain(http.Header{"Www-Authenticate": {"Bearer"}})
	assert.False(t, stale)
	assert.Empty(t, explanation)
	assert.Empty(t, r.Secrets())
	_, err := r.call(t)
	require.NoError(t, err)
	assert.Equal(t, []string{"token-1"}, r.Secrets())
}
