package durable

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go"
)

// TestChangesInEachState lists, for each change of a person, the states that allow it. Else the record stays as it is.
func TestChangesInEachState(t *testing.T) {
	gate := func(g Gate) func(Record) (Record, error) {
		return func(r Record) (Record, error) { return r.Approve(g, "ann", time.Time{}, t1) }
	}
	revoke := func(g Gate) func(Record) (Record, error) {
		return func(r Record) (Record, error) { return r.Revoke(g, "ann", t1) }
	}
	start := []State{StatePlanned, StateValidating, StateValidated}
	cutover := append(start, StateReplicating, StateReady, StateUnclear)
	for name, test := range map[string]struct {
		change func(Record) (Record, error)
		in     []State
	}{
		"approve the start":   {gate(GateStart), start},
		"approve the cutover": {gate(GateCutover), cutover},
		"revoke the start":    {revoke(GateStart), start},
		"revoke the cutover":  {revoke(GateCutover), cutover},
		"adopt":               {func(r Record) (Record, error) { return r.Adopt(otherID, t1) }, []State{StateUnclear}},
		"restart": {
			func(r Record) (Record, error) { return r.Restart(t1) }, []State{StateUnclear, StateFailed, StateExpired, StateAbandoned},
		},
		"replace": {
			func(r Record) (Record, error) { return r.Replace(planFor("a"), t1) }, []State{StatePlanned, StateFailed, StateExpired},
		},
		"abandon": {func(r Record) (Record, error) { return r.Abandon(t1) }, allStates},
		"remove": {
			func(r Record) (Record, error) { return r.clone(), r.checkRemove(t1) }, []State{StatePlanned, StateComplete, StateAbandoned},
		},
	} {
		t.Run(name, func(t *testing.T) {
			for _, state := range allStates {
				r := recordIn(state)
				changed, err := test.change(r)
				if !assert.Equal(t, contains(test.in, state), err == nil, "%s: %v", state, err) {
					continue
				}
				require.NoError(t, changed.Validate())
				if err != nil {
					assert.ErrorIs(t, err, ErrConflict)
					assert.Equal(t, r, changed)
				}
				requireUntouched(t, r, func(r Record) Record { changed, _ := test.change(r); return changed })
			}
		})
	}
}

func contains(states []State, state State) bool {
	for _, s := range states {
		if s == state {
			return true
		}
	}
	return false
}

func TestApprove(t *testing.T) {
	until := t1.Add(time.Hour)
	r, err := recordIn(StateReady).Approve(GateCutover, "ann", until, t1)
	require.NoError(t, err)
	assert.Equal(t, []Approval{{GateCutover, "ann", t1, until}}, r.Approved)
	assert.Nil(t, r.Problem)
	assert.Equal(t, t1, r.NextCheckAt, "it is acted on at once")
	assert.Equal(t, ActionCutover, r.Next(t1))
	assert.Contains(t, eventTexts(r), "cutover approved: ann, until 2026-03-01 12:00 UTC")

	r, err = r.Approve(GateCutover, "bob", time.Time{}, t1)
	require.NoError(t, err)
	assert.Equal(t, []Approval{{GateCutover, "bob", t1, time.Time{}}}, r.Approved, "one for each gate, the newest")
	r, err = recordIn(StatePlanned).Approve(GateStart, "ann", time.Time{}, t1)
	require.NoError(t, err)
	r, err = r.Approve(GateCutover, "ann", time.Time{}, t1)
	require.NoError(t, err)
	assert.Len(t, r.Approved, 2, "in advance")

	waiting := recordIn(StateReady).with(waits(ProblemWaitingForWindow))
	r, err = waiting.Approve(GateCutover, "ann", time.Time{}, t1)
	require.NoError(t, err)
	assert.Equal(t, ProblemWaitingForWindow, kind(r), "the approval does not open the window")

	for text, errs := range map[string][]error{
		"gate must be": {second(r.Approve("sesame", "ann", time.Time{}, t1)), second(r.Revoke("sesame", "ann", t1))},
		"by must not be empty: name the person": {
			second(r.Approve(GateCutover, "", time.Time{}, t1)), second(r.Approve(GateStart, " ", time.Time{}, t1)),
			second(r.Revoke(GateCutover, "", t1)),
		},
		`by must not be "policy"`:     {second(r.Approve(GateCutover, "Policy", time.Time{}, t1)), second(r.Revoke(GateCutover, policy, t1))},
		"until must be in the future": {second(r.Approve(GateCutover, "ann", t1, t1))},
	} {
		for _, err := range errs {
			require.ErrorIs(t, err, livemigration.ErrInvalidRequest)
			assert.ErrorContains(t, err, text)
		}
	}
}

