package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go"
	"github.com/livemigration/livemigration-go/livemigrationtest"
)

// variables reads the lines that the command prints, up to the last of the names.
func variables(t *testing.T, out io.Reader, last string) map[string]string {
	t.Helper()
	found := make(map[string]string)
	for lines := bufio.NewScanner(out); lines.Scan(); {
		name, value, ok := strings.Cut(lines.Text(), "=")
		require.True(t, ok, lines.Text())
		require.NotContains(t, found, name, "each variable once")
		require.NotEmpty(t, value, name)
		found[name] = value
		if name == last {
			return found
		}
	}
	require.Fail(t, "the variables have no "+last)
	return nil
}

// start runs the command in this process until the test ends.
func start(t *testing.T, last string, args ...string) map[string]string {
	t.Helper()
	out, in := io.Pipe()
	ctx, stop := context.WithCancel(context.Background())
	status := make(chan int, 1)
	var stderr bytes.Buffer
	go func() { status <- run(ctx, args, in, &stderr) }()
	t.Cleanup(func() {
		stop()
		assert.Equal(t, exitDone, <-status, stderr.String())
	})
	return variables(t, out, last)
}

// newSourceClient returns a client of the source side from the variables.
func newSourceClient(t *testing.T, env map[string]string) *livemigration.SourceClient {
	t.Helper()
	key := livemigration.APIKey(env["SOURCE_PUBLIC_API_KEY"], livemigration.Secret(env["SOURCE_PRIVATE_API_KEY"]))
	source, err := livemigration.NewSourceClient(key, livemigration.WithBaseURL(env["SOURCE_BASE_URL"]))
	require.NoError(t, err)
	t.Cleanup(source.CloseIdleConnections)
	return source
}

// newClient returns a client from the variables, as a tool does.
func newClient(t *testing.T, env map[string]string) *livemigration.Client {
	t.Helper()
	for name, value := range env {
		t.Setenv(name, value)
	}
	client, err := livemigration.NewClientFromEnv()
	require.NoError(t, err)
	t.Cleanup(client.CloseIdleConnections)
	return client
}

func TestVariables(t *testing.T) {
	const project = "MONGODB_ATLAS_PROJECT_ID"
	tests := map[string]struct {
		args []string
		last string
		more []string
	}{
		"API key":         {nil, project, []string{"MONGODB_ATLAS_PUBLIC_API_KEY", "MONGODB_ATLAS_PRIVATE_API_KEY"}},
		"service account": {[]string{"-service-account"}, project, []string{"MONGODB_ATLAS_CLIENT_ID", "MONGODB_ATLAS_CLIENT_SECRET"}},
		"service account and source side": {[]string{"-service-account", "-source", "-organizations", "2"}, "SOURCE_ORG_ID_2", []string{
			"MONGODB_ATLAS_CLIENT_ID", "MONGODB_ATLAS_CLIENT_SECRET",
			"SOURCE_BASE_URL", "SOURCE_CLIENT_ID", "SOURCE_CLIENT_SECRET", "SOURCE_ORG_ID", "SOURCE_ORG_ID_2",
		}},
		"source side": {[]string{"-source"}, "SOURCE_ORG_ID", []string{
			"MONGODB_ATLAS_PUBLIC_API_KEY", "MONGODB_ATLAS_PRIVATE_API_KEY",
			"SOURCE_BASE_URL", "SOURCE_PUBLIC_API_KEY", "SOURCE_PRIVATE_API_KEY", "SOURCE_ORG_ID",
		}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			env := start(t, tt.last, tt.args...)
			assert.Len(t, env, 3+len(tt.more))
			for _, name := range append(tt.more, "MONGODB_ATLAS_BASE_URL", "MONGODB_ATLAS_ORG_ID", project) {
				assert.Contains(t, env, name)
			}
			_, err := newClient(t, env).AvailableProjects.List(t.Context(), livemigration.OrgID(env["MONGODB_ATLAS_ORG_ID"]))
			require.NoError(t, err)
		})
	}
}

func TestClusters(t *testing.T) {
	env := start(t, "MONGODB_ATLAS_PROJECT_ID", "-clusters", "40")
	client, org := newClient(t, env), livemigration.OrgID(env["MONGODB_ATLAS_ORG_ID"])
	_, err := client.LinkTokens.Create(t.Context(), org, livemigration.LinkTokenRequest{})
	require.NoError(t, err)
	projects, err := client.AvailableProjects.List(t.Context(), org)
	require.NoError(t, err)
	require.Len(t, projects, 1)
	require.NoError(t, projects[0].ProjectID.Validate())
	assert.Len(t, projects[0].MigrationHosts, 40)
	require.Len(t, projects[0].Deployments, 40)
	assert.Equal(t, "cluster-40", projects[0].Deployments[39].Name)
}

// With a source side nothing is available before it is connected.
func TestSourceConnectsItself(t *testing.T) {
	for name, want := range map[string]int{"-source": 0, "-source=false": 2} {
		t.Run(name, func(t *testing.T) {
			last := map[int]string{0: "SOURCE_ORG_ID", 2: "MONGODB_ATLAS_PROJECT_ID"}[want]
			env := start(t, last, name)
			client, org := newClient(t, env), livemigration.OrgID(env["MONGODB_ATLAS_ORG_ID"])
			_, err := client.LinkTokens.Create(t.Context(), org, livemigration.LinkTokenRequest{})
			require.NoError(t, err)
			projects, err := client.AvailableProjects.List(t.Context(), org)
			require.NoError(t, err)
			assert.Len(t, projects, want)
		})
	}
}

