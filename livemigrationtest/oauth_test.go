package livemigrationtest_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

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

// accepts tells whether the API takes a token, and checks that the refusal is the right one if it does not.
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
	srv := newServer(t, livemigrationtest.InProcess())
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
		assert.NotEmpty(t, res.header.Get("X-Request-Id"))

		token, _ := res.object(t)["access_token"].(string)
		assert.True(t, accepts(t, srv, token))
		assert.NotEqual(t, token, ownAccount(srv).token(t, srv), "each is another one")
		assert.True(t, accepts(t, srv, token), "a new one leaves the old one alone")
		assert.Equal(t, 2, srv.LiveTokens())
	})
}

// overBothAuthenticated is overBoth with servers that ask for credentials.
func overBothAuthenticated(t *testing.T, test func(t *testing.T, srv *livemigrationtest.Server)) {
	t.Helper()
	for name, opt := range map[string]livemigrationtest.Option{
		"socket": nil, "TLS": livemigrationtest.WithTLS(), "in process": livemigrationtest.InProcess(),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, newServer(t, opt))
		})
	}
}

// Both endpoints look at the same things before they do anything.
func TestOAuthRefusals(t *testing.T) {
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
		"parameter repeated":         {func(_ account, r request) request { r.body += "&" + r.body; return r }, 400, invalidRequest},
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
				srv := newServer(t, livemigrationtest.InProcess())
				own := ownAccount(srv)
				res := send(t, srv, tt.change(own, own.ask(path, body)))
				if tt.status == http.StatusOK {
					assert.Equal(t, http.StatusOK, res.status, res.body)
					return
				}
				assertOAuthError(t, res, tt.status, tt.code)
				assert.NotContains(t, res.body, own.secret)
				assert.Zero(t, srv.LiveTokens())
				last := srv.Requests()[0]
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
	srv := newServer(t, livemigrationtest.InProcess())
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
			srv := newServer(t, livemigrationtest.InProcess())
			res := send(t, srv, ownAccount(srv).ask(tokenPath, tt.form))
			if tt.code == "" {
				assert.Equal(t, http.StatusOK, res.status, res.body)
				assert.Equal(t, 1, srv.LiveTokens())
				return
			}
			assertOAuthError(t, res, http.StatusBadRequest, tt.code)
			assert.Zero(t, srv.LiveTokens())
		})
	}
}

// Of the mistakes that a client can make, this one has a description of its own.
func TestCredentialsInTheBody(t *testing.T) {
	t.Parallel()
	srv := newServer(t, livemigrationtest.InProcess())
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
				srv := newServer(t, livemigrationtest.InProcess())
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
				assert.Empty(t, srv.Requests()[0].Operation)
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

func TestBearerInBothVersions(t *testing.T) {
	t.Parallel()
	for _, op := range allOperations {
		for _, version := range bothVersions {
			for role, want := range map[livemigrationtest.Role]bool{
				livemigrationtest.NoRole:    false,
				livemigrationtest.OrgMember: op == livemigrationtest.GetMigration,
				livemigrationtest.OrgOwner:  true,
			} {
				t.Run(fmt.Sprintf("%s %s as %s", op, version, role), func(t *testing.T) {
					t.Parallel()
					srv := newServer(t, livemigrationtest.InProcess())
					token := newAccount(srv, role).token(t, srv)
					res := send(t, srv, bearer(endpoint(srv, op, version, "0123456789abcdef01234567"), token))
					assert.Equal(t, want, res.status != http.StatusForbidden, res.body)
					last := srv.Requests()[1]
					assert.True(t, last.Authenticated)
					assert.Equal(t, op, last.Operation)
					assert.Equal(t, "[REDACTED]", last.Header.Get("Authorization"))
				})
			}
		}
	}
}

func TestBearerRefused(t *testing.T) {
	t.Parallel()
	for name, header := range map[string]string{
		"unknown": "Bearer x", "scheme in other spelling": "bEaReR x", "none": "Bearer", "two": "Bearer a b", "quoted": `Bearer "x"`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := newServer(t, livemigrationtest.InProcess())
			r := endpoint(srv, livemigrationtest.ListAvailableProjects, v2Prefix, "").with("Authorization", header)
			r.path += "?envelope=true"
			srv.Inject(livemigrationtest.Handshake, livemigrationtest.Status(500), 1)
			res := send(t, srv, r)
			require.Equal(t, http.StatusUnauthorized, res.status)
			assert.Equal(t, bearerChallenge, res.header.Get("WWW-Authenticate"))
			assert.EqualValues(t, 401, res.object(t)["error"], "not enveloped")
			last := srv.Requests()[0]
			assert.Equal(t, livemigrationtest.ListAvailableProjects, last.Operation, "those are credentials")
			assert.False(t, last.Authenticated)
		})
	}
}

