package durable

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go"
)

// TestApplyCheck is the table of states, for actions that only read.
func TestApplyCheck(t *testing.T) {
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
			ProblemNeedsAttention, "still ready",
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
	assert.Contains(t, eventTexts(lapsed), "the approval of the cutover by ann lapsed: the migration is no longer ready")
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
