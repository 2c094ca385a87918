package main

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go/livemigrationtest"
)

// newAtlas sets the environment of the tool.
func newAtlas(t *testing.T) *livemigrationtest.Server {
	server := livemigrationtest.NewServer(livemigrationtest.WithSpeed(20_000))
	t.Cleanup(server.Close)
	public, private := server.APIKey()
	sourcePublic, sourcePrivate := server.SourceAPIKey()
	for name, value := range map[string]string{
		"MONGODB_ATLAS_ACCESS_TOKEN": "", "MONGODB_ATLAS_CLIENT_ID": "", "MONGODB_ATLAS_CLIENT_SECRET": "",
		"MONGODB_ATLAS_PUBLIC_API_KEY": public, "MONGODB_ATLAS_PRIVATE_API_KEY": private.Reveal(),
		"MONGODB_ATLAS_BASE_URL": server.URL(), "MONGODB_ATLAS_ORG_ID": string(server.OrgID()),
		"MONGODB_ATLAS_PROJECT_ID": string(server.ProjectID()), "SOURCE_ORG_ID": string(server.SourceOrgID()),
		"SOURCE_BASE_URL": server.SourceURL(), "SOURCE_PUBLIC_API_KEY": sourcePublic,
		"SOURCE_PRIVATE_API_KEY": sourcePrivate.Reveal(), "SOURCE_PASSWORD": "a secret password",
	} {
		t.Setenv(name, value)
	}
	return server
}

// printedError is the JSON of an error.
type printedError struct {
	Kind, Message  string
	Status         int
	MayHaveCreated bool `json:"may_have_created"`
}

func TestExitStatus(t *testing.T) {
	const job = "64f1f77bcf86cd7994390aaa"
	migrate := []string{"migrate", "-from", "Staging/orders-staging", "-to", "Cluster0", "-user", "sync"}
	status := []string{"status", "-migration", job}
	tests := map[string]struct {
		args []string
		set  func(*testing.T, *livemigrationtest.Server)
		exit int
		want printedError // the message is a part of it
	}{
		"no command":       {exit: 2, want: printedError{Kind: "tool", Message: "missing command"}},
		"unknown command":  {args: []string{"copy"}, exit: 2, want: printedError{Kind: "tool", Message: `"copy"`}},
		"unknown flag":     {args: []string{"status", "-copy"}, exit: 2, want: printedError{Kind: "tool", Message: "-copy"}},
		"missing flag":     {args: []string{"status"}, exit: 2, want: printedError{Kind: "tool", Message: "neither -migration nor MIGRATION_ID is set"}},
		"empty variable":   {args: []string{"status"}, set: setenv("MIGRATION_ID", ""), exit: 2, want: printedError{Kind: "tool", Message: "neither -migration nor MIGRATION_ID is set"}},
		"more arguments":   {args: append(status, "more"), exit: 2, want: printedError{Kind: "tool", Message: `"more"`}},
		"malformed id":     {args: []string{"status", "-migration", "7"}, exit: 2, want: printedError{Kind: "tool", Message: "24 lower-case hexadecimal digits"}},
		"malformed org":    {args: []string{"projects"}, set: setenv("MONGODB_ATLAS_ORG_ID", "7"), exit: 2, want: printedError{Kind: "tool", Message: "MONGODB_ATLAS_ORG_ID"}},
		"no credentials":   {args: status, set: setenv("MONGODB_ATLAS_PRIVATE_API_KEY", ""), exit: 2, want: printedError{Kind: "invalid_config", Message: "PRIVATE_API_KEY"}},
		"no source keys":   {args: []string{"link"}, set: setenv("SOURCE_PUBLIC_API_KEY", ""), exit: 2, want: printedError{Kind: "invalid_config"}},
		"malformed source": {args: []string{"link"}, set: setenv("SOURCE_BASE_URL", "ops"), exit: 2, want: printedError{Kind: "invalid_config"}},
		"wrong key":        {args: status, set: setenv("MONGODB_ATLAS_PRIVATE_API_KEY", "wrong"), exit: 4, want: printedError{Kind: "api", Status: 401}},
		"no such job":      {args: status, exit: 1, want: printedError{Kind: "api", Status: 404}},
		"no such project":  {args: []string{"validate", "-from", "None/orders", "-to", "Cluster0"}, exit: 2, want: printedError{Kind: "invalid_request", Message: `"None"`}},
		"no such cluster":  {args: []string{"validate", "-from", "Staging/none", "-to", "Cluster0"}, exit: 2, want: printedError{Kind: "invalid_request", Message: "orders-staging"}},
		"rate limit": {
			args: status, exit: 5, want: printedError{Kind: "api", Status: 429},
			set: inject(livemigrationtest.GetMigration, livemigrationtest.Status(429).WithRetryAfter(time.Hour)),
		},
		"lost response": {
			args: migrate, exit: 3, want: printedError{Kind: "outcome_unknown", MayHaveCreated: true, Message: "Cluster0"},
			set: inject(livemigrationtest.CreateMigration, livemigrationtest.ResetAfterRequest()),
		},
		"server error": {
			args: migrate, exit: 3, want: printedError{Kind: "outcome_unknown", Status: 500, MayHaveCreated: true},
			set: inject(livemigrationtest.CreateMigration, livemigrationtest.Status(500)),
		},
		"failed validation": {
			args: append([]string{"-poll", "10ms", "validate"}, migrate[1:]...), exit: 6, want: printedError{Kind: "validation_failed", Message: "disk is full"},
			set: func(_ *testing.T, server *livemigrationtest.Server) { server.FailNextValidation("the disk is full") },
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			server := newAtlas(t)
			assert.Zero(t, run(t.Context(), []string{"wrapper", "link"}, &bytes.Buffer{}, &bytes.Buffer{}))
			if tt.set != nil {
				tt.set(t, server)
			}
			var stdout, stderr bytes.Buffer
			exit := run(t.Context(), append([]string{"wrapper", "-output", "json"}, tt.args...), &stdout, &stderr)
			assert.Equal(t, tt.exit, exit, stderr.String())
			assert.Empty(t, stdout.String())
			assert.NotContains(t, stderr.String(), "a secret password")
			var printed printedError
			require.NoError(t, json.Unmarshal(stderr.Bytes(), &printed), stderr.String())
			assert.Contains(t, printed.Message, tt.want.Message)
			tt.want.Message = printed.Message
			assert.Equal(t, tt.want, printed)
		})
	}
}

