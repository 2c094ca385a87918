package durable

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go"
)

func TestChangesLeaveTheirReceiver(t *testing.T) {
	for _, state := range allStates {
		r := recordIn(state).with(approve(GateStart))
		stored := recordIn(state).with(approve(GateCutover))
		for name, change := range map[string]func(Record) Record{
			"approve": func(r Record) Record { return r.Approve(GateCutover, t1) },
			"adopt":   func(r Record) Record { r, _ = r.Adopt(otherID, t1); return r },
			"restart": func(r Record) Record { r, _ = r.Restart(t1); return r },
			"replace": func(r Record) Record { r, _ = r.Replace(droppingPlan("a"), t1); return r },
			"abandon": func(r Record) Record { return r.Abandon(t1) },
			"merge":   func(r Record) Record { return r.Merge(stored) },
		} {
			t.Run(string(state)+"/"+name, func(t *testing.T) { requireUntouched(t, r, change) })
		}
	}
}

func TestApprove(t *testing.T) {
	ready := recordIn(StateReady).Approve(GateCutover, t1)
	assert.Equal(t, []Gate{GateCutover}, ready.Approved)
	assert.Equal(t, t1, ready.CheckAt, "it is due at once")
	assert.Empty(t, ready.Problem)
	assert.Zero(t, ready.ProblemSince)
	assert.Equal(t, ready, ready.Approve(GateCutover, t2), "a second time changes nothing")

	early := recordIn(StateReplicating).Approve(GateCutover, t1)
	assert.Equal(t, []Gate{GateCutover}, early.Approved)
	assert.Equal(t, t0, early.CheckAt)

	outage := recordIn(StateReady).with(func(r *Record) { r.weather(readingMigration, callError(), t1) }).Approve(GateCutover, t2)
	assert.Contains(t, outage.Problem, "without a response", "an approval does not end an outage")

	for _, state := range allStates {
		r := recordIn(state)
		assert.Equal(t, r, r.Approve("sesame", t1))
		assert.Equal(t, state.Final(), len(r.Approve(GateStart, t1).Approved) == 0, state)
	}
}

func TestAdopt(t *testing.T) {
	for _, state := range allStates {
		adopted, err := recordIn(state).Adopt(otherID, t1)
		if state != StateUnclear {
			assert.ErrorIs(t, err, ErrConflict)
			assert.Equal(t, recordIn(state), adopted)
			continue
		}
		require.NoError(t, err)
		assert.Equal(t, StateReplicating, adopted.State)
		assert.Equal(t, otherID, adopted.MigrationID)
		assert.Nil(t, adopted.Migration)
		assert.Equal(t, t1, adopted.CheckAt)
		assert.Empty(t, adopted.Problem)
	}
	_, err := recordIn(StateUnclear).Adopt("not an id", t1)
	assert.ErrorIs(t, err, livemigration.ErrInvalidRequest)
	assert.NotContains(t, err.Error(), "not an id")
}

func TestFirstLookAfterAdopt(t *testing.T) {
	adopted, err := recordIn(StateUnclear).Adopt(migrationID, t1)
	require.NoError(t, err)
	look := func(m *livemigration.Migration, err error) Record {
		return outcome(adopted, func(r *Record) { _ = r.migrationSeen(m, err, t2) })
	}
	elsewhere := working(false)
	elsewhere.MigrationHosts = []string{"vm-b.example.com"}
	wrong := look(elsewhere, nil)
	assert.Equal(t, StateUnclear, wrong.State)
	assert.Empty(t, wrong.MigrationID, "another record may adopt it now")
	assert.Contains(t, wrong.Problem, "vm-b.example.com")
	assert.Contains(t, wrong.Problem, string(migrationID))

	assert.Equal(t, StateReplicating, look(working(false), nil).State)
	silent := working(true)
	silent.MigrationHosts = nil
	assert.Equal(t, StateReady, look(silent, nil).State)

	nowhere := look(nil, apiError(404, "RESOURCE_NOT_FOUND"))
	assert.Equal(t, StateUnclear, nowhere.State)
	assert.Empty(t, nowhere.MigrationID)

	later := outcome(look(working(false), nil), func(r *Record) { _ = r.migrationSeen(elsewhere, nil, t2) })
	assert.Equal(t, StateReplicating, later.State, "only the first look compares")
}

func TestRestart(t *testing.T) {
	for _, state := range allStates {
		r := recordIn(state).with(approve(GateCutover)).with(func(r *Record) {
			r.MigrationID, r.ReadySince, r.Problem = migrationID, t0, "something"
			r.Approved = []Gate{GateCutover, GateStart}
		})
		again, err := r.Restart(t1)
		if state != StateUnclear && state != StateFailed && state != StateExpired {
			assert.ErrorIs(t, err, ErrConflict)
			assert.Equal(t, r, again)
			continue
		}
		require.NoError(t, err)
		assert.Equal(t, StatePlanned, again.State)
		assert.Equal(t, []livemigration.MigrationID{migrationID}, again.FormerMigrationIDs)
		assert.Empty(t, again.MigrationID)
		assert.Empty(t, again.ValidationID)
		assert.Nil(t, again.Migration)
		assert.Empty(t, again.Approved)
		assert.Zero(t, again.ReadySince)
		assert.Empty(t, again.Problem)
		assert.Equal(t, r.Events, again.Events[:len(r.Events)])
	}
}

func TestReplace(t *testing.T) {
	other := planFor("a")
	other.Request.Destination.ClusterName = "elsewhere"
	for _, state := range allStates {
		r := recordIn(state).with(approve(GateCutover))
		replaced, err := r.Replace(other, t1)
		if state != StatePlanned && state != StateFailed && state != StateExpired {
			assert.ErrorIs(t, err, ErrConflict)
			assert.Equal(t, r, replaced)
			continue
		}
		require.NoError(t, err)
		assert.Equal(t, StatePlanned, replaced.State)
		assert.Equal(t, "elsewhere", replaced.Plan.Request.Destination.ClusterName)
		assert.Empty(t, replaced.Approved)
	}
	_, err := recordIn(StatePlanned).Replace(planFor("b"), t1)
	assert.ErrorIs(t, err, ErrConflict)
	other.Request.Source.Password = "hunter2"
	_, err = recordIn(StatePlanned).Replace(other, t1)
	assert.ErrorIs(t, err, livemigration.ErrInvalidRequest)
	same, err := recordIn(StatePlanned).Replace(planFor("a"), t1)
	require.NoError(t, err)
	assert.Equal(t, recordIn(StatePlanned), same)
}

func TestAbandon(t *testing.T) {
	for _, state := range allStates {
		r := recordIn(state).Abandon(t1)
		assert.Equal(t, StateAbandoned, r.State)
		assert.Empty(t, r.Problem)
		assert.Equal(t, recordIn(state).MigrationID, r.MigrationID)
	}
}
