package livemigrationtest_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go"
	"github.com/livemigration/livemigration-go/livemigrationtest"
)

const (
	tokenPath  = "/api/oauth/token"
	revokePath = "/api/oauth/revoke"
	mediaForm  = "application/x-www-form-urlencoded"
	grant      = "grant_type=client_credentials"

	bearerChallenge = `Bearer realm="MMS Public API", error="invalid_token"`
	basicChallenge  = `Basic realm="MMS Public API"`
)

// account is a service account.
type account struct{ id, secret string }

func ownAccount(srv *livemigrationtest.Server) account {
	id, secret := srv.ServiceAccount()
	return account{id, secret.Reveal()}
}

func newAccount(srv *livemigrationtest.Server, role livemigrationtest.Role) account {
	id, secret := srv.NewServiceAccount(role)
	return account{id, secret.Reveal()}
}

func basic(user, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}

// ask returns a valid request to an endpoint of OAuth.
func (a account) ask(path, form string) request {
	return request{method: http.MethodPost, path: path, body: form, header: map[string]string{
		"Authorization": basic(url.QueryEscape(a.id), url.QueryEscape(a.secret)), "Content-Type": mediaForm,
	}}
}

// token gets an access token.
func (a account) token(t *testing.T, srv *livemigrationtest.Server) string {
	t.Helper()
	res := send(t, srv, a.ask(tokenPath, grant))
	require.Equal(t, http.StatusOK, res.status, res.body)
	token, _ := res.object(t)["access_token"].(string)
	return token
}

func bearer(r request, token string) request { return r.with("Authorization", "Bearer "+token) }

// accepts tells whether the API takes a token, and checks that the error is the right one if it does not.
func accepts(t *testing.T, srv *livemigrationtest.Server, token string) bool {
	t.Helper()
	res := send(t, srv, bearer(endpoint(srv, livemigrationtest.ListAvailableProjects, v2Prefix, ""), token))
	if res.status == http.StatusOK {
		return true
	}
	require.Equal(t, http.StatusUnauthorized, res.status, res.body)
	assert.Equal(t, bearerChallenge, res.header.Get("WWW-Authenticate"))
	return false
}

func assertOAuthError(t *testing.T, res result, status int, code string) {
	t.Helper()
	require.Equal(t, status, res.status, res.body)
	body := res.object(t)
	assert.ElementsMatch(t, []string{"error", "error_description"}, keys(body))
	assert.Equal(t, code, body["error"])
	assert.NotEmpty(t, body["error_description"])
	assert.Equal(t, "application/json", res.header.Get("Content-Type"))
	assert.Equal(t, "no-store", res.header.Get("Cache-Control"))
	challenge := ""
	if status == http.StatusUnauthorized {
		challenge = basicChallenge
	}
	assert.Equal(t, challenge, res.header.Get("WWW-Authenticate"))
}

func TestServiceAccounts(t *testing.T) {
	t.Parallel()
	srv := newServer(t, livemigrationtest.WithInProcess())
	seen := make(map[string]bool)
	for _, a := range []account{
		ownAccount(srv), newAccount(srv, livemigrationtest.OrgOwner), newAccount(srv, livemigrationtest.NoRole),
	} {
		assert.Regexp(t, `^mdb_sa_id_[0-9a-f]{24}$`, a.id)
		assert.Regexp(t, `^mdb_sa_sk_[A-Za-z0-9_-]{40}$`, a.secret)
		assert.False(t, seen[a.id] || seen[a.secret], "each is another one")
		seen[a.id], seen[a.secret] = true, true
	}
	assert.Equal(t, ownAccount(srv), ownAccount(srv))
	assert.NotEqual(t, ownAccount(srv), ownAccount(newServer(t)))
}

