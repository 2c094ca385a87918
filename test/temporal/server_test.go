package temporal

import (
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"

	"github.com/livemigration/livemigration-go"
	"github.com/livemigration/livemigration-go/durable"
	"github.com/livemigration/livemigration-go/livemigrationtemporal"
	"github.com/livemigration/livemigration-go/livemigrationtest"
	"github.com/livemigration/livemigration-go/test/temporal/internal/temporalserver"
)

const namespace = "test"

func startAll(t *testing.T, c client.Client, plans []durable.Plan) {
	t.Helper()
	for _, plan := range plans {
		_, err := livemigrationtemporal.Start(t.Context(), c, plan)
		require.NoError(t, err)
		signal(t, c, plan.Name, map[string]any{"approve": "cutover"})
	}
}

// plansOn are plans with clusters of their own on as many migration hosts.
func plansOn(atlas *livemigrationtest.Server, n, hosts int) (plans []durable.Plan) {
	for i := range n {
		plan := planOf(atlas, fmt.Sprintf("m-%03d", i))
		plan.Request.Source.ClusterName = fmt.Sprintf("from-%d", i)
		plan.Request.Destination.ClusterName = fmt.Sprintf("to-%d", i)
		plan.Request.MigrationHosts = []string{fmt.Sprintf("vm-%d.example.com", i%hosts)}
		plans = append(plans, plan)
	}
	return plans
}

// The server stops while a look is under way and a migration waits for a lock, and comes back with what it had stored.
func TestServerRestart(t *testing.T) {
	t.Parallel()
	server := startServer(t, temporalserver.Options{Namespaces: []string{namespace}, File: filepath.Join(t.TempDir(), "temporal.db")})
	atlas, c := newAtlas(t), dial(t, server, namespace)
	plans := plansOn(atlas, 2, 1)
	startWorker(t, server, namespace, atlas, nil)
	for _, plan := range plans {
		_, err := livemigrationtemporal.Start(t.Context(), c, plan)
		require.NoError(t, err)
	}
	ready := func() int {
		for i, plan := range plans {
			if record, err := livemigrationtemporal.Record(t.Context(), c, plan.Name); err == nil && record.State == durable.StateReady {
				return i
			}
		}
		return -1
	}
	require.Eventually(t, func() bool { return ready() >= 0 }, time.Minute, 200*time.Millisecond)
	require.NoError(t, server.Stop())
	require.NoError(t, server.Restart())
	again := dial(t, server, namespace)
	for _, plan := range plans {
		approve(t, again, plan.Name)
	}
	for _, plan := range plans {
		waitFor(t, again, plan.Name, 3*time.Minute, durable.StateComplete)
	}
	assert.Equal(t, len(plans), atlas.RequestCount(livemigrationtest.CreateMigration))
	assertNoSecrets(t, again, atlas)
}

// Commands arrive while a workflow continues as new again and again. None is lost.
func TestSignalsDuringContinueAsNew(t *testing.T) {
	t.Parallel()
	server := startServer(t, temporalserver.Options{Namespaces: []string{namespace}, ContinueAsNewAfter: 20})
	atlas, c := newAtlas(t), dial(t, server, namespace)
	startWorker(t, server, namespace, atlas, nil)
	const rounds = 8
	for range rounds {
		atlas.FailNextValidation("no")
	}
	_, err := livemigrationtemporal.Start(t.Context(), c, planOf(atlas, "billing"))
	require.NoError(t, err)
	for range rounds {
		waitFor(t, c, "billing", time.Minute, durable.StateFailed)
		require.NoError(t, livemigrationtemporal.Restart(t.Context(), c, "billing"))
		approve(t, c, "billing")
		require.Eventually(t, func() bool {
			record, err := livemigrationtemporal.Record(t.Context(), c, "billing")
			return err == nil && record.State != durable.StateFailed
		}, time.Minute, 10*time.Millisecond)
	}
	waitFor(t, c, "billing", time.Minute, durable.StateComplete)
	runs := 0
	for _, info := range executions(t, c, rounds) {
		if info.GetStatus() == enums.WORKFLOW_EXECUTION_STATUS_CONTINUED_AS_NEW && info.GetType().GetName() == "MigrationWorkflow" {
			runs++
		}
	}
	assert.GreaterOrEqual(t, runs, rounds/2)
	assert.Equal(t, 1, atlas.RequestCount(livemigrationtest.CreateMigration))
	assertNoSecrets(t, c, atlas)
}

