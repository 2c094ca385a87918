package temporal

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"

	"github.com/livemigration/livemigration-go/durable"
	"github.com/livemigration/livemigration-go/livemigrationtemporal"
	"github.com/livemigration/livemigration-go/livemigrationtest"
	"github.com/livemigration/livemigration-go/test/temporal/internal/estate"
	"github.com/livemigration/livemigration-go/test/temporal/internal/temporalserver"
)

// A worker process kills itself at each activity, before it and after it. The next worker goes on, and nothing is created
// twice: a create request whose worker died is UNCLEAR, until you decide.
func TestWorkerCrash(t *testing.T) {
	t.Parallel()
	type crash struct {
		estate.Crash
		unclear bool
	}
	var crashes []crash
	for _, after := range []bool{false, true} {
		for _, action := range []durable.Action{durable.ActionValidate, durable.ActionCreate, durable.ActionCutover} {
			crashes = append(crashes, crash{estate.Crash{Activity: "change", Action: action, After: after}, action == durable.ActionCreate})
		}
		for _, action := range []durable.Action{durable.ActionCheckValidation, durable.ActionCheck} {
			crashes = append(crashes, crash{estate.Crash{Activity: "poll", Action: action, After: after}, false})
		}
		crashes = append(crashes, crash{estate.Crash{Activity: "request lock", After: after}, false})
	}
	var namespaces []string
	for i := range crashes {
		namespaces = append(namespaces, fmt.Sprintf("crash-%d", i))
	}
	server := startServer(t, temporalserver.Options{Namespaces: namespaces})
	t.Run("", func(t *testing.T) {
		for i, c := range crashes {
			t.Run(c.String(), func(t *testing.T) {
				t.Parallel()
				crashAndGoOn(t, server, namespaces[i], c.Crash, c.unclear)
			})
		}
	})
}

func signal(t *testing.T, c client.Client, name string, command map[string]any) {
	t.Helper()
	require.NoError(t, c.SignalWorkflow(t.Context(), livemigrationtemporal.WorkflowID(name), "", "command", command))
}

func approve(t *testing.T, c client.Client, name string) {
	t.Helper()
	require.NoError(t, livemigrationtemporal.Approve(t.Context(), c, name, durable.GateCutover, "ann", time.Time{}))
}

// restart waits until two minutes have passed since the request whose outcome is unknown.
func restart(t *testing.T, c client.Client, name string) {
	t.Helper()
	require.Eventually(t, func() bool { return livemigrationtemporal.Restart(t.Context(), c, name) == nil }, 3*time.Minute, time.Second)
}

func crashAndGoOn(t *testing.T, server *temporalserver.Server, namespace string, crash estate.Crash, unclear bool) {
	atlas, c := newAtlas(t), dial(t, server, namespace)
	_, err := livemigrationtemporal.Start(t.Context(), c, planOf(atlas, "billing"))
	require.NoError(t, err)
	signal(t, c, "billing", map[string]any{"approve": "cutover"}) // without a worker there is no update
	first := startWorker(t, server, namespace, atlas, &crash)
	dead := make(chan error, 1)
	go func() { dead <- first.Wait() }()
	select {
	case err := <-dead:
		require.ErrorContains(t, err, "killed")
	case <-time.After(2 * time.Minute):
		require.Fail(t, "the worker has not reached the activity")
	}
	created := atlas.RequestCount(livemigrationtest.CreateMigration)

	startWorker(t, server, namespace, atlas, nil)
	if unclear {
		record := waitFor(t, c, "billing", 5*time.Minute, durable.StateUnclear)
		require.NotNil(t, record.Problem)
		assert.Equal(t, durable.ProblemNeedsAttention, record.Problem.Kind)
		assert.Equal(t, created, atlas.RequestCount(livemigrationtest.CreateMigration), "not sent again")
		if created == 0 {
			restart(t, c, "billing")
			approve(t, c, "billing")
		} else {
			require.NoError(t, livemigrationtemporal.Adopt(t.Context(), c, "billing", atlas.Migrations()[0].ID))
		}
	}
	record := waitFor(t, c, "billing", 5*time.Minute, durable.StateComplete, durable.StateFailed)
	assert.Equal(t, durable.StateComplete, record.State, record.Problem)
	assert.Equal(t, 1, atlas.RequestCount(livemigrationtest.CreateMigration))
	assert.Len(t, atlas.Migrations(), 1)
	assertNoSecrets(t, c, atlas)
}