func TestIssueToken(t *testing.T) {
	t.Parallel()
	overBothAuthenticated(t, func(t *testing.T, srv *livemigrationtest.Server) {
		res := send(t, srv, ownAccount(srv).ask(tokenPath, grant))
		require.Equal(t, http.StatusOK, res.status)
		assert.Regexp(t, `^\{"access_token":"[A-Za-z0-9_-]{64}","token_type":"Bearer","expires_in":3600\}$`, res.body)
		assert.Equal(t, "application/json", res.header.Get("Content-Type"))
		assert.Equal(t, "no-store", res.header.Get("Cache-Control"))
		assert.Empty(t, res.header.Get("X-Request-Id"))

		token, _ := res.object(t)["access_token"].(string)
		assert.True(t, accepts(t, srv, token))
		assert.NotEqual(t, token, ownAccount(srv).token(t, srv), "each is another one")
		assert.True(t, accepts(t, srv, token), "a new one leaves the old one alone")
		assert.Equal(t, 2, srv.LiveTokenCount())
	})
}

// overBothAuthenticated is overBoth with servers that ask for credentials.
func overBothAuthenticated(t *testing.T, test func(t *testing.T, srv *livemigrationtest.Server)) {
	t.Helper()
	for name, opt := range map[string]livemigrationtest.Option{
		"socket": nil, "TLS": livemigrationtest.WithTLS(), "in process": livemigrationtest.WithInProcess(),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, newServer(t, opt))
		})
	}
}

// Both endpoints look at the same things before they do anything.
func TestOAuthErrors(t *testing.T) {
	t.Parallel()
	const invalidRequest, invalidClient = "invalid_request", "invalid_client"
	type change func(a account, r request) request
	header := func(key, value string) change {
		return func(_ account, r request) request { return r.with(key, value) }
	}
	form := func(suffix string) change {
		return func(_ account, r request) request { r.body += suffix; return r }
	}
	tests := map[string]struct {
		change change
		status int
		code   string
	}{
		"right":                     {header("Accept", "text/html"), 200, ""},
		"Content-Type parameters":   {header("Content-Type", "Application/X-WWW-Form-Urlencoded; charset=UTF-8"), 200, ""},
		"credentials missing":       {header("Authorization", ""), 401, invalidClient},
		"credentials of a key":      {func(_ account, r request) request { return r.with("Authorization", `Digest username="u"`) }, 401, invalidClient},
		"credentials Bearer":        {header("Authorization", "Bearer x"), 401, invalidClient},
		"credentials not base64":    {header("Authorization", "Basic !"), 401, invalidClient},
		"credentials without colon": {header("Authorization", "Basic YQ=="), 401, invalidClient},
		"credentials not a form":    {func(a account, r request) request { return r.with("Authorization", basic(a.id, a.secret+"%")) }, 401, invalidClient},
		"client not a form":         {func(a account, r request) request { return r.with("Authorization", basic(a.id+"%", a.secret)) }, 401, invalidClient},
		"client unknown":            {func(a account, r request) request { return r.with("Authorization", basic("x", a.secret)) }, 401, invalidClient},
		"client empty":              {header("Authorization", basic("", "")), 401, invalidClient},
		"secret wrong":              {func(a account, r request) request { return r.with("Authorization", basic(a.id, a.secret+"x")) }, 401, invalidClient},
		"secret empty":              {func(a account, r request) request { return r.with("Authorization", basic(a.id, "")) }, 401, invalidClient},
		"secret percent-encoded": {func(a account, r request) request {
			return r.with("Authorization", basic(percents(a.id), percents(a.secret)))
		}, 200, ""},
		"scheme in other spelling": {func(a account, r request) request {
			return r.with("Authorization", strings.Replace(basic(a.id, a.secret), "Basic", "bAsIc", 1))
		}, 200, ""},
		"secret in the body": {func(a account, r request) request { r.body += "&client_secret=" + a.secret; return r }, 400, invalidRequest},
		"secret only in the body": {func(a account, r request) request {
			r.body += "&client_secret=" + a.secret + "&client_id=" + a.id
			return r.with("Authorization", "")
		}, 401, invalidClient},
		"client in the body":         {func(a account, r request) request { r.body += "&client_id=" + a.id; return r }, 400, invalidRequest},
		"secret in the query":        {func(a account, r request) request { r.path += "?client_secret=" + a.secret; return r }, 400, invalidRequest},
		"query":                      {func(_ account, r request) request { r.path += "?pretty=true&envelope=true"; return r }, 400, invalidRequest},
		"parameter unknown":          {form("&scope=all"), 400, invalidRequest},
		"parameter twice":            {func(_ account, r request) request { r.body += "&" + r.body; return r }, 400, invalidRequest},
		"body empty":                 {func(_ account, r request) request { r.body = ""; return r }, 400, invalidRequest},
		"body JSON":                  {func(_ account, r request) request { r.body = `{"grant_type":"client_credentials"}`; return r }, 400, invalidRequest},
		"body with semicolon":        {form(";a=b"), 400, invalidRequest},
		"body with a bad escape":     {form("%"), 400, invalidRequest},
		"body too large":             {func(_ account, r request) request { r.body += strings.Repeat("x", 1<<20); return r }, 400, invalidRequest},
		"no Content-Type":            {header("Content-Type", ""), 400, invalidRequest},
		"Content-Type JSON":          {header("Content-Type", "application/json"), 400, invalidRequest},
		"Content-Type malformed":     {header("Content-Type", mediaForm+"; charset"), 400, invalidRequest},
		"Content-Type of other kind": {header("Content-Type", "multipart/form-data; boundary=x"), 400, invalidRequest},
	}
	for path, body := range map[string]string{tokenPath: grant, revokePath: "token=x"} {
		for name, tt := range tests {
			t.Run(path+" "+name, func(t *testing.T) {
				t.Parallel()
				srv := newServer(t, livemigrationtest.WithInProcess())
				own := ownAccount(srv)
				res := send(t, srv, tt.change(own, own.ask(path, body)))
				if tt.status == http.StatusOK {
					assert.Equal(t, http.StatusOK, res.status, res.body)
					return
				}
				assertOAuthError(t, res, tt.status, tt.code)
				assert.NotContains(t, res.body, own.secret)
				assert.Zero(t, srv.LiveTokenCount())
				last := srv.Recorded()[0]
				assert.Equal(t, tt.status != http.StatusUnauthorized, last.Authenticated)
				assert.Equal(t, operationOf(path), last.Operation, "no handshake")
			})
		}
	}
}

