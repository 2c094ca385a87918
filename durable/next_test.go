package durable

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestNextInEachState(t *testing.T) {
	holdStart := recordIn(StateValidated).with(func(r *Record) { r.Plan.HoldStart = true })
	drops := recordIn(StateValidated).with(func(r *Record) { r.Plan.Request.DropDestinationData = true })
	startApproved := func(r *Record) { r.Approved = []Approval{{Gate: GateStart, By: "ann", At: t0}} }
	until := func(end time.Time) func(*Record) { return func(r *Record) { r.Approved[0].Until = end } }
	for name, test := range map[string]struct {
		record Record
		want   Action
		gate   Gate
	}{
		"PLANNED":     {recordIn(StatePlanned), ActionValidate, ""},
		"VALIDATING":  {recordIn(StateValidating), ActionCheckValidation, ""},
		"VALIDATED":   {recordIn(StateValidated), ActionCreate, ""},
		"REPLICATING": {recordIn(StateReplicating), ActionCheck, ""},
		"FINISHING":   {recordIn(StateFinishing), ActionCheck, ""},
		"UNCLEAR":     {recordIn(StateUnclear), ActionNone, ""},
		"COMPLETE":    {recordIn(StateComplete), ActionNone, ""},
		"FAILED":      {recordIn(StateFailed), ActionNone, ""},
		"EXPIRED":     {recordIn(StateExpired), ActionNone, ""},
		"ABANDONED":   {recordIn(StateAbandoned), ActionNone, ""},

		"a start that is held":                     {holdStart, ActionNone, GateStart},
		"a start that drops data":                  {drops, ActionNone, GateStart},
		"a start that is held, approved":           {holdStart.with(startApproved), ActionCreate, ""},
		"a start that drops data, approved":        {drops.with(startApproved), ActionCreate, ""},
		"a start whose approval ends too soon":     {holdStart.with(startApproved).with(until(t1.Add(29 * time.Second))), ActionNone, GateStart},
		"ready, not approved":                      {recordIn(StateReady), ActionCheck, GateCutover},
		"ready, approved":                          {approvedCutover(), ActionCutover, ""},
		"ready, approved for 30 seconds more":      {approvedCutover().with(until(t1.Add(30 * time.Second))), ActionCutover, ""},
		"ready, approved for less than 30 seconds": {approvedCutover().with(until(t1.Add(30*time.Second - 1))), ActionCheck, GateCutover},
		"ready, the approval has ended":            {approvedCutover().with(until(t0)), ActionCheck, GateCutover},
		"ready, only the start is approved":        {recordIn(StateReady).with(startApproved), ActionCheck, GateCutover},
		"ready, approved, waits for the window":    {approvedCutover().with(waits(ProblemWaitingForWindow)), ActionCheck, ""},
		"ready, approved, waits for the lag":       {approvedCutover().with(waits(ProblemWaitingForLag)), ActionCheck, ""},
		"ready, approved, a failure passes":        {approvedCutover().with(waits(ProblemRetrying)), ActionCutover, ""},
	} {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, test.want, test.record.Next(t1))
			assert.Equal(t, test.gate, test.record.Gate(t1))
			inProgress := test.record.with(func(r *Record) { r.Begun = &Intent{Action: ActionCheck} })
			assert.Equal(t, ActionNone, inProgress.Next(t1), "one action at a time")
		})
	}
}

func waits(kind ProblemKind) func(*Record) {
	return func(r *Record) { r.Problem = &Problem{Kind: kind, Since: t0} }
}

func TestBeginTakesOnlyWhatIsNext(t *testing.T) {
	for _, state := range allStates {
		for _, action := range allActions {
			r := recordIn(state)
			began := r.Begin(action, "run-1", t1)
			if action == ActionNone || action != r.Next(t1) {
				require.Equal(t, r, began, "%s %s", state, action)
				continue
			}
			require.Equal(t, &Intent{action, t1, 8, "run-1"}, began.Begun, "%s %s", state, action)
			require.Equal(t, action.Changes(), began.UpdatedAt.Equal(t1))
			requireUntouched(t, r, func(r Record) Record { return r.Begin(action, "run-1", t1) })
		}
	}
}

func TestIntentsDifferInEachField(t *testing.T) {
	intent := Intent{ActionCreate, t0, 7, "run-1"}
	assert.True(t, intent.Equal(Intent{ActionCreate, t0.In(time.FixedZone("", 3600)), 7, "run-1"}))
	for _, other := range []Intent{
		{ActionCutover, t0, 7, "run-1"}, {ActionCreate, t0.Add(1), 7, "run-1"}, {ActionCreate, t0, 8, "run-1"}, {ActionCreate, t0, 7, "run-2"},
	} {
		assert.False(t, intent.Equal(other), "%+v", other)
	}
}

func TestRecover(t *testing.T) {
	for name, test := range map[string]struct {
		record  Record
		want    State
		unclear bool
		kind    ProblemKind
	}{
		"a validation":                 {recordIn(StatePlanned), StatePlanned, false, ""},
		"a check of the validation":    {recordIn(StateValidating), StateValidating, false, ""},
		"a creation":                   {recordIn(StateValidated), StateUnclear, true, ProblemNeedsAttention},
		"a check":                      {recordIn(StateReplicating), StateReplicating, false, ""},
		"a cutover":                    {approvedCutover(), StateFinishing, true, ProblemRetrying},
		"a check of a READY record":    {recordIn(StateReady), StateReady, false, ProblemWaitingForApproval},
		"a check after the cutover":    {recordIn(StateFinishing), StateFinishing, false, ""},
		"nothing":                      {recordIn(StateComplete), StateComplete, false, ""},
		"a creation that is abandoned": {abandoned(t, recordIn(StateValidated)), StateAbandoned, true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := test.record
			if r.Begun == nil {
				r = r.Begin(r.Next(t1), "run-1", t1)
			}
			recovered := r.Recover(t1.Add(time.Second))
			assert.Equal(t, test.want, recovered.State)
			assert.Nil(t, recovered.Begun)
			assert.Equal(t, test.kind, kind(recovered))
			assert.True(t, recovered.CutoverAt.IsZero() || r.State == StateFinishing)
			if assert.Equal(t, test.unclear, recovered.Unclear != nil); test.unclear {
				assert.Equal(t, r.Begun, recovered.Unclear)
			}
			require.NoError(t, recovered.Validate())
			assert.Equal(t, recovered, recovered.Recover(t1.Add(time.Hour)), "it has recovered")
			requireUntouched(t, r, func(r Record) Record { return r.Recover(t1) })
		})
	}
}

// abandoned is a record that a person has abandoned while its next action was in progress.
func abandoned(t *testing.T, r Record) Record {
	t.Helper()
	r, err := r.Begin(r.Next(t1), "run-1", t1).Abandon(t1)
	require.NoError(t, err)
	require.NotNil(t, r.Begun)
	return r
}

func TestUnclearNamesWhatToLookFor(t *testing.T) {
	r, _ := begun(recordIn(StateValidated), OutcomeUnknown)
	text := r.Recover(t1).Problem.Text
	for _, want := range []string{string(projectID), "cluster to-a", "source cluster from-a", "adopt", "restart", "2026-03-01 11:00 UTC"} {
		assert.Contains(t, text, want)
	}
}
