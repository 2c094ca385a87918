package temporal

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go"
	"github.com/livemigration/livemigration-go/durable"
	"github.com/livemigration/livemigration-go/test/temporal/internal/estate"
	"github.com/livemigration/livemigration-go/test/temporal/internal/temporalserver"
)

// Atlas and the worker are processes of their own. Two of the migrations share a host.
func TestAtlasAsProcess(t *testing.T) {
	t.Parallel()
	server := startServer(t, temporalserver.Options{Namespaces: []string{namespace}})
	atlas, err := estate.StartAtlas(t.Context(), t.TempDir(), 3, 1000)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, atlas.Stop()) })
	plans, err := atlas.Plans(t.Context(), true)
	require.NoError(t, err)
	require.Len(t, plans, 3)

	c := dial(t, server, namespace)
	worker, err := estate.StartWorker(estate.WorkerOptions{Address: server.Address(), Namespace: namespace, Atlas: atlas.Variables, Poll: poll})
	require.NoError(t, err)
	t.Cleanup(func() {
		_ = worker.Process.Kill()
		_ = worker.Wait()
	})
	startAll(t, c, plans)
	jobs := make(map[livemigration.MigrationID]bool)
	for _, plan := range plans {
		record := waitFor(t, c, plan.Name, 2*time.Minute, durable.StateComplete, durable.StateFailed, durable.StateUnclear)
		assert.Equal(t, durable.StateComplete, record.State, record.Problem)
		jobs[record.MigrationID] = true
	}
	assert.Len(t, jobs, len(plans))
}