func operationOf(path string) livemigrationtest.Operation {
	if path == tokenPath {
		return livemigrationtest.IssueToken
	}
	return livemigrationtest.RevokeToken
}

// percents writes every byte of a form as an escape.
func percents(s string) string {
	var b strings.Builder
	for i := range len(s) {
		fmt.Fprintf(&b, "%%%02x", s[i])
	}
	return b.String()
}

func TestTwoClientCredentials(t *testing.T) {
	t.Parallel()
	srv := newServer(t, livemigrationtest.WithInProcess())
	req := ownAccount(srv).ask(tokenPath, grant).build(t, srv.URL())
	req.Header.Add("Authorization", req.Header.Get("Authorization"))
	assertOAuthError(t, read(t, srv.HTTPClient(), req), http.StatusUnauthorized, "invalid_client")
}

func TestGrantTypes(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		form string
		code string // empty: a token
	}{
		"right":         {grant, ""},
		"encoded":       {"grant%5Ftype=client%5Fcredentials", ""},
		"other":         {"grant_type=password", "unsupported_grant_type"},
		"other case":    {"grant_type=Client_Credentials", "unsupported_grant_type"},
		"with space":    {grant + "+", "unsupported_grant_type"},
		"empty":         {"grant_type=", "invalid_request"},
		"twice, alike":  {grant + "&" + grant, "invalid_request"},
		"twice, empty":  {grant + "&grant_type=", "invalid_request"},
		"of revocation": {grant + "&token=x", "invalid_request"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := newServer(t, livemigrationtest.WithInProcess())
			res := send(t, srv, ownAccount(srv).ask(tokenPath, tt.form))
			if tt.code == "" {
				assert.Equal(t, http.StatusOK, res.status, res.body)
				assert.Equal(t, 1, srv.LiveTokenCount())
				return
			}
			assertOAuthError(t, res, http.StatusBadRequest, tt.code)
			assert.Zero(t, srv.LiveTokenCount())
		})
	}
}

