package durable

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go"
)

// raced is what Do made of a record and what somebody has stored meanwhile.
func raced(begun Record, do func(*Record), change func(Record) Record) (done, stored Record) {
	stored = change(begun)
	stored.Revision++
	return outcome(begun, do), stored
}

func creates(r *Record) {
	_ = r.migrationCreated(&livemigration.Migration{ID: migrationID, Status: livemigration.MigrationNew}, nil, t1)
}

func TestMergeKeepsApprovals(t *testing.T) {
	begun := recordIn(StateValidated).Begin(ActionCreate, t0)
	done, stored := raced(begun, creates, func(r Record) Record { return r.Approve(GateCutover, t2) })
	merged := done.Merge(stored)
	assert.Equal(t, StateReplicating, merged.State)
	assert.Equal(t, migrationID, merged.MigrationID)
	assert.Equal(t, []Gate{GateCutover}, merged.Approved)
	assert.Equal(t, stored.Revision, merged.Revision)
	assert.Empty(t, merged.Begun)
	assert.Contains(t, merged.Events, Event{t2, "approved: cutover"})
	assert.Contains(t, merged.Events, Event{t1, "REPLICATING: migration " + string(migrationID)})
	assert.Equal(t, merged, merged.Merge(stored), "a second time changes nothing")
}

func TestMergeOpensTheGateThatIsWaitedFor(t *testing.T) {
	ready := recordIn(StateReady)
	done, stored := raced(ready, func(r *Record) {
		_ = r.migrationSeen(working(true), nil, t1)
		r.CheckAt = t2
	}, func(r Record) Record { return r.Approve(GateCutover, t1) })
	merged := done.Merge(stored)
	assert.Equal(t, ActionCutover, merged.Next())
	assert.Equal(t, t1, merged.CheckAt)
	assert.Empty(t, merged.Problem)
	assert.NotNil(t, merged.Migration.LagTimeSeconds)
}

func TestMergeTellsPersonsFromFunctions(t *testing.T) {
	granted := recordIn(StateReady).with(func(r *Record) { r.grant(GateCutover, t0) }).Begin(ActionCutover, t0)
	lapsed := func(r *Record) { _ = r.cutOver(apiError(401, ""), t1) }
	done, stored := raced(granted, lapsed, func(r Record) Record { return r.Approve(GateStart, t1) })
	assert.Equal(t, []Gate{GateStart}, done.Merge(stored).Approved, "what the function granted has lapsed")
	done, stored = raced(granted, lapsed, func(r Record) Record { return r.Approve(GateCutover, t1) })
	assert.Equal(t, []Gate{GateCutover}, done.Merge(stored).Approved)
}

func TestMergeWithAnAbandonedRecord(t *testing.T) {
	begun := recordIn(StateValidated).Begin(ActionCreate, t0)
	done, stored := raced(begun, creates, func(r Record) Record { return r.Abandon(t1) })
	merged := done.Merge(stored)
	assert.Equal(t, StateAbandoned, merged.State)
	assert.Equal(t, migrationID, merged.MigrationID, "the id is not lost")
	assert.Empty(t, merged.Begun)
	assert.Equal(t, stored.Revision, merged.Revision)
}

func TestMergeWithARecordThatWasChangedAndAbandoned(t *testing.T) {
	done := recordIn(StateReplicating)
	stored := recordIn(StateUnclear).with(func(r *Record) {
		r.MigrationID, r.FormerMigrationIDs = otherID, []livemigration.MigrationID{"6560f2a49c1b7e03d5ffffff"}
	}).Abandon(t1)
	merged := done.Merge(stored)
	assert.Equal(t, StateAbandoned, merged.State)
	assert.Equal(t, otherID, merged.MigrationID)
	assert.Equal(t, []livemigration.MigrationID{"6560f2a49c1b7e03d5ffffff", migrationID}, merged.FormerMigrationIDs)

	begun := recordIn(StatePlanned).Begin(ActionValidate, t0)
	other := planFor("a")
	other.Request.Destination.ClusterName = "elsewhere"
	replaced, err := begun.Replace(other, t1)
	require.NoError(t, err)
	validating := outcome(begun, func(r *Record) { _ = r.validationCreated(&livemigration.Validation{ID: validationID}, nil, t1) })
	merged = validating.Merge(replaced.Abandon(t2))
	assert.Equal(t, StateAbandoned, merged.State)
	assert.Equal(t, "elsewhere", merged.Plan.Request.Destination.ClusterName)
}

func TestMergeWithAnotherPlan(t *testing.T) {
	begun := recordIn(StatePlanned).Begin(ActionValidate, t0)
	other := planFor("a")
	other.Request.Destination.ClusterName = "elsewhere"
	done, stored := raced(begun, func(r *Record) {
		_ = r.validationCreated(&livemigration.Validation{ID: validationID}, nil, t1)
	}, func(r Record) Record {
		replaced, err := r.Replace(other, t1)
		require.NoError(t, err)
		return replaced
	})
	assert.Equal(t, stored, done.Merge(stored), "the validation was of the plan before")
}

func TestMergeNeverLosesAJob(t *testing.T) {
	unclear := recordIn(StateUnclear)
	adopted, err := unclear.Adopt(otherID, t1)
	require.NoError(t, err)
	assert.Equal(t, adopted, unclear.Merge(adopted))

	found := recordIn(StateReplicating)
	merged := found.Merge(adopted)
	assert.Equal(t, otherID, merged.MigrationID)
	assert.Equal(t, []livemigration.MigrationID{migrationID}, merged.FormerMigrationIDs)

	failed := recordIn(StateFailed).with(func(r *Record) { r.MigrationID = migrationID })
	restarted, err := failed.Restart(t1)
	require.NoError(t, err)
	assert.Equal(t, restarted, failed.Merge(restarted))
}

func TestNews(t *testing.T) {
	r := recordIn(StateReplicating)
	seen := func(change func(*livemigration.Migration)) Record {
		return outcome(r, func(r *Record) {
			m := *r.Migration
			change(&m)
			_ = r.migrationSeen(&m, nil, t1)
			r.CheckAt, r.Updated, r.Revision = t2, t2, 99
		})
	}
	assert.False(t, seen(func(*livemigration.Migration) {}).News(r))
	lag := int64(9)
	assert.False(t, seen(func(m *livemigration.Migration) { m.LagTimeSeconds = &lag }).News(r))
	assert.True(t, seen(func(m *livemigration.Migration) { m.LagTimeSeconds = &lag }).changed(r))
	assert.True(t, seen(func(m *livemigration.Migration) { m.ReadyForCutover = true }).News(r))
	assert.True(t, r.Approve(GateCutover, t1).News(r))
	assert.True(t, r.with(func(r *Record) { r.weather(readingMigration, callError(), t1) }).News(r))
}