func second(_ Record, err error) error { return err }

// TestRevoke: nil means that the action behind the gate does not follow.
func TestRevoke(t *testing.T) {
	r, err := approvedCutover().Revoke(GateCutover, "bob", t1)
	require.NoError(t, err)
	assert.Empty(t, r.Approved)
	assert.Equal(t, ProblemWaitingForApproval, kind(r))
	assert.Equal(t, ActionCheck, r.Next(t1))
	assert.Contains(t, eventTexts(r), "approval of the cutover revoked: bob")

	same, err := recordIn(StateReady).Revoke(GateCutover, "bob", t1)
	require.NoError(t, err)
	assert.Equal(t, recordIn(StateReady), same, "there is none")
}

// TestGateIsShutOnceItsActionHasBegun covers the cutover that has begun, and the one that may have been sent.
func TestGateIsShutOnceItsActionHasBegun(t *testing.T) {
	cutover, res := begun(approvedCutover(), OutcomeUnknown)
	creation, _ := begun(recordIn(StateValidated), OutcomeUnknown)
	for name, test := range map[string]struct {
		record Record
		gate   Gate
	}{
		"the cutover has begun":            {cutover, GateCutover},
		"the cutover's outcome unknown":    {cutover.Apply(res, t1), GateCutover},
		"a killed program's cutover":       {cutover.Recover(t1), GateCutover},
		"the creation has begun":           {creation, GateStart},
		"the creation's outcome unknown":   {creation.Recover(t1), GateStart},
		"abandoned, the cutover had begun": {abandoned(t, approvedCutover()), GateCutover},
	} {
		t.Run(name, func(t *testing.T) {
			assert.ErrorIs(t, second(test.record.Revoke(test.gate, "bob", t1)), ErrConflict)
			assert.ErrorIs(t, second(test.record.Approve(test.gate, "bob", time.Time{}, t1)), ErrConflict)
		})
	}
	_, err := creation.Revoke(GateCutover, "bob", t1)
	assert.NoError(t, err, "the gate of another action")
}

// TestRestartWaitsTwoMinutes: a request of the unclear creation may arrive for a minute and a half.
func TestRestartWaitsTwoMinutes(t *testing.T) {
	creation, _ := begun(recordIn(StateValidated), OutcomeUnknown)
	r := creation.Recover(t1.Add(time.Second))
	_, err := r.Restart(t1.Add(2*time.Minute - 1))
	require.ErrorIs(t, err, ErrConflict)
	assert.ErrorContains(t, err, "2026-03-01T11:02:00Z")
	restarted, err := r.Restart(t1.Add(2 * time.Minute))
	require.NoError(t, err)
	assert.Nil(t, restarted.Unclear)

	gone, err := abandoned(t, recordIn(StateValidated)).Recover(t1).Abandon(t1)
	require.NoError(t, err)
	assert.ErrorIs(t, gone.checkRemove(t1.Add(time.Minute)), ErrConflict, "its ID may arrive")
	assert.ErrorIs(t, second(gone.Restart(t1.Add(time.Minute))), ErrConflict)
	assert.NoError(t, gone.checkRemove(t1.Add(2*time.Minute)))
	assert.ErrorIs(t, second(abandoned(t, recordIn(StateValidated)).Restart(t1.Add(time.Hour))), ErrConflict, "it has begun")
}

