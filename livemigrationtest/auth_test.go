package livemigrationtest_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go"
	"github.com/livemigration/livemigration-go/livemigrationtest"
)

const (
	tokenPath = "/api/oauth/token"
	grant     = "grant_type=client_credentials"
)

// What a claim may say, and what it may not.
func TestDigest(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		change func(c claim)
		opts   []livemigrationtest.Option
		want   int
	}{
		"right":                        {func(claim) {}, nil, 200},
		"without an algorithm":         {func(c claim) { delete(c, "algorithm") }, nil, 200},
		"unknown parameter":            {func(c claim) { c["opaque"] = `a\"b` }, nil, 200},
		"higher count":                 {func(c claim) { c["nc"] = "0000000a" }, nil, 200},
		"wrong response":               {func(c claim) { c["response"] = strings.Repeat("0", 32) }, nil, 401},
		"another user":                 {func(c claim) { c["username"] = "x" }, nil, 401},
		"another realm":                {func(c claim) { c["realm"] = "x" }, nil, 401},
		"another URI":                  {func(c claim) { c["uri"] = "/" }, nil, 401},
		"another method":               {func(c claim) { c["method"] = "PUT" }, nil, 401},
		"another algorithm":            {func(c claim) { c["algorithm"] = "SHA-256" }, nil, 401},
		"hashed name":                  {func(c claim) { c["userhash"] = "true" }, nil, 401},
		"auth-int":                     {func(c claim) { c["qop"] = "auth-int" }, nil, 401},
		"RFC 2069":                     {rfc2069, nil, 401},
		"malformed count":              {func(c claim) { c["nc"] = "1" }, nil, 401},
		"count 0":                      {func(c claim) { c["nc"] = "00000000" }, nil, 401},
		"documented: RFC 2069":         {rfc2069, []livemigrationtest.Option{livemigrationtest.WithDocumentedChallenge()}, 200},
		"documented: qop":              {func(claim) {}, []livemigrationtest.Option{livemigrationtest.WithDocumentedChallenge()}, 401},
		"documented: a count is wrong": {func(c claim) { delete(c, "qop") }, []livemigrationtest.Option{livemigrationtest.WithDocumentedChallenge()}, 401},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := newServer(t, append(tt.opts, livemigrationtest.WithInProcess())...)
			d, r := newDigester(srv), endpoint(srv, livemigrationtest.ListAvailableProjects, v2Prefix, "")
			c := d.claim(r.method, r.path, challenge(t, srv), "00000001")
			tt.change(c)
			res := send(t, srv, r.with("Authorization", d.sign(c)))
			assert.Equal(t, tt.want, res.status)
			if tt.want == 401 {
				assert.Contains(t, res.header.Get("WWW-Authenticate"), "stale=false")
				assertError(t, res, 401, "UNEXPECTED_ERROR")
			}
		})
	}
}

func rfc2069(c claim) {
	for _, name := range []string{"qop", "nc", "cnonce"} {
		delete(c, name)
	}
}

func TestNonces(t *testing.T) {
	t.Parallel()
	srv := newServer(t, livemigrationtest.WithInProcess())
	d, r := newDigester(srv), endpoint(srv, livemigrationtest.ListAvailableProjects, v2Prefix, "")
	first := challenge(t, srv)
	ask := func(count string) result {
		return send(t, srv, r.with("Authorization", d.sign(d.claim(r.method, r.path, first, count))))
	}
	for _, step := range []struct {
		count string
		want  int
	}{{"00000002", 200}, {"00000001", 200}, {"00000001", 401}, {"00000002", 401}, {"00000003", 200}} {
		assert.Equal(t, step.want, ask(step.count).status, step.count)
	}
	srv.ExpireNonces()
	res := ask("00000004")
	assert.Equal(t, 401, res.status)
	assert.Contains(t, res.header.Get("WWW-Authenticate"), "stale=true", "the key is right")
}

func TestMalformedCredentials(t *testing.T) {
	t.Parallel()
	srv := newServer(t, livemigrationtest.WithInProcess())
	for _, header := range []string{"Digest", "Digest a", `Digest a="b`, "Digest a=b c=d", "Basic eDp5", "Bearer x", "x"} {
		r := endpoint(srv, livemigrationtest.ListAvailableProjects, v2Prefix, "").with("Authorization", header)
		assert.Equal(t, 401, send(t, srv, r).status, header)
	}
	d, r := newDigester(srv), endpoint(srv, livemigrationtest.ListAvailableProjects, v2Prefix, "")
	right := d.sign(d.claim(r.method, r.path, challenge(t, srv), "00000001"))
	assert.Equal(t, 401, send(t, srv, r.with("Authorization", right+`, qop="auth"`)).status, "a parameter twice")
	assert.Equal(t, 200, send(t, srv, r.with("Authorization", right)).status)
}

