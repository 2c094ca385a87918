package livemigrationtest_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go/livemigrationtest"
)

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
					srv := newServer(t, livemigrationtest.WithInProcess())
					token := newAccount(srv, role).token(t, srv)
					res := send(t, srv, bearer(endpoint(srv, op, version, "0123456789abcdef01234567"), token))
					assert.Equal(t, want, res.status != http.StatusForbidden, res.body)
					last := srv.Recorded()[1]
					assert.True(t, last.Authenticated)
					assert.Equal(t, op, last.Operation)
					assert.Equal(t, "[REDACTED]", last.Header.Get("Authorization"))
				})
			}
		}
	}
}

func TestBearerRejected(t *testing.T) {
	t.Parallel()
	for name, header := range map[string]string{
		"unknown": "Bearer x", "scheme in other spelling": "bEaReR x", "none": "Bearer", "two": "Bearer a b", "quoted": `Bearer "x"`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := newServer(t, livemigrationtest.WithInProcess())
			r := endpoint(srv, livemigrationtest.ListAvailableProjects, v2Prefix, "").with("Authorization", header)
			r.path += "?envelope=true"
			srv.Inject(livemigrationtest.Handshake, livemigrationtest.Status(500), 1)
			res := send(t, srv, r)
			require.Equal(t, http.StatusUnauthorized, res.status)
			assert.Equal(t, bearerChallenge, res.header.Get("WWW-Authenticate"))
			assert.EqualValues(t, 401, res.object(t)["error"], "not enveloped")
			last := srv.Recorded()[0]
			assert.Equal(t, livemigrationtest.ListAvailableProjects, last.Operation, "those are credentials")
			assert.False(t, last.Authenticated)
		})
	}
}

func TestBearerSpelling(t *testing.T) {
	t.Parallel()
	srv := newServer(t, livemigrationtest.WithInProcess())
	token := ownAccount(srv).token(t, srv)
	r := endpoint(srv, livemigrationtest.ListAvailableProjects, v2Prefix, "")
	assert.Equal(t, http.StatusOK, send(t, srv, r.with("Authorization", "bEARER   "+token)).status)
	assert.False(t, accepts(t, srv, strings.ToUpper(token)))
}

// A token and a key at the same time are not one of them.
func TestBearerBesideDigest(t *testing.T) {
	t.Parallel()
	srv := newServer(t, livemigrationtest.WithInProcess())
	req := authorize(t, srv, endpoint(srv, livemigrationtest.ListAvailableProjects, v2Prefix, "")).build(t, srv.URL())
	req.Header.Add("Authorization", "Bearer "+ownAccount(srv).token(t, srv))
	assert.Equal(t, "rejected", verdictOf(t, read(t, srv.HTTPClient(), req)))
}

// An error that was injected comes with the challenge of the scheme in use.
func TestStatusUnauthorizedOfBearer(t *testing.T) {
	t.Parallel()
	srv := newServer(t, livemigrationtest.WithInProcess())
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
				srv := newServer(t, append(tt.opts, livemigrationtest.WithInProcess())...)
				for range 2 {
					res := send(t, srv, ownAccount(srv).ask(tokenPath, grant))
					body := res.object(t)
					assert.EqualValues(t, tt.announced, body["expires_in"])
					token, _ := body["access_token"].(string)
					if tt.lives > 0 {
						time.Sleep(tt.lives / 2)
						srv.Advance(tt.lives - tt.lives/2 - 1)
						assert.True(t, accepts(t, srv, token))
						assert.Equal(t, 1, srv.LiveTokenCount())
						time.Sleep(time.Nanosecond)
					}
					assert.False(t, accepts(t, srv, token))
					assert.Zero(t, srv.LiveTokenCount())
				}
			})
		})
	}
}

func TestExpireTokens(t *testing.T) {
	t.Parallel()
	srv := newServer(t, livemigrationtest.WithInProcess())
	first, second := ownAccount(srv).token(t, srv), newAccount(srv, livemigrationtest.OrgOwner).token(t, srv)
	assert.Equal(t, 2, srv.LiveTokenCount())
	srv.ExpireTokens()
	assert.Zero(t, srv.LiveTokenCount())
	assert.False(t, accepts(t, srv, first))
	assert.False(t, accepts(t, srv, second))
	third := ownAccount(srv).token(t, srv)
	assert.True(t, accepts(t, srv, third))
	assert.Equal(t, 1, srv.LiveTokenCount())
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
			srv := newServer(t, livemigrationtest.WithInProcess())
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
			assert.Equal(t, live, srv.LiveTokenCount())
		})
	}
}

// A token that was revoked does not keep those before and after it from dying in time.
func TestRevokedTokenAmongOthers(t *testing.T) {
	t.Parallel()
	srv := newServer(t, livemigrationtest.WithInProcess())
	own := ownAccount(srv)
	first := own.token(t, srv)
	srv.Advance(time.Minute)
	own.token(t, srv)
	srv.Advance(time.Minute)
	own.token(t, srv)
	require.Equal(t, http.StatusOK, send(t, srv, own.ask(revokePath, "token="+first)).status)
	assert.Equal(t, 2, srv.LiveTokenCount())
	srv.Advance(59 * time.Minute)
	assert.Equal(t, 1, srv.LiveTokenCount())
	srv.Advance(time.Minute)
	assert.Zero(t, srv.LiveTokenCount())
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
				srv.LiveTokenCount()
				srv.Deprecate(livemigrationtest.RevokeToken, time.Now(), time.Time{})
			}
		})
	}
	wg.Wait()
	assert.Equal(t, 40, srv.LiveTokenCount())
}
