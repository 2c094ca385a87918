package livemigrationtemporal

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/livemigration/livemigration-go"
	"github.com/livemigration/livemigration-go/durable"
)

// maxEvents is how many events a record keeps here when commands are ignored.
const maxEvents = 100

// command is what you want of a migration. One of Approve, Revoke, Adopt, Restart, Replace and Abandon is set.
type command struct {
	Approve durable.Gate              `json:"approve,omitempty"`
	Revoke  durable.Gate              `json:"revoke,omitempty"`
	By      string                    `json:"by,omitempty"`   // of Approve and Revoke
	Until   time.Time                 `json:"until,omitzero"` // of Approve
	Adopt   livemigration.MigrationID `json:"adopt,omitempty"`
	Restart bool                      `json:"restart,omitempty"`
	Replace *durable.Plan             `json:"replace,omitempty"`
	Abandon bool                      `json:"abandon,omitempty"`
}

const commandForms = `it must be {"approve":"start"}, {"approve":"cutover"} (with "by" and "until"), {"revoke":"cutover"}, ` +
	`{"adopt":"<migration ID>"}, {"restart":true}, {"replace":{...}} or {"abandon":true}`

// apply returns the record as the command changes it.
func (c command) apply(r durable.Record, now time.Time) (durable.Record, error) {
	set := 0
	for _, is := range []bool{c.Approve != "", c.Revoke != "", c.Adopt != "", c.Restart, c.Replace != nil, c.Abandon} {
		if is {
			set++
		}
	}
	switch {
	case set != 1:
		return r, errors.New(commandForms)
	case c.Approve != "":
		return r.Approve(c.Approve, c.By, c.Until, now)
	case c.Revoke != "":
		return r.Revoke(c.Revoke, c.By, now)
	case c.Adopt != "":
		return r.Adopt(c.Adopt, now)
	case c.Restart:
		return r.Restart(now)
	case c.Replace != nil:
		if err := checkPlan(*c.Replace); err != nil {
			return r, err
		}
		return r.Replace(*c.Replace, now)
	default:
		return r.Abandon(now)
	}
}

// handleCommands takes commands as an update, whose error names the state that does not allow it. As a signal, from
// Temporal's web page or command line, one that cannot be applied becomes an event of the record.
func (m *migration) handleCommands(ctx workflow.Context) error {
	return workflow.SetUpdateHandler(ctx, commandSignal, func(ctx workflow.Context, c command) error {
		changed, err := c.apply(m.record, workflow.Now(ctx))
		if err != nil {
			kind := invalidType
			if errors.Is(err, durable.ErrConflict) {
				kind = conflictType
			}
			return temporal.NewNonRetryableApplicationError(err.Error(), kind, nil)
		}
		m.keep(changed)
		m.updated.SendAsync(true)
		return nil
	})
}

// The types of errors of updates.
const (
	conflictType = "Conflict"
	invalidType  = "InvalidRequest"
)

// takeSignals applies all signals that have arrived, and a cancellation.
func (m *migration) takeSignals(ctx workflow.Context) {
	now := workflow.Now(ctx)
	for g := (grant{}); m.grants.ReceiveAsync(&g); {
		m.locks.granted(g)
	}
	for m.updated.ReceiveAsync(nil) {
		continue
	}
	for raw := (converter.RawValue{}); m.commands.ReceiveAsync(&raw); {
		changed, err := applyPayload(m.record, raw, now)
		if err != nil {
			changed = ignored(m.record, err, now)
		}
		m.keep(changed)
	}
	if m.cancellable.Err() != nil && m.record.State != durable.StateComplete {
		if changed, err := m.record.Abandon(now); err == nil {
			m.keep(changed)
		}
	}
}

// applyPayload decodes a command itself, because the SDK drops a signal that it cannot decode.
func applyPayload(r durable.Record, raw converter.RawValue, now time.Time) (durable.Record, error) {
	var c command
	if err := converter.GetDefaultDataConverter().FromPayload(raw.Payload(), &c); err != nil {
		return r, errors.New("it cannot be read; " + commandForms)
	}
	c.By = cmp.Or(c.By, "a signal") // the command line can leave it out
	return c.apply(r, now)
}

// ignored notes a command that cannot be applied.
func ignored(r durable.Record, err error, now time.Time) durable.Record {
	text := fmt.Sprintf("a command was ignored: %v", err)
	r.Events = append(slices.Clone(r.Events), durable.Event{Time: now.UTC(), Text: text})
	r.Events = r.Events[max(0, len(r.Events)-maxEvents):]
	r.UpdatedAt = now.UTC()
	return r
}
