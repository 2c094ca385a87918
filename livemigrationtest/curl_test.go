package livemigrationtest_test

import (
	"encoding/json"
	"errors"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go/livemigrationtest"
)

func findCurl(t *testing.T) string {
	t.Helper()
	curl, err := exec.LookPath("curl")
	if errors.Is(err, exec.ErrNotFound) {
		t.Skip("curl is not installed")
	}
	require.NoError(t, err)
	return curl
}

func TestCurl(t *testing.T) {
	t.Parallel()
	curl := findCurl(t)
	for name, opt := range map[string]livemigrationtest.Option{
		"as it is": nil, "documented": livemigrationtest.WithDocumentedChallenge(),
		"HTTPS": livemigrationtest.WithTLS(), "HTTP/2": livemigrationtest.WithHTTP2(),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := newServer(t, opt)
			public, private := srv.APIKey()
			for _, op := range []livemigrationtest.Operation{livemigrationtest.ListAvailableProjects, livemigrationtest.CreateMigration} {
				r := endpoint(srv, op, v2Prefix, "")
				args := []string{
					"--silent", "--show-error", "--insecure", "--noproxy", "*", "--digest", "--user", public + ":" + private.Reveal(),
					"--request", r.method, "--write-out", "\n%{http_code}",
				}
				for key, value := range r.header {
					args = append(args, "--header", key+": "+value)
				}
				if r.body != "" {
					args = append(args, "--data", r.body)
				}
				out, err := exec.CommandContext(t.Context(), curl, append(args, srv.URL()+r.path+"?pretty=true")...).CombinedOutput()
				require.NoError(t, err, string(out))
				assert.Regexp(t, `\n20[01]$`, string(out))
			}
			assert.Len(t, srv.Migrations(), 1)
		})
	}
}

func TestCurlWithServiceAccount(t *testing.T) {
	t.Parallel()
	curl, srv := findCurl(t), newServer(t)
	run := func(args ...string) string {
		args = append([]string{"--silent", "--show-error", "--noproxy", "*", "--fail-with-body"}, args...)
		out, err := exec.CommandContext(t.Context(), curl, args...).CombinedOutput()
		require.NoError(t, err, string(out))
		return string(out)
	}
	id, secret := srv.ServiceAccount()
	var body struct {
		AccessToken string `json:"access_token"`
	}
	user := id + ":" + secret.Reveal()
	require.NoError(t, json.Unmarshal([]byte(run("--user", user, "--data", grant, srv.URL()+tokenPath)), &body))
	r := endpoint(srv, livemigrationtest.ListAvailableProjects, v2Prefix, "")
	assert.Equal(t, "[]", run("--oauth2-bearer", body.AccessToken, "--header", "Accept: "+media2023, srv.URL()+r.path))
	run("--user", user, "--data", "token="+body.AccessToken, srv.URL()+"/api/oauth/revoke")
	assert.Zero(t, srv.LiveTokenCount())
}
