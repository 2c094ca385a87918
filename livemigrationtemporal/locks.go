package livemigrationtemporal

import (
	"slices"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"
)

const (
	// requestTimeout bounds one attempt to ask for a lock.
	requestTimeout = 30 * time.Second
	// askAgain is after which time a lock is asked for again, in case that its workflow has been terminated.
	askAgain = time.Hour
)

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

// acquireLock asks for a lock, or waits for one that it has asked for, or for another signal.
func (m *migration) acquireLock(ctx workflow.Context, name string) {
	now := workflow.Now(ctx)
	if m.locks.Asked.Lock != name {
		m.locks.Tickets++
		m.locks.Asked, m.askAt = grant{name, m.locks.Tickets}, now
	}
	if now.Before(m.askAt) {
		m.await(ctx, m.askAt.Sub(now), nil)
		return
	}
	asking, cancel := workflow.WithCancel(workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		StartToCloseTimeout: requestTimeout, Summary: name,
		RetryPolicy: &temporal.RetryPolicy{MaximumInterval: pause},
	}))
	defer cancel()
	asked := workflow.ExecuteActivity(asking, requestLockActivity, name, m.locks.Asked.Ticket)
	m.await(ctx, 0, func(selector workflow.Selector) { // Abandon does not wait for a lock that cannot be asked for
		selector.AddFuture(asked, func(f workflow.Future) {
			m.askAt = now.Add(askAgain)
			if err := f.Get(ctx, nil); err != nil {
				workflow.GetLogger(ctx).Error("a lock cannot be asked for", "lock", name, "error", err)
				m.askAt = now.Add(pause)
			}
		})
	})
}

// release gives locks back.
func (m *migration) release(ctx workflow.Context, back []grant) {
	own := workflow.GetInfo(ctx).WorkflowExecution.ID
	sent := make([]workflow.Future, len(back))
	for i, g := range back {
		sent[i] = workflow.SignalExternalWorkflow(ctx, lockID(g.Lock), "", releaseSignal, claim{own, g.Ticket})
	}
	for i, future := range sent {
		if err := future.Get(ctx, nil); err != nil { // the lock no longer exists
			workflow.GetLogger(ctx).Warn("a lock cannot be given back", "lock", back[i].Lock, "error", err)
		}
	}
}