func TestBearerSpelling(t *testing.T) {
	t.Parallel()
	srv := newServer(t, livemigrationtest.InProcess())
	token := ownAccount(srv).token(t, srv)
	r := endpoint(srv, livemigrationtest.ListAvailableProjects, v2Prefix, "")
	assert.Equal(t, http.StatusOK, send(t, srv, r.with("Authorization", "bEARER   "+token)).status)
	assert.False(t, accepts(t, srv, strings.ToUpper(token)))
}

// A token and a key at the same time are not one of them.
func TestBearerBesideDigest(t *testing.T) {
	t.Parallel()
	srv := newServer(t, livemigrationtest.InProcess())
	req := authorize(t, srv, endpoint(srv, livemigrationtest.ListAvailableProjects, v2Prefix, "")).build(t, srv.URL())
	req.Header.Add("Authorization", "Bearer "+ownAccount(srv).token(t, srv))
	assert.Equal(t, "refused", verdictOf(t, read(t, srv.HTTPClient(), req)))
}

// A refusal that was injected comes with the challenge of the scheme in use.
func TestStatusUnauthorizedOfBearer(t *testing.T) {
	t.Parallel()
	srv := newServer(t, livemigrationtest.InProcess())
	token := ownAccount(srv).token(t, srv)
	srv.Inject(livemigrationtest.AnyOperation, livemigrationtest.Status(http.StatusUnauthorized), 1)
	assert.False(t, accepts(t, srv, token))
	assert.True(t, accepts(t, srv, token))
}

func TestTokenLifetime(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		opts      []livemigrationtest.Option
		announced int
		lives     time.Duration
	}{
		"default":  {nil, 3600, time.Hour},
		"shorter":  {[]livemigrationtest.Option{livemigrationtest.WithTokenLifetime(90 * time.Second)}, 90, 90 * time.Second},
		"fraction": {[]livemigrationtest.Option{livemigrationtest.WithTokenLifetime(1900 * time.Millisecond)}, 1, 1900 * time.Millisecond},
		"early":    {[]livemigrationtest.Option{livemigrationtest.WithTokenSkew(time.Minute)}, 3600, 59 * time.Minute},
		"late":     {[]livemigrationtest.Option{livemigrationtest.WithTokenSkew(-time.Minute)}, 3600, 61 * time.Minute},
		"both": {[]livemigrationtest.Option{
			livemigrationtest.WithTokenSkew(time.Second), livemigrationtest.WithTokenLifetime(time.Minute),
		}, 60, 59 * time.Second},
		"by another speed": {[]livemigrationtest.Option{livemigrationtest.WithSpeed(1000)}, 3600, time.Hour},
		"none":             {[]livemigrationtest.Option{livemigrationtest.WithTokenLifetime(0)}, 0, 0},
		"negative":         {[]livemigrationtest.Option{livemigrationtest.WithTokenLifetime(-time.Hour)}, 0, 0},
		"dead on arrival":  {[]livemigrationtest.Option{livemigrationtest.WithTokenSkew(time.Hour)}, 3600, 0},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				srv := newServer(t, append(tt.opts, livemigrationtest.InProcess())...)
				for range 2 {
					res := send(t, srv, ownAccount(srv).ask(tokenPath, grant))
					body := res.object(t)
					assert.EqualValues(t, tt.announced, body["expires_in"])
					token, _ := body["access_token"].(string)
					if tt.lives > 0 {
						time.Sleep(tt.lives / 2)
						srv.Advance(tt.lives - tt.lives/2 - 1)
						assert.True(t, accepts(t, srv, token))
						assert.Equal(t, 1, srv.LiveTokens())
						time.Sleep(time.Nanosecond)
					}
					assert.False(t, accepts(t, srv, token))
					assert.Zero(t, srv.LiveTokens())
				}
			})
		})
	}
}

func TestExpireTokens(t *testing.T) {
	t.Parallel()
	srv := newServer(t, livemigrationtest.InProcess())
	first, second := ownAccount(srv).token(t, srv), newAccount(srv, livemigrationtest.OrgOwner).token(t, srv)
	assert.Equal(t, 2, srv.LiveTokens())
	srv.ExpireTokens()
	assert.Zero(t, srv.LiveTokens())
	assert.False(t, accepts(t, srv, first))
	assert.False(t, accepts(t, srv, second))
	third := ownAccount(srv).token(t, srv)
	assert.True(t, accepts(t, srv, third))
	assert.Equal(t, 1, srv.LiveTokens())
}

