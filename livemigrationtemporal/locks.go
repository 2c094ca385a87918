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
	Tickets  int     `json:"tickets"`            // the last one
}

func (l *locks) none() bool { return len(l.Held) == 0 && l.Asked.Lock == "" }

func (l *locks) holds(name string) bool {
	return slices.ContainsFunc(l.Held, func(g grant) bool { return g.Lock == name })
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
	if m.locks.Asked.Lock == name && now.Sub(m.askedAt) < askAgain {
		m.await(ctx, askAgain-now.Sub(m.askedAt), nil)
		return
	}
	if m.locks.Asked.Lock != name {
		m.locks.Tickets++
		m.locks.Asked = grant{name, m.locks.Tickets}
	}
	asking := workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		StartToCloseTimeout: requestTimeout, Summary: name,
		RetryPolicy: &temporal.RetryPolicy{MaximumInterval: pause},
	})
	m.askedAt = now
	asking, cancel := workflow.WithCancel(asking)
	defer cancel()
	asked := workflow.ExecuteActivity(asking, requestLockActivity, name, m.locks.Asked.Ticket)
	m.await(ctx, 0, func(selector workflow.Selector) { // Abandon does not wait for a lock that cannot be asked
		selector.AddFuture(asked, func(f workflow.Future) {
			if err := f.Get(ctx, nil); err != nil {
				workflow.GetLogger(ctx).Error("a lock cannot be asked for", "lock", name, "error", err)
			}
		})
	})
	if !asked.IsReady() {
		m.askedAt = time.Time{} // it is asked again
	}
}

// releaseLocks gives back the unwanted locks, or all.
func (m *migration) releaseLocks(ctx workflow.Context, all bool) {
	back := m.locks.Unwanted
	m.locks.Unwanted = nil
	if all {
		back = append(back, m.locks.Held...)
		if m.locks.Asked.Lock != "" {
			back = append(back, m.locks.Asked)
		}
		m.locks.Held, m.locks.Asked = nil, grant{}
	}
	own := workflow.GetInfo(ctx).WorkflowExecution.ID
	sent := make([]workflow.Future, len(back))
	for i, g := range back {
		sent[i] = workflow.SignalExternalWorkflow(ctx, lockID(g.Lock), "", releaseSignal, claim{own, g.Ticket})
	}
	for i, future := range sent {
		if err := future.Get(ctx, nil); err != nil { // the lock does not exist any more
			workflow.GetLogger(ctx).Warn("a lock cannot be given back", "lock", back[i].Lock, "error", err)
		}
	}
}
