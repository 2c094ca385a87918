package livemigrationtemporal

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"

	"github.com/livemigration/livemigration-go"
	"github.com/livemigration/livemigration-go/durable"
)

const workflowIDPrefix = "livemigration/"

// The signal and the query of a migration. People send the signal from Temporal's web page and command line, too. There is
// one for all commands, since a workflow cannot tell in which order signals with different names arrived.
const (
	commandSignal = "command"
	recordQuery   = "record"
)

// command is what a person wants of a migration. One of its fields is set.
type command struct {
	Approve durable.Gate              `json:"approve,omitempty"`
	Adopt   livemigration.MigrationID `json:"adopt,omitempty"`
	Restart bool                      `json:"restart,omitempty"`
}

// WorkflowID is the workflow id of a migration: "livemigration/" and the name of its plan in lower case.
func WorkflowID(name string) string { return workflowIDPrefix + strings.ToLower(name) }

// Start starts the migration of a plan on [TaskQueue]. It returns as soon as Temporal has stored the workflow.
//
// A plan runs once within Temporal's retention: the error is [durable.ErrConflict] while a workflow with this name runs
// or is kept. For a malformed plan it is [livemigration.ErrInvalidRequest]. Start sends nothing to Atlas.
func Start(ctx context.Context, c client.Client, plan durable.Plan) (client.WorkflowRun, error) {
	if err := validate(plan); err != nil {
		return nil, fmt.Errorf("livemigrationtemporal: start %q: %w", plan.Name, err)
	}
	request := plan.Request
	run, err := c.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID: WorkflowID(plan.Name), TaskQueue: TaskQueue,
		WorkflowIDReusePolicy:                    enums.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE,
		WorkflowExecutionErrorWhenAlreadyStarted: true,
		Memo:                                     summary{State: durable.StatePlanned}.memo(),
		StaticSummary:                            fmt.Sprintf("%s: %s to %s", plan.Name, request.Source.ClusterName, request.Destination.ClusterName),
	}, migrationWorkflow, plan)
	var started *serviceerror.WorkflowExecutionAlreadyStarted
	if errors.As(err, &started) {
		return nil, fmt.Errorf("livemigrationtemporal: start %q: a migration with this name has been started before: %w", plan.Name, durable.ErrConflict)
	}
	if err != nil {
		return nil, fmt.Errorf("livemigrationtemporal: start %q: %w", plan.Name, err)
	}
	return run, nil
}

// Approve opens a gate of a migration. It may be opened in advance. Before a cutover is approved, writes to the source
// must have stopped. The error is [durable.ErrNotFound] for a name that Temporal does not know, [durable.ErrConflict] for
// a migration that has ended, and [livemigration.ErrInvalidRequest] for a gate that does not exist.
func Approve(ctx context.Context, c client.Client, name string, gate durable.Gate) error {
	what := fmt.Sprintf("approve the %s of %q", gate, name)
	if gate != durable.GateStart && gate != durable.GateCutover {
		return fmt.Errorf("livemigrationtemporal: %s: %w: the gate must be %q or %q", what, livemigration.ErrInvalidRequest, durable.GateStart, durable.GateCutover)
	}
	return signal(ctx, c, what, name, command{Approve: gate})
}

// Adopt gives an UNCLEAR migration the id of the job that a person has found in Atlas. The first look makes sure that the
// job runs on the migration host of the plan. The errors are those of [Approve]; [durable.ErrConflict] also for a
// migration that is not UNCLEAR.
func Adopt(ctx context.Context, c client.Client, name string, id livemigration.MigrationID) error {
	what := fmt.Sprintf("adopt a migration for %q", name)
	if _, err := livemigration.ParseMigrationID(string(id)); err != nil {
		return fmt.Errorf("livemigrationtemporal: %s: %w", what, err)
	}
	return signal(ctx, c, what, name, command{Adopt: id}, durable.StateUnclear)
}

// Restart plans a migration again that is UNCLEAR, FAILED or EXPIRED. Its ids and approvals are cleared. The errors are
// those of [Approve]; [durable.ErrConflict] also for a migration in another state.
func Restart(ctx context.Context, c client.Client, name string) error {
	return signal(ctx, c, fmt.Sprintf("restart %q", name), name, command{Restart: true},
		durable.StateUnclear, durable.StateFailed, durable.StateExpired)
}

// Abandon ends the workflow of a migration. Its record becomes ABANDONED, and in Atlas nothing changes. An action that is
// under way is waited for, and its result kept. The errors are those of [Approve].
func Abandon(ctx context.Context, c client.Client, name string) error {
	what := fmt.Sprintf("abandon %q", name)
	if _, err := running(ctx, c, name); err != nil {
		return fmt.Errorf("livemigrationtemporal: %s: %w", what, err)
	}
	if err := c.CancelWorkflow(ctx, WorkflowID(name), ""); err != nil {
		return fmt.Errorf("livemigrationtemporal: %s: %w", what, known(err, name))
	}
	return nil
}

// Record returns the record of a migration, also of one that has ended. A worker must be running. The record is that of
// the last change; the lag that a look has seen since stands in its heartbeat.
func Record(ctx context.Context, c client.Client, name string) (durable.Record, error) {
	var record durable.Record
	value, err := c.QueryWorkflow(ctx, WorkflowID(name), "", recordQuery)
	if err == nil {
		err = value.Get(&record)
	}
	if err != nil {
		return record, fmt.Errorf("livemigrationtemporal: read the record of %q: %w", name, known(err, name))
	}
	return record, nil
}

// signal sends a signal to a migration that runs and, where states are given, is in one of them. The workflow checks that
// again.
func signal(ctx context.Context, c client.Client, what, name string, argument command, allowed ...durable.State) error {
	state, err := running(ctx, c, name)
	if err == nil && len(allowed) > 0 && state != "" && !slices.Contains(allowed, state) {
		err = fmt.Errorf("it is %s, must be %s: %w", state, join(allowed), durable.ErrConflict)
	}
	if err == nil {
		err = known(c.SignalWorkflow(ctx, WorkflowID(name), "", commandSignal, argument), name)
	}
	if err != nil {
		return fmt.Errorf("livemigrationtemporal: %s: %w", what, err)
	}
	return nil
}

// running returns the state in the memo of a workflow that runs, empty when the memo cannot be read. It needs no worker.
func running(ctx context.Context, c client.Client, name string) (durable.State, error) {
	described, err := c.DescribeWorkflowExecution(ctx, WorkflowID(name), "")
	if err != nil {
		return "", known(err, name)
	}
	info := described.GetWorkflowExecutionInfo()
	if info.GetStatus() != enums.WORKFLOW_EXECUTION_STATUS_RUNNING {
		return "", fmt.Errorf("its workflow has ended at %s: %w", info.GetCloseTime().AsTime().Format(time.RFC3339), durable.ErrConflict)
	}
	var state durable.State
	if err := converter.GetDefaultDataConverter().FromPayload(info.GetMemo().GetFields()[memoState], &state); err != nil {
		return "", nil // encrypted: the workflow checks the state
	}
	return state, nil
}

// known puts the error for a name that Temporal does not know into this module's terms.
func known(err error, name string) error {
	var missing *serviceerror.NotFound
	if errors.As(err, &missing) {
		return fmt.Errorf("no migration with the workflow id %s runs: %w", WorkflowID(name), durable.ErrNotFound)
	}
	return err
}

func join(states []durable.State) string {
	texts := make([]string, len(states))
	for i, state := range states {
		texts[i] = string(state)
	}
	return strings.Join(texts, " or ")
}
