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

	"github.com/livemigration/livemigration-go"
	"github.com/livemigration/livemigration-go/durable"
	"github.com/livemigration/livemigration-go/livemigrationtemporal"
	"github.com/livemigration/livemigration-go/livemigrationtest"
	"github.com/livemigration/livemigration-go/test/temporal/internal/estate"
	"github.com/livemigration/livemigration-go/test/temporal/internal/temporalserver"
)

// The server stops during a poll and while a migration waits for a lock, and comes back with what it had stored.
func TestServerRestart(t *testing.T) {
	t.Parallel()
	l := newLabOn(t, temporalserver.Options{File: filepath.Join(t.TempDir(), "temporal.db")})
	plans := estate.Plans(l.atlas, 2, 1)
	l.process(t, nil)
	l.start(t, plans...)
	eventually(t, func() bool {
		states, err := estate.States(t.Context(), l.Client, plans)
		return err == nil && states[durable.StateReady] == 1 && states[durable.StatePlanned] == 1
	})
	require.NoError(t, l.server.Stop())
	require.NoError(t, l.server.Restart())
	l.dial(t)
	for _, plan := range plans {
		l.approve(t, plan.Name)
	}
	l.complete(t, plans...)
}

// Commands arrive while a workflow continues as new again and again. None is lost.
func TestContinueAsNew(t *testing.T) {
	t.Parallel()
	l := newLabOn(t, temporalserver.Options{ContinueAsNewAfter: 20})
	l.work(t, nil)
	const rounds = 4
	for range rounds {
		l.atlas.FailNextValidation("no")
	}
	plan := estate.Plan(l.atlas, "billing")
	l.start(t, plan)
	for range rounds {
		l.waitFor(t, plan.Name, durable.StateFailed)
		require.NoError(t, command(t, func() error { return livemigrationtemporal.Restart(t.Context(), l.Client, plan.Name) }))
		l.approve(t, plan.Name)
	}
	l.complete(t, plan)
	runs := 0
	for _, info := range l.executions(t, rounds) {
		if info.GetStatus() == enums.WORKFLOW_EXECUTION_STATUS_CONTINUED_AS_NEW && info.GetType().GetName() == "MigrationWorkflow" {
			runs++
		}
	}
	assert.GreaterOrEqual(t, runs, rounds/2)
}

// Two workers with clients of their own share the rate limit of a project, and both learn from Atlas how much is left.
func TestWithinRateLimit(t *testing.T) {
	t.Parallel()
	l := newLab(t, livemigrationtest.WithRateLimit(livemigrationtest.Bucket{Capacity: 40, Per: 30 * time.Second}))
	for range 2 {
		l.work(t, nil)
	}
	plans := estate.Plans(l.atlas, 6, 6)
	l.start(t, plans...)
	for _, plan := range plans {
		l.approve(t, plan.Name)
	}
	l.complete(t, plans...)
	limited := 0
	for _, request := range l.atlas.Recorded() {
		if request.StatusCode == 429 {
			limited++
		}
	}
	t.Logf("%d requests, %d of them were over the rate limit", len(l.atlas.Recorded()), limited)
	assert.Less(t, limited, len(l.atlas.Recorded())/5)
}

// Atlas rejects what two migrations would do at once on a host or in a source organization. Two workers never ask for it.
func TestOneAtATime(t *testing.T) {
	t.Parallel()
	l := newLab(t, livemigrationtest.WithOneAtATime())
	for range 2 {
		l.work(t, nil)
	}
	plans := estate.Plans(l.atlas, 4, 2)
	for i := range plans {
		plans[i].Exclusive = []string{[]string{"Source organization", "source ORGANIZATION "}[i%2]}
	}
	l.start(t, plans...)
	for _, plan := range plans {
		l.approve(t, plan.Name)
	}
	l.complete(t, plans...)
	for _, request := range l.atlas.Recorded(livemigrationtest.CreateMigration) {
		assert.NotEqual(t, 409, request.StatusCode)
	}
}

// A lock whose holder was terminated goes to the next in line. The workflow that was terminated is started again from its
// record, and goes on with the job that it had: that does not wait for the lock.
func TestTerminatedHolder(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.work(t, nil)
	plans := estate.Plans(l.atlas, 2, 1)
	l.start(t, plans[0])
	l.waitFor(t, plans[0].Name, durable.StateReady)
	l.start(t, plans[1])
	require.NoError(t, l.TerminateWorkflow(t.Context(), livemigrationtemporal.WorkflowID(plans[0].Name), "", "a test"))
	err := livemigrationtemporal.Approve(t.Context(), l.Client, plans[0].Name, durable.GateCutover, "ann", time.Time{})
	require.ErrorContains(t, err, "it is READY, and its workflow has ended (terminated)")
	l.waitFor(t, plans[1].Name, durable.StateReplicating, durable.StateReady)

	record, err := livemigrationtemporal.Record(t.Context(), l.Client, plans[0].Name)
	require.NoError(t, err)
	_, err = livemigrationtemporal.StartAgain(t.Context(), l.Client, record)
	require.NoError(t, err)
	_, err = livemigrationtemporal.StartAgain(t.Context(), l.Client, record)
	require.ErrorIs(t, err, durable.ErrConflict, "it runs")
	l.approve(t, plans[0].Name)
	l.waitFor(t, plans[0].Name, durable.StateComplete)
	l.approve(t, plans[1].Name)
	l.complete(t, plans...)
}

