package livemigrationtemporal

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/workflow"

	"github.com/livemigration/livemigration-go/durable"
	"github.com/livemigration/livemigration-go/livemigrationtest"
)

// next decodes what a run hands on.
func next(t *testing.T, err error) (plan durable.Plan, from carried) {
	t.Helper()
	var again *workflow.ContinueAsNewError
	require.True(t, errors.As(err, &again), "%v", err)
	assert.Equal(t, migrationWorkflow, again.WorkflowType.Name)
	require.NoError(t, converter.GetDefaultDataConverter().FromPayloads(again.Input, &plan, &from))
	return plan, from
}

// A long history goes on in a new run, with the record, its locks, and the signals that have arrived.
func TestContinueAsNew(t *testing.T) {
	first := newFixture(t)
	first.atlas.FailNextValidation("no")
	first.at(time.Hour, func() {
		first.SetContinueAsNewSuggested(true)
		first.SignalWorkflowSkippingWorkflowTask(commandSignal, command{Restart: true})
		first.SignalWorkflowSkippingWorkflowTask(grantSignal, grant{"exclusive name late", 1})
		first.SignalWorkflow(commandSignal, command{Approve: durable.GateCutover})
	})
	first.ExecuteWorkflow(MigrationWorkflow, first.plan)
	plan, from := next(t, first.GetWorkflowError())
	assert.Equal(t, first.plan, plan)
	assert.Equal(t, durable.StatePlanned, from.Record.State)
	assert.Equal(t, []durable.Gate{durable.GateCutover}, from.Record.Approved, "%v", texts(from.Record))
	assert.Contains(t, first.released, "exclusive name late", "a lock that nobody wants is given back")

	second := newFixtureWith(t, first.atlas)
	second.ExecuteWorkflow(migrationWorkflow, plan, from)
	record := second.result(t)
	assert.Equal(t, durable.StateComplete, record.State)
	assert.Contains(t, texts(record), "PLANNED: restarted", "the events of the first run")
	assert.Equal(t, 1, second.count(livemigrationtest.CreateMigration))
}

// Locks that a run holds are not asked for again by the next one.
func TestContinueAsNewKeepsLocks(t *testing.T) {
	first := newFixture(t)
	first.lose(t, durable.ActionCreate, true, errors.New("lost"))
	first.at(time.Hour, func() {
		first.SetContinueAsNewSuggested(true)
		first.SignalWorkflow(commandSignal, command{Adopt: first.atlas.Migrations()[0].ID})
	})
	first.ExecuteWorkflow(MigrationWorkflow, first.plan)
	plan, from := next(t, first.GetWorkflowError())
	assert.Len(t, from.Locks.Held, len(resources(plan)))
	assert.Empty(t, first.released)

	second := newFixtureWith(t, first.atlas)
	from.Record = from.Record.Abandon(time.Now())
	second.ExecuteWorkflow(migrationWorkflow, plan, from)
	assert.Equal(t, durable.StateAbandoned, second.result(t).State)
	assert.Empty(t, second.asked)
	assert.ElementsMatch(t, resources(plan), second.released)
}
