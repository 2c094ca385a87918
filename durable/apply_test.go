package durable

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go"
)

// TestApplyChange is the table of states, for actions that change something.
func TestApplyChange(t *testing.T) {
	planned, validated, ready := recordIn(StatePlanned), recordIn(StateValidated), approvedCutover()
	failed := func(operation string, status int, code string) func(*Result) {
		return func(r *Result) { r.Failure = failure(operation, status, code) }
	}
	held := func(kind ProblemKind) func(*Result) {
		return func(r *Result) { r.Hold = &Problem{Kind: kind} }
	}
	const attention, retrying, not = ProblemNeedsAttention, ProblemRetrying, OutcomeNotDone
	for name, test := range map[string]struct {
		record  Record
		outcome Outcome
		result  func(*Result)
		want    State
		kind    ProblemKind
		check   func(*testing.T, Record)
	}{
		"validate: done": {
			planned, OutcomeDone, func(r *Result) { r.Validation = &livemigration.Validation{ID: validationID} },
			StateValidating, "",
			func(t *testing.T, r Record) { assert.Equal(t, validationID, r.ValidationID) }},
		"validate: rejected": {planned, OutcomeRejected, failed(opValidate, 400, "X"), StateFailed, attention,
			func(t *testing.T, r Record) { assert.Equal(t, t1, r.EndedAt); assert.Zero(t, r.NextCheckAt) }},
		"validate: not done": {planned, not, failed(opValidate, 409, "X"), StatePlanned, retrying,
			func(t *testing.T, r Record) { assert.Equal(t, t1.Add(time.Minute), r.NextCheckAt) }},
		"validate: unknown":         {planned, OutcomeUnknown, failed(opValidate, 500, ""), StatePlanned, retrying, nil},
		"validate: the context":     {planned, not, nil, StatePlanned, "", nil},
		"validate: no ID, and done": {planned, OutcomeDone, nil, StatePlanned, "", nil},

		"create: done": {validated, OutcomeDone, func(r *Result) { r.CreatedID, r.Migration = migrationID, job(false) }, StateReplicating, "",
			func(t *testing.T, r Record) {
				assert.Equal(t, migrationID, r.MigrationID)
				assert.Equal(t, t1, r.StartedAt)
				assert.NotNil(t, r.Migration)
			}},
		"create: unknown, ID known": {validated, OutcomeUnknown, func(r *Result) { r.CreatedID = migrationID }, StateReplicating, "",
			func(t *testing.T, r Record) {
				assert.Equal(t, migrationID, r.MigrationID)
				assert.NotNil(t, r.Migration, "it is no adopted one")
			}},
		"create: unknown": {validated, OutcomeUnknown, failed(opCreate, 502, ""), StateUnclear, attention,
			func(t *testing.T, r Record) {
				assert.Equal(t, &Intent{ActionCreate, t1, 8, "run-1"}, r.Unclear)
				assert.Equal(t, 502, r.Problem.Status)
				assert.Zero(t, r.NextCheckAt)
			}},
		"create: done, and a malformed ID": {validated, OutcomeDone, func(r *Result) { r.CreatedID = "x" }, StateUnclear, attention, nil},
		"create: rejected":                 {validated, OutcomeRejected, failed(opCreate, 400, "X"), StateFailed, attention, nil},
		"create: a conflict":               {validated, not, failed(opCreate, 409, "X"), StateValidated, retrying, nil},
		"create: keys of another org":      {validated, not, failed(opCreate, 404, "GROUP_NOT_FOUND"), StateValidated, attention, nil},
		"create: Atlas is upgraded":        {validated, not, failed(opCreate, 405, "X"), StateValidated, retrying, nil},
		"create: the account is suspended": {validated, not, failed(opCreate, 402, "X"), StateValidated, attention, nil},
		"create: held":                     {validated, not, held(ProblemWaitingForApproval), StateValidated, "", nil},

		"cutover: done": {ready, OutcomeDone, nil, StateFinishing, "",
			func(t *testing.T, r Record) { assert.Equal(t, t1, r.CutoverAt); assert.Nil(t, r.Unclear) }},
		"cutover: unknown": {ready, OutcomeUnknown, failed(opCutover, 502, ""), StateFinishing, retrying,
			func(t *testing.T, r Record) {
				assert.Zero(t, r.CutoverAt)
				assert.Equal(t, &Intent{ActionCutover, t1, 8, "run-1"}, r.Unclear)
			}},
		"cutover: not done": {ready, not, failed(opCutover, 409, "X"), StateReady, retrying,
			func(t *testing.T, r Record) { assert.Equal(t, ActionCutover, r.Next(t1)) }},
		"cutover: rejected":    {ready, OutcomeRejected, failed(opCutover, 400, "X"), StateReady, retrying, nil},
		"cutover: the context": {ready, not, nil, StateReady, "", func(t *testing.T, r Record) { assert.Len(t, r.Approved, 1) }},
		"cutover: held": {
			ready, not, func(r *Result) { r.Migration, r.Hold = job(true), &Problem{Kind: ProblemWaitingForLag} },
			StateReady, ProblemWaitingForLag,
			func(t *testing.T, r Record) { assert.Equal(t, ActionCheck, r.Next(t1)) }},
		"cutover: no longer ready": {ready, not, func(r *Result) { r.Migration = job(false) }, StateReplicating, "",
			func(t *testing.T, r Record) { assert.Empty(t, r.Approved, "the approval lapses") }},
		"cutover: complete already": {
			ready, not, func(r *Result) { r.Migration = ended(livemigration.MigrationComplete) }, StateComplete,
			"", nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			r, res := begun(test.record, test.outcome)
			if test.result != nil {
				test.result(&res)
			}
			applied := r.Apply(res, t1)
			assert.Equal(t, test.want, applied.State)
			assert.Equal(t, test.kind, kind(applied))
			assert.Nil(t, applied.Begun)
			assert.Equal(t, t1, applied.UpdatedAt)
			require.NoError(t, applied.Validate())
			if test.check != nil {
				test.check(t, applied)
			}
			assert.Equal(t, applied, applied.Apply(res, t1.Add(time.Hour)), "twice is once")
			requireUntouched(t, r, func(r Record) Record { return r.Apply(res, t1) })
		})
	}
}