func setenv(name, value string) func(*testing.T, *livemigrationtest.Server) {
	return func(t *testing.T, _ *livemigrationtest.Server) { t.Setenv(name, value) }
}

func inject(op livemigrationtest.Operation, fault livemigrationtest.Fault) func(*testing.T, *livemigrationtest.Server) {
	return func(_ *testing.T, server *livemigrationtest.Server) { server.Inject(op, fault, 1) }
}

func TestErrorForPeople(t *testing.T) {
	newAtlas(t)
	var stdout, stderr bytes.Buffer
	assert.Equal(t, 2, run(t.Context(), []string{"wrapper", "-output", "xml", "projects"}, &stdout, &stderr))
	assert.Equal(t, "wrapper: invalid value \"xml\" for flag -output: must be text or json\n", stderr.String())
	assert.Empty(t, stdout.String())
}

func TestHelp(t *testing.T) {
	var stdout, stderr bytes.Buffer
	assert.Zero(t, run(t.Context(), []string{"wrapper", "-h"}, &stdout, &stderr))
	for _, command := range []string{"link", "projects", "validate", "migrate", "status", "watch", "cutover"} {
		assert.Contains(t, stdout.String(), "\n   "+command)
	}
	assert.Empty(t, stderr.String())
}

func TestNothingIsConnected(t *testing.T) {
	newAtlas(t)
	for output, want := range map[string]string{"text": "nothing is connected yet: wrapper link\n", "json": "[]\n"} {
		var stdout, stderr bytes.Buffer
		assert.Zero(t, run(t.Context(), []string{"wrapper", "-output", output, "projects"}, &stdout, &stderr), stderr.String())
		assert.Equal(t, want, stdout.String())
	}
}

// The link-token goes from one side to the other; a second run creates none.
func TestLinkOnce(t *testing.T) {
	server := newAtlas(t)
	for range 2 {
		var stdout, stderr bytes.Buffer
		assert.Zero(t, run(t.Context(), []string{"wrapper", "link"}, &stdout, &stderr), stderr.String())
		assert.Equal(t, "SYNCED\n", stdout.String())
	}
	assert.Equal(t, 1, server.RequestCount(livemigrationtest.CreateLinkToken))
	assert.Equal(t, 1, server.RequestCount(livemigrationtest.CreateMigrationLink))
}
