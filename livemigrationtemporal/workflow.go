package livemigrationtemporal

import (
	"slices"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/livemigration/livemigration-go/durable"
)

// pause is the time after which something is tried again that went wrong on the side of Temporal or of a worker.
const pause = time.Minute

// MigrationWorkflow is the workflow of a migration. It returns the record when that is COMPLETE or ABANDONED. Its error
// says that the plan is not valid, or that the workflow continues as a new run. [Start] starts it. In a workflow of your
// own it can be a child; with [WorkflowID] as its workflow id, [Approve] and the others find it.
func MigrationWorkflow(ctx workflow.Context, plan durable.Plan) (durable.Record, error) {
	return runMigration(ctx, plan, nil)
}

// carried is what one run of the workflow hands on to the next one.
type carried struct {
	Record durable.Record `json:"record"`
	Locks  locks          `json:"locks"`
}

// migration is one run of the workflow.
type migration struct {
	record durable.Record
	locks  locks
	shown  summary

	cancellable workflow.Context
	commands    workflow.ReceiveChannel
	grants      workflow.ReceiveChannel
	askedAt     time.Time // when the lock that is waited for was asked for
	grantedAt   time.Time // when WithApproval opened a gate
	askingOnce  bool      // WithApproval is asked once more while the locks are held
}

// runMigration is registered as MigrationWorkflow. A first run has no second argument.
func runMigration(ctx workflow.Context, plan durable.Plan, from *carried) (durable.Record, error) {
	m := &migration{
		record:      durable.NewRecord(plan, workflow.Now(ctx)),
		cancellable: ctx,
		commands:    workflow.GetSignalChannel(ctx, commandSignal),
		grants:      workflow.GetSignalChannel(ctx, grantSignal),
	}
	if from != nil {
		m.record, m.locks = from.Record, from.Locks
	} else if err := validate(plan); err != nil {
		return m.record, temporal.NewNonRetryableApplicationError(err.Error(), "InvalidPlan", nil)
	}
	if err := workflow.SetQueryHandler(ctx, recordQuery, func() (durable.Record, error) { return m.record, nil }); err != nil {
		return m.record, err
	}
	// A workflow that is cancelled still finishes what is under way, and gives back its locks.
	ctx, _ = workflow.NewDisconnectedContext(ctx)
	return m.run(ctx)
}

// run does one thing after the other. Signals are taken between two of them.
func (m *migration) run(ctx workflow.Context) (durable.Record, error) {
	for {
		m.takeSignals(ctx)
		if err := m.show(ctx); err != nil {
			return m.record, err
		}
		needed := needs(m.record)
		if m.askingOnce && m.record.State == durable.StateValidated {
			needed = resources(m.record.Plan)
		}
		missing := m.locks.missing(needed)
		switch {
		case len(needed) == 0 && !m.locks.none() || len(m.locks.Unwanted) > 0:
			m.releaseLocks(ctx, len(needed) == 0)
		case m.record.State == durable.StateComplete || m.record.State == durable.StateAbandoned:
			return m.record, nil
		case workflow.GetInfo(ctx).GetContinueAsNewSuggested():
			// Signals that arrive from here on make Temporal run this step again, so none is lost.
			next := carried{m.record.Recover(workflow.Now(ctx)), m.locks}
			return m.record, workflow.NewContinueAsNewError(ctx, migrationWorkflow, m.record.Plan, next)
		case missing != "":
			m.acquireLock(ctx, missing)
		default:
			m.act(ctx)
		}
	}
}

// show brings the memo up to date.
func (m *migration) show(ctx workflow.Context) error {
	now := summarize(m.record, m.locks.Asked.Lock)
	if now == m.shown {
		return nil
	}
	m.shown = now
	return workflow.UpsertMemo(ctx, now.memo())
}

// act does the next action of the record, or waits until it is due.
func (m *migration) act(ctx workflow.Context) {
	action, now := m.record.Next(), workflow.Now(ctx)
	wait := m.record.CheckAt.Sub(now)
	stale := len(m.record.Granted) > 0 && now.Sub(m.grantedAt) > approvalInterval
	switch {
	case action == durable.ActionNone:
		m.await(ctx, 0, nil)
	case !action.Changes():
		m.look(ctx, action)
	case stale:
		m.record, m.askingOnce = m.record.Recover(now), true
	case wait > 0:
		m.await(ctx, wait, nil)
	default:
		m.change(ctx, action)
	}
}