func TestFenceOfChanges(t *testing.T) {
	r, res := begun(recordIn(StateValidated), OutcomeDone)
	res.CreatedID, res.Migration = migrationID, job(false)
	for name, stored := range map[string]Record{
		"begun by another run": r.with(func(r *Record) { r.Begun.By = "run-2" }),
		"begun anew":           r.with(func(r *Record) { r.Begun.Number++ }),
		"begun later":          r.with(func(r *Record) { r.Begun.At = t1.Add(1) }),
		"another action":       approvedCutover().Begin(ActionCutover, "run-1", t1),
		"nothing has begun":    recordIn(StateValidated),
		"planned again":        recordIn(StatePlanned),
		"unclear, of another":  recordIn(StateUnclear).with(func(r *Record) { r.Unclear = &Intent{ActionCreate, t1, 8, "run-2"} }),
		"failed":               recordIn(StateFailed),
	} {
		t.Run(name, func(t *testing.T) {
			applied := stored.Apply(res, t1)
			if stored.MigrationID != migrationID {
				assert.Equal(t, []livemigration.MigrationID{migrationID}, applied.FormerMigrationIDs, "the ID is not lost")
				assert.Contains(t, applied.Events[len(applied.Events)-1].Text, string(migrationID))
			}
			applied.FormerMigrationIDs, applied.Events, applied.UpdatedAt = nil, stored.Events, stored.UpdatedAt
			assert.Equal(t, stored, applied, "nothing else changes")
		})
	}
	t.Run("a late cutover", func(t *testing.T) {
		_, res := begun(approvedCutover(), OutcomeDone)
		for _, state := range allStates {
			stored := recordIn(state)
			assert.Equal(t, stored, stored.Apply(res, t1))
		}
	})
}

