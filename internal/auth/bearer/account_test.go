package bearer_test

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go/internal/auth"
)

func TestTheRequestForAToken(t *testing.T) {
	t.Parallel()
	server := &atlas{}
	a := server.account()
	succeeds(t, a)
	require.Len(t, server.fetches, 1)
	req := server.fetches[0]
	assert.Equal(t, "POST https://atlas.example/api/oauth/token", req.Method+" "+req.URL.String())
	basic := base64.StdEncoding.EncodeToString([]byte(clientID + ":mdb_sa_sk_hunter2%26co"))
	assert.Equal(t, http.Header{
		"Accept": {"application/json"}, "Content-Type": {"application/x-www-form-urlencoded"}, "User-Agent": {"tool/1.0"},
		"Authorization": {"Basic " + basic},
	}, req.Header)
	assert.Equal(t, []string{"grant_type=client_credentials"}, server.forms)
	assert.Equal(t, []string{"token-1", clientSecret, "mdb_sa_sk_hunter2%26co", basic}, a.Secrets())
}

func TestTokenResponses(t *testing.T) {
	t.Parallel()
	const noToken = "no token in the response: check the base URL, and whether a proxy has responded"
	for name, tc := range map[string]struct {
		kind, body string
		lifetime   time.Duration // 0: until it is rejected
		err        string
	}{
		"JSON":                  {"application/json", `{"access_token":"t0ken","token_type":"Bearer","expires_in":3600}`, time.Hour, ""},
		"no type, no lifetime":  {"application/json", `{"access_token":"t0ken"}`, 0, ""},
		"as text":               {"text/plain", `{"access_token":"t0ken","token_type":"bearer","expires_in":"3600"}`, time.Hour, ""},
		"a byte order mark":     {"", "\xef\xbb\xbf" + `{"access_token":"t0ken","expires_in":1800.5}`, 1800500 * time.Millisecond, ""},
		"a lifetime of nothing": {"", `{"access_token":"t0ken","expires_in":0}`, 0, ""},
		"a strange lifetime":    {"", `{"access_token":"t0ken","expires_in":{"seconds":1}}`, 0, ""},
		"90 days":               {"", `{"access_token":"t0ken","expires_in":7776000}`, 90 * 24 * time.Hour, ""},
		"a member that is odd":  {"", `{"error":0,"token_type":null,"scope":[],"access_token":"t0ken"}`, 0, ""},
		"form data":             {"application/x-www-form-urlencoded", "access_token=t0ken&token_type=bearer&expires_in=3600", time.Hour, ""},
		"form data as JSON":     {"application/json", "access_token=t0ken", 0, ""},
		"a page":                {"text/html", "<html>Sign in</html>", 0, noToken},
		"nothing":               {"", "", 0, noToken},
		"an error":              {"", `{"error":"invalid_scope"}`, 0, "no token in the response: invalid_scope"},
		"an error with a secret": {"", `{"error":"invalid_client","error_description":"wrong:\n` + clientSecret + `"}`, 0,
			"no token in the response: invalid_client wrong: [REDACTED]"},
		"broken JSON":          {"", `{"access_token":"t0ken"`, 0, noToken},
		"an empty token":       {"", `{"access_token":""}`, 0, noToken},
		"another type":         {"", `{"access_token":"t0ken","token_type":"mac"}`, 0, "it is not a bearer token"},
		"a token of two lines": {"", `{"access_token":"t0\nken"}`, 0, "it contains characters that are not allowed in a header"},
		"a large page":         {"text/html", strings.Repeat("x", 64<<10), 0, noToken},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				server := &atlas{serving: func(*http.Request, string) int { return 200 }}
				server.issuing = func(*http.Request) (*http.Response, error) {
					return response(200, http.Header{"Content-Type": {tc.kind}}, tc.body), nil
				}
				a := server.account()
				code, err := get(t.Context(), a)
				if tc.err != "" {
					require.True(t, auth.IsUnsent(err))
					require.EqualError(t, err, "POST https://atlas.example/api/oauth/token: "+tc.err)
					require.Empty(t, server.arrived)
					return
				}
				require.NoError(t, err)
				assert.Equal(t, 200, code)
				assert.Equal(t, []string{"t0ken"}, server.arrived)
				lifetime := tc.lifetime
				if lifetime == 0 {
					lifetime = 50 * 365 * 24 * time.Hour
				}
				time.Sleep(lifetime - 2*time.Minute)
				succeeds(t, a)
				assert.Len(t, server.fetches, 1)
				time.Sleep(2 * time.Minute)
				succeeds(t, a)
				assert.Equal(t, tc.lifetime == 0, len(server.fetches) == 1)
			})
		})
	}
}
