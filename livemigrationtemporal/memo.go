package livemigrationtemporal

import (
	"fmt"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/livemigration/livemigration-go/durable"
)

// summary is a record at a glance. The poll in progress shows it as its heartbeat.
type summary struct {
	State       durable.State `json:"state"`
	Lag         string        `json:"lag"`         // as a Go duration; empty when there is none
	WaitsFor    string        `json:"waitsFor"`    // the text of the problem; empty when it goes on
	MigrationID string        `json:"migrationId"` // empty when there is no job
}

func summarize(r durable.Record) summary {
	s := summary{State: r.State, MigrationID: string(r.MigrationID)}
	if r.Problem != nil {
		s.WaitsFor = r.Problem.Text
	}
	if r.Migration != nil && r.Migration.LagTimeSeconds != nil {
		s.Lag = (time.Duration(*r.Migration.LagTimeSeconds) * time.Second).String()
	}
	return s
}

// memo is what Temporal's web page shows.
func (s summary) memo() map[string]any {
	return map[string]any{"state": string(s.State), "lag": s.Lag, "waitsFor": s.WaitsFor, "migrationId": s.MigrationID}
}

// visible is the record as people see it: with what it waits for before it starts. As in a Fleet that is worked out when it is
// shown, and not kept.
func (m *migration) visible(ctx workflow.Context) durable.Record {
	r, lock := m.record, m.locks.Asked.Lock
	switch {
	case r.Problem != nil || r.Begun != nil:
	case waitsForStart(r, workflow.Now(ctx)):
		text := "waits for the approval of the start"
		if r.Plan.Request.DropDestinationData {
			text += ", which destroys the data of the destination cluster"
		}
		r.Problem = &durable.Problem{Kind: durable.ProblemWaitingForApproval, Text: text, Since: r.UpdatedAt}
	case lock != "":
		text := fmt.Sprintf("waits for the %s: the memo of the workflow %s names the holder", lock, lockID(lock))
		r.Problem = &durable.Problem{Kind: durable.ProblemWaitingForOther, Text: text, Since: r.UpdatedAt}
	}
	return r
}
