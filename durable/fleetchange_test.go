package durable

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go"
	"github.com/livemigration/livemigration-go/livemigrationtest"
)

func TestAdd(t *testing.T) {
	with := func(name string, change func(*Plan)) Plan {
		plan := planFor(name)
		change(&plan)
		return plan
	}
	source := func(name string) func(*Plan) { return func(p *Plan) { p.Request.Source.ClusterName = name } }
	destination := func(name string) func(*Plan) { return func(p *Plan) { p.Request.Destination.ClusterName = name } }
	for name, test := range map[string]struct {
		state State // of the record a, which is there
		plans []Plan
		want  error
		names []string // that are there afterwards
	}{
		"two new":                        {StatePlanned, []Plan{planFor("b"), planFor("c")}, nil, []string{"a", "b", "c"}},
		"known and equal":                {StateReplicating, []Plan{planFor("a")}, nil, []string{"a"}},
		"known, equal, twice":            {StatePlanned, []Plan{planFor("b"), planFor("b")}, nil, []string{"a", "b"}},
		"known and different":            {StatePlanned, []Plan{planFor("b"), droppingPlan("a")}, ErrConflict, []string{"a"}},
		"known in another case":          {StatePlanned, []Plan{with("A", source("x")), planFor("b")}, ErrConflict, []string{"a"}},
		"different among themselves":     {StatePlanned, []Plan{planFor("b"), droppingPlan("b")}, ErrConflict, []string{"a"}},
		"not valid":                      {StatePlanned, []Plan{planFor("b"), planFor("c/d")}, livemigration.ErrInvalidRequest, []string{"a"}},
		"with a password":                {StatePlanned, []Plan{with("b", func(p *Plan) { p.Request.Source.Password = "hunter2" })}, livemigration.ErrInvalidRequest, []string{"a"}},
		"the same source":                {StatePlanned, []Plan{with("b", source("FROM-A"))}, ErrConflict, []string{"a"}},
		"the same destination":           {StatePlanned, []Plan{with("b", destination("To-a"))}, ErrConflict, []string{"a"}},
		"the same, among themselves":     {StatePlanned, []Plan{planFor("b"), with("c", destination("to-b"))}, ErrConflict, []string{"a"}},
		"the destination of a complete":  {StateComplete, []Plan{with("b", destination("to-a"))}, ErrConflict, []string{"a"}},
		"the destination of an unclear":  {StateUnclear, []Plan{with("b", destination("to-a"))}, ErrConflict, []string{"a"}},
		"the destination of a failed":    {StateFailed, []Plan{with("b", destination("to-a"))}, nil, []string{"a", "b"}},
		"the destination of an expired":  {StateExpired, []Plan{with("b", destination("to-a"))}, nil, []string{"a", "b"}},
		"the source of an abandoned":     {StateAbandoned, []Plan{with("b", source("from-a"))}, nil, []string{"a", "b"}},
		"the same name, another project": {StatePlanned, []Plan{with("b", func(p *Plan) { destination("to-a")(p); p.ProjectID = sourceID })}, nil, []string{"a", "b"}},
	} {
		t.Run(name, func(t *testing.T) {
			store := NewMemory()
			mustSave(t, store, recordIn(test.state).with(func(r *Record) { r.Revision = 0 }))
			err := NewFleet(nil, store).Add(t.Context(), test.plans...)
			if test.want == nil {
				require.NoError(t, err)
			} else {
				require.ErrorIs(t, err, test.want)
				assert.NotContains(t, err.Error(), "hunter2")
			}
			records, err := NewFleet(nil, store).Records(t.Context())
			require.NoError(t, err)
			var names []string
			for _, r := range records {
				names = append(names, r.Plan.Name)
			}
			assert.Equal(t, test.names, names)
		})
	}
}

func TestAddNamesAllProblems(t *testing.T) {
	err := NewFleet(nil, NewMemory()).Add(t.Context(), planFor("a/b"), planFor("c/d"))
	assert.ErrorContains(t, err, `"a/b"`)
	assert.ErrorContains(t, err, `"c/d"`)
}