func TestRevokeToken(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		form    string // %s: the token
		other   bool   // another client asks
		status  int
		code    string
		revoked bool
	}{
		"revoked":          {"token=%s", false, 200, "", true},
		"with hint":        {"token_type_hint=access_token&token=%s", false, 200, "", true},
		"with empty hint":  {"token=%s&token_type_hint=", false, 200, "", true},
		"of another":       {"token=%s", true, 200, "", false},
		"unknown":          {"token=%sx", false, 200, "", false},
		"empty":            {"token=", false, 400, "invalid_request", false},
		"missing":          {"token_type_hint=access_token", false, 400, "invalid_request", false},
		"of another type":  {"token=%s&token_type_hint=refresh_token", false, 400, "unsupported_token_type", false},
		"with a parameter": {"token=%s&" + grant, false, 400, "invalid_request", false},
		"hint twice":       {"token=%s&token_type_hint=&token_type_hint=", false, 400, "invalid_request", false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := newServer(t, livemigrationtest.InProcess())
			own := ownAccount(srv)
			asks := own
			if tt.other {
				asks = newAccount(srv, livemigrationtest.OrgOwner)
			}
			kept, token := own.token(t, srv), own.token(t, srv)
			res := send(t, srv, asks.ask(revokePath, strings.ReplaceAll(tt.form, "%s", token)))
			if tt.code == "" {
				assert.Equal(t, http.StatusOK, res.status)
				assert.Empty(t, res.body)
				assert.Empty(t, res.header.Get("Content-Type"))
			} else {
				assertOAuthError(t, res, tt.status, tt.code)
			}
			assert.Equal(t, tt.revoked, !accepts(t, srv, token))
			assert.True(t, accepts(t, srv, kept))
			live := 2
			if tt.revoked {
				live = 1
			}
			assert.Equal(t, live, srv.LiveTokens())
		})
	}
}

// A token that was revoked does not keep those before and after it from dying in time.
func TestRevokedTokenAmongOthers(t *testing.T) {
	t.Parallel()
	srv := newServer(t, livemigrationtest.InProcess())
	own := ownAccount(srv)
	first := own.token(t, srv)
	srv.Advance(time.Minute)
	own.token(t, srv)
	srv.Advance(time.Minute)
	own.token(t, srv)
	require.Equal(t, http.StatusOK, send(t, srv, own.ask(revokePath, "token="+first)).status)
	assert.Equal(t, 2, srv.LiveTokens())
	srv.Advance(59 * time.Minute)
	assert.Equal(t, 1, srv.LiveTokens())
	srv.Advance(time.Minute)
	assert.Zero(t, srv.LiveTokens())
}

func TestOAuthRecords(t *testing.T) {
	t.Parallel()
	overBoth(t, func(t *testing.T, srv *livemigrationtest.Server) {
		own := ownAccount(srv)
		token := own.token(t, srv)
		send(t, srv, own.ask(revokePath, "token="+token))
		send(t, srv, own.ask(tokenPath, grant).with("Authorization", ""))
		all := srv.Requests()
		require.Len(t, all, 3)
		for i, want := range []struct {
			op            livemigrationtest.Operation
			path, body    string
			status        int
			authenticated bool
		}{
			{livemigrationtest.IssueToken, tokenPath, grant, 200, true},
			{livemigrationtest.RevokeToken, revokePath, "token=" + token, 200, true},
			{livemigrationtest.IssueToken, tokenPath, grant, 401, false},
		} {
			assert.Equal(t, want.op, all[i].Operation)
			assert.Equal(t, want.path, all[i].Path)
			assert.Equal(t, want.body, all[i].Body.Reveal())
			assert.Equal(t, want.status, all[i].StatusCode)
			assert.Equal(t, want.authenticated, all[i].Authenticated)
			assert.NotContains(t, all[i].Header.Get("Authorization"), "Basic")
		}
		assert.Equal(t, "ServiceAccounts.IssueToken: POST /api/oauth/token: 200", all[0].String())
	})
}

