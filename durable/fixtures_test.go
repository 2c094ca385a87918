package durable

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go"
)

const (
	projectID    livemigration.ProjectID    = "6560f2a49c1b7e03d5aaaaaa"
	sourceID     livemigration.ProjectID    = "6560f2a49c1b7e03d5bbbbbb"
	validationID livemigration.ValidationID = "6560f2a49c1b7e03d5cccccc"
	migrationID  livemigration.MigrationID  = "6560f2a49c1b7e03d5dddddd"
	otherID      livemigration.MigrationID  = "6560f2a49c1b7e03d5eeeeee"
)

// The fixtures' records come to their state at t0. t1 is an hour later.
var (
	t0 = time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)
	t1 = t0.Add(time.Hour)
)

var allStates = []State{
	StatePlanned, StateValidating, StateValidated, StateReplicating, StateReady, StateFinishing,
	StateComplete, StateFailed, StateExpired, StateUnclear, StateAbandoned,
}

var allActions = []Action{
	ActionNone, ActionValidate, ActionCheckValidation, ActionCreate, ActionCheck, ActionCutover,
}

// planFor is a valid plan with its own clusters, host and exclusive name.
func planFor(name string) Plan {
	return Plan{
		Name: name, ProjectID: projectID, Exclusive: []string{"org-" + name},
		Request: livemigration.MigrationRequest{
			Source:         livemigration.Source{ProjectID: sourceID, ClusterName: "from-" + name, ManagedAuthentication: true, SSL: true},
			Destination:    livemigration.Destination{ClusterName: "to-" + name},
			MigrationHosts: []string{"vm-" + name + ".example.com"},
		},
	}
}

// recordIn is a record as it came to the state at t0.
func recordIn(state State) Record {
	r := NewRecord(planFor("a"), t0)
	r.State, r.Revision = state, 7
	if state != StatePlanned {
		r.ValidationID = validationID
	}
	switch state {
	case StateReplicating, StateReady, StateFinishing, StateComplete, StateExpired:
		r.MigrationID, r.StartedAt, r.SeenAt = migrationID, t0, t0
		r.Migration = job(false)
	}
	switch state {
	case StateReady:
		r.ReadyAt, r.Migration = t0, job(true)
		r.waitAtGate(t0)
	case StateFinishing:
		r.ReadyAt, r.CutoverAt, r.Migration = t0, t0, job(true)
	}
	return r
}

func job(ready bool) *livemigration.Migration {
	return &livemigration.Migration{
		ID: migrationID, Status: livemigration.MigrationWorking, ReadyForCutover: ready, MigrationHosts: []string{"VM-a.example.com."},
	}
}

func ended(status livemigration.MigrationStatus) *livemigration.Migration {
	m := job(false)
	m.Status = status
	return m
}

func (r Record) with(change func(*Record)) Record {
	r = r.clone()
	change(&r)
	return r
}

// approvedCutover is a READY record that a person has approved for good.
func approvedCutover() Record {
	return recordIn(StateReady).with(func(r *Record) {
		r.Problem, r.Approved = nil, []Approval{{Gate: GateCutover, By: "ann", At: t0}}
	})
}

// begun is a record with its next action in progress since t1, and the result of that action.
func begun(r Record, outcome Outcome) (Record, Result) {
	r = r.Begin(r.Next(t1), "run-1", t1)
	res := notDone(&r)
	res.Outcome, res.Wait = outcome, time.Minute
	return r, res
}

// seen is the result of a check of a record, begun at a time.
func seen(r Record, m *livemigration.Migration, at time.Time) Result {
	return Result{
		Intent: Intent{ActionCheck, at, r.Revision + 1, "run-1"}, State: r.State, ValidationID: r.ValidationID, MigrationID: r.MigrationID,
		Outcome: OutcomeDone, Migration: m, Wait: time.Minute,
	}
}

func failure(operation string, status int, code string) *Problem {
	return &Problem{Kind: kindOf(status), Text: operation + " failed", Operation: operation, Status: status, Code: code}
}

func kind(r Record) ProblemKind {
	if r.Problem == nil {
		return ""
	}
	return r.Problem.Kind
}

func eventTexts(r Record) (texts []string) {
	for _, e := range r.Events {
		texts = append(texts, e.Text)
	}
	return texts
}

// requireUntouched checks that change changes nothing in r, and returns nothing through which r can be reached.
func requireUntouched(t *testing.T, r Record, change func(Record) Record) {
	t.Helper()
	r = r.clone()
	r.Plan.Request.Sharding = &livemigration.Sharding{Entries: []livemigration.ShardEntry{{
		Database: "d", Collection: "c",
		ShardCollection: livemigration.ShardKeys{Key: []livemigration.ShardKeyField{{Field: "f", Order: livemigration.Hashed}}},
	}}}
	r.FormerMigrationIDs = append(make([]livemigration.MigrationID, 0, 8), otherID)
	r.Approved = append(make([]Approval, 0, 8), r.Approved...)
	r.Events = append(make([]Event, 0, 8), r.Events...)
	before, err := json.Marshal(r)
	require.NoError(t, err)
	changed := change(r)
	for i := range changed.Events {
		changed.Events[i].Text = "scribbled"
	}
	for i := range changed.FormerMigrationIDs {
		changed.FormerMigrationIDs[i] = "scribbled"
	}
	for i := range changed.Approved {
		changed.Approved[i].By = "scribbled"
	}
	changed.Plan.Exclusive[0], changed.Plan.Request.MigrationHosts[0] = "scribbled", "scribbled"
	if sharding := changed.Plan.Request.Sharding; sharding != nil {
		sharding.Entries[0].ShardCollection.Key[0].Field = "scribbled"
	}
	if changed.Migration != nil {
		changed.Migration.Status = "scribbled"
	}
	for _, intent := range []*Intent{changed.Begun, changed.Unclear} {
		if intent != nil {
			intent.By = "scribbled"
		}
	}
	if changed.Problem != nil {
		changed.Problem.Text = "scribbled"
	}
	_ = append(changed.Events, Event{Text: "scribbled"})
	after, err := json.Marshal(r)
	require.NoError(t, err)
	require.JSONEq(t, string(before), string(after))
	require.Equal(t, r.Revision, changed.Revision)
}