func TestFleetApprove(t *testing.T) {
	store := NewMemory()
	fleet := NewFleet(nil, store)
	require.NoError(t, fleet.Add(t.Context(), planFor("a")))
	require.NoError(t, fleet.Approve(t.Context(), "A", GateCutover))
	require.NoError(t, fleet.Approve(t.Context(), "a", GateCutover))
	assert.Equal(t, int64(2), mustGet(t, store, "a").Revision, "a second time stores nothing")
	require.ErrorIs(t, fleet.Approve(t.Context(), "a", "sesame"), livemigration.ErrInvalidRequest)
	require.ErrorIs(t, fleet.Approve(t.Context(), "b", GateStart), ErrNotFound)
	require.NoError(t, fleet.Abandon(t.Context(), "a"))
	require.NoError(t, fleet.Abandon(t.Context(), "a"))
	require.ErrorIs(t, fleet.Approve(t.Context(), "a", GateStart), ErrConflict)
}

func TestFleetAdopt(t *testing.T) {
	store := NewMemory()
	for name, state := range map[string]State{"a": StateUnclear, "b": StateReplicating} {
		mustSave(t, store, recordIn(state).with(func(r *Record) { r.Plan, r.Revision = planFor(name), 0 }))
	}
	fleet := NewFleet(nil, store)
	require.ErrorIs(t, fleet.Adopt(t.Context(), "a", migrationID), ErrConflict, "b has it")
	require.ErrorIs(t, fleet.Adopt(t.Context(), "b", otherID), ErrConflict, "it is not unclear")
	require.ErrorIs(t, fleet.Adopt(t.Context(), "a", "odd"), livemigration.ErrInvalidRequest)
	require.ErrorIs(t, fleet.Adopt(t.Context(), "c", otherID), ErrNotFound)
	require.NoError(t, fleet.Adopt(t.Context(), "a", otherID))
	assert.Equal(t, StateReplicating, mustGet(t, store, "a").State)
}

func TestRestartAndReplaceNeedTheirClusters(t *testing.T) {
	store := NewMemory()
	fleet := NewFleet(nil, store)
	mustSave(t, store, recordIn(StateFailed).with(func(r *Record) { r.Revision = 0 }))
	taker := planFor("b")
	taker.Request.Destination.ClusterName = "to-a"
	require.NoError(t, fleet.Add(t.Context(), taker))
	require.ErrorIs(t, fleet.Restart(t.Context(), "a"), ErrConflict, "b has its destination by now")
	require.ErrorIs(t, fleet.Replace(t.Context(), droppingPlan("a")), ErrConflict)
	require.ErrorIs(t, fleet.Restart(t.Context(), "c"), ErrNotFound)
	elsewhere := planFor("a")
	elsewhere.Request.Destination.ClusterName = "elsewhere"
	require.NoError(t, fleet.Replace(t.Context(), elsewhere))
	require.ErrorIs(t, fleet.Restart(t.Context(), "a"), ErrConflict, "it is PLANNED")
	r := mustGet(t, store, "a")
	assert.Equal(t, StatePlanned, r.State)
	assert.Equal(t, "elsewhere", r.Plan.Request.Destination.ClusterName)
}