// A workflow that was terminated, with nobody waiting for its locks, is started again: the locks still name it.
func TestStartAgain(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.work(t, nil)
	plan := estate.Plan(l.atlas, "billing")
	l.start(t, plan)
	l.waitFor(t, plan.Name, durable.StateReplicating, durable.StateReady)
	require.NoError(t, l.TerminateWorkflow(t.Context(), livemigrationtemporal.WorkflowID(plan.Name), "", "a test"))
	record, err := livemigrationtemporal.Record(t.Context(), l.Client, plan.Name)
	require.NoError(t, err)
	_, err = livemigrationtemporal.StartAgain(t.Context(), l.Client, record)
	require.NoError(t, err)
	l.approve(t, plan.Name)
	l.complete(t, plan)
}

// A command that the state does not allow returns an error that names the state; as a signal it becomes an event.
func TestCommandsThatCannotBe(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.work(t, nil)
	ctx, c, plan := t.Context(), l.Client, estate.Plan(l.atlas, "Billing")
	plan.HoldStart = true
	require.ErrorIs(t, livemigrationtemporal.Approve(ctx, c, "Billing", durable.GateStart, "", time.Time{}), durable.ErrNotFound)
	_, err := livemigrationtemporal.Record(ctx, c, "Billing")
	require.ErrorIs(t, err, durable.ErrNotFound)

	l.start(t, plan)
	_, err = livemigrationtemporal.Start(ctx, c, plan)
	require.ErrorIs(t, err, durable.ErrConflict)
	record := l.waitFor(t, "billing", durable.StateValidated)
	require.NotNil(t, record.Problem)
	assert.Equal(t, durable.ProblemWaitingForApproval, record.Problem.Kind)
	approve := func(gate durable.Gate) func() error {
		return func() error {
			return livemigrationtemporal.Approve(ctx, c, "billing", gate, "ann", time.Now().Add(time.Hour))
		}
	}
	adopt := func(id livemigration.MigrationID) func() error {
		return func() error { return livemigrationtemporal.Adopt(ctx, c, "billing", id) }
	}
	require.ErrorIs(t, command(t, approve("everything")), livemigration.ErrInvalidRequest)
	require.ErrorIs(t, command(t, adopt("x")), livemigration.ErrInvalidRequest)
	other := plan
	other.Parallel = true
	for what, send := range map[string]func() error{
		"adopt":   adopt("6560f2a49c1b7e03d5dddddd"),
		"restart": func() error { return livemigrationtemporal.Restart(ctx, c, "billing") },
		"replace": func() error { return livemigrationtemporal.Replace(ctx, c, other) },
	} {
		err := command(t, send)
		require.ErrorIs(t, err, durable.ErrConflict, what)
		require.ErrorContains(t, err, "VALIDATED", what)
	}
	l.signal(t, "billing", map[string]any{"restart": true})
	l.signal(t, "billing", []int{1})
	require.NoError(t, command(t, approve(durable.GateStart)))
	l.waitFor(t, "billing", durable.StateReplicating, durable.StateReady)
	for what, send := range map[string]func() error{
		"approve": approve(durable.GateStart),
		"revoke":  func() error { return livemigrationtemporal.Revoke(ctx, c, "billing", durable.GateStart, "ann") },
	} {
		err := command(t, send)
		require.ErrorIs(t, err, durable.ErrConflict, what)
		require.ErrorContains(t, err, "RE", what) // REPLICATING or READY
	}

	require.NoError(t, command(t, func() error { return livemigrationtemporal.Abandon(ctx, c, "billing") }))
	record = l.waitFor(t, "billing", durable.StateAbandoned)
	events := fmt.Sprint(record.Events)
	assert.Contains(t, events, `a command was ignored: durable: restart "Billing": it is VALIDATED`)
	assert.Contains(t, events, "a command was ignored: it cannot be read")
	eventually(t, func() bool { // its workflow has ended
		err = livemigrationtemporal.Abandon(ctx, c, "billing")
		return errors.Is(err, durable.ErrNotFound)
	})
	require.ErrorContains(t, err, "it is ABANDONED")
}
