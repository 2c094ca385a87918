package livemigrationtest_test

import (
	"bufio"
	"bytes"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go/livemigrationtest"
)

// recording reads a response of the service: status line, headers and body.
func recording(t *testing.T, name string) result {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "recordings", name+".http"))
	require.NoError(t, err)
	res, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(data)), nil)
	require.NoError(t, err)
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	return result{res.StatusCode, res.Header, string(body)}
}

// What the server sends differs from what Atlas sent in nothing but what is never the same.
func TestRecordings(t *testing.T) {
	t.Parallel()
	differs := []string{"Content-Length", "Date", "X-Envoy-Upstream-Service-Time", "X-Mongodb-Service-Version"}
	unknown := strings.Repeat("1", 24)
	tests := map[string]struct {
		send func(t *testing.T, srv *livemigrationtest.Server) result

		more []string
	}{
		"create-link-token-201": {
			func(t *testing.T, srv *livemigrationtest.Server) result {
				send(t, srv, endpoint(srv, livemigrationtest.DeleteLinkToken, v2Prefix, ""))
				res := send(t, srv, endpoint(srv, livemigrationtest.CreateLinkToken, v2Prefix, ""))
				token, _ := res.object(t)["linkToken"].(string)
				res.body = strings.Replace(res.body, token, "redactedToken", 1)
				return res
			}, nil,
		},
		"delete-link-token-204": {
			func(t *testing.T, srv *livemigrationtest.Server) result {
				send(t, srv, endpoint(srv, livemigrationtest.DeleteLinkToken, v2Prefix, ""))
				send(t, srv, endpoint(srv, livemigrationtest.CreateLinkToken, v2Prefix, ""))
				return send(t, srv, endpoint(srv, livemigrationtest.DeleteLinkToken, v2Prefix, ""))
			}, nil,
		},
		"delete-link-token-without-link-404": {
			func(t *testing.T, srv *livemigrationtest.Server) result {
				return send(t, srv, endpoint(srv, livemigrationtest.DeleteLinkToken, v2Prefix, ""))
			}, nil,
		},
		"unknown-project-404": {
			func(t *testing.T, srv *livemigrationtest.Server) result {
				r := endpoint(srv, livemigrationtest.CreateMigration, v2Prefix, "")
				r.path = strings.Replace(r.path, string(srv.ProjectID()), unknown, 1)
				return send(t, srv, r)
			}, []string{"X-Java-Method", "Vary"}, // of another operation
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want, got := recording(t, name), tt.send(t, newOpenServer(t, livemigrationtest.WithPublishedRateLimits()))
			assert.Equal(t, want.status, got.status)
			assert.Equal(t, strings.TrimSpace(want.body), got.body)
			assertSameHeaders(t, want.header, got.header, append(differs, tt.more...))
		})
	}
}

func TestRecordingOfWrongKey(t *testing.T) {
	t.Parallel()
	srv := newServer(t, livemigrationtest.WithInProcess(), livemigrationtest.WithPublishedRateLimits())
	r := endpoint(srv, livemigrationtest.CreateMigration, v2Prefix, "").with("Authorization", "Digest a=b")
	want, got := recording(t, "wrong-key-401"), send(t, srv, r)
	assert.Equal(t, want.status, got.status)
	assert.Equal(t, want.body, got.body)
	for _, res := range []result{want, got} {
		challenge := res.header.Get("Www-Authenticate")
		res.header.Set("Www-Authenticate", strings.Replace(challenge, nonceOf.FindStringSubmatch(challenge)[1], "nonce", 1))
	}
	assertSameHeaders(t, want.header, got.header, []string{"Date"})
}

func assertSameHeaders(t *testing.T, want, got http.Header, differs []string) {
	t.Helper()
	for _, h := range []http.Header{want, got} {
		for _, name := range differs {
			h.Del(name)
		}
	}
	assert.Equal(t, slices.Sorted(maps.Keys(want)), slices.Sorted(maps.Keys(got)))
	assert.Equal(t, want, got)
}