// change does an action that changes something, once. The activity's input in the history is the intent.
func (m *migration) change(ctx workflow.Context, action durable.Action) {
	before := m.record
	begun := before.Begin(action, workflow.Now(ctx))
	options := workflow.ActivityOptions{
		StartToCloseTimeout: changeTimeout, Summary: string(action),
		RetryPolicy: &temporal.RetryPolicy{MaximumAttempts: 1},
	}
	if len(before.Granted) > 0 {
		options.ScheduleToStartTimeout = approvalInterval
	}
	m.record, m.askingOnce = begun, false // the record is what a query shows meanwhile
	var done durable.Record
	err := workflow.ExecuteActivity(workflow.WithActivityOptions(ctx, options), changeActivity, begun).Get(ctx, &done)
	now := workflow.Now(ctx)
	switch {
	case err == nil:
		m.record = done
		if done.Next() == action && !done.News(before) && !done.CheckAt.After(now) {
			m.record.CheckAt = now.Add(pause) // the worker stopped, or was too slow
		}
	case certainlyNotSent(err):
		workflow.GetLogger(ctx).Warn("an action was not sent", "record", before.Plan.Name, "action", string(action), "error", err)
		m.record = before.Recover(now)
		m.record.CheckAt = now.Add(pause)
		if problem := workerProblem(err); problem != "" {
			m.record.Problem, m.record.ProblemSince = problem, now.UTC()
		}
	default:
		workflow.GetLogger(ctx).Warn("nobody knows how an action ended", "record", before.Plan.Name, "action", string(action), "error", err)
		m.record = begun.Recover(now)
	}
}

// look has a worker look until there is something new. When a signal arrives first, the look is left alone: it changes
// nothing, and what it would have seen the next one sees.
func (m *migration) look(ctx workflow.Context, action durable.Action) {
	now := workflow.Now(ctx)
	in := lookInput{Record: m.record.Begin(action, now), Once: m.askingOnce}
	if action != durable.ActionApprove { // which is asked for at once
		in.Wait = max(0, m.record.CheckAt.Sub(now))
	}
	lookCtx, cancel := workflow.WithCancel(workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		StartToCloseTimeout: lookTimeout, HeartbeatTimeout: heartbeatTimeout, Summary: string(action),
		RetryPolicy: &temporal.RetryPolicy{MaximumInterval: pause},
	}))
	defer cancel()
	m.await(ctx, 0, func(selector workflow.Selector) {
		selector.AddFuture(workflow.ExecuteActivity(lookCtx, lookActivity, in), func(f workflow.Future) {
			var seen durable.Record
			if err := f.Get(ctx, &seen); err != nil {
				workflow.GetLogger(ctx).Error("a look failed", "record", m.record.Plan.Name, "error", err)
				_ = workflow.Sleep(ctx, pause)
				return
			}
			if len(seen.Granted) > len(m.record.Granted) {
				m.grantedAt = workflow.Now(ctx)
			}
			m.record, m.askingOnce = seen, false
		})
	})
}

// await waits for a signal, a cancellation, the end of a time (0: none), or what else is added.
func (m *migration) await(ctx workflow.Context, d time.Duration, add func(workflow.Selector)) {
	selector := workflow.NewSelector(ctx)
	if add != nil {
		add(selector) // first: of two that are ready the selector takes the first one
	}
	arrived := func(workflow.ReceiveChannel, bool) {} // takeSignals takes it
	for _, channel := range []workflow.ReceiveChannel{m.cancellable.Done(), m.commands, m.grants} {
		selector.AddReceive(channel, arrived)
	}
	if d > 0 {
		timerCtx, cancel := workflow.WithCancel(ctx)
		defer cancel()
		selector.AddFuture(workflow.NewTimer(timerCtx, d), func(workflow.Future) {})
	}
	selector.Select(ctx)
}

// missing is the first of the locks that are needed and not held; empty when there is none.
func (l *locks) missing(needed []string) string {
	at := slices.IndexFunc(needed, func(name string) bool { return !l.holds(name) })
	if at < 0 {
		return ""
	}
	return needed[at]
}
