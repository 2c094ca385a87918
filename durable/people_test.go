package durable

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go"
)

const (
	project    livemigration.ProjectID    = "6560f2a49c1b7e03d5aaaaaa"
	validation livemigration.ValidationID = "6560f2a49c1b7e03d5cccccc"
	jobA       livemigration.MigrationID  = "6560f2a49c1b7e03d5dddddd"
	jobB       livemigration.MigrationID  = "6560f2a49c1b7e03d5eeeeee"
)

func somePlan(name string, changes ...func(*Plan)) Plan {
	plan := Plan{Name: name, ProjectID: project, Request: request(name)}
	for _, change := range changes {
		change(&plan)
	}
	return plan
}

// storeWith is a store with the record of a plan in a state.
func storeWith(t *testing.T, plan Plan, state State, changes ...func(*Record)) *Memory {
	t.Helper()
	store := NewMemory()
	putIn(t, store, plan, state, changes...)
	return store
}

func putIn(t *testing.T, store Store, plan Plan, state State, changes ...func(*Record)) {
	t.Helper()
	r := NewRecord(plan, time.Now())
	r.State = state
	if state == StateValidating {
		r.ValidationID = validation
	}
	if state.hasJob() {
		r.MigrationID = livemigration.MigrationID(fmt.Sprintf("6560f2a4%016x", len(plan.Name)+int(plan.Name[0])))
	}
	for _, change := range changes {
		change(&r)
	}
	_, err := store.Save(t.Context(), r)
	require.NoError(t, err)
}

func TestFleetAdd(t *testing.T) {
	destination := func(name string) func(*Plan) { return func(p *Plan) { p.Request.Destination.ClusterName = name } }
	source := func(p *Plan) {
		p.Request.Source.ClusterName, p.Request.Source.ProjectID = "FROM-a", somePlan("a").Request.Source.ProjectID
	}
	exclusive := func(names ...string) func(*Plan) { return func(p *Plan) { p.Exclusive = names } }
	for name, c := range map[string]struct {
		state State // of the record of plan a, which is stored
		plan  Plan
		want  error
	}{
		"another":                       {StatePlanned, somePlan("b"), nil},
		"the same":                      {StateFinishing, somePlan("a", exclusive("Org 1", "org 2")), nil},
		"the same set in another order": {StateFinishing, somePlan("a", exclusive("ORG 2", "org 1", "org 2")), nil},
		"the name in another case":      {StatePlanned, somePlan("A", exclusive("org 1", "org 2")), ErrConflict},
		"another plan of the name":      {StateFailed, somePlan("a", destination("x")), ErrConflict},
		"a name that is no file":        {StatePlanned, somePlan("b/c"), livemigration.ErrInvalidRequest},
		"the destination of a planned":  {StatePlanned, somePlan("b", destination("To-A")), ErrConflict},
		"the destination of a complete": {StateComplete, somePlan("b", destination("to-a")), ErrConflict},
		"the destination of an unclear": {StateUnclear, somePlan("b", destination("to-a")), ErrConflict},
		"the destination of a failed":   {StateFailed, somePlan("b", destination("to-a")), nil},
		"the source of a ready":         {StateReady, somePlan("b", source), ErrConflict},
		"the source of a complete":      {StateComplete, somePlan("b", source), nil},
		"the source of an abandoned":    {StateAbandoned, somePlan("b", source), nil},
	} {
		t.Run(name, func(t *testing.T) {
			store := storeWith(t, somePlan("a", exclusive("org 1", "org 2")), c.state)
			before := mustLoad(t, store, "a")
			err := fleetOn(t, store).Add(t.Context(), c.plan, somePlan("z"))
			records, listErr := store.List(t.Context())
			require.NoError(t, listErr)
			if c.want == nil {
				require.NoError(t, err)
				assert.Equal(t, StatePlanned, mustLoad(t, store, "z").State)
			} else {
				require.ErrorIs(t, err, c.want)
				assert.Len(t, records, 1, "all plans are checked before one is stored")
			}
			assert.Equal(t, before, mustLoad(t, store, "a"))
		})
	}
	err := fleetOn(t, NewMemory()).Add(t.Context(), somePlan("a/b"), somePlan("c/d"), somePlan("e"), somePlan("f", destination("to-e")))
	for _, name := range []string{`"a/b"`, `"c/d"`, `"f"`} {
		require.ErrorContains(t, err, name)
	}
}

func mustLoad(t *testing.T, store Store, name string) Record {
	t.Helper()
	r, err := store.Load(t.Context(), name)
	require.NoError(t, err)
	return r
}