// A missing role is a 401, with a code of its own.
func TestRoles(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		role      livemigrationtest.Role
		operation livemigrationtest.Operation
		code      string // empty: allowed
	}{
		{livemigrationtest.OrgOwner, livemigrationtest.CreateMigration, ""},
		{livemigrationtest.OrgMember, livemigrationtest.GetMigration, ""},
		{livemigrationtest.OrgMember, livemigrationtest.CreateMigration, "USER_UNAUTHORIZED"},
		{livemigrationtest.OrgMember, livemigrationtest.ListAvailableProjects, "NOT_ORG_OWNER"},
		{livemigrationtest.NoRole, livemigrationtest.GetMigration, "USER_CANNOT_ACCESS_GROUP"},
		{livemigrationtest.NoRole, livemigrationtest.CreateLinkToken, "USER_CANNOT_ACCESS_ORG"},
	} {
		for name, opts := range map[string][]livemigrationtest.Option{"challenge": nil, "no challenge": {livemigrationtest.WithoutRoleChallenge()}} {
			t.Run(fmt.Sprint(tt.role, tt.operation, name), func(t *testing.T) {
				t.Parallel()
				srv := newServer(t, append(opts, livemigrationtest.WithInProcess())...)
				owner := newClient(t, srv)
				m, err := owner.Migrations.Create(t.Context(), srv.ProjectID(), srv.SampleRequest())
				require.NoError(t, err)
				token := tokenFor(t, srv, srv.ServiceAccountCredentialsFor(tt.role))
				res := send(t, srv, endpoint(srv, tt.operation, v2Prefix, string(m.ID)).with("Authorization", "Bearer "+token))
				if tt.code == "" {
					assert.Less(t, res.status, 300)
					return
				}
				assertError(t, res, http.StatusUnauthorized, tt.code)
				assert.Equal(t, name == "challenge", res.header.Get("WWW-Authenticate") != "")
			})
		}
	}
}

// tokenFor lets the client get a token, and returns it.
func tokenFor(t *testing.T, srv *livemigrationtest.Server, credentials livemigration.Credentials) (token string) {
	t.Helper()
	transport := roundTripper(func(req *http.Request) (*http.Response, error) {
		if bearer, ok := strings.CutPrefix(req.Header.Get("Authorization"), "Bearer "); ok {
			token = bearer
		}
		return srv.Transport().RoundTrip(req)
	})
	client, err := livemigration.NewClient(credentials, livemigration.WithBaseURL(srv.URL()),
		livemigration.WithHTTPClient(&http.Client{Transport: transport}))
	require.NoError(t, err)
	_, _ = client.Migrations.Get(t.Context(), srv.ProjectID(), "ffffffffffffffffffffffff") // which is not there
	require.NotEmpty(t, token)
	return token
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

func TestServiceAccounts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv := newServer(t, livemigrationtest.WithInProcess(), livemigrationtest.WithTokenLifetime(10*time.Minute))
		token := tokenFor(t, srv, srv.ServiceAccountCredentials())
		r := endpoint(srv, livemigrationtest.ListAvailableProjects, v2Prefix, "").with("Authorization", "bearer  "+token)
		assert.Equal(t, 200, send(t, srv, r).status)
		assert.Equal(t, 1, srv.LiveTokenCount())
		srv.Advance(10*time.Minute - 1)
		assert.Equal(t, 200, send(t, srv, r).status)
		time.Sleep(time.Nanosecond)
		res := send(t, srv, r)
		assertError(t, res, 401, "UNEXPECTED_ERROR")
		assert.Contains(t, res.header.Get("WWW-Authenticate"), "Bearer ")
		assert.Zero(t, srv.LiveTokenCount())

		tokenFor(t, srv, srv.ServiceAccountCredentials())
		srv.ExpireTokens()
		assert.Zero(t, srv.LiveTokenCount())
	})
}

func TestTokenSkew(t *testing.T) {
	t.Parallel()
	srv := newServer(t, livemigrationtest.WithInProcess(), livemigrationtest.WithTokenSkew(time.Minute))
	tokenFor(t, srv, srv.ServiceAccountCredentials())
	srv.Advance(59 * time.Minute)
	assert.Zero(t, srv.LiveTokenCount())
}

func TestOAuthErrors(t *testing.T) {
	t.Parallel()
	srv := newServer(t, livemigrationtest.WithInProcess())
	id, secret := srv.ServiceAccount()
	for name, tt := range map[string]struct {
		method, path, id, media, body string
		status                        int
		code                          string
	}{
		"wrong client":  {"POST", tokenPath, "x", "application/x-www-form-urlencoded", grant, 401, "invalid_client"},
		"another grant": {"POST", tokenPath, id, "application/x-www-form-urlencoded", "grant_type=password", 400, "unsupported_grant_type"},
		"not a form":    {"POST", tokenPath, id, "application/json", "{}", 400, "invalid_request"},
		"broken form":   {"POST", tokenPath, id, "application/x-www-form-urlencoded", "%x", 400, "invalid_request"},
		"no token":      {"POST", "/api/oauth/revoke", id, "application/x-www-form-urlencoded", "", 400, "invalid_request"},
		"method":        {"GET", tokenPath, id, "", "", 405, "invalid_request"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			req := request{tt.method, tt.path, tt.body, map[string]string{"Content-Type": tt.media}}.build(t, srv.URL())
			req.SetBasicAuth(tt.id, secret.Reveal())
			res := read(t, srv.HTTPClient(), req)
			assert.Equal(t, tt.status, res.status)
			assert.Equal(t, tt.code, res.object(t)["error"])
			assert.Equal(t, "no-store", res.header.Get("Cache-Control"))
		})
	}
}

// A server without authentication takes what it gets, and never challenges.
func TestWithoutAuthentication(t *testing.T) {
	t.Parallel()
	srv := newOpenServer(t)
	r := endpoint(srv, livemigrationtest.ListAvailableProjects, v2Prefix, "")
	for _, header := range []string{"", "Bearer x", "Digest x"} {
		assert.Equal(t, 200, send(t, srv, r.with("Authorization", header)).status)
	}
	srv.Inject(livemigrationtest.AnyOperation, livemigrationtest.Status(401), 1)
	assert.Empty(t, send(t, srv, r).header.Values("WWW-Authenticate"))
}
