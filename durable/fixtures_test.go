package durable

import (
	"encoding/json"
	"fmt"
	"net/http"
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

var (
	t0 = time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)
	t1 = t0.Add(time.Hour)
	t2 = t1.Add(time.Hour)
)

var allStates = []State{
	StatePlanned, StateValidating, StateValidated, StateReplicating, StateReady, StateFinishing,
	StateComplete, StateFailed, StateExpired, StateUnclear, StateAbandoned,
}

var allActions = []Action{
	ActionNone, ActionValidate, ActionCheckValidation, ActionCreate, ActionCheck, ActionCutover, ActionApprove,
}

// planFor is a valid plan with clusters, a host and an exclusive name of its own.
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

func droppingPlan(name string) Plan {
	plan := planFor(name)
	plan.Request.DropDestinationData = true
	return plan
}

// recordIn is a record as it is when it has come to the state at t0.
func recordIn(state State) Record {
	r := NewRecord(planFor("a"), t0)
	r.State, r.Revision = state, 7
	if state != StatePlanned {
		r.ValidationID = validationID
	}
	switch state {
	case StateReplicating, StateReady, StateFinishing, StateComplete, StateExpired:
		r.MigrationID = migrationID
		r.Migration = &livemigration.Migration{ID: migrationID, Status: livemigration.MigrationWorking, MigrationHosts: []string{"vm-a.example.com"}}
	}
	if state == StateReady || state == StateFinishing {
		r.ReadySince = t0
	}
	r.explain(r.note(), t0)
	return r
}

func (r Record) with(change func(*Record)) Record {
	r = r.clone()
	change(&r)
	return r
}

func approve(g Gate) func(*Record) { return func(r *Record) { *r = r.Approve(g, t0) } }

func apiError(status int, code string) error {
	return &livemigration.APIError{StatusCode: status, Code: code, Detail: "a detail", Method: http.MethodPost, Path: "/groups/" + string(projectID) + "/liveMigrations"}
}

func callError() error {
	return &livemigration.CallError{Method: http.MethodGet, Path: "/x", Attempts: 5, Err: fmt.Errorf("connection reset by peer")}
}

// requireUntouched checks that make changes nothing in r and returns nothing that r can be reached through.
func requireUntouched(t *testing.T, r Record, change func(Record) Record) {
	t.Helper()
	r = r.clone()
	r.Plan.Request.Sharding = &livemigration.Sharding{Entries: []livemigration.ShardEntry{{
		Database: "d", Collection: "c", ShardCollection: livemigration.ShardKeys{Key: []livemigration.ShardKeyField{{Field: "f", Order: livemigration.Hashed}}},
	}}}
	r.FormerMigrationIDs = append(make([]livemigration.MigrationID, 0, 8), otherID)
	r.Approved = append(make([]Gate, 0, 8), r.Approved...)
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
		changed.Approved[i] = "scribbled"
	}
	changed.Plan.Exclusive[0], changed.Plan.Request.MigrationHosts[0] = "scribbled", "scribbled"
	if sharding := changed.Plan.Request.Sharding; sharding != nil {
		sharding.CreateSupportingIndexes = true
		sharding.Entries[0].ShardCollection.Key[0].Field = "scribbled"
	}
	if changed.Migration != nil {
		changed.Migration.Status = "scribbled"
	}
	_ = append(changed.Events, Event{Text: "scribbled"})
	after, err := json.Marshal(r)
	require.NoError(t, err)
	require.JSONEq(t, string(before), string(after))
	require.Equal(t, r.Revision, changed.Revision)
}
