package livemigration_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go"
)

// Neither the keys nor the body go to a server that asks for another scheme, or to another host.
func TestDowngradeAndRedirection(t *testing.T) {
	t.Parallel()
	seen := make(chan *http.Request, 100)
	thief := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen <- r }))
	t.Cleanup(thief.Close)
	challenge := func(value string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("WWW-Authenticate", value)
			w.WriteHeader(http.StatusUnauthorized)
		}
	}
	redirect := func(status int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, thief.URL+"/steal", status) }
	}
	for name, tc := range map[string]struct {
		handler http.HandlerFunc
		want    string
	}{
		"only Basic":           {challenge(`Basic realm="x"`), "the server offers Basic authentication, but no Digest challenge"},
		"an unknown algorithm": {challenge(`Digest realm="x", nonce="n", algorithm=NONE, qop="auth"`), "401"},
		"301":                  {redirect(301), "rejected: check the base URL"},
		"302":                  {redirect(302), "rejected: check the base URL"},
		"307":                  {redirect(307), "rejected: check the base URL"},
		"308":                  {redirect(308), "rejected: check the base URL"},
	} {
		t.Run(name, func(t *testing.T) {
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				seen <- r
				tc.handler(w, r)
			}))
			defer srv.Close()
			client := newClient(t, livemigration.APIKey("public", "private"), quick, livemigration.WithBaseURL(srv.URL))
			_, err := client.Migrations.Create(t.Context(), projectID, request())
			require.ErrorContains(t, err, tc.want)
			assert.False(t, livemigration.MayHaveCreated(err))
			require.Len(t, seen, 1, "one request, and none to another host")
			r := <-seen
			assert.Empty(t, r.Header.Get("Authorization"))
			assert.Zero(t, r.ContentLength)
		})
	}
}
