package temporal

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go/durable"
	"github.com/livemigration/livemigration-go/livemigrationtemporal"
	"github.com/livemigration/livemigration-go/livemigrationtest"
	"github.com/livemigration/livemigration-go/test/temporal/internal/estate"
	"github.com/livemigration/livemigration-go/test/temporal/internal/temporalserver"
)

// A worker process kills itself at each activity, before it and after it. The next worker goes on, and nothing is created
// twice: a creation whose worker died is UNCLEAR, and stays so until a person has looked.
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
			crashes = append(crashes, crash{estate.Crash{Activity: "look", Action: action, After: after}, false})
		}
		crashes = append(crashes, crash{estate.Crash{Activity: "request lock", After: after}, false})
	}
	crashes = append(crashes, crash{estate.Crash{Activity: "look", Action: durable.ActionApprove}, false})
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

func crashAndGoOn(t *testing.T, server *temporalserver.Server, namespace string, crash estate.Crash, unclear bool) {
	atlas, c := newAtlas(t), dial(t, server, namespace)
	_, err := livemigrationtemporal.Start(t.Context(), c, planOf(atlas, "billing"))
	require.NoError(t, err)
	if crash.Action != durable.ActionApprove {
		require.NoError(t, livemigrationtemporal.Approve(t.Context(), c, "billing", durable.GateCutover))
	}
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
	if crash.Action == durable.ActionApprove {
		require.NoError(t, livemigrationtemporal.Approve(t.Context(), c, "billing", durable.GateCutover))
	}
	if unclear {
		record := waitFor(t, c, "billing", 4*time.Minute, durable.StateUnclear)
		assert.Contains(t, record.Problem, "nobody knows whether Atlas created the migration")
		assert.Equal(t, created, atlas.RequestCount(livemigrationtest.CreateMigration), "not sent again")
		if created == 0 {
			require.NoError(t, livemigrationtemporal.Restart(t.Context(), c, "billing"))
			require.NoError(t, livemigrationtemporal.Approve(t.Context(), c, "billing", durable.GateCutover))
		} else {
			require.NoError(t, livemigrationtemporal.Adopt(t.Context(), c, "billing", atlas.Migrations()[0].ID))
		}
	}
	record := waitFor(t, c, "billing", 4*time.Minute, durable.StateComplete, durable.StateFailed)
	assert.Equal(t, durable.StateComplete, record.State, record.Problem)
	assert.Equal(t, 1, atlas.RequestCount(livemigrationtest.CreateMigration))
	assert.Len(t, atlas.Migrations(), 1)
	assertNoSecrets(t, c, atlas)
}