func TestOAuthFaults(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		fault  livemigrationtest.Fault
		status int
		code   string // of OAuth; empty: the answer is none of its errors
		body   string // regular expression
		issued bool
	}{
		"400":              {livemigrationtest.Status(400), 400, "invalid_request", "", false},
		"401":              {livemigrationtest.Status(401), 401, "invalid_client", "", false},
		"401 of a kind":    {livemigrationtest.Status(401).WithCode("gone").WithDetail("Gone."), 401, "gone", `"error_description":"Gone\."`, false},
		"403":              {livemigrationtest.Status(403), 403, "invalid_request", "", false},
		"499":              {livemigrationtest.Status(499), 499, "invalid_request", "", false},
		"400 all the same": {livemigrationtest.Status(400).CarriedOut(), 400, "invalid_request", "", true},
		"429":              {livemigrationtest.Status(429).WithRetryAfter(time.Second), 429, "", `"errorCode":"RATE_LIMITED"`, false},
		"500":              {livemigrationtest.Status(500), 500, "", `"errorCode":"UNEXPECTED_ERROR"`, false},
		"503 carried out":  {livemigrationtest.Status(503).CarriedOut(), 503, "", `"errorCode":"UNEXPECTED_ERROR"`, true},
		"gateway":          {livemigrationtest.RawStatus(502, "text/html", "<h1>502</h1>"), 502, "", "^<h1>502</h1>$", false},
		"redirect":         {livemigrationtest.Redirect("https://example.com/"), 307, "", "^$", false},
		"not JSON":         {livemigrationtest.NonJSONBody(), 200, "", "^<!DOCTYPE html>", true},
		"oversized":        {livemigrationtest.OversizedBody(1000), 200, "", "^.{1000}$", true},
		"wrong type":       {livemigrationtest.WrongMediaType(), 200, "", `^\{"access_token"`, true},
		"slow":             {livemigrationtest.SlowBody(time.Hour), 200, "", `^\{"access_token"`, true},
		"stalled":          {livemigrationtest.StalledBody(time.Hour), 200, "", `^\{"access_token"`, true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				srv := newServer(t, livemigrationtest.InProcess(), livemigrationtest.WithTokenLifetime(10*time.Hour))
				srv.Inject(livemigrationtest.IssueToken, tt.fault, 1)
				client := srv.HTTPClient()
				client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
				res := read(t, client, ownAccount(srv).ask(tokenPath, grant).build(t, srv.URL()))
				if tt.code != "" {
					assertOAuthError(t, res, tt.status, tt.code)
				}
				assert.Equal(t, tt.status, res.status)
				assert.Regexp(t, tt.body, res.body)
				assert.Equal(t, tt.issued, srv.LiveTokens() == 1, "issued")
				assert.Zero(t, srv.PendingFaults())
				ownAccount(srv).token(t, srv)
			})
		})
	}
}

func TestOAuthFaultsOnTheConnection(t *testing.T) {
	t.Parallel()
	overBothAuthenticated(t, func(t *testing.T, srv *livemigrationtest.Server) {
		own := ownAccount(srv)
		for i, tt := range []struct {
			fault livemigrationtest.Fault
			err   error
			live  int
		}{
			{livemigrationtest.ResetBeforeRequest(), syscall.ECONNRESET, 0},
			{livemigrationtest.ResetAfterRequest(), syscall.ECONNRESET, 1},
			{livemigrationtest.TruncatedBody(), io.ErrUnexpectedEOF, 2},
		} {
			srv.Inject(livemigrationtest.IssueToken, tt.fault, 1)
			_, _, err := sendBroken(t, srv, own.ask(tokenPath, grant))
			require.ErrorIs(t, err, tt.err, "fault %d", i)
			assert.Equal(t, tt.live, srv.LiveTokens(), "fault %d", i)
		}
		token := own.token(t, srv)
		srv.Inject(livemigrationtest.RevokeToken, livemigrationtest.ResetAfterRequest(), 1)
		_, _, err := sendBroken(t, srv, own.ask(revokePath, "token="+token))
		require.ErrorIs(t, err, syscall.ECONNRESET)
		assert.Equal(t, 2, srv.LiveTokens(), "carried out")
	})
}

