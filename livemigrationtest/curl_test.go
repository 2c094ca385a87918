package livemigrationtest_test

import (
	"encoding/json"
	"errors"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go"
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
		"MD5": nil, "SHA-256": livemigrationtest.WithAlgorithm(livemigrationtest.SHA256), "documented": livemigrationtest.WithDocumentedChallenge(),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := newServer(t, opt)
			public, private := srv.APIKey()
			for _, op := range []livemigrationtest.Operation{livemigrationtest.ListAvailableProjects, livemigrationtest.CreateMigration} {
				r := endpoint(srv, op, v2Prefix, "")
				args := []string{
					"--silent", "--show-error", "--noproxy", "*", "--digest", "--user", public + ":" + private.Reveal(),
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
	assert.Zero(t, srv.LiveTokenCount())
}

// The whole way of a link-token: from Atlas to the source side, and what comes of it.
func TestCurlConnects(t *testing.T) {
	t.Parallel()
	curl, srv := findCurl(t), newServer(t, livemigrationtest.WithAutoConnect(false))
	run := func(public string, private livemigration.Secret, args ...string) string {
		args = append([]string{
			"--silent", "--show-error", "--noproxy", "*", "--fail-with-body", "--digest", "--user", public + ":" + private.Reveal(),
		}, args...)
		out, err := exec.CommandContext(t.Context(), curl, args...).CombinedOutput()
		require.NoError(t, err, string(out))
		return string(out)
	}
	atlas := func(path string, args ...string) string {
		public, private := srv.APIKey()
		url := srv.URL() + v2Prefix + "/orgs/" + string(srv.OrgID()) + "/liveMigrations" + path
		return run(public, private, append(args, "--header", "Accept: "+media2023, url)...)
	}
	link := srv.SourceURL() + "/api/public/v1.0/orgs/" + string(srv.SourceOrgID()) + "/liveExport/migrationLink"
	source := func(args ...string) string {
		public, private := srv.SourceAPIKey()
		return run(public, private, args...)
	}
	const asJSON = "Content-Type: application/json"
	token := atlas("/linkTokens", "--header", asJSON, "--data", `{"accessListIps":["192.0.2.1"]}`)
	assert.JSONEq(t, `{"status":"NOT_SYNCED"}`, source(link+"/status"))
	assert.JSONEq(t, `{"status":"SYNCED"}`, source("--header", asJSON, "--data", token, link))
	assert.JSONEq(t, `{"status":"SYNCED"}`, source(link+"/status"))
	assert.Contains(t, atlas("/availableProjects"), `"name":"Production"`)
	assert.Empty(t, source("--request", "DELETE", link))
	assert.Equal(t, "[]", atlas("/availableProjects"))
}
