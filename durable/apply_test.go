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
	with := func(change func(*Result)) func(*Result) { return change }
	failed := func(operation string, status int, code string) func(*Result) {
		return func(r *Result) { r.Failure = failure(operation, status, code) }
	}
	for name, test := range map[string]struct {
		record  Record
		outcome Outcome
		result  func(*Result)
		want    State
		kind    ProblemKind
		check   func(*testing.T, Record)
	}{
		"validate: done": {
			recordIn(StatePlanned), OutcomeDone, with(func(r *Result) { r.Validation = &livemigration.Validation{ID: validationID} }),
			StateValidating, "",
			func(t *testing.T, r Record) { assert.Equal(t, validationID, r.ValidationID) }},
		"validate: rejected": {recordIn(StatePlanned), OutcomeRejected, failed(opValidate, 400, "X"), StateFailed, ProblemNeedsAttention,
			func(t *testing.T, r Record) { assert.Equal(t, t1, r.EndedAt); assert.Zero(t, r.NextCheckAt) }},
		"validate: not done": {recordIn(StatePlanned), OutcomeNotDone, failed(opValidate, 409, "X"), StatePlanned, ProblemRetrying,
			func(t *testing.T, r Record) { assert.Equal(t, t1.Add(time.Minute), r.NextCheckAt) }},
		"validate: unknown":         {recordIn(StatePlanned), OutcomeUnknown, failed(opValidate, 500, ""), StatePlanned, ProblemRetrying, nil},
		"validate: the context":     {recordIn(StatePlanned), OutcomeNotDone, nil, StatePlanned, "", nil},
		"validate: no ID, and done": {recordIn(StatePlanned), OutcomeDone, nil, StatePlanned, "", nil},

		"create: done": {
			recordIn(StateValidated), OutcomeDone, with(func(r *Result) { r.CreatedID, r.Migration = migrationID, job(false) }),
			StateReplicating, "",
			func(t *testing.T, r Record) {
				assert.Equal(t, migrationID, r.MigrationID)
				assert.Equal(t, t1, r.StartedAt)
				assert.NotNil(t, r.Migration)
			}},
		"create: unknown, ID known": {
			recordIn(StateValidated), OutcomeUnknown, with(func(r *Result) { r.CreatedID = migrationID }), StateReplicating, "",
			func(t *testing.T, r Record) {
				assert.Equal(t, migrationID, r.MigrationID)
				assert.NotNil(t, r.Migration, "it is no adopted one")
			}},
		"create: unknown": {recordIn(StateValidated), OutcomeUnknown, failed(opCreate, 502, ""), StateUnclear, ProblemNeedsAttention,
			func(t *testing.T, r Record) {
				assert.Equal(t, &Intent{ActionCreate, t1, 8, "run-1"}, r.Unclear)
				assert.Equal(t, 502, r.Problem.Status)
				assert.Zero(t, r.NextCheckAt)
			}},
		"create: done, and a malformed ID": {
			recordIn(StateValidated), OutcomeDone, with(func(r *Result) { r.CreatedID = "x" }), StateUnclear, ProblemNeedsAttention, nil,
		},
		"create: rejected": {
			recordIn(StateValidated), OutcomeRejected, failed(opCreate, 400, "X"), StateFailed, ProblemNeedsAttention, nil,
		},
		"create: a conflict": {
			recordIn(StateValidated), OutcomeNotDone, failed(opCreate, 409, "X"), StateValidated, ProblemRetrying, nil,
		},
		"create: keys of another org": {
			recordIn(StateValidated), OutcomeNotDone, failed(opCreate, 404, "GROUP_NOT_FOUND"), StateValidated, ProblemNeedsAttention, nil,
		},
		"create: Atlas is upgraded": {
			recordIn(StateValidated), OutcomeNotDone, failed(opCreate, 405, "X"), StateValidated, ProblemRetrying, nil,
		},
		"create: the account is suspended": {
			recordIn(StateValidated), OutcomeNotDone, failed(opCreate, 402, "X"), StateValidated, ProblemNeedsAttention, nil,
		},
		"create: held": {
			recordIn(StateValidated), OutcomeNotDone, with(func(r *Result) { r.Hold = &Problem{Kind: ProblemWaitingForApproval} }),
			StateValidated, "", nil,
		},

		"cutover: done": {approvedCutover(), OutcomeDone, nil, StateFinishing, "",
			func(t *testing.T, r Record) { assert.Equal(t, t1, r.CutoverAt); assert.Nil(t, r.Unclear) }},
		"cutover: unknown": {approvedCutover(), OutcomeUnknown, failed(opCutover, 502, ""), StateFinishing, ProblemRetrying,
			func(t *testing.T, r Record) {
				assert.Zero(t, r.CutoverAt)
				assert.Equal(t, &Intent{ActionCutover, t1, 8, "run-1"}, r.Unclear)
			}},
		"cutover: not done": {approvedCutover(), OutcomeNotDone, failed(opCutover, 409, "X"), StateReady, ProblemRetrying,
			func(t *testing.T, r Record) { assert.Equal(t, ActionCutover, r.Next(t1)) }},
		"cutover: rejected": {approvedCutover(), OutcomeRejected, failed(opCutover, 400, "X"), StateReady, ProblemRetrying, nil},
		"cutover: the context": {
			approvedCutover(), OutcomeNotDone, nil, StateReady, "", func(t *testing.T, r Record) { assert.Len(t, r.Approved, 1) },
		},
		"cutover: held": {
			approvedCutover(), OutcomeNotDone, with(func(r *Result) { r.Migration, r.Hold = job(true), &Problem{Kind: ProblemWaitingForLag} }),
			StateReady, ProblemWaitingForLag,
			func(t *testing.T, r Record) { assert.Equal(t, ActionCheck, r.Next(t1)) }},
		"cutover: no longer ready": {approvedCutover(), OutcomeNotDone, with(func(r *Result) { r.Migration = job(false) }), StateReplicating, "",
			func(t *testing.T, r Record) { assert.Empty(t, r.Approved, "the approval lapses") }},
		"cutover: complete already": {
			approvedCutover(), OutcomeNotDone, with(func(r *Result) { r.Migration = ended(livemigration.MigrationComplete) }), StateComplete,
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

// TestApplyLook is the table of states, for actions that only read.
func TestApplyLook(t *testing.T) {
	validation := func(status livemigration.ValidationStatus) func(*Result) {
		return func(r *Result) {
			r.Intent.Action, r.Migration = ActionCheckValidation, nil
			r.Validation = &livemigration.Validation{ID: validationID, Status: status, ErrorMessage: "no disk at mongodb://u:hunter2@h"}
		}
	}
	lost := func(action Action, code string) func(*Result) {
		return func(r *Result) {
			r.Intent.Action, r.Migration, r.Outcome, r.Failure = action, nil, OutcomeNotDone, failure(opCheck, 404, code)
		}
	}
	adopted := recordIn(StateReplicating).with(func(r *Record) { r.Migration = nil })
	elsewhere := job(true)
	elsewhere.MigrationHosts = []string{"vm-b.example.com"}
	unclear := recordIn(StateFinishing).with(func(r *Record) {
		r.CutoverAt, r.Unclear, r.Approved = time.Time{}, &Intent{ActionCutover, t1.Add(-time.Minute), 7, "run-0"}, approvedCutover().Approved
	})
	for name, test := range map[string]struct {
		record Record
		job    *livemigration.Migration
		result func(*Result)
		want   State
		kind   ProblemKind
		text   string
	}{
		"a validation succeeds": {recordIn(StateValidating), nil, validation("SUCCESS"), StateValidated, "", ""},
		"a validation fails": {
			recordIn(StateValidating), nil, validation("FAILED"), StateFailed, ProblemNeedsAttention, "no disk at mongodb://[REDACTED]@h",
		},
		"a validation goes on":          {recordIn(StateValidating), nil, validation("PENDING"), StateValidating, "", ""},
		"a validation without a status": {recordIn(StateValidating), nil, validation(""), StateValidating, "", ""},
		"a validation is lost":          {recordIn(StateValidating), nil, lost(ActionCheckValidation, codeNotFound), StatePlanned, "", ""},
		"another 404 of a validation": {
			recordIn(StateValidating), nil, lost(ActionCheckValidation, "GROUP_NOT_FOUND"), StateValidating, ProblemNeedsAttention, "",
		},
		"a migration replicates": {recordIn(StateReplicating), job(false), nil, StateReplicating, "", ""},
		"a migration is ready": {
			recordIn(StateReplicating), job(true), nil, StateReady, ProblemWaitingForApproval, "expires on 2026-03-06 10:00 UTC",
		},
		"a migration completes":        {recordIn(StateReplicating), ended("COMPLETE"), nil, StateComplete, "", ""},
		"a migration fails":            {recordIn(StateReplicating), ended("FAILED"), nil, StateFailed, ProblemNeedsAttention, "failed"},
		"a migration expires":          {recordIn(StateReady), ended("EXPIRED"), nil, StateExpired, ProblemNeedsAttention, "120 hours"},
		"a migration without a status": {recordIn(StateReplicating), &livemigration.Migration{}, nil, StateReplicating, "", ""},
		"a migration is not found": {
			recordIn(StateReplicating), nil, lost(ActionCheck, codeNotFound), StateReplicating, ProblemNeedsAttention, "",
		},
		"an adopted one on our host":     {adopted, job(true), nil, StateReady, ProblemWaitingForApproval, ""},
		"an adopted one without a host":  {adopted, &livemigration.Migration{Status: "NEW"}, nil, StateReplicating, "", ""},
		"an adopted one on another host": {adopted, elsewhere, nil, StateUnclear, ProblemNeedsAttention, "vm-b.example.com"},
		"ours moves to another host":     {recordIn(StateReplicating), elsewhere, nil, StateReady, ProblemWaitingForApproval, ""},
		"no longer ready":                {approvedCutover(), job(false), nil, StateReplicating, "", ""},
		"ready, and nothing holds it":    {approvedCutover().with(waits(ProblemWaitingForLag)), job(true), nil, StateReady, "", ""},
		"ready, and the lag holds it": {
			approvedCutover(), job(true), func(r *Result) { r.Hold = &Problem{Kind: ProblemWaitingForLag} }, StateReady, ProblemWaitingForLag,
			"expires",
		},
		"ready, and the function fails": {
			recordIn(StateReady), job(true), func(r *Result) { r.Failure = &Problem{Kind: ProblemNeedsAttention} }, StateReady,
			ProblemNeedsAttention, "expires",
		},
		"ready, and the function agrees": {
			recordIn(StateReady), job(true), func(r *Result) { r.ApprovedUntil = t1.Add(time.Minute) }, StateReady, "", "",
		},
		"accepted, and finishes": {recordIn(StateFinishing), job(false), nil, StateFinishing, "", ""},
		"accepted, and looks ready": {
			recordIn(StateFinishing).with(func(r *Record) { r.CutoverAt = t1.Add(-15*time.Minute + 1) }), job(true), nil, StateFinishing, "",
			"",
		},
		"accepted 15 minutes ago": {
			recordIn(StateFinishing).with(func(r *Record) { r.CutoverAt = t1.Add(-15 * time.Minute) }), job(true), nil, StateFinishing,
			ProblemNeedsAttention, "still is ready",
		},
		"unclear for a minute": {unclear, job(true), nil, StateReady, "", ""},
		"unclear for less than a minute": {
			unclear.with(func(r *Record) { r.Unclear.At = t1.Add(-time.Minute + 1) }), job(true), nil, StateFinishing, "", "",
		},
		"unclear, and it finishes":  {unclear, job(false), nil, StateFinishing, "", ""},
		"unclear, and it completes": {unclear, ended("COMPLETE"), nil, StateComplete, "", ""},
		"the context ended": {
			recordIn(StateReplicating), nil, func(r *Result) { r.Outcome = OutcomeNotDone }, StateReplicating, "", "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			res := seen(test.record, test.job, t1)
			if test.result != nil {
				test.result(&res)
			}
			applied := test.record.Apply(res, t1)
			assert.Equal(t, test.want, applied.State)
			assert.Equal(t, test.kind, kind(applied))
			if applied.Problem != nil {
				assert.Contains(t, applied.Problem.Text, test.text)
			}
			if applied.State == StateReady && kind(applied) == "" {
				assert.Equal(t, ActionCutover, applied.Next(t1))
				assert.False(t, applied.NextCheckAt.After(t1.Add(time.Minute)))
			}
			require.NoError(t, applied.Validate())
			again := applied.Apply(res, t1)
			assert.Equal(t, applied, again, "twice is once")
			requireUntouched(t, test.record, func(r Record) Record { return r.Apply(res, t1) })
			inMemory := test.record.with(func(r *Record) { r.Begun = &res.Intent })
			assert.Equal(t, applied, inMemory.Apply(res, t1), "begun in memory")
		})
	}
}

func TestApprovalsLapse(t *testing.T) {
	r := approvedCutover()
	lapsed := r.Apply(seen(r, job(false), t1), t1)
	assert.Empty(t, lapsed.Approved)
	assert.Contains(t, eventTexts(lapsed), "the approval of the cutover by ann lapsed: the migration is not ready any more")
	again := lapsed.Apply(seen(lapsed, job(true), t1.Add(time.Minute)), t1.Add(time.Minute))
	assert.Equal(t, StateReady, again.State)
	assert.Equal(t, ActionCheck, again.Next(t1.Add(time.Minute)), "it does not cut over by itself")

	start := r.with(func(r *Record) { r.Approved = append(r.Approved, Approval{Gate: GateStart, By: "ann"}) })
	assert.Equal(t, []Approval{{Gate: GateStart, By: "ann"}}, start.Apply(seen(r, job(false), t1), t1).Approved, "only those of the cutover")

	unknown, res := begun(r, OutcomeUnknown)
	unknown = unknown.Apply(res, t1)
	require.Equal(t, StateFinishing, unknown.State)
	unknown = unknown.Apply(seen(unknown, job(false), t1.Add(10*time.Second)), t1.Add(10*time.Second))
	unknown = unknown.Apply(seen(unknown, job(true), t1.Add(time.Hour)), t1.Add(time.Hour))
	assert.Equal(t, StateReady, unknown.State)
	assert.Empty(t, unknown.Approved, "it was not ready meanwhile")
}

// TestMinuteAfterUnknownCutover: until the life of its intent has passed, the cutover may still be sent. A check counts from
// when it began.
func TestMinuteAfterUnknownCutover(t *testing.T) {
	r, res := begun(approvedCutover(), OutcomeUnknown)
	r = r.Apply(res, t1)
	early := seen(r, job(true), t1.Add(59*time.Second))
	assert.Equal(t, StateFinishing, r.Apply(early, t1.Add(2*time.Minute)).State)
	ready := r.Apply(seen(r, job(true), t1.Add(time.Minute)), t1.Add(time.Minute))
	assert.Equal(t, StateReady, ready.State)
	assert.Len(t, ready.Approved, 1, "the approval was not used")
	assert.Nil(t, ready.Unclear)
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
