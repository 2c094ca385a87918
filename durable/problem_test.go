package durable

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestWarningsBeforeExpiry: the text changes when 48, 24, 6 and 1 hours are left, and at the end; each change is news.
func TestWarningsBeforeExpiry(t *testing.T) {
	r := recordIn(StateReady)
	end := r.ReadyAt.Add(120 * time.Hour)
	hold := approvalProblem("the cutover")
	var texts []string
	for now := t1; now.Before(end.Add(2 * time.Hour)); now = now.Add(10 * time.Minute) {
		res := seen(r, job(true), now)
		res.Hold = &hold
		before := r
		if r = r.Apply(res, now); r.News(before) {
			texts = append(texts, end.Sub(now).String()+r.Problem.Text[len(hold.Text):])
		}
		require.Equal(t, t0, r.Problem.Since)
	}
	const at = "h left: the migration expires on 2026-03-06 10:00 UTC, and only the Atlas UI can extend that"
	assert.Equal(t, []string{
		"48h0m0s; less than 48" + at, "24h0m0s; less than 24" + at, "6h0m0s; less than 6" + at, "1h0m0s; less than 1" + at,
		"0s; the migration expired on 2026-03-06 10:00 UTC, unless its time was extended in the Atlas UI",
	}, texts)
}

// TestReadyAtIsTheLastCheckBefore: the 120 hours began at ReadyAt or later, so no warning is late.
func TestReadyAtIsTheLastCheckBefore(t *testing.T) {
	r := recordIn(StateReplicating)
	r = r.Apply(seen(r, job(false), t1), t1.Add(20*time.Second))
	r = r.Apply(seen(r, job(true), t1.Add(time.Hour)), t1.Add(time.Hour))
	assert.Equal(t, t1, r.ReadyAt)
	unseen := recordIn(StateReplicating).with(func(r *Record) { r.SeenAt, r.StartedAt, r.Migration = time.Time{}, t0.Add(time.Minute), nil })
	assert.Equal(t, t0.Add(time.Minute), unseen.Apply(seen(unseen, job(true), t1), t1).ReadyAt)
}

// TestRejectedCutoverSaysSo until one is accepted, whatever else happens meanwhile.
func TestRejectedCutoverSaysSo(t *testing.T) {
	r, res := begun(approvedCutover(), OutcomeNotDone)
	res.Migration, res.Failure = job(true), failure(opCutover, 409, "TOO_EARLY")
	r = r.Apply(res, t1)
	require.Equal(t, ProblemRetrying, kind(r))
	says := func(name string, kind ProblemKind) {
		t.Helper()
		assert.Equal(t, kind, r.Problem.Kind, name)
		assert.Equal(t, []any{opCutover, 409, "TOO_EARLY"}, []any{r.Problem.Operation, r.Problem.Status, r.Problem.Code}, name)
	}
	says("rejected", ProblemRetrying)
	assert.Contains(t, eventTexts(r), "the cutover was not accepted: Migrations.Cutover failed")

	now := t1.Add(time.Minute)
	held, res := begun(r, OutcomeNotDone)
	res.Migration, res.Hold = job(true), &Problem{Kind: ProblemWaitingForLag, Text: "waits for the lag"}
	r = held.Apply(res, now)
	says("held", ProblemWaitingForLag)
	assert.Contains(t, r.Problem.Text, "waits for the lag; before, the cutover was not accepted: 409 TOO_EARLY; the migration expires")

	lost := seen(r, nil, now)
	lost.Outcome, lost.Failure = OutcomeNotDone, failure(opCheck, 401, "X")
	r = r.Apply(lost, now)
	says("a check fails", ProblemNeedsAttention)
	r = r.Apply(seen(r, job(true), now), now)
	says("nothing holds it", ProblemRetrying)

	assert.NotContains(t, r.Problem.Text, opCheck)

	revoked, err := r.Revoke(GateCutover, "bob", now)
	require.NoError(t, err)
	approved, err := revoked.Approve(GateCutover, "bob", time.Time{}, now)
	require.NoError(t, err)
	r = approved
	says("approved again", ProblemRetrying)
	assert.Equal(t, ActionCutover, r.Next(now))

	accepted, res := begun(r, OutcomeDone)
	r = accepted.Apply(res, now)
	assert.Nil(t, r.Problem)
	assert.Equal(t, StateFinishing, r.State)
}

func TestUnknownCutoverSaysSoWhenReadyAgain(t *testing.T) {
	r, res := begun(approvedCutover(), OutcomeUnknown)
	res.Failure = failure(opCutover, 502, "")
	r = r.Apply(res, t1)
	r = r.Apply(seen(r, job(true), t1.Add(time.Hour)), t1.Add(time.Hour))
	assert.Equal(t, StateReady, r.State)
	assert.Equal(t, opCutover, r.Problem.Operation)
	assert.Equal(t, ActionCutover, r.Next(t1.Add(time.Hour)))
}