func TestFenceOfLooks(t *testing.T) {
	r := recordIn(StateReplicating)
	res := seen(r, job(true), t1)
	require.Equal(t, StateReady, r.Apply(res, t1).State)
	for name, stored := range map[string]Record{
		"another state":         recordIn(StateFinishing),
		"another migration":     r.with(func(r *Record) { r.MigrationID = otherID }),
		"another validation":    r.with(func(r *Record) { r.ValidationID = "6560f2a49c1b7e03d5ffffff" }),
		"an action in progress": r.with(func(r *Record) { r.Begun = &Intent{Action: ActionCutover} }),
		"abandoned":             r.with(func(r *Record) { r.State = StateAbandoned }),
	} {
		t.Run(name, func(t *testing.T) { assert.Equal(t, stored, stored.Apply(res, t1)) })
	}
}

func TestLateResultSettles(t *testing.T) {
	created := func(r *Result) { r.CreatedID, r.Migration = migrationID, job(false) }
	for name, test := range map[string]struct {
		record  Record
		outcome Outcome
		result  func(*Result)
		want    State
	}{
		"created":              {recordIn(StateValidated), OutcomeDone, created, StateReplicating},
		"not created":          {recordIn(StateValidated), OutcomeNotDone, nil, StateValidated},
		"rejected":             {recordIn(StateValidated), OutcomeRejected, nil, StateFailed},
		"unknown, ID salvaged": {recordIn(StateValidated), OutcomeUnknown, created, StateReplicating},
		"unknown":              {recordIn(StateValidated), OutcomeUnknown, nil, StateUnclear},
		"cut over":             {approvedCutover(), OutcomeDone, nil, StateFinishing},
		"not cut over":         {approvedCutover(), OutcomeNotDone, nil, StateReady},
		"cutover unknown":      {approvedCutover(), OutcomeUnknown, nil, StateFinishing},
	} {
		t.Run(name, func(t *testing.T) {
			r, res := begun(test.record, test.outcome)
			if test.result != nil {
				test.result(&res)
			}
			recovered := r.Recover(t1.Add(time.Second))
			require.NotNil(t, recovered.Unclear)
			settled := recovered.Apply(res, t1.Add(2*time.Second))
			assert.Equal(t, test.want, settled.State)
			assert.Equal(t, name == "unknown" || name == "cutover unknown", settled.Unclear != nil)
			assert.Equal(t, name == "cut over", !settled.CutoverAt.IsZero())
			require.NoError(t, settled.Validate())
			assert.Equal(t, settled, settled.Apply(res, t1.Add(time.Hour)), "twice is once")
		})
	}
}

func TestAbandonedKeepsItsResult(t *testing.T) {
	r, res := begun(recordIn(StateValidated), OutcomeDone)
	res.CreatedID, res.Migration = migrationID, job(false)
	applied := abandoned(t, recordIn(StateValidated)).Apply(res, t1)
	assert.Equal(t, StateAbandoned, applied.State)
	assert.Equal(t, migrationID, applied.MigrationID)
	assert.Nil(t, applied.Begun)
	res.CreatedID, res.Migration, res.Outcome = "", nil, OutcomeUnknown
	applied = abandoned(t, recordIn(StateValidated)).Apply(res, t1)
	assert.Equal(t, r.Begun, applied.Unclear)
}

// TestApplyIsTotal: whatever a result is, and whatever the record, the record stays valid, and a second time changes nothing.
func TestApplyIsTotal(t *testing.T) {
	for _, state := range allStates {
		for _, action := range allActions {
			for _, outcome := range []Outcome{OutcomeDone, OutcomeNotDone, OutcomeRejected, OutcomeUnknown, "", "else"} {
				r := recordIn(state)
				if state == StateReady {
					r = approvedCutover()
				}
				r = r.Begin(action, "run-1", t1)
				res := notDone(&r)
				res.Intent.Action, res.Outcome, res.Wait, res.CreatedID = action, outcome, -time.Hour, otherID
				applied := r.Apply(res, t1)
				require.NoError(t, applied.Validate(), "%s %s %s", state, action, outcome)
				require.Equal(t, applied, applied.Apply(res, t1))
			}
		}
	}
	r := recordIn(StateReplicating)
	res := seen(r, job(false), t1)
	res.Wait = 1000 * time.Hour
	assert.Equal(t, t1.Add(time.Hour), r.Apply(res, t1).NextCheckAt, "a wait is an hour at the most")
	assert.Equal(t, r, r.Apply(Result{}, t1))
}
