package livemigrationtemporal

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/livemigration/livemigration-go/durable"
)

// maxEvents is how many events a record keeps.
const maxEvents = 100

// takeSignals applies all signals that have arrived, and a cancellation.
func (m *migration) takeSignals(ctx workflow.Context) {
	now := workflow.Now(ctx)
	for {
		var g grant
		if !m.grants.ReceiveAsync(&g) {
			break
		}
		m.locks.granted(g)
	}
	for {
		var c command
		if !m.commands.ReceiveAsync(&c) {
			break
		}
		m.obey(ctx, c, now)
	}
	if m.cancellable.Err() != nil && m.record.State != durable.StateComplete {
		m.record = m.record.Abandon(now)
	}
}

// obey applies a command. One that cannot be applied becomes an event of the record, since whoever sent it from Temporal's
// web page sees nothing else.
func (m *migration) obey(ctx workflow.Context, c command, now time.Time) {
	changed, err := c.apply(m.record, now)
	if err == nil {
		m.record = changed
		return
	}
	workflow.GetLogger(ctx).Warn("a command cannot be applied", "record", m.record.Plan.Name, "error", err)
	events := append(slices.Clone(m.record.Events), durable.Event{Time: now.UTC(), Text: fmt.Sprintf("a command was ignored: %v", err)})
	m.record.Events = events[max(0, len(events)-maxEvents):]
}

func (c command) apply(r durable.Record, now time.Time) (durable.Record, error) {
	switch {
	case c == command{Approve: durable.GateStart}, c == command{Approve: durable.GateCutover}:
		if r.State.Final() {
			return r, fmt.Errorf("approve the %s: it is %s", c.Approve, r.State)
		}
		return r.Approve(c.Approve, now), nil
	case c.Adopt != "" && c == command{Adopt: c.Adopt}:
		return r.Adopt(c.Adopt, now)
	case c == command{Restart: true}:
		return r.Restart(now)
	default:
		return r, errors.New(`it must be {"approve":"start"}, {"approve":"cutover"}, {"adopt":"<migration id>"} or {"restart":true}`)
	}
}