// TestFailuresInARow: Since stays, and so does the text of the same failure; an event tells how long it lasted.
func TestFailuresInARow(t *testing.T) {
	r := recordIn(StateReplicating)
	fail := func(status int, text string, now time.Time) bool {
		res := seen(r, nil, now)
		res.Outcome, res.Failure = OutcomeNotDone, failure(opCheck, status, "")
		res.Failure.Text = text
		before := r
		r = r.Apply(res, now)
		return r.News(before)
	}
	assert.True(t, fail(0, "reset by 127.0.0.1:1234", t1))
	assert.Equal(t, &Problem{ProblemRetrying, "reset by 127.0.0.1:1234", t1, opCheck, 0, ""}, r.Problem)
	assert.Equal(t, t1.Add(time.Minute), r.NextCheckAt)
	assert.False(t, fail(0, "reset by 127.0.0.1:4321", t1.Add(time.Minute)), "the same failure is no news")
	assert.True(t, fail(401, "unauthorized", t1.Add(2*time.Minute)))
	assert.Equal(t, &Problem{ProblemNeedsAttention, "unauthorized", t1, opCheck, 401, ""}, r.Problem)
	r = r.Apply(seen(r, job(false), t1.Add(3*time.Minute)), t1.Add(3*time.Minute))
	assert.Nil(t, r.Problem)
	assert.Equal(t, "continues after 3m0s: unauthorized", r.Events[len(r.Events)-1].Text)
}

func TestKinds(t *testing.T) {
	for status, want := range map[int]ProblemKind{
		0: ProblemRetrying, 401: ProblemNeedsAttention, 402: ProblemNeedsAttention, 403: ProblemNeedsAttention, 404: ProblemNeedsAttention,
		405: ProblemRetrying, 407: ProblemRetrying, 409: ProblemRetrying, 410: ProblemRetrying, 429: ProblemRetrying,
		500: ProblemRetrying, 503: ProblemRetrying,
	} {
		assert.Equal(t, want, kindOf(status), status)
	}
}

// TestPersonsApprovalCountsAtOnce: a check that began before a person approved must not make the record wait again.
func TestPersonsApprovalCountsAtOnce(t *testing.T) {
	hold := approvalProblem("the cutover")
	waiting := recordIn(StateReady)
	res := seen(waiting, job(true), t1)
	res.Hold = &hold
	approved, err := waiting.Approve(GateCutover, "ann", time.Time{}, t1.Add(time.Second))
	require.NoError(t, err)
	applied := approved.Apply(res, t1.Add(2*time.Second))
	assert.Nil(t, applied.Problem)
	assert.Equal(t, ActionCutover, applied.Next(t1.Add(2*time.Second)))
	assert.Equal(t, t1.Add(2*time.Second), applied.NextCheckAt)
}

func TestPolicyApproval(t *testing.T) {
	r := recordIn(StateReady)
	yes := seen(r, job(true), t1)
	yes.ApprovedUntil = t1.Add(time.Minute)
	approved := r.Apply(yes, t1)
	assert.Equal(t, []Approval{{GateCutover, policy, t1, t1.Add(time.Minute)}}, approved.Approved)
	assert.Equal(t, ActionCutover, approved.Next(t1))
	assert.Equal(t, ActionCheck, approved.Next(t1.Add(31*time.Second)), "for a minute")

	no := seen(r, job(true), t1)
	hold := approvalProblem("the cutover")
	no.Hold = &hold
	assert.Empty(t, approved.Apply(no, t1).Approved, "the newer no counts")
	assert.Equal(t, "ann", approvedCutover().Apply(yes, t1).Approved[0].By, "a person's approval stays")
}

func TestNewsIsWhatIsWorthStoring(t *testing.T) {
	r := recordIn(StateReplicating)
	lag := int64(5)
	withLag := job(false)
	withLag.LagTimeSeconds = &lag
	assert.False(t, r.Apply(seen(r, withLag, t1), t1).News(r), "a lag, and the times of checks")
	assert.True(t, r.Apply(seen(r, ended("COMPLETE"), t1), t1).News(r))
	other := job(false)
	other.Status = "VERIFYING"
	assert.True(t, r.Apply(seen(r, other, t1), t1).News(r))
}

func TestGateProblem(t *testing.T) {
	r := recordIn(StateValidated).with(func(r *Record) {
		r.Plan.HoldStart = true
	})
	assert.Equal(t, &Problem{Kind: ProblemWaitingForApproval, Text: "waits for the approval of the start", Since: t0}, r.gateProblem(t1))
	r.Plan.Request.DropDestinationData = true
	assert.Contains(t, r.gateProblem(t1).Text, "deletes the data of the destination cluster to-a")
	r.State = StateReady
	assert.Nil(t, r.gateProblem(t1))
}

func TestClean(t *testing.T) {
	assert.Equal(t, "a b c://[REDACTED]@d", clean("a\n\tb\x00 c://u:p@d"))
	assert.Len(t, []rune(clean(string(make([]byte, 9))+"x")), 1)
	long := make([]rune, 400)
	for i := range long {
		long[i] = 'ä'
	}
	assert.Len(t, []rune(clean(string(long))), 301)
}
