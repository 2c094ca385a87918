package livemigrationtemporal

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"

	"github.com/livemigration/livemigration-go"
	"github.com/livemigration/livemigration-go/durable"
)

const workflowIDPrefix = "livemigration/"

// There is one name for all commands, because a workflow cannot tell in which order signals with different names arrived.
const (
	commandSignal = "command"
	recordQuery   = "record"
)

// WorkflowID is the workflow ID of a migration: "livemigration/" and the name of its plan in lowercase.
func WorkflowID(name string) string { return workflowIDPrefix + strings.ToLower(name) }

// Start starts the migration of a plan on [TaskQueue], and sends nothing to Atlas. It returns as soon as Temporal has stored the
// workflow.
//
// A plan runs once within Temporal's retention: the error is [durable.ErrConflict] while a workflow with this name runs or is
// kept. For a malformed plan, and for one of more than 1 MiB, it is [livemigration.ErrInvalidRequest].
func Start(ctx context.Context, c client.Client, plan durable.Plan) (client.WorkflowRun, error) {
	planned := durable.Record{Plan: plan, State: durable.StatePlanned}
	return start(ctx, c, planned, enums.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE, plan)
}

// StartAgain starts a migration again from its last record, after its workflow was terminated. Take the record from [Record]: one
// that is older than the creation of the migration would create it again. An action in progress counts as one with an unknown
// outcome, so a creation becomes UNCLEAR. The error is [durable.ErrConflict] while a workflow with this name runs.
func StartAgain(ctx context.Context, c client.Client, record durable.Record) (client.WorkflowRun, error) {
	named := durable.Plan{Name: record.Plan.Name}
	return start(ctx, c, record, enums.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE, named, carried{Record: record})
}

func start(
	ctx context.Context, c client.Client, r durable.Record, reuse enums.WorkflowIdReusePolicy, args ...any,
) (client.WorkflowRun, error) {
	plan, from, to := r.Plan, r.Plan.Request.Source, r.Plan.Request.Destination
	if err := checkPlan(plan); err != nil {
		return nil, fmt.Errorf("livemigrationtemporal: start %q: %w", plan.Name, err)
	}
	run, err := c.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID: WorkflowID(plan.Name), TaskQueue: TaskQueue,
		WorkflowIDReusePolicy:                    reuse,
		WorkflowExecutionErrorWhenAlreadyStarted: true,
		Memo:                                     summarize(r).memo(),
		StaticSummary:                            fmt.Sprintf("%s: %s to %s", plan.Name, from.ClusterName, to.ClusterName),
	}, migrationWorkflow, args...)
	var started *serviceerror.WorkflowExecutionAlreadyStarted
	if errors.As(err, &started) {
		err = fmt.Errorf("a migration with this name was started before: %w", durable.ErrConflict)
	}
	if err != nil {
		return nil, fmt.Errorf("livemigrationtemporal: start %q: %w", plan.Name, err)
	}
	return run, nil
}

// Approve opens a gate of a migration, in advance too. By names you in the record. The approval ends at until; zero: it does not
// end. Before you approve a cutover, stop all writes to the source.
//
// Approve and the functions below need a running worker. Their error is [durable.ErrNotFound] for a name whose workflow does not
// run, [durable.ErrConflict] for a state that does not allow the command, and [livemigration.ErrInvalidRequest] for what can never
// be, such as an unknown gate. It names the state.
func Approve(ctx context.Context, c client.Client, name string, gate durable.Gate, by string, until time.Time) error {
	return send(ctx, c, fmt.Sprintf("approve the %s of %q", gate, name), name, command{Approve: gate, By: by, Until: until})
}

// Revoke takes an approval back. Once the gate's action is in progress the error is [durable.ErrConflict], so nil means that
// nothing follows.
func Revoke(ctx context.Context, c client.Client, name string, gate durable.Gate, by string) error {
	return send(ctx, c, fmt.Sprintf("revoke the %s of %q", gate, name), name, command{Revoke: gate, By: by})
}

