package livemigrationtemporal

import (
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/livemigration/livemigration-go/durable"
)

const (
	// pause is the time after which something is tried again that failed on the side of Temporal or of a worker.
	pause = time.Minute
	// longestWait bounds every wait. What is due later is due: the time comes from a wrong clock.
	longestWait = time.Hour
	// intentLife is how long a worker may take to start an action: an intent is good for a minute.
	intentLife = time.Minute
)

// MigrationWorkflow is the workflow of a migration. It returns the record when that is COMPLETE or ABANDONED. Its error
// says that the plan is not valid, or that the workflow continues as a new run. [Start] starts it. It can be a child of your
// own workflow; with [WorkflowID] as its workflow ID, [Approve] and the other functions find it.
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
	by     string // names this run in intents

	cancellable workflow.Context
	commands    workflow.ReceiveChannel
	grants      workflow.ReceiveChannel
	updated     workflow.Channel // an update has changed the record
	askAt       time.Time        // when the lock that is waited for is asked for again
}

// runMigration is registered as MigrationWorkflow. A first run has no second argument.
func runMigration(ctx workflow.Context, plan durable.Plan, from *carried) (durable.Record, error) {
	m := &migration{
		record:      durable.NewRecord(plan, workflow.Now(ctx)),
		by:          workflow.GetInfo(ctx).WorkflowExecution.RunID,
		cancellable: ctx,
		commands:    workflow.GetSignalChannel(ctx, commandSignal),
		grants:      workflow.GetSignalChannel(ctx, grantSignal),
		updated:     workflow.NewBufferedChannel(ctx, 1),
	}
	if from != nil {
		m.record, m.locks = from.Record.Recover(workflow.Now(ctx)), from.Locks
	} else if err := checkPlan(plan); err != nil {
		return m.record, temporal.NewNonRetryableApplicationError(err.Error(), "InvalidPlan", nil)
	}
	// Tickets begin with the time: a workflow that was started again has higher ones than the one that was terminated.
	m.locks.Tickets = max(m.locks.Tickets, workflow.Now(ctx).UnixMilli())
	if err := workflow.SetQueryHandler(ctx, recordQuery, func() (durable.Record, error) { return m.visible(ctx), nil }); err != nil {
		return m.record, err
	}
	if err := m.handleCommands(ctx); err != nil {
		return m.record, err
	}
	// A workflow that is cancelled still finishes an action in progress, and gives back its locks.
	ctx, _ = workflow.NewDisconnectedContext(ctx)
	return m.run(ctx)
}

// keep makes a changed record the current one. Its revision counts the changes.
func (m *migration) keep(changed durable.Record) {
	changed.Revision = m.record.Revision + 1
	m.record = changed
}

// run does one thing after the other. Signals are taken between two of them; an update changes the record at once.
func (m *migration) run(ctx workflow.Context) (durable.Record, error) {
	for {
		m.takeSignals(ctx)
		if err := m.show(ctx); err != nil {
			return m.record, err
		}
		needed := needs(m.record, workflow.Now(ctx))
		missing, back := m.locks.missing(needed), m.locks.takeBack(needed)
		switch {
		case len(back) > 0:
			m.release(ctx, back)
		case m.record.State == durable.StateComplete || m.record.State == durable.StateAbandoned:
			return m.record, nil
		case workflow.GetInfo(ctx).GetContinueAsNewSuggested():
			// Signals that arrive from here on make Temporal run this step again, so none is lost. The record has the plan.
			named := durable.Plan{Name: m.record.Plan.Name}
			return m.record, workflow.NewContinueAsNewError(ctx, migrationWorkflow, named, carried{m.record, m.locks})
		case missing != "" && m.askFor(ctx, missing):
		case missing != "" && m.record.MigrationID == "": // what runs in Atlas waits for no lock that a terminated workflow lost
			m.await(ctx, m.askAt.Sub(workflow.Now(ctx)), nil)
		default:
			m.act(ctx)
		}
	}
}

// show brings the memo up to date.
func (m *migration) show(ctx workflow.Context) error {
	now := summarize(m.visible(ctx))
	if now == m.shown {
		return nil
	}
	m.shown = now
	return workflow.UpsertMemo(ctx, now.memo())
}

// act does the next action of the record, or waits until it is due.
func (m *migration) act(ctx workflow.Context) {
	now := workflow.Now(ctx)
	action, wait := m.record.Next(now), max(0, m.record.NextCheckAt.Sub(now))
	if wait > longestWait {
		wait = 0
	}
	switch {
	case action == durable.ActionNone:
		m.await(ctx, 0, nil)
	case !action.Changes():
		m.poll(ctx, action, wait)
	case wait > 0:
		m.await(ctx, wait, nil)
	default:
		m.change(ctx, action)
	}
}

// change does an action that changes something, once. The activity's input in the history is the intent.
func (m *migration) change(ctx workflow.Context, action durable.Action) {
	m.keep(m.record.Begin(action, m.by, workflow.Now(ctx)))
	begun := m.record
	options := workflow.ActivityOptions{
		ScheduleToStartTimeout: intentLife, StartToCloseTimeout: changeTimeout, Summary: string(action),
		RetryPolicy: &temporal.RetryPolicy{MaximumAttempts: 1},
	}
	var result durable.Result
	err := workflow.ExecuteActivity(workflow.WithActivityOptions(ctx, options), changeActivity, begun).Get(ctx, &result)
	now := workflow.Now(ctx)
	switch {
	case err == nil:
		m.keep(m.record.Apply(result, now))
	case notSent(err) != "":
		result = notDone(begun, *begun.Begun)
		result.Failure = &durable.Problem{Kind: durable.ProblemNeedsAttention, Text: "no worker has done this: " + notSent(err), Since: now}
		result.Wait = pause
		m.keep(m.record.Apply(result, now))
	default:
		m.keep(m.record.Recover(now))
	}
}

// poll has a worker poll until there is news. When a signal or an update arrives first, the poll is cancelled: it changes
// nothing, and the next one sees the same.
func (m *migration) poll(ctx workflow.Context, action durable.Action, wait time.Duration) {
	in := pollInput{Record: m.record, Action: action, By: m.by, Now: workflow.Now(ctx), Wait: wait}
	pollCtx, cancel := workflow.WithCancel(workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		StartToCloseTimeout: pollTimeout, HeartbeatTimeout: heartbeatTimeout, Summary: string(action),
		RetryPolicy: &temporal.RetryPolicy{MaximumInterval: pause},
	}))
	defer cancel()
	m.await(ctx, 0, func(selector workflow.Selector) {
		selector.AddFuture(workflow.ExecuteActivity(pollCtx, pollActivity, in), func(f workflow.Future) {
			var seen durable.Result
			if err := f.Get(ctx, &seen); err != nil {
				workflow.GetLogger(ctx).Error("a poll failed", "record", m.record.Plan.Name, "error", err)
				m.record.NextCheckAt = workflow.Now(ctx).Add(pause)
				return
			}
			m.keep(m.record.Apply(seen, workflow.Now(ctx)))
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
	channels := []workflow.ReceiveChannel{m.commands, m.grants, m.updated}
	if m.cancellable.Err() == nil { // else it has been taken
		channels = append(channels, m.cancellable.Done())
	}
	for _, channel := range channels {
		selector.AddReceive(channel, arrived)
	}
	if d > 0 {
		timerCtx, cancel := workflow.WithCancel(ctx)
		defer cancel()
		selector.AddFuture(workflow.NewTimer(timerCtx, d), func(workflow.Future) {})
	}
	selector.Select(ctx)
}
