package interop

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go"
	"github.com/livemigration/livemigration-go/livemigrationtest"
)

// curl runs curl and returns the status of the response. The key is in a configuration that curl reads from its input, so
// that the list of processes does not show it.
func curl(t *testing.T, public, private string, args ...string) string {
	t.Helper()
	program := requireProgram(t, "curl")
	args = append([]string{
		"--config", "-", "--silent", "--show-error", "--noproxy", "*", "--max-time", "20",
		"--output", os.DevNull, "--write-out", "%{http_code}",
	}, args...)
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Stdin = strings.NewReader(fmt.Sprintf("user = %q\n", public+":"+private))
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	return string(out)
}

// rawCall is a call as curl makes it.
type rawCall struct {
	operation    livemigrationtest.Operation
	method, path string // JOB in the path stands for the ID of the only job of its kind
	media        string
	body         string
	status       string
}

// rawCalls are the eight operations.
func rawCalls(srv *livemigrationtest.Server, version livemigration.APIVersion) []rawCall {
	org := fmt.Sprintf("/api/atlas/%s/orgs/%s/liveMigrations", version, srv.OrgID())
	project := fmt.Sprintf("/api/atlas/%s/groups/%s/liveMigrations", version, srv.ProjectID())
	media, jobMedia := "application/vnd.atlas.2023-01-01+json", "application/vnd.atlas.2024-05-30+json"
	created, cutOver := "200", "202"
	destination, drop := `,"hostnameSchemaType":"PUBLIC"`, "dropDestinationData"
	if version == livemigration.APIv1 {
		media, jobMedia = "application/json", "application/json"
		created, cutOver, destination, drop = "201", "200", "", "dropEnabled"
	}
	body := fmt.Sprintf(`{"source":{"groupId":%q,"clusterName":"orders","username":"u","password":"p & \"q\"","ssl":false,`+
		`"managedAuthentication":false},"destination":{"groupId":%q,"clusterName":"Cluster0"%s},`+
		`"migrationHosts":["vm001.example.com"],%q:false}`, sourceProject, srv.ProjectID(), destination, drop)
	return []rawCall{
		{livemigrationtest.CreateLinkToken, "POST", org + "/linkTokens", media, `{"accessListIps":["192.0.2.0/24"]}`, "201"},
		{livemigrationtest.ListAvailableProjects, "GET", org + "/availableProjects?pretty=true", media, "", "200"},
		{livemigrationtest.CreateValidation, "POST", project + "/validate", jobMedia, body, created},
		{livemigrationtest.GetValidation, "GET", project + "/validate/JOB?envelope=true", media, "", "200"},
		{livemigrationtest.CreateMigration, "POST", project, jobMedia, body, "201"},
		{livemigrationtest.GetMigration, "GET", project + "/JOB", media, "", "200"},
		{livemigrationtest.Cutover, "PUT", project + "/JOB/cutover", media, "", cutOver},
		{livemigrationtest.DeleteLinkToken, "DELETE", org + "/linkTokens", media, "", "204"},
	}
}

// args are the arguments for curl.
func (c rawCall) args(srv *livemigrationtest.Server) []string {
	job := ""
	switch c.operation {
	case livemigrationtest.GetValidation:
		job = string(srv.Validations()[0].ID)
	case livemigrationtest.GetMigration, livemigrationtest.Cutover:
		job = string(srv.Migrations()[0].ID)
	}
	args := []string{"--request", c.method, "--header", "Accept: " + c.media, srv.URL() + strings.Replace(c.path, "JOB", job, 1)}
	if c.body != "" {
		args = append(args, "--data", c.body, "--header", "Content-Type: "+c.media)
	}
	return args
}

// TestCurl makes all eight operations with curl. Each costs it two requests, since it starts anew each time.
func TestCurl(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		version   livemigration.APIVersion
		option    livemigrationtest.Option
		arguments []string
	}{
		"v2":                   {livemigration.APIv2, nil, []string{"--digest"}},
		"v1.0":                 {livemigration.APIv1, nil, []string{"--digest"}},
		"documented challenge": {livemigration.APIv1, livemigrationtest.WithDocumentedChallenge(), []string{"--digest"}},
		"scheme negotiated":    {livemigration.APIv2, nil, []string{"--anyauth"}},
		"body after consent":   {livemigration.APIv2, nil, []string{"--digest", "--header", "Expect: 100-continue"}},
		"without keep-alive":   {livemigration.APIv2, nil, []string{"--digest", "--header", "Connection: close"}},
		"HTTP/1.0":             {livemigration.APIv2, nil, []string{"--digest", "--http1.0"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := livemigrationtest.NewServer(tt.option)
			t.Cleanup(srv.Close)
			public, private := srv.APIKey()
			for _, c := range rawCalls(srv, tt.version) {
				advance(t, srv, c.operation)
				status := curl(t, public, private.Reveal(), append(tt.arguments, c.args(srv)...)...)
				assert.Equal(t, c.status, status, c.operation)
				arrived := srv.Recorded()
				if assert.Len(t, arrived, 2, c.operation) {
					assert.Equal(t, livemigrationtest.Handshake, arrived[0].Operation)
					assert.Equal(t, c.operation, arrived[1].Operation)
					assert.Equal(t, c.body, arrived[1].Body.Reveal())
				}
			}
		})
	}
}