func TestFleetApproveAndRevoke(t *testing.T) {
	store := storeWith(t, somePlan("a"), StateReplicating)
	fleet := fleetOn(t, store)
	until := time.Now().Add(time.Hour)
	require.NoError(t, fleet.Approve(t.Context(), "A", GateCutover, "kim", until))
	approval := mustLoad(t, store, "a").Approved[0]
	assert.Equal(t, GateCutover, approval.Gate)
	assert.Equal(t, "kim", approval.By)
	assert.True(t, approval.Until.Equal(until))
	require.NoError(t, fleet.Revoke(t.Context(), "a", GateCutover, "lee"))
	assert.Empty(t, mustLoad(t, store, "a").Approved)
	revision := mustLoad(t, store, "a").Revision
	require.NoError(t, fleet.Revoke(t.Context(), "a", GateCutover, "lee"))
	assert.Equal(t, revision, mustLoad(t, store, "a").Revision, "what changes nothing is not stored")
	require.ErrorIs(t, fleet.Approve(t.Context(), "a", "sesame", "kim", time.Time{}), livemigration.ErrInvalidRequest)
	require.ErrorIs(t, fleet.Approve(t.Context(), "b", GateStart, "kim", time.Time{}), ErrNotFound)
}

func TestFleetAdopt(t *testing.T) {
	store := storeWith(t, somePlan("a"), StateUnclear)
	putIn(t, store, somePlan("b"), StateReplicating, func(r *Record) { r.MigrationID = jobA })
	fleet := fleetOn(t, store)
	require.ErrorIs(t, fleet.Adopt(t.Context(), "a", jobA), ErrConflict, "b has it")
	require.ErrorIs(t, fleet.Adopt(t.Context(), "a", "odd"), livemigration.ErrInvalidRequest)
	require.ErrorIs(t, fleet.Adopt(t.Context(), "c", jobB), ErrNotFound)
	require.NoError(t, fleet.Adopt(t.Context(), "a", jobB))
	assert.Equal(t, StateReplicating, mustLoad(t, store, "a").State)
	require.ErrorIs(t, fleet.Adopt(t.Context(), "b", jobB), ErrConflict, "a has it")
}

func TestRestartOfMany(t *testing.T) {
	store := storeWith(t, somePlan("a"), StateFailed)
	putIn(t, store, somePlan("b"), StateComplete)
	putIn(t, store, somePlan("c"), StateExpired)
	toA := func(p *Plan) { p.Request.Destination.ClusterName = "to-a" }
	putIn(t, store, somePlan("d", toA), StateFailed)
	fleet := fleetOn(t, store)
	err := fleet.Restart(t.Context(), "a", "b", "c", "d", "e")
	require.ErrorIs(t, err, ErrConflict)
	require.ErrorIs(t, err, ErrNotFound)
	for _, name := range []string{`"b"`, `"d": "a" has the destination cluster to-a`, `"e"`} {
		assert.ErrorContains(t, err, name)
	}
	for name, want := range map[string]State{"a": StatePlanned, "b": StateComplete, "c": StatePlanned, "d": StateFailed} {
		assert.Equal(t, want, mustLoad(t, store, name).State, name)
	}
	require.NoError(t, fleet.Restart(t.Context()))
}

func TestReplaceNeedsItsClusters(t *testing.T) {
	store := storeWith(t, somePlan("a"), StateFailed)
	fleet := fleetOn(t, store)
	to := func(name string) func(*Plan) { return func(p *Plan) { p.Request.Destination.ClusterName = name } }
	require.NoError(t, fleet.Add(t.Context(), somePlan("b", to("to-a"))))
	require.ErrorIs(t, fleet.Restart(t.Context(), "a"), ErrConflict, "b has its destination by now")
	drop := func(p *Plan) { p.Request.DropDestinationData = true }
	require.ErrorIs(t, fleet.Replace(t.Context(), somePlan("a", drop)), ErrConflict)
	require.NoError(t, fleet.Replace(t.Context(), somePlan("a", to("elsewhere"))))
	r := mustLoad(t, store, "a")
	assert.Equal(t, StatePlanned, r.State)
	assert.Equal(t, "elsewhere", r.Plan.Request.Destination.ClusterName)
	require.NoError(t, fleet.Replace(t.Context(), somePlan("a", to("elsewhere"), drop)), "its own clusters are free")
}

func TestFleetRemove(t *testing.T) {
	begun := func(r *Record) { r.Begun = &Intent{Action: ActionCreate, At: time.Now(), Number: 1, By: "x"} }
	former := func(r *Record) { r.FormerMigrationIDs = []livemigration.MigrationID{jobA} }
	for name, c := range map[string]struct {
		state  State
		change func(*Record)
		want   error
	}{
		"planned":                 {StatePlanned, func(*Record) {}, nil},
		"planned with former IDs": {StatePlanned, former, ErrConflict},
		"complete":                {StateComplete, former, nil},
		"abandoned":               {StateAbandoned, func(*Record) {}, nil},
		"abandoned and begun":     {StateAbandoned, begun, ErrConflict},
		"ready":                   {StateReady, func(*Record) {}, ErrConflict},
		"failed":                  {StateFailed, func(*Record) {}, ErrConflict},
	} {
		t.Run(name, func(t *testing.T) {
			store := storeWith(t, somePlan("a"), c.state, c.change)
			fleet := fleetOn(t, store)
			err := fleet.Remove(t.Context(), "A")
			if c.want != nil {
				require.ErrorIs(t, err, c.want)
				mustLoad(t, store, "a")
				return
			}
			require.NoError(t, err)
			require.ErrorIs(t, fleet.Remove(t.Context(), "a"), ErrNotFound)
			require.NoError(t, fleet.Add(t.Context(), somePlan("a")))
		})
	}
}