// Adopt gives an UNCLEAR migration the ID of the job that you have found in Atlas. The first poll makes sure that the job runs on
// the migration host of the plan. If two migrations adopt one ID, nothing notices.
func Adopt(ctx context.Context, c client.Client, name string, id livemigration.MigrationID) error {
	return send(ctx, c, fmt.Sprintf("adopt a migration for %q", name), name, command{Adopt: id})
}

// Restart plans a migration again that is UNCLEAR, FAILED or EXPIRED.
func Restart(ctx context.Context, c client.Client, name string) error {
	return send(ctx, c, fmt.Sprintf("restart %q", name), name, command{Restart: true})
}

// Replace gives a PLANNED, FAILED or EXPIRED migration another plan of the same name.
func Replace(ctx context.Context, c client.Client, plan durable.Plan) error {
	what := fmt.Sprintf("replace %q", plan.Name)
	if err := checkPlan(plan); err != nil {
		return fmt.Errorf("livemigrationtemporal: %s: %w", what, err)
	}
	return send(ctx, c, what, plan.Name, command{Replace: &plan})
}

// Abandon ends the workflow of a migration. Its record becomes ABANDONED, and in Atlas nothing changes. The result of an action
// in progress is kept.
func Abandon(ctx context.Context, c client.Client, name string) error {
	return send(ctx, c, fmt.Sprintf("abandon %q", name), name, command{Abandon: true})
}

// Record returns the record of a migration, even of one that has ended. A worker must be running. The record is as of the
// last change; the lag that a poll has seen since is in its heartbeat.
func Record(ctx context.Context, c client.Client, name string) (durable.Record, error) {
	var record durable.Record
	value, err := c.QueryWorkflow(ctx, WorkflowID(name), "", recordQuery)
	if err == nil {
		err = value.Get(&record)
	}
	if err != nil {
		return record, fmt.Errorf("livemigrationtemporal: read the record of %q: %w", name, known(ctx, c, name, err))
	}
	return record, nil
}

// send sends a command as an update, which returns why the state does not allow it.
func send(ctx context.Context, c client.Client, what, name string, argument command) error {
	handle, err := c.UpdateWorkflow(ctx, client.UpdateWorkflowOptions{
		WorkflowID: WorkflowID(name), UpdateName: commandSignal, Args: []any{argument}, WaitForStage: client.WorkflowUpdateStageCompleted,
	})
	if err == nil {
		err = handle.Get(ctx, nil)
	}
	if err != nil {
		return fmt.Errorf("livemigrationtemporal: %s: %w", what, known(ctx, c, name, err))
	}
	return nil
}

// missing is the error for a migration whose workflow does not run. It names the state of one that has ended.
func missing(ctx context.Context, c client.Client, name string) error {
	var state durable.State
	described, err := c.DescribeWorkflowExecution(ctx, WorkflowID(name), "")
	info := described.GetWorkflowExecutionInfo()
	if err == nil {
		err = converter.GetDefaultDataConverter().FromPayload(info.GetMemo().GetFields()["state"], &state)
	}
	if err != nil {
		return fmt.Errorf("no workflow %s runs: %w", WorkflowID(name), durable.ErrNotFound)
	}
	return fmt.Errorf("it is %s, and its workflow has ended (%s): %w", state, strings.ToLower(info.GetStatus().String()), durable.ErrNotFound)
}

// known puts errors of Temporal into this module's terms.
func known(ctx context.Context, c client.Client, name string, err error) error {
	var notFound *serviceerror.NotFound
	var application *temporal.ApplicationError
	switch {
	case errors.As(err, &notFound):
		return missing(ctx, c, name)
	case errors.As(err, &application) && application.Type() == conflictType:
		return fmt.Errorf("%s: %w", strings.TrimSuffix(application.Message(), ": "+durable.ErrConflict.Error()), durable.ErrConflict)
	case errors.As(err, &application) && application.Type() == invalidType:
		return fmt.Errorf("%s: %w", application.Message(), livemigration.ErrInvalidRequest)
	default:
		return err
	}
}
