package durable

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestNextAndGate(t *testing.T) {
	for name, test := range map[string]struct {
		record Record
		next   Action
		gate   Gate
	}{
		"planned":                            {recordIn(StatePlanned), ActionValidate, ""},
		"planned, drops":                     {NewRecord(droppingPlan("a"), t0), ActionValidate, ""},
		"validating":                         {recordIn(StateValidating), ActionCheckValidation, ""},
		"validated":                          {recordIn(StateValidated), ActionCreate, ""},
		"validated, drops":                   {recordIn(StateValidated).with(drops), ActionApprove, GateStart},
		"validated, drops, approved":         {recordIn(StateValidated).with(drops).with(approve(GateStart)), ActionCreate, ""},
		"validated, drops, another approved": {recordIn(StateValidated).with(drops).with(approve(GateCutover)), ActionApprove, GateStart},
		"replicating":                        {recordIn(StateReplicating), ActionCheck, ""},
		"ready":                              {recordIn(StateReady), ActionApprove, GateCutover},
		"ready, approved":                    {recordIn(StateReady).with(approve(GateCutover)), ActionCutover, ""},
		"ready, another approved":            {recordIn(StateReady).with(approve(GateStart)), ActionApprove, GateCutover},
		"finishing":                          {recordIn(StateFinishing), ActionCheck, ""},
		"unclear":                            {recordIn(StateUnclear), ActionNone, ""},
		"complete":                           {recordIn(StateComplete), ActionNone, ""},
		"failed":                             {recordIn(StateFailed), ActionNone, ""},
		"expired":                            {recordIn(StateExpired), ActionNone, ""},
		"abandoned":                          {recordIn(StateAbandoned), ActionNone, ""},
		"nothing":                            {Record{}, ActionNone, ""},
		"under way":                          {recordIn(StateValidated).Begin(ActionCreate, t1), ActionNone, ""},
	} {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, test.next, test.record.Next())
			assert.Equal(t, test.gate, test.record.Gate())
		})
	}
}

func drops(r *Record) {
	r.Plan.Request.DropDestinationData = true
	r.explain(r.note(), t0)
}

func TestBeginAndRecoverAreTotal(t *testing.T) {
	for _, state := range allStates {
		for _, action := range allActions {
			t.Run(string(state)+"/"+string(action), func(t *testing.T) {
				r := recordIn(state)
				begun := r.Begin(action, t1)
				if action != ActionNone && action == r.Next() {
					assert.Equal(t, action, begun.Begun)
					assert.Equal(t, begun, begun.Begin(action, t2), "what is under way does not begin again")
				} else {
					assert.Equal(t, r, begun)
				}
				requireUntouched(t, r, func(r Record) Record { return r.Begin(action, t1) })

				r.Begun = action // also where that cannot be
				recovered := r.Recover(t2)
				assert.Empty(t, recovered.Begun)
				assert.NoError(t, recovered.Validate())
				if state.Final() {
					assert.Equal(t, state, recovered.State)
				}
				requireUntouched(t, r, func(r Record) Record { return r.Recover(t1) })
			})
		}
	}
}

func TestRecover(t *testing.T) {
	for name, test := range map[string]struct {
		record Record
		begun  Action
		state  State
	}{
		"a validation is due again":     {recordIn(StatePlanned), ActionValidate, StatePlanned},
		"a look at a validation":        {recordIn(StateValidating), ActionCheckValidation, StateValidating},
		"a creation is unclear":         {recordIn(StateValidated), ActionCreate, StateUnclear},
		"a look":                        {recordIn(StateReplicating), ActionCheck, StateReplicating},
		"a question":                    {recordIn(StateReady), ActionApprove, StateReady},
		"a cutover is looked at":        {recordIn(StateReady), ActionCutover, StateFinishing},
		"a look at what finishes":       {recordIn(StateFinishing), ActionCheck, StateFinishing},
		"a creation that was abandoned": {recordIn(StateAbandoned), ActionCreate, StateAbandoned},
		"nothing":                       {recordIn(StateReplicating), ActionNone, StateReplicating},
	} {
		t.Run(name, func(t *testing.T) {
			test.record.Begun = test.begun
			recovered := test.record.Recover(t1)
			assert.Equal(t, test.state, recovered.State)
			assert.Zero(t, recovered.CutOverAt)
			if test.begun != ActionNone && test.state != StateUnclear {
				assert.Equal(t, t1, recovered.CheckAt)
			}
			assert.Equal(t, recovered.State, recovered.Recover(t2).State, "a second time changes nothing")
		})
	}
}

func TestRecoverOfACreationWhoseJobIsKnown(t *testing.T) {
	r := recordIn(StateValidated).Begin(ActionCreate, t0).with(func(r *Record) { r.MigrationID = migrationID }).Recover(t1)
	assert.Equal(t, StateReplicating, r.State)
	assert.Equal(t, ActionCheck, r.Next())
	assert.Equal(t, migrationID, r.MigrationID)
}

func TestRecoverSaysWhatToLookFor(t *testing.T) {
	r := recordIn(StateValidated).Begin(ActionCreate, t1).Recover(t2)
	for _, text := range []string{string(projectID), "to-a", "from-a", "2026-03-01 11:00 UTC", "adopt", "restart"} {
		assert.Contains(t, r.Problem, text)
	}
	assert.Equal(t, t2, r.ProblemSince)
}

func TestGrantsLapse(t *testing.T) {
	granted := recordIn(StateReady).with(func(r *Record) { r.grant(GateCutover, t1) })
	require.Equal(t, ActionCutover, granted.Next())
	starting := recordIn(StateValidated).with(func(r *Record) {
		r.Plan = droppingPlan("a")
		r.grant(GateStart, t1)
	})
	for name, r := range map[string]Record{
		"with the program":                 granted.Recover(t2),
		"with the program, in the cutover": granted.Begin(ActionCutover, t1).Recover(t2),
		"with an attempt that failed":      outcome(granted.Begin(ActionCutover, t1), func(r *Record) { _ = r.cutOver(apiError(401, ""), t2) }),
		"with a creation that failed":      outcome(starting.Begin(ActionCreate, t1), func(r *Record) { _ = r.migrationCreated(nil, apiError(403, ""), t2) }),
		"when it is not ready any more":    outcome(granted, func(r *Record) { _ = r.migrationSeen(working(false), nil, t2) }),
	} {
		assert.Empty(t, r.Granted, name)
		assert.Empty(t, r.Approved, name)
	}
	kept := granted.Approve(GateCutover, t2).Recover(t2)
	assert.Equal(t, []Gate{GateCutover}, kept.Approved, "a person's approval stays")
}
