package livemigrationtemporal

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
)

const (
	// watchFor is for how long one activity watches the holder of a lock, and watchInterval the time between two polls.
	watchFor      = time.Hour
	watchInterval = 30 * time.Second
	// watchTimeout leaves a watch time to end.
	watchTimeout = watchFor + 10*time.Minute
)

// requestLock asks for a lock in the name of the migration whose activity this is. It starts the lock's workflow
// when there is none.
func requestLock(ctx context.Context, name string, ticket int64) error {
	info := activity.GetInfo(ctx)
	_, err := activity.GetClient(ctx).SignalWithStartWorkflow(ctx, lockID(name),
		requestSignal, claim{Workflow: info.WorkflowExecution.ID, Ticket: ticket},
		client.StartWorkflowOptions{TaskQueue: info.TaskQueue, StaticSummary: "lock: " + name},
		lockWorkflow, lock{Name: name})
	if err != nil {
		return fmt.Errorf("ask for the lock of the %s: %w", name, err)
	}
	return nil
}

// watchHolder waits for the end of a workflow. It is false when the workflow runs on after an hour.
func watchHolder(ctx context.Context, workflowID string) (ended bool, err error) {
	c := activity.GetClient(ctx)
	ctx, cancel := untilStop(ctx)
	defer cancel()
	for end := time.Now().Add(watchFor); time.Now().Before(end); {
		running, err := isRunning(ctx, c, workflowID)
		if err == nil && !running {
			return true, nil
		}
		if !rest(ctx, watchInterval, nil) {
			break
		}
	}
	return false, nil
}

func isRunning(ctx context.Context, c client.Client, workflowID string) (bool, error) {
	described, err := c.DescribeWorkflowExecution(ctx, workflowID, "")
	var missing *serviceerror.NotFound
	if errors.As(err, &missing) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return described.GetWorkflowExecutionInfo().GetStatus() == enums.WORKFLOW_EXECUTION_STATUS_RUNNING, nil
}