func TestChangesFromElsewhereWhileAFleetRuns(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fixture) {
		store := f.storeWith(t, f.plan("a"))
		other := NewFleet(nil, store)
		_, ended := background(t, NewFleet(f.client, store))
		time.Sleep(2 * time.Hour)
		require.Equal(t, StateReady, mustGet(t, store, "a").State)

		require.NoError(t, other.Add(t.Context(), f.plan("b")))
		time.Sleep(5 * time.Second)
		assert.Equal(t, StateValidating, mustGet(t, store, "b").State, "it is noticed within seconds")

		require.NoError(t, other.Approve(t.Context(), "a", GateCutover))
		time.Sleep(5 * time.Second)
		assert.Equal(t, StateFinishing, mustGet(t, store, "a").State)
		time.Sleep(time.Hour)
		assert.Equal(t, StateComplete, mustGet(t, store, "a").State)

		require.NoError(t, f.FailMigration(mustGet(t, store, "b").MigrationID))
		time.Sleep(2 * time.Minute)
		select {
		case err := <-ended:
			var incomplete *IncompleteError
			require.ErrorAs(t, err, &incomplete)
		default:
			require.Fail(t, "nothing is left to do")
		}
		require.NoError(t, other.Restart(t.Context(), "b"))
		stop, _ := background(t, NewFleet(f.client, store))
		time.Sleep(10 * time.Minute)
		r := mustGet(t, store, "b")
		assert.Equal(t, StateReplicating, r.State)
		assert.Len(t, r.FormerMigrationIDs, 1)
		require.NoError(t, other.Abandon(t.Context(), "b"))
		time.Sleep(5 * time.Second)
		require.NoError(t, stop(), "all are COMPLETE or ABANDONED")
	})
}

func TestReplaceDuringAValidation(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fixture) {
		store := f.storeWith(t, f.plan("a"))
		f.Inject(livemigrationtest.CreateValidation, livemigrationtest.SlowBody(10*time.Second), 1)
		stop, _ := background(t, NewFleet(f.client, store))
		time.Sleep(time.Second)
		require.Equal(t, ActionValidate, mustGet(t, store, "a").Begun)
		plan := f.plan("a")
		plan.Request.MigrationHosts = []string{"elsewhere.example.com"}
		require.NoError(t, NewFleet(nil, store).Replace(t.Context(), plan))
		time.Sleep(30 * time.Minute)
		r := mustGet(t, store, "a")
		assert.Equal(t, StateReplicating, r.State)
		assert.Equal(t, []string{"elsewhere.example.com"}, f.Migrations()[0].MigrationHosts)
		assert.Len(t, f.Validations(), 2)
		require.ErrorIs(t, stop(), context.Canceled)
	})
}

func TestAbandonDuringACreationKeepsTheID(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fixture) {
		store := f.storeWith(t, f.plan("a"))
		f.Inject(livemigrationtest.CreateMigration, livemigrationtest.SlowBody(10*time.Second), 1)
		_, ended := background(t, NewFleet(f.client, store))
		for len(f.Migrations()) == 0 {
			time.Sleep(time.Second)
		}
		require.NoError(t, NewFleet(nil, store).Abandon(t.Context(), "a"))
		require.NoError(t, <-ended)
		r := mustGet(t, store, "a")
		assert.Equal(t, StateAbandoned, r.State)
		assert.Equal(t, f.Migrations()[0].ID, r.MigrationID)
		assert.Empty(t, r.Begun)
	})
}

func TestStoreThatOnlyLists(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fixture) {
		store := f.storeWith(t, f.plan("a"))
		bare := struct{ Store }{store} // hides Changed
		stop, _ := background(t, NewFleet(f.client, bare))
		time.Sleep(2 * time.Hour)
		require.NoError(t, NewFleet(nil, store).Approve(t.Context(), "a", GateCutover))
		time.Sleep(time.Minute)
		assert.Equal(t, StateFinishing, mustGet(t, store, "a").State)
		time.Sleep(time.Hour)
		require.NoError(t, stop())
	})
}

func TestFleetApprovesAtOnceInItsOwnProcess(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fixture) {
		store := f.storeWith(t, f.plan("a"))
		fleet := NewFleet(f.client, struct{ Store }{store})
		stop, _ := background(t, fleet)
		time.Sleep(2*time.Hour + time.Second)
		require.NoError(t, fleet.Approve(t.Context(), "a", GateCutover))
		time.Sleep(time.Millisecond)
		assert.Equal(t, 1, f.count(livemigrationtest.Cutover))
		require.ErrorIs(t, stop(), context.Canceled)
	})
}