// Two workers with clients of their own share the rate limit of a project, and both learn from Atlas how much is left.
func TestWithinRateLimit(t *testing.T) {
	t.Parallel()
	server := startServer(t, temporalserver.Options{Namespaces: []string{namespace}})
	atlas := newAtlas(t, livemigrationtest.WithRateLimit(livemigrationtest.Bucket{Capacity: 40, Per: 30 * time.Second}))
	c := dial(t, server, namespace)
	for range 2 {
		startWorker(t, server, namespace, atlas, nil)
	}
	const migrations = 6 // they would look 30 times a second
	completeAll(t, c, atlas, plansOn(atlas, migrations, migrations))
	limited := 0
	for _, request := range atlas.Recorded() {
		if request.StatusCode == 429 {
			limited++
		}
	}
	t.Logf("%d requests, %d of them were over the rate limit", len(atlas.Recorded()), limited)
	assert.Less(t, limited, len(atlas.Recorded())/5)
}

// Atlas rejects what two migrations would do at once on a host or in a source organization. Two workers never ask for it.
func TestOneAtATime(t *testing.T) {
	t.Parallel()
	server := startServer(t, temporalserver.Options{Namespaces: []string{namespace}})
	atlas, c := newAtlas(t, livemigrationtest.WithOneAtATime()), dial(t, server, namespace)
	for range 2 {
		startWorker(t, server, namespace, atlas, nil)
	}
	plans := plansOn(atlas, 6, 2)
	for i := range plans {
		plans[i].Exclusive = []string{[]string{"Source organization", "source ORGANIZATION "}[i%2]}
	}
	completeAll(t, c, atlas, plans)
}

// completeAll starts migrations, and checks that each one completes and was created once.
func completeAll(t *testing.T, c client.Client, atlas *livemigrationtest.Server, plans []durable.Plan) {
	t.Helper()
	startAll(t, c, plans)
	for _, plan := range plans {
		record := waitFor(t, c, plan.Name, 5*time.Minute, durable.StateComplete, durable.StateFailed, durable.StateUnclear)
		assert.Equal(t, durable.StateComplete, record.State, record.Problem)
	}
	assert.Len(t, atlas.Migrations(), len(plans))
	cutovers := 0
	for _, request := range atlas.Recorded(livemigrationtest.OfOperation(livemigrationtest.Cutover)) {
		if request.StatusCode != 429 { // which Atlas has not carried out
			cutovers++
		}
	}
	assert.Equal(t, len(plans), cutovers)
	assertNoSecrets(t, c, atlas)
}

// A lock whose holder was terminated goes to the next in line.
func TestTerminatedHolder(t *testing.T) {
	t.Parallel()
	server := startServer(t, temporalserver.Options{Namespaces: []string{namespace}})
	atlas, c := newAtlas(t), dial(t, server, namespace)
	startWorker(t, server, namespace, atlas, nil)
	plans := plansOn(atlas, 2, 1)
	startAll(t, c, plans[:1])
	waitFor(t, c, plans[0].Name, time.Minute, durable.StateValidating, durable.StateReplicating)
	startAll(t, c, plans[1:])
	require.NoError(t, c.TerminateWorkflow(t.Context(), livemigrationtemporal.WorkflowID(plans[0].Name), "", "a test"))
	waitFor(t, c, plans[1].Name, 3*time.Minute, durable.StateComplete)
}

func TestCommandsThatCannotBe(t *testing.T) {
	t.Parallel()
	server := startServer(t, temporalserver.Options{Namespaces: []string{namespace}})
	atlas, c := newAtlas(t), dial(t, server, namespace)
	ctx, plan := t.Context(), planOf(atlas, "Billing")
	startWorker(t, server, namespace, atlas, nil)
	require.ErrorIs(t, livemigrationtemporal.Approve(ctx, c, "Billing", durable.GateStart, "", time.Time{}), durable.ErrNotFound)
	_, err := livemigrationtemporal.Record(ctx, c, "Billing")
	require.ErrorIs(t, err, durable.ErrNotFound)

	_, err = livemigrationtemporal.Start(ctx, c, plan)
	require.NoError(t, err)
	_, err = livemigrationtemporal.Start(ctx, c, plan)
	require.ErrorIs(t, err, durable.ErrConflict)
	require.ErrorIs(t, livemigrationtemporal.Approve(ctx, c, "billing", "everything", "", time.Time{}), livemigration.ErrInvalidRequest)
	require.ErrorIs(t, livemigrationtemporal.Adopt(ctx, c, "billing", "x"), livemigration.ErrInvalidRequest)
	require.ErrorIs(t, livemigrationtemporal.Adopt(ctx, c, "billing", "6560f2a49c1b7e03d5dddddd"), durable.ErrConflict)
	err = livemigrationtemporal.Restart(ctx, c, "billing")
	require.ErrorIs(t, err, durable.ErrConflict)

	require.NoError(t, livemigrationtemporal.Abandon(ctx, c, "billing"))
	waitFor(t, c, "billing", time.Minute, durable.StateAbandoned)
	require.Eventually(t, func() bool {
		return errors.Is(livemigrationtemporal.Abandon(ctx, c, "billing"), durable.ErrNotFound)
	}, time.Minute, 100*time.Millisecond, "its workflow has ended")
}