// A fault of these endpoints strikes none but them, and none of the others strikes here.
func TestOAuthFaultsMatch(t *testing.T) {
	t.Parallel()
	srv := newServer(t, livemigrationtest.InProcess())
	own := ownAccount(srv)
	srv.Inject(livemigrationtest.AnyOperation, livemigrationtest.Status(500), 1)
	srv.Inject(livemigrationtest.Handshake, livemigrationtest.Status(501), 1)
	srv.Inject(livemigrationtest.IssueToken, livemigrationtest.Status(502).After(1), 1)
	srv.Inject(livemigrationtest.RevokeToken, livemigrationtest.Status(503), 1)
	issue, revoke := own.ask(tokenPath, grant), own.ask(revokePath, "token=x")
	get := issue
	get.method = http.MethodGet
	list := endpoint(srv, livemigrationtest.ListAvailableProjects, v2Prefix, "")
	for i, step := range []struct {
		request request
		want    int
	}{
		{issue.with("Authorization", ""), 401},
		{issue.with("Authorization", basic(own.id, "wrong")), 401},
		{get, 405},
		{issue, 200},
		{issue, 502},
		{issue, 200},
		{revoke, 503},
		{revoke, 200},
		{list, 501},
	} {
		assert.Equal(t, step.want, send(t, srv, step.request).status, "step %d", i)
	}
	res := send(t, srv, bearer(list, own.token(t, srv)))
	assert.Equal(t, http.StatusInternalServerError, res.status, "a token is credentials")
	assert.Zero(t, srv.PendingFaults())
}

func TestDeprecatedOAuth(t *testing.T) {
	t.Parallel()
	srv := newServer(t, livemigrationtest.InProcess())
	srv.Deprecate(livemigrationtest.IssueToken, time.Unix(1, 0), time.Time{})
	assertDeprecation(t, send(t, srv, ownAccount(srv).ask(tokenPath, grant)), "@1", "")
	assertDeprecation(t, send(t, srv, ownAccount(srv).ask(revokePath, "token=x")), "", "")
}

func TestConcurrentTokens(t *testing.T) {
	t.Parallel()
	srv := newServer(t)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			own := newAccount(srv, livemigrationtest.OrgOwner)
			for range 5 {
				kept, revoked := own.token(t, srv), own.token(t, srv)
				assert.True(t, accepts(t, srv, kept))
				send(t, srv, own.ask(revokePath, "token="+revoked))
				assert.False(t, accepts(t, srv, revoked))
				srv.LiveTokens()
				srv.Deprecate(livemigrationtest.RevokeToken, time.Now(), time.Time{})
			}
		})
	}
	wg.Wait()
	assert.Equal(t, 40, srv.LiveTokens())
}

func TestCurlWithServiceAccount(t *testing.T) {
	t.Parallel()
	curl, srv := findCurl(t), newServer(t)
	own := ownAccount(srv)
	run := func(args ...string) string {
		args = append([]string{"--silent", "--show-error", "--noproxy", "*", "--fail-with-body"}, args...)
		out, err := exec.CommandContext(t.Context(), curl, args...).CombinedOutput()
		require.NoError(t, err, string(out))
		return string(out)
	}
	var body struct {
		AccessToken string `json:"access_token"`
	}
	user := own.id + ":" + own.secret
	require.NoError(t, json.Unmarshal([]byte(run("--user", user, "--data", grant, srv.URL()+tokenPath)), &body))
	r := endpoint(srv, livemigrationtest.ListAvailableProjects, v2Prefix, "")
	assert.Equal(t, "[]", run("--oauth2-bearer", body.AccessToken, "--header", "Accept: "+media2023, srv.URL()+r.path))
	run("--user", user, "--data", "token="+body.AccessToken, srv.URL()+revokePath)
	assert.Zero(t, srv.LiveTokens())
}

// Whoever asks for a token in another way than the one that is right gets none.
func FuzzTokenRequests(f *testing.F) {
	srv := livemigrationtest.NewServer(livemigrationtest.InProcess())
	defer srv.Close()
	own := ownAccount(srv)
	for _, body := range []string{grant, "", "grant_type", "&&" + grant + "&", "grant_type=client%5Fcredentials", "grant_type=%", "a;b", "\x00=\xff"} {
		f.Add(mediaForm, body)
		f.Add("application/x-www-form-urlencoded; a=b; a", body)
	}
	f.Fuzz(func(t *testing.T, contentType, body string) {
		if strings.ContainsFunc(contentType, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			return // does not get through net/http
		}
		srv.ExpireTokens()
		res := send(t, srv, own.ask(tokenPath, body).with("Content-Type", contentType))
		form, err := url.ParseQuery(body)
		right := err == nil && len(form) == 1 && len(form["grant_type"]) == 1 && form.Get("grant_type") == "client_credentials"
		if res.status == http.StatusOK {
			require.True(t, right, body)
			require.Equal(t, 1, srv.LiveTokens())
			return
		}
		require.Equal(t, http.StatusBadRequest, res.status)
		require.NotEmpty(t, res.object(t)["error"])
		require.Zero(t, srv.LiveTokens())
	})
}
