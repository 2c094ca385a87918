package livemigrationtemporal

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/livemigration/livemigration-go"
	"github.com/livemigration/livemigration-go/durable"
)

const (
	// lockIDPrefix begins the workflow ID of a lock.
	lockIDPrefix = "livemigration-lock/"
	// maxWorkflowID is how many bytes Temporal takes for a workflow ID.
	maxWorkflowID = 1000
	// maxPlan is how many bytes the JSON of a plan may have. Temporal rejects payloads above 2 MiB, and a record contains
	// the plan and up to 100 events.
	maxPlan = 1 << 20

	// requestTimeout bounds one attempt to ask for a lock.
	requestTimeout = 30 * time.Second
	// askAgain is after which time a lock is asked for again, in case that its workflow has been terminated.
	askAgain = time.Hour
)

func lockID(name string) string { return lockIDPrefix + name }

// checkPlan reports what is wrong with a plan.
func checkPlan(plan durable.Plan) error {
	if err := plan.Validate(); err != nil {
		return err
	}
	for _, name := range plan.Resources() {
		if most := maxWorkflowID - len(lockIDPrefix); len(name) > most {
			return fmt.Errorf("%w: the name of a lock may have %d bytes, this one has %d: %.60s…",
				livemigration.ErrInvalidRequest, most, len(name), name)
		}
	}
	data, err := json.Marshal(plan)
	if err != nil {
		return err
	}
	if len(data) > maxPlan {
		return fmt.Errorf("%w: the plan has %d bytes of JSON, and at most %d are possible with Temporal; use fewer sharding entries",
			livemigration.ErrInvalidRequest, len(data), maxPlan)
	}
	return nil
}

// needs are the locks that a record must have, in the order in which it takes them: clusters and hosts for the validation, and
// everything from the creation on. The order is the same for all, so two migrations never wait for each other.
func needs(r durable.Record, now time.Time) []string {
	if r.State.Final() || waitsForStart(r, now) {
		return nil
	}
	machines := r.Plan
	machines.Parallel, machines.Exclusive = true, nil // neither the source project nor names of the user
	names := slices.Sorted(slices.Values(machines.Resources()))
	if r.State == durable.StatePlanned || r.State == durable.StateValidating {
		return names
	}
	return append(names, slices.Sorted(slices.Values(r.Plan.Resources()))...)
}

// waitsForStart: nothing runs in Atlas while the start of a migration waits for an approval.
func waitsForStart(r durable.Record, now time.Time) bool {
	return r.Begun == nil && r.Gate(now) == durable.GateStart
}

// locks are those that a migration has or waits for.
type locks struct {
	Held     []grant `json:"held,omitempty"`
	Asked    grant   `json:"asked"`              // without a lock: none
	Unwanted []grant `json:"unwanted,omitempty"` // arrived late, to be given back
	Tickets  int64   `json:"tickets"`            // the last one
}

// missing is the first of the locks that are needed and not held; empty when there is none.
func (l *locks) missing(needed []string) string {
	for _, name := range needed {
		if !slices.ContainsFunc(l.Held, func(g grant) bool { return g.Lock == name }) {
			return name
		}
	}
	return ""
}

// takeBack takes away what is to be given back: everything once one of the locks is not needed, since they are taken in an
// order, and what has arrived late.
func (l *locks) takeBack(needed []string) (back []grant) {
	have := l.Held
	if l.Asked.Lock != "" {
		have = append(slices.Clone(have), l.Asked)
	}
	if slices.ContainsFunc(have, func(g grant) bool { return !slices.Contains(needed, g.Lock) }) {
		back, l.Held, l.Asked = have, nil, grant{}
	}
	back, l.Unwanted = append(back, l.Unwanted...), nil
	return back
}

// granted takes a grant. One that was not asked for, or no longer, is given back.
func (l *locks) granted(g grant) {
	switch {
	case g == l.Asked:
		l.Held, l.Asked = append(l.Held, g), grant{}
	case !slices.Contains(l.Held, g):
		l.Unwanted = append(l.Unwanted, g)
	}
}

// askFor asks for a lock, or waits for another signal meanwhile. It is false when it has asked, and is not to ask again yet.
func (m *migration) askFor(ctx workflow.Context, name string) bool {
	now := workflow.Now(ctx)
	if m.locks.Asked.Lock != name {
		m.locks.Tickets++
		m.locks.Asked, m.askAt = grant{name, m.locks.Tickets}, now
	}
	if now.Before(m.askAt) {
		return false
	}
	asking, cancel := workflow.WithCancel(workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		StartToCloseTimeout: requestTimeout, Summary: name,
		RetryPolicy: &temporal.RetryPolicy{MaximumInterval: pause},
	}))
	defer cancel()
	asked := workflow.ExecuteActivity(asking, requestLockActivity, name, m.locks.Asked.Ticket)
	m.await(ctx, 0, func(selector workflow.Selector) { // Abandon does not wait for a lock that cannot be asked for
		selector.AddFuture(asked, func(workflow.Future) { m.askAt = now.Add(askAgain) })
	})
	return true
}

// release gives locks back.
func (m *migration) release(ctx workflow.Context, back []grant) {
	own := workflow.GetInfo(ctx).WorkflowExecution.ID
	sent := make([]workflow.Future, len(back))
	for i, g := range back {
		sent[i] = workflow.SignalExternalWorkflow(ctx, lockID(g.Lock), "", releaseSignal, claim{own, g.Ticket})
	}
	for _, future := range sent {
		_ = future.Get(ctx, nil) // with an error there is no such lock
	}
}
