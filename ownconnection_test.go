package livemigration_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go"
)

// Reads share a connection. A change has one that no other request uses, even with its own challenge first.
func TestAChangeHasItsOwnConnection(t *testing.T) {
	t.Parallel()
	for name, h2 := range map[string]bool{"HTTP/1.1": false, "HTTP/2": true} {
		for kind, credentials := range credentialsOf() {
			if kind == "service account" {
				continue // its token is a request of its own
			}
			t.Run(name+", "+kind, func(t *testing.T) {
				t.Parallel()
				paths := make(chan [2]string, 100) // the connection, and the request
				srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					paths <- [2]string{r.RemoteAddr, r.Method + " " + r.URL.Path}
					if kind == "API key" && r.Header.Get("Authorization") == "" {
						w.Header().Set("WWW-Authenticate", `Digest realm="r", nonce="abcdefgh", qop="auth"`)
						w.WriteHeader(http.StatusUnauthorized)
						return
					}
					_, _ = io.WriteString(w, workingBody)
				}))
				srv.EnableHTTP2 = h2
				srv.StartTLS()
				t.Cleanup(srv.Close)
				client := newClient(t, credentials, quick, livemigration.WithBaseURL(srv.URL), livemigration.WithHTTPClient(&http.Client{
					Transport: &http.Transport{TLSClientConfig: tlsConfigOf(srv.Client().Transport), ForceAttemptHTTP2: h2}}))
				for range 2 {
					_, err := client.Migrations.Get(t.Context(), projectID, jobID)
					require.NoError(t, err)
					require.NoError(t, client.Migrations.Cutover(t.Context(), projectID, jobID))
					_, err = client.Migrations.Create(t.Context(), projectID, request())
					require.NoError(t, err)
					require.NoError(t, client.LinkTokens.Delete(t.Context(), anOrg))
				}
				close(paths)
				kinds, total := map[string]map[string]int{}, map[string]int{}
				for p := range paths {
					if kinds[p[0]] == nil {
						kinds[p[0]] = map[string]int{}
					}
					kinds[p[0]][p[1]]++
					total[p[0]]++
				}
				assert.Len(t, kinds, 1+2*3, "one for the reads, and one for each change")
				for address, requests := range kinds {
					assert.Len(t, requests, 1, "one kind of request on a connection: %v", requests)
					assert.LessOrEqual(t, total[address], 3)
				}
			})
		}
	}
}

// Digest's challenge and the request go over one connection of their own.
func TestAChangeWithDigestHasItsOwnConnection(t *testing.T) {
	t.Parallel()
	const challenge = `Digest realm="MMS Public API", domain="", nonce="SlgYP7Tv3FS/BuCj/x4WQRIV1bNKdpJg", algorithm=MD5, qop="auth", stale=false`
	srv := newRawServer(t, nil, func(c *rawConn, stream uint32, n int) {
		switch n {
		case 1:
			c.respond(stream, "401", []byte("{}"), "www-authenticate", challenge)
		default:
			c.reset(stream, refusedStream)
		}
	})
	transport := h2Transports(srv.client)["TLS settings"]
	for what, create := range creations(t, livemigration.APIKey("public", "private-key"), srv.url, transport) {
		// The first request of a client shows that its transport can be copied.
		_ = create(t.Context())
		for range 2 {
			requests, connections := srv.requests.Load(), srv.connections.Load()
			err := create(t.Context())
			assert.True(t, livemigration.MayHaveCreated(err), "%s: %v", what, err)
			assert.Equal(t, requests+2, srv.requests.Load(), what)
			assert.Equal(t, connections+1, srv.connections.Load(), what)
		}
	}
}
