package temporal

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/livemigration/livemigration-go/durable"
	"github.com/livemigration/livemigration-go/livemigrationtemporal"
	"github.com/livemigration/livemigration-go/livemigrationtest"
	"github.com/livemigration/livemigration-go/test/temporal/internal/estate"
)

// moveHouse is a workflow of a user, with a migration as one of its steps.
func moveHouse(ctx workflow.Context, plan durable.Plan) (durable.Record, error) {
	var record durable.Record
	ctx = workflow.WithChildOptions(ctx, workflow.ChildWorkflowOptions{WorkflowID: livemigrationtemporal.WorkflowID(plan.Name)})
	child := workflow.ExecuteChildWorkflow(ctx, livemigrationtemporal.MigrationWorkflow, plan)
	if err := child.GetChildWorkflowExecution().Get(ctx, nil); err != nil {
		return record, err
	}
	if err := child.SignalChildWorkflow(ctx, "command", map[string]any{"approve": durable.GateCutover}).Get(ctx, nil); err != nil {
		return record, err
	}
	return record, child.Get(ctx, &record)
}

// A migration is a child of a user's workflow, in the test environment of Temporal's SDK: no server is needed.
func TestChildWorkflow(t *testing.T) {
	atlas := newAtlas(t)
	client, err := atlas.NewClient()
	require.NoError(t, err)
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(estate.Silence{})
	env := suite.NewTestWorkflowEnvironment()
	env.SetTestTimeout(time.Minute)
	env.SetWorkerOptions(worker.Options{DeadlockDetectionTimeout: time.Minute}) // a busy machine is no deadlock
	driver, err := estate.NewDriver(client, poll)
	require.NoError(t, err)
	livemigrationtemporal.Register(env, driver)
	env.RegisterWorkflow(moveHouse)
	plan := estate.Plan(atlas, "billing")
	// The activity that asks for a lock needs a server. Here each lock is free.
	grant := func(_ context.Context, name string, ticket int64) error {
		return env.SignalWorkflowByID(livemigrationtemporal.WorkflowID(plan.Name), "grant", map[string]any{"lock": name, "ticket": ticket})
	}
	env.OnActivity("request lock", mock.Anything, mock.Anything, mock.Anything).Return(grant)
	env.OnSignalExternalWorkflow(mock.Anything, mock.Anything, "", "release", mock.Anything).Return(nil)
	env.ExecuteWorkflow(moveHouse, plan)
	var record durable.Record
	require.NoError(t, env.GetWorkflowError())
	require.NoError(t, env.GetWorkflowResult(&record))
	assert.Equal(t, durable.StateComplete, record.State)
	assert.Equal(t, 1, atlas.RequestCount(livemigrationtest.CreateMigration))
}
