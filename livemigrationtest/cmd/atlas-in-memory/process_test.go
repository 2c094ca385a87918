//go:build unix

package main

import (
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go"
)

// A tool that knows nothing but the variables migrates a cluster; then a signal ends the process.
func TestProcess(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "atlas-in-memory")
	out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput()
	require.NoError(t, err, string(out))
	for name, signal := range map[string]syscall.Signal{"interrupt": syscall.SIGINT, "terminate": syscall.SIGTERM} {
		t.Run(name, func(t *testing.T) {
			var stderr strings.Builder
			process := exec.Command(binary, "-addr", "127.0.0.1:0", "-source", "-speed", "1e5")
			process.Stderr = &stderr
			stdout, err := process.StdoutPipe()
			require.NoError(t, err)
			require.NoError(t, process.Start())
			defer func() { _ = process.Process.Kill() }() // unless it has ended
			migrate(t, variables(t, stdout, "SOURCE_ORG_ID"))
			require.NoError(t, process.Process.Signal(signal))
			require.NoError(t, process.Wait(), "exit status 0")
			assert.Empty(t, stderr.String())
		})
	}
}

func migrate(t *testing.T, env map[string]string) {
	t.Helper()
	ctx, client, source := t.Context(), newClient(t, env), newSourceClient(t, env)
	org := livemigration.OrgID(env["MONGODB_ATLAS_ORG_ID"])
	project := livemigration.ProjectID(env["MONGODB_ATLAS_PROJECT_ID"])
	link, err := client.LinkTokens.Create(ctx, org, livemigration.LinkTokenRequest{})
	require.NoError(t, err)
	_, err = source.MigrationLink.Create(ctx, livemigration.OrgID(env["SOURCE_ORG_ID"]), link.Token)
	require.NoError(t, err)
	available, err := client.AvailableProjects.List(ctx, org)
	require.NoError(t, err)
	require.NotEmpty(t, available)

	migration, err := client.Migrations.Create(ctx, project, livemigration.MigrationRequest{
		Source: livemigration.Source{
			ProjectID: available[0].ProjectID, ClusterName: available[0].Deployments[0].Name, ManagedAuthentication: true,
		},
		Destination:    livemigration.Destination{ClusterName: "Cluster0"},
		MigrationHosts: available[0].MigrationHosts,
	})
	require.NoError(t, err)
	quick := livemigration.WithPollInterval(time.Millisecond, time.Millisecond)
	_, err = client.Migrations.WaitReadyForCutover(ctx, project, migration.ID, quick)
	require.NoError(t, err)
	require.NoError(t, client.Migrations.Cutover(ctx, project, migration.ID))
	migration, err = client.Migrations.WaitComplete(ctx, project, migration.ID, quick)
	require.NoError(t, err)
	assert.Equal(t, livemigration.MigrationComplete, migration.Status)
	require.NoError(t, client.LinkTokens.Delete(ctx, org))
}
