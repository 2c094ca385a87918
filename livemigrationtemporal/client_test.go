package livemigrationtemporal

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/common/v1"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/mocks"

	"github.com/livemigration/livemigration-go"
	"github.com/livemigration/livemigration-go/durable"
	"github.com/livemigration/livemigration-go/livemigrationtest"
)

const migrationID livemigration.MigrationID = "6560f2a49c1b7e03d5dddddd"

// described is what Temporal says about a workflow.
func described(t *testing.T, status enums.WorkflowExecutionStatus, state durable.State) *workflowservice.DescribeWorkflowExecutionResponse {
	t.Helper()
	payload, err := converter.GetDefaultDataConverter().ToPayload(state)
	require.NoError(t, err)
	return &workflowservice.DescribeWorkflowExecutionResponse{WorkflowExecutionInfo: &workflowpb.WorkflowExecutionInfo{
		Status: status, Memo: &common.Memo{Fields: map[string]*common.Payload{memoState: payload}},
	}}
}

func TestCommands(t *testing.T) {
	const running, ended = enums.WORKFLOW_EXECUTION_STATUS_RUNNING, enums.WORKFLOW_EXECUTION_STATUS_COMPLETED
	approve := func(gate durable.Gate) func(*testing.T, client.Client) error {
		return func(t *testing.T, c client.Client) error { return Approve(t.Context(), c, "Billing", gate) }
	}
	adopt := func(id livemigration.MigrationID) func(*testing.T, client.Client) error {
		return func(t *testing.T, c client.Client) error { return Adopt(t.Context(), c, "Billing", id) }
	}
	restart := func(t *testing.T, c client.Client) error { return Restart(t.Context(), c, "Billing") }
	tests := map[string]struct {
		do     func(*testing.T, client.Client) error
		status enums.WorkflowExecutionStatus
		state  durable.State
		sent   command
		want   error
	}{
		"approve":                       {approve(durable.GateCutover), running, durable.StateReady, command{Approve: durable.GateCutover}, nil},
		"approve in advance":            {approve(durable.GateStart), running, durable.StatePlanned, command{Approve: durable.GateStart}, nil},
		"approve what does not exist":   {approve("all"), running, durable.StateReady, command{}, livemigration.ErrInvalidRequest},
		"approve one that has ended":    {approve(durable.GateCutover), ended, durable.StateComplete, command{}, durable.ErrConflict},
		"adopt":                         {adopt(migrationID), running, durable.StateUnclear, command{Adopt: migrationID}, nil},
		"adopt with an encrypted memo":  {adopt(migrationID), running, "", command{Adopt: migrationID}, nil},
		"adopt for one that replicates": {adopt(migrationID), running, durable.StateReplicating, command{}, durable.ErrConflict},
		"adopt a malformed id":          {adopt("x"), running, durable.StateUnclear, command{}, livemigration.ErrInvalidRequest},
		"restart one that failed":       {restart, running, durable.StateFailed, command{Restart: true}, nil},
		"restart one that expired":      {restart, running, durable.StateExpired, command{Restart: true}, nil},
		"restart one that is unclear":   {restart, running, durable.StateUnclear, command{Restart: true}, nil},
		"restart one that is ready":     {restart, running, durable.StateReady, command{}, durable.ErrConflict},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			c := mocks.NewClient(t)
			c.On("DescribeWorkflowExecution", mock.Anything, "livemigration/billing", "").Return(described(t, tt.status, tt.state), nil).Maybe()
			if tt.want == nil {
				c.On("SignalWorkflow", mock.Anything, "livemigration/billing", "", commandSignal, tt.sent).Return(nil)
			}
			require.ErrorIs(t, tt.do(t, c), tt.want)
		})
	}
}

func TestUnknownName(t *testing.T) {
	c := mocks.NewClient(t)
	c.On("DescribeWorkflowExecution", mock.Anything, mock.Anything, "").Return(nil, serviceerror.NewNotFound("no"))
	c.On("QueryWorkflow", mock.Anything, mock.Anything, "", recordQuery).Return(nil, serviceerror.NewNotFound("no"))
	require.ErrorIs(t, Restart(t.Context(), c, "x"), durable.ErrNotFound)
	require.ErrorIs(t, Abandon(t.Context(), c, "x"), durable.ErrNotFound)
	_, err := Record(t.Context(), c, "x")
	require.ErrorIs(t, err, durable.ErrNotFound)
}

func TestStart(t *testing.T) {
	atlas := livemigrationtest.NewServer(livemigrationtest.WithInProcess())
	t.Cleanup(atlas.Close)
	plan := planOf(atlas, "Billing")
	byID := mock.MatchedBy(func(o client.StartWorkflowOptions) bool {
		return o.ID == "livemigration/billing" && o.TaskQueue == TaskQueue
	})
	c := mocks.NewClient(t)
	run := mocks.NewWorkflowRun(t)
	c.On("ExecuteWorkflow", mock.Anything, byID, migrationWorkflow, plan).Return(run, nil).Once()
	started, err := Start(t.Context(), c, plan)
	require.NoError(t, err)
	assert.Equal(t, client.WorkflowRun(run), started)

	c.On("ExecuteWorkflow", mock.Anything, byID, migrationWorkflow, plan).
		Return(nil, serviceerror.NewWorkflowExecutionAlreadyStarted("already", "", "")).Once()
	_, err = Start(t.Context(), c, plan)
	require.ErrorIs(t, err, durable.ErrConflict)

	plan.Request.Source.Password = password
	_, err = Start(t.Context(), c, plan)
	require.ErrorIs(t, err, livemigration.ErrInvalidRequest)
	assert.NotContains(t, err.Error(), password)
}