// Of the mistakes that a client can make, this one has a description of its own.
func TestCredentialsInTheBody(t *testing.T) {
	t.Parallel()
	srv := newServer(t, livemigrationtest.WithInProcess())
	own := ownAccount(srv)
	for _, parameter := range []string{"client_secret=" + own.secret, "client_id=" + own.id} {
		res := send(t, srv, own.ask(tokenPath, grant+"&"+parameter))
		assertOAuthError(t, res, http.StatusBadRequest, "invalid_request")
		assert.Contains(t, res.object(t)["error_description"], "Authorization header")
	}
}

func TestOAuthRoutes(t *testing.T) {
	t.Parallel()
	for _, path := range []string{tokenPath, revokePath} {
		for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPut, http.MethodDelete, http.MethodOptions} {
			t.Run(method+" "+path, func(t *testing.T) {
				t.Parallel()
				srv := newServer(t, livemigrationtest.WithInProcess())
				r := ownAccount(srv).ask(path, grant)
				r.method = method
				for _, r := range []request{r, r.with("Authorization", "")} {
					res := send(t, srv, r)
					assert.Equal(t, http.MethodPost, res.header.Get("Allow"))
					if method == http.MethodHead {
						assert.Equal(t, http.StatusMethodNotAllowed, res.status)
						continue
					}
					assertOAuthError(t, res, http.StatusMethodNotAllowed, "invalid_request")
				}
				assert.Empty(t, srv.Recorded()[0].Operation)
			})
		}
	}
	for _, path := range []string{"/api/oauth", "/api/oauth/", tokenPath + "/", tokenPath + "s", "/api/atlas/v2/oauth/token", v2Prefix + tokenPath} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			srv := newOpenServer(t)
			assertError(t, send(t, srv, ownAccount(srv).ask(path, grant)), http.StatusNotFound, "RESOURCE_NOT_FOUND")
		})
	}
}

// A server that asks for no credentials gives tokens to those only who have some, and takes any.
func TestOAuthWithoutAuthentication(t *testing.T) {
	t.Parallel()
	srv := newOpenServer(t)
	assertOAuthError(t, send(t, srv, account{"a", "b"}.ask(tokenPath, grant)), http.StatusUnauthorized, "invalid_client")
	assert.True(t, accepts(t, srv, ownAccount(srv).token(t, srv)))
	assert.True(t, accepts(t, srv, "made-up"))

	srv.Inject(livemigrationtest.AnyOperation, livemigrationtest.Status(http.StatusUnauthorized), 1)
	assert.False(t, accepts(t, srv, "made-up"))
}

func TestServiceAccountCredentials(t *testing.T) {
	t.Parallel()
	srv := newServer(t, livemigrationtest.WithInProcess())
	for credentials, want := range map[livemigration.Credentials]error{
		srv.ServiceAccountCredentials():                              nil,
		srv.ServiceAccountCredentialsFor(livemigrationtest.OrgOwner): nil,
		srv.ServiceAccountCredentialsFor(livemigrationtest.NoRole):   livemigration.ErrForbidden,
	} {
		client, err := livemigration.NewClient(credentials, livemigration.WithBaseURL(srv.URL()),
			livemigration.WithHTTPClient(srv.HTTPClient()))
		require.NoError(t, err)
		_, err = client.AvailableProjects.List(t.Context(), srv.OrgID())
		assert.ErrorIs(t, err, want)
		require.NoError(t, client.RevokeToken(t.Context()))
	}
}
