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
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/workflow"
)

// Signals between migrations and locks.
const (
	requestSignal = "request" // a migration asks a lock
	releaseSignal = "release" // a migration gives a lock back, or no longer waits for it
	grantSignal   = "grant"   // a lock tells a migration that it has the lock
)

// watchInterval is the time between two polls of the holder of a lock.
const watchInterval = 30 * time.Second

// claim is a migration that has a lock, or waits for it.
type claim struct {
	Workflow string `json:"workflow"` // its workflow ID
	Ticket   int64  `json:"ticket"`   // grows with each request of a migration
}

// grant says that a migration has a lock.
type grant struct {
	Lock   string `json:"lock"`
	Ticket int64  `json:"ticket"` // of the claim
}

// lock is the state of a lock.
type lock struct {
	Name   string  `json:"name"`
	Holder claim   `json:"holder"` // without a workflow: nobody
	Queue  []claim `json:"queue"`  // who waits, the first one first
}

// lockRun is one run of the workflow of a lock.
type lockRun struct {
	lock
	requests, releases workflow.ReceiveChannel
	untold             bool // the holder does not know yet that it has the lock
}

// runLock is the workflow of a lock. It ends when nobody has or wants the lock. Between the last take and the end it does
// not wait for anything: a signal that arrives later makes Temporal run this step again, so no signal is lost.
func runLock(ctx workflow.Context, state lock) error {
	ctx, _ = workflow.NewDisconnectedContext(ctx) // who cancels a lock takes it from nobody
	l := &lockRun{
		lock:     state,
		requests: workflow.GetSignalChannel(ctx, requestSignal), releases: workflow.GetSignalChannel(ctx, releaseSignal),
	}
	for {
		l.take()
		if l.Holder.Workflow == "" && len(l.Queue) > 0 {
			l.Holder, l.Queue, l.untold = l.Queue[0], l.Queue[1:], true
		}
		if l.untold {
			l.tellHolder(ctx)
			continue
		}
		if l.Holder.Workflow == "" {
			return nil
		}
		if err := workflow.UpsertMemo(ctx, map[string]any{"holder": l.Holder.Workflow, "waiting": len(l.Queue)}); err != nil {
			return err
		}
		if workflow.GetInfo(ctx).GetContinueAsNewSuggested() {
			return workflow.NewContinueAsNewError(ctx, lockWorkflow, l.lock)
		}
		l.wait(ctx)
	}
}

// take takes all signals that have arrived.
func (l *lockRun) take() {
	for {
		var c claim
		switch {
		case l.requests.ReceiveAsync(&c):
			l.request(c)
		case l.releases.ReceiveAsync(&c):
			l.release(c)
		default:
			return
		}
	}
}

// request puts a claim in line. A request that arrives twice is one.
func (l *lockRun) request(c claim) {
	if c.Workflow == l.Holder.Workflow {
		if c.Ticket >= l.Holder.Ticket {
			l.Holder, l.untold = c, true
		}
		return
	}
	if at := l.inLine(c.Workflow); at >= 0 {
		l.Queue[at].Ticket = max(l.Queue[at].Ticket, c.Ticket)
		return
	}
	l.Queue = append(l.Queue, c)
}

// release takes a claim away, unless a later request of the same migration has taken its place.
func (l *lockRun) release(c claim) {
	if c.Workflow == l.Holder.Workflow && c.Ticket >= l.Holder.Ticket {
		l.Holder, l.untold = claim{}, false
	}
	if at := l.inLine(c.Workflow); at >= 0 && c.Ticket >= l.Queue[at].Ticket {
		l.Queue = slices.Delete(l.Queue, at, at+1)
	}
}

func (l *lockRun) inLine(id string) int {
	return slices.IndexFunc(l.Queue, func(c claim) bool { return c.Workflow == id })
}

// tellHolder signals the holder. One that has ended cannot be signaled: then the next one is the holder.
func (l *lockRun) tellHolder(ctx workflow.Context) {
	told := l.Holder
	l.untold = false
	err := workflow.SignalExternalWorkflow(ctx, told.Workflow, "", grantSignal, grant{l.Name, told.Ticket}).Get(ctx, nil)
	if err != nil {
		l.release(told)
	}
}

// wait waits for the next signal, or while others wait for the end of the holder.
func (l *lockRun) wait(ctx workflow.Context) {
	selector := workflow.NewSelector(ctx)
	selector.AddReceive(l.requests, func(workflow.ReceiveChannel, bool) {}) // take takes it
	selector.AddReceive(l.releases, func(workflow.ReceiveChannel, bool) {})
	if holder := l.Holder; len(l.Queue) > 0 {
		watching, cancel := workflow.WithCancel(workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
			StartToCloseTimeout: pollTimeout, HeartbeatTimeout: heartbeatTimeout,
			Summary: strings.TrimPrefix(holder.Workflow, workflowIDPrefix),
		}))
		defer cancel()
		selector.AddFuture(workflow.ExecuteActivity(watching, watchHolderActivity, holder.Workflow), func(f workflow.Future) {
			var ended bool
			if err := f.Get(ctx, &ended); err == nil && ended {
				l.release(holder)
			}
		})
	}
	selector.Select(ctx)
}

// requestLock asks for a lock for the migration whose activity this is. It starts the lock's workflow when there is none.
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
	for end := time.Now().Add(pollFor); time.Now().Before(end); {
		described, err := c.DescribeWorkflowExecution(ctx, workflowID, "")
		var missing *serviceerror.NotFound
		gone := errors.As(err, &missing)
		if gone || err == nil && described.GetWorkflowExecutionInfo().GetStatus() != enums.WORKFLOW_EXECUTION_STATUS_RUNNING {
			return true, nil
		}
		if !rest(ctx, watchInterval, nil) {
			break
		}
	}
	return false, nil
}