func TestRestartBeginsFromTheBeginning(t *testing.T) {
	r := recordIn(StateExpired).with(func(r *Record) {
		r.Approved, r.Problem, r.EndedAt, r.ReadyAt = []Approval{{Gate: GateCutover, By: "ann"}}, &Problem{Kind: ProblemNeedsAttention}, t0, t0
	})
	restarted, err := r.Restart(t1)
	require.NoError(t, err)
	want := recordIn(StatePlanned).with(func(r *Record) {
		r.PlannedAt, r.NextCheckAt, r.UpdatedAt = t1, t1, t1
		r.FormerMigrationIDs = []livemigration.MigrationID{migrationID}
		r.Events = append(r.Events, Event{t1, "PLANNED: restarted"})
	})
	assert.Equal(t, want, restarted)
	assert.ErrorIs(t, restarted.checkRemove(t1), ErrConflict, "it is the only one who knows the former ID")
}

func TestAdopt(t *testing.T) {
	creation, res := begun(recordIn(StateValidated), OutcomeDone)
	r, err := creation.Recover(t1).Adopt(otherID, t1.Add(time.Hour))
	require.NoError(t, err)
	assert.Equal(t, StateReplicating, r.State)
	assert.Equal(t, otherID, r.MigrationID)
	assert.Nil(t, r.Migration, "not seen yet")
	assert.Equal(t, t1, r.StartedAt, "no warning is late")
	assert.Equal(t, ActionCheck, r.Next(t1))

	again, err := r.Adopt(migrationID, t1.Add(time.Hour))
	require.NoError(t, err, "it was never seen")
	assert.Equal(t, []livemigration.MigrationID{otherID}, again.FormerMigrationIDs)
	back, err := again.Adopt(otherID, t1.Add(time.Hour))
	require.NoError(t, err)
	assert.Equal(t, []livemigration.MigrationID{migrationID}, back.FormerMigrationIDs)

	res.CreatedID = migrationID
	assert.Equal(t, []livemigration.MigrationID{migrationID}, r.Apply(res, t1).FormerMigrationIDs, "the late ID is kept")
	checked := r.Apply(seen(r, job(false), t1), t1)
	assert.Nil(t, checked.Unclear)
	assert.ErrorIs(t, second(checked.Adopt(migrationID, t1)), ErrConflict, "it has been seen")

	elsewhere := job(false)
	elsewhere.MigrationHosts = []string{"else"}
	wrong := r.Apply(seen(r, elsewhere, t1), t1)
	assert.Equal(t, StateUnclear, wrong.State)
	assert.ErrorIs(t, second(wrong.Restart(t1.Add(time.Minute))), ErrConflict, "the creation is unclear still")
	assert.Equal(t, StateReplicating, wrong.Apply(res, t1).State, "and its late result settles it")

	_, err = recordIn(StateUnclear).Adopt("x", t1)
	assert.ErrorIs(t, err, livemigration.ErrInvalidRequest)
}

func TestReplace(t *testing.T) {
	other := planFor("a")
	other.HoldStart = true
	validating, res := begun(recordIn(StatePlanned), OutcomeDone)
	res.Validation = &livemigration.Validation{ID: validationID}
	r, err := validating.Replace(other, t1)
	require.NoError(t, err)
	assert.Nil(t, r.Begun)
	assert.Equal(t, r, r.Apply(res, t1), "the validation of the other plan is ignored")

	same := planFor("a")
	same.Exclusive = []string{" ORG-A", "org-a"}
	r, err = validating.Replace(same, t1)
	require.NoError(t, err)
	assert.Equal(t, validating, r, "the same plan")

	other.Name = "b"
	assert.ErrorIs(t, second(validating.Replace(other, t1)), ErrConflict)
	other.Name, other.ProjectID = "a", "x"
	assert.ErrorIs(t, second(validating.Replace(other, t1)), livemigration.ErrInvalidRequest)
}

func TestEventsAreBounded(t *testing.T) {
	r := recordIn(StatePlanned)
	for i := range 150 {
		r.event(t1, fmt.Sprint(i))
	}
	assert.Len(t, r.Events, 100)
	assert.Equal(t, "149", r.Events[99].Text)
	for range 150 {
		r.eventOnce(t1, "again")
		r.eventOnce(t1, "and again")
	}
	assert.Equal(t, "52", r.Events[0].Text, "what repeats does not push the rest out")
}