func TestAddresses(t *testing.T) {
	env := start(t, "SOURCE_ORG_ID", "-addr", "localhost:0", "-source=[::1]:0")
	assert.Regexp(t, `^http://(127\.0\.0\.1|\[::1\]):\d+$`, env["MONGODB_ATLAS_BASE_URL"])
	assert.Regexp(t, `^http://\[::1\]:\d+$`, env["SOURCE_BASE_URL"])
}

func TestUsage(t *testing.T) {
	t.Parallel()
	const loopback = "must be a loopback address"
	tests := map[string]struct {
		args []string
		want string
	}{
		"every interface":   {[]string{"-addr", "0.0.0.0:8080"}, loopback},
		"no host":           {[]string{"-addr", ":8080"}, loopback},
		"another machine":   {[]string{"-source=192.0.2.1:80"}, loopback},
		"a name":            {[]string{"-addr", "example.com:80"}, loopback},
		"no port":           {[]string{"-addr", "127.0.0.1"}, "must be an address with a port"},
		"negative speed":    {[]string{"-speed", "-1"}, "-speed must be"},
		"no number":         {[]string{"-speed", "NaN"}, "-speed must be"},
		"endless speed":     {[]string{"-speed", "Inf"}, "-speed must be"},
		"too many clusters": {[]string{"-clusters", "10001"}, "-clusters must be"},
		"negative clusters": {[]string{"-clusters", "-1"}, "-clusters must be"},
		"address apart":     {[]string{"-source", "127.0.0.1:0"}, "-source=ADDRESS"},
		"unknown flag":      {[]string{"-unknown"}, "not defined"},
		"no organization":   {[]string{"-organizations", "0"}, "-organizations must be"},
		"negative upgrade":  {[]string{"-upgrade", "-1s"}, "must not be negative"},
		"unknown fault":     {[]string{"-fault", "Migrations.Get=x"}, "FAULT must be"},
		"fault of nothing":  {[]string{"-fault", "Migrations.Crate=500"}, "OPERATION must be"},
		"fault 200":         {[]string{"-fault", "Migrations.Get=200"}, "FAULT must be"},
		"fault never":       {[]string{"-fault", "Migrations.Get=500:0"}, "TIMES must be"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var stdout, stderr bytes.Buffer
			assert.Equal(t, exitUsage, run(t.Context(), tt.args, &stdout, &stderr))
			assert.Contains(t, stderr.String(), tt.want)
			assert.Equal(t, 1, strings.Count(stderr.String(), "\n"), "one line: %s", stderr.String())
			assert.Empty(t, stdout.String())
		})
	}
	var stdout, stderr bytes.Buffer
	assert.Equal(t, exitDone, run(t.Context(), []string{"-h"}, &stdout, &stderr))
	assert.Contains(t, stdout.String(), "-speed")
	assert.Contains(t, stdout.String(), "no source project until a link-token has been")
	assert.Empty(t, stderr.String())
}

// What was created can be counted without a proxy, and faults strike as the flags say.
func TestMigrationsAndFaults(t *testing.T) {
	env := start(t, "MONGODB_ATLAS_PROJECT_ID", "-one-at-a-time", "-rate-limits", "-lag-growth", "1m",
		"-fault", "Migrations.Create=reset", "-fault", "Migrations.Create=409:2", "-fault", "Migrations.Create=upgrade")
	client, project := newClient(t, env), livemigration.ProjectID(env["MONGODB_ATLAS_PROJECT_ID"])
	var statuses []int
	for range 3 {
		_, err := client.Migrations.Create(t.Context(), project, livemigration.MigrationRequest{
			Source: livemigration.Source{
				ProjectID: "5c7e8f901a2b3c4d5e6f7a01", ClusterName: "orders", ManagedAuthentication: true,
			},
			Destination: livemigration.Destination{ClusterName: "Cluster0"}, MigrationHosts: []string{"vm001.example.com"},
		})
		var api *livemigration.APIError
		if errors.As(err, &api) {
			statuses = append(statuses, api.StatusCode)
		} else {
			require.ErrorIs(t, err, livemigration.ErrOutcomeUnknown)
		}
	}
	assert.Equal(t, []int{409, 409}, statuses)
	res, err := http.Get(env["MONGODB_ATLAS_BASE_URL"] + "/_inmemory/migrations")
	require.NoError(t, err)
	defer func() { assert.NoError(t, res.Body.Close()) }()
	var created []livemigrationtest.Migration
	require.NoError(t, json.NewDecoder(res.Body).Decode(&created))
	require.Len(t, created, 1)
	assert.Equal(t, env["MONGODB_ATLAS_PUBLIC_API_KEY"], created[0].CreatedBy)
	assert.Equal(t, "orders", created[0].Source.ClusterName)
	assert.NotEmpty(t, created[0].History)
}

func TestAddressInUse(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { assert.NoError(t, listener.Close()) }()
	addr := listener.Addr().String()
	for _, args := range [][]string{{"-addr", addr}, {"-source=" + addr}} {
		var stdout, stderr bytes.Buffer
		assert.Equal(t, exitFailed, run(t.Context(), args, &stdout, &stderr))
		assert.Contains(t, stderr.String(), addr)
		assert.Empty(t, stdout.String())
	}
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, errors.New("no room") }

func TestOutputBroken(t *testing.T) {
	t.Parallel()
	var stderr bytes.Buffer
	assert.Equal(t, exitFailed, run(t.Context(), nil, brokenWriter{}, &stderr))
	assert.Equal(t, "atlas-in-memory: print the variables: no room\n", stderr.String())
}
