package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go/livemigrationtest"
)

// newAtlas sets the environment of the tool, and writes a request.
func newAtlas(t *testing.T) (server *livemigrationtest.Server, file string) {
	server = livemigrationtest.NewServer(livemigrationtest.WithSpeed(20_000))
	t.Cleanup(server.Close)
	public, private := server.APIKey()
	for name, value := range map[string]string{
		"MONGODB_ATLAS_ACCESS_TOKEN": "", "MONGODB_ATLAS_CLIENT_ID": "", "MONGODB_ATLAS_CLIENT_SECRET": "",
		"MONGODB_ATLAS_PUBLIC_API_KEY": public, "MONGODB_ATLAS_PRIVATE_API_KEY": private.Reveal(),
		"MONGODB_ATLAS_BASE_URL":   server.URL(),
		"MONGODB_ATLAS_PROJECT_ID": string(server.ProjectID()), "MIGRATION_ID": "", "SOURCE_PASSWORD": "a secret password",
	} {
		t.Setenv(name, value)
	}
	return server, writeRequest(t, server)
}

func writeRequest(t *testing.T, server *livemigrationtest.Server) string {
	request := server.SampleRequest()
	request.Source.Password, request.Destination.ProjectID = "", ""
	data, err := json.Marshal(request)
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "request.json")
	require.NoError(t, os.WriteFile(file, data, 0o600))
	return file
}

// printedError is the JSON of an error.
type printedError struct {
	Kind, Message  string
	Status         int
	MayHaveCreated bool `json:"may_have_created"`
}

// key is a variable of the environment.
const key = "MONGODB_ATLAS_PRIVATE_API_KEY"

func other(message string) printedError { return printedError{Kind: "other", Message: message} }

func TestExitStatus(t *testing.T) {
	migrate, status := []string{"migrate", "-request", "FILE"}, []string{"status", "-migration", "64f1f77bcf86cd7994390aaa"}
	tests := map[string]struct {
		args []string
		set  func(*testing.T, *livemigrationtest.Server)
		exit int
		want printedError // the message is a part of it
	}{
		"no command":      {exit: 2, want: other("missing command")},
		"unknown command": {args: []string{"copy"}, exit: 2, want: other(`"copy"`)},
		"unknown flag":    {args: []string{"status", "-copy"}, exit: 2, want: other("-copy")},
		"missing flag":    {args: []string{"status"}, exit: 2, want: other("neither -migration nor MIGRATION_ID is set")},
		"more arguments":  {args: append(status, "more"), exit: 2, want: other(`"more"`)},
		"malformed ID":    {args: []string{"status", "-migration", "7"}, exit: 2, want: other("24 lowercase hexadecimal digits")},
		"malformed env":   {args: status, set: setenv("MONGODB_ATLAS_PROJECT_ID", "7"), exit: 2, want: other("MONGODB_ATLAS_PROJECT_ID")},
		"no credentials":  {args: status, set: setenv(key, ""), exit: 2, want: printedError{Kind: "invalid_config", Message: "PRIVATE_API_KEY"}},
		"no request":      {args: []string{"migrate", "-request", "none"}, exit: 2, want: other("none")},
		"wrong key":       {args: status, set: setenv(key, "wrong"), exit: 4, want: printedError{Kind: "api", Status: 401}},
		"no such job":     {args: status, exit: 1, want: printedError{Kind: "api", Status: 404}},
		"rate limit": {
			args: status, exit: 5, want: printedError{Kind: "api", Status: 429},
			set: inject(livemigrationtest.GetMigration, livemigrationtest.Status(429).WithRetryAfter(time.Hour)),
		},
		"lost response": {
			args: migrate, exit: 3, want: printedError{Kind: "outcome_unknown", MayHaveCreated: true, Message: "Cluster0"},
			set: inject(livemigrationtest.CreateMigration, livemigrationtest.ResetAfterRequest()),
		},
		"failed validation": {
			args: []string{"-poll", "10ms", "validate", "-request", "FILE"},
			exit: 6, want: printedError{Kind: "validation_failed", Message: "disk is full"},
			set: func(_ *testing.T, server *livemigrationtest.Server) {
				server.ForCluster("").FailNextValidation("the disk is full")
			},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			server, file := newAtlas(t)
			if tt.set != nil {
				tt.set(t, server)
			}
			args := []string{"wrapper", "-output", "json"}
			for _, arg := range tt.args {
				args = append(args, strings.ReplaceAll(arg, "FILE", file))
			}
			var stdout, stderr bytes.Buffer
			assert.Equal(t, tt.exit, run(t.Context(), args, &stdout, &stderr), stderr.String())
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
	assert.Equal(t, 2, run(t.Context(), []string{"wrapper", "-output", "xml", "status"}, &stdout, &stderr))
	assert.Equal(t, "wrapper: invalid value \"xml\" for flag -output: must be text or json\n", stderr.String())
	assert.Empty(t, stdout.String())
}
