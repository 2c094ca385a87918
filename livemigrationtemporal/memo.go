package livemigrationtemporal

import (
	"time"

	"github.com/livemigration/livemigration-go/durable"
)

// Keys of the memo of a workflow. Temporal's web page shows them.
const (
	memoState     = "state"
	memoLag       = "lag"
	memoWaitsFor  = "waitsFor"
	memoMigration = "migrationId"
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

func (s summary) memo() map[string]any {
	return map[string]any{
		memoState: string(s.State), memoLag: s.Lag, memoWaitsFor: s.WaitsFor, memoMigration: s.MigrationID,
	}
}
