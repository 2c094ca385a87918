package durable

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/livemigration/livemigration-go"
)

const (
	// finishingPatience is how long a migration may look ready after Atlas has accepted its cutover.
	finishingPatience = 15 * time.Minute
	// codeNotFound is Atlas's code for a job that it does not know. Other 404s come from keys of another organization.
	codeNotFound = "RESOURCE_NOT_FOUND"
)

// Apply returns the record with the result of an action. Apply it to the record as it is stored by then: others may have
// changed it since the action began, and no change of theirs is lost.
//
//   - The result of an action that changes something counts only where its intent stands in Begun.
//   - When the intent is the one in Unclear, a late result settles an UNCLEAR or FINISHING record as if it stood in Begun.
//   - Any other migration that was created becomes one of FormerMigrationIDs, so that its ID is not lost.
//   - The result of a look counts only where nothing has begun, and where the state and the IDs are still the ones that the
//     look was made for.
//
// Everything else changes nothing. So it does no harm to apply a result twice.
func (r Record) Apply(res Result, now time.Time) Record {
	r, now = r.clone(), stamp(now)
	before := r.clone()
	res = res.normal()
	if res.Intent.Action.Changes() {
		r.applyChange(res, now)
	} else {
		r.applyLook(res, now)
	}
	if r.News(before) {
		r.UpdatedAt = now
	}
	return r
}

func (r *Record) applyChange(res Result, now time.Time) {
	switch {
	case r.Begun != nil && r.Begun.Equal(res.Intent):
		r.Begun = nil
	case r.Unclear != nil && r.Unclear.Equal(res.Intent) && r.settles(res, now):
		r.Unclear = nil
	default:
		r.keepCreated(res.CreatedID, now)
		return
	}
	switch {
	case r.State == StateAbandoned:
		r.applyAbandoned(res, now)
	case res.Intent.Action == ActionValidate && r.State == StatePlanned:
		r.validationCreated(res, now)
	case res.Intent.Action == ActionCreate && r.State == StateValidated:
		r.migrationCreated(res, now)
	case res.Intent.Action == ActionCutover && r.State == StateReady:
		r.cutoverSent(res, now)
	default:
		r.keepCreated(res.CreatedID, now)
	}
}

// settles takes the record back to where the unclear action had begun, if a late result says how that ended.
func (r *Record) settles(res Result, now time.Time) bool {
	switch {
	case res.Outcome == OutcomeUnknown && res.CreatedID == "":
		return false
	case res.Intent.Action == ActionCreate && r.State == StateUnclear:
		r.State, r.Problem = StateValidated, nil
	case res.Intent.Action == ActionCutover && r.State == StateFinishing:
		r.State = StateReady
	default:
		return false
	}
	r.event(now, "the outcome is known after all: "+string(res.Outcome))
	return true
}

// keepCreated keeps the ID of a migration that the record has no other place for.
func (r *Record) keepCreated(id livemigration.MigrationID, now time.Time) {
	if id == "" || id == r.MigrationID || slices.Contains(r.FormerMigrationIDs, id) {
		return
	}
	r.FormerMigrationIDs = append(r.FormerMigrationIDs, id)
	r.event(now, fmt.Sprintf("a creation that had begun before turned out to have created migration %s; look at it in the Atlas UI", id))
}

// applyAbandoned keeps what an action has done for a record that a person has abandoned meanwhile.
func (r *Record) applyAbandoned(res Result, now time.Time) {
	switch {
	case res.CreatedID != "" && r.MigrationID == "":
		r.MigrationID, r.Migration, r.StartedAt = res.CreatedID, cloneMigration(res.Migration), res.Intent.At
		r.event(now, "migration "+string(res.CreatedID)+" was created, and the record is abandoned")
	case res.Outcome == OutcomeUnknown:
		r.outcomeUnknown(res.Intent, nil, now)
	case res.Outcome == OutcomeDone && res.Intent.Action == ActionCutover:
		r.CutoverAt = now
		r.event(now, "Atlas accepted the cutover, and the record is abandoned")
	}
}

func (r *Record) validationCreated(res Result, now time.Time) {
	switch {
	case res.Validation != nil && res.Validation.ID.Validate() == nil:
		r.ValidationID = res.Validation.ID
		r.enter(StateValidating, now, "validation "+string(r.ValidationID))
		r.NextCheckAt = now.Add(res.Wait)
	case res.Outcome == OutcomeRejected:
		r.stop(StateFailed, now, orUnexplained(res.Failure))
	default:
		r.tryAgain(res, now)
	}
}

func (r *Record) migrationCreated(res Result, now time.Time) {
	switch {
	case res.CreatedID != "":
		r.MigrationID, r.Migration = res.CreatedID, cloneMigration(res.Migration)
		if r.Migration == nil {
			r.Migration = &livemigration.Migration{ID: res.CreatedID} // that it was seen tells it from one that was adopted
		}
		r.StartedAt, r.SeenAt = res.Intent.At, res.Intent.At
		text := "migration " + string(r.MigrationID)
		if res.Outcome != OutcomeDone {
			text += ", whose ID was in a response that broke off"
		}
		r.enter(StateReplicating, now, text)
		r.NextCheckAt = now.Add(res.Wait)
	case res.Outcome == OutcomeRejected:
		r.stop(StateFailed, now, orUnexplained(res.Failure))
	case res.Outcome == OutcomeNotDone:
		r.tryAgain(res, now)
	default:
		r.outcomeUnknown(res.Intent, res.Failure, now)
	}
}

func (r *Record) cutoverSent(res Result, now time.Time) {
	if res.Migration != nil {
		r.see(res, now)
	}
	switch {
	case res.Outcome == OutcomeDone:
		r.CutoverAt = now
		r.enter(StateFinishing, now, "Atlas accepted the cutover")
		r.NextCheckAt = now.Add(res.Wait)
	case res.Outcome != OutcomeNotDone && res.Outcome != OutcomeRejected:
		r.outcomeUnknown(res.Intent, res.Failure, now)
		r.NextCheckAt = now.Add(res.Wait)
	case res.Migration != nil:
		r.jobSeen(res, now)
	default:
		r.tryAgain(res, now)
	}
	if f := res.Failure; f != nil && f.Operation == opCutover && r.State == StateReady {
		r.eventOnce(now, "the cutover was not accepted: "+f.Text)
	}
}

// outcomeUnknown is an action that may have been carried out. why is nil when the program ended.
func (r *Record) outcomeUnknown(begun Intent, why *Problem, now time.Time) {
	if begun.Action != ActionCreate && begun.Action != ActionCutover {
		return
	}
	problem := Problem{Kind: ProblemNeedsAttention, Operation: opCreate}
	if why != nil {
		problem = *why
	} else {
		problem.Text = "the program ended after it began at " + begun.At.Format(timeFormat)
	}
	switch {
	case r.State == StateAbandoned:
		r.Unclear = &begun
		r.event(now, fmt.Sprintf("it is unknown whether this was carried out: %s", begun.Action))
	case begun.Action == ActionCreate && r.State == StateValidated:
		r.Unclear = &begun
		problem.Kind = ProblemNeedsAttention
		problem.Text = "it is unknown whether Atlas created the migration: " + problem.Text
		r.unclear(now, problem)
	case begun.Action == ActionCutover && r.State == StateReady:
		r.Unclear = &begun
		problem.Kind, problem.Operation = ProblemRetrying, opCutover
		problem.Text = "it is unknown whether Atlas accepted the cutover, the next look tells: " + problem.Text
		r.State = StateFinishing
		r.eventOnce(now, string(StateFinishing)+": "+problem.Text)
		r.explain(problem, now)
	}
}

// tryAgain is an action that was not done, and may succeed later. Without a failure the context has ended.
func (r *Record) tryAgain(res Result, now time.Time) {
	r.NextCheckAt = now.Add(res.Wait)
	switch {
	case r.State == StateReady && res.Hold != nil:
		r.wait(*res.Hold, now)
	case res.Failure != nil:
		r.explain(*res.Failure, now)
	}
}

func (r *Record) applyLook(res Result, now time.Time) {
	own := r.Begun != nil && r.Begun.Equal(res.Intent) // begun in memory
	same := r.State == res.State && r.ValidationID == res.ValidationID && r.MigrationID == res.MigrationID
	if r.Begun != nil && !own || !same {
		return
	}
	r.Begun = nil
	switch {
	case res.Intent.Action == ActionCheckValidation && r.State == StateValidating:
		r.validationSeen(res, now)
	case res.Intent.Action != ActionCheck || !r.State.hasJob():
	case res.Migration == nil && res.Failure != nil:
		r.tryAgain(res, now)
	case res.Migration == nil:
	case r.Migration == nil && !r.onOurHosts(res.Migration):
		r.notOurs(res.Migration, now)
	default:
		r.see(res, now)
		r.jobSeen(res, now)
	}
}

func (r *Record) validationSeen(res Result, now time.Time) {
	switch f := res.Failure; {
	case f != nil && f.Status == 404 && f.Code == codeNotFound:
		r.enter(StatePlanned, now, fmt.Sprintf("Atlas does not know validation %s any more", r.ValidationID))
		r.ValidationID = ""
		r.NextCheckAt = now.Add(res.Wait)
	case f != nil:
		r.tryAgain(res, now)
	case res.Validation == nil:
	case res.Validation.Status == livemigration.ValidationSuccess:
		r.enter(StateValidated, now, "")
		r.NextCheckAt = now
	case res.Validation.Status == livemigration.ValidationFailed:
		reason := cmp.Or(clean(res.Validation.ErrorMessage), "Atlas gave no reason")
		r.stop(StateFailed, now, Problem{Text: fmt.Sprintf("validation %s failed: %s", r.ValidationID, reason)})
	default:
		r.passes(now)
		r.NextCheckAt = now.Add(res.Wait)
	}
}

func (r *Record) onOurHosts(seen *livemigration.Migration) bool {
	ours := make([]string, len(r.Plan.Request.MigrationHosts))
	for i, host := range r.Plan.Request.MigrationHosts {
		ours[i] = foldHost(host)
	}
	return !slices.ContainsFunc(seen.MigrationHosts, func(host string) bool { return !slices.Contains(ours, foldHost(host)) })
}

// notOurs is an adopted job of another record or program.
func (r *Record) notOurs(seen *livemigration.Migration, now time.Time) {
	text := fmt.Sprintf("migration %s, which was adopted, runs on %s and not on the migration host of the plan: it is another one",
		r.MigrationID, clean(strings.Join(seen.MigrationHosts, ", ")))
	r.dropMigration()
	r.unclear(now, Problem{Text: text})
}

// see keeps the job as it was seen. A look shows what was true when it began, or later.
func (r *Record) see(res Result, now time.Time) {
	if res.Migration.ReadyForCutover && r.State == StateReplicating {
		r.ReadyAt = firstTime(r.SeenAt, r.StartedAt, r.PlannedAt, now)
	}
	r.Migration, r.SeenAt = cloneMigration(res.Migration), res.Intent.At
	r.Migration.ID = r.MigrationID
	if r.State == StateReplicating {
		r.Unclear = nil // the adopted job is the one whose creation was unclear
	}
}

// jobSeen is what a look tells in each state in which there is a job.
func (r *Record) jobSeen(res Result, now time.Time) {
	r.NextCheckAt = now.Add(res.Wait)
	switch ready := res.Migration.ReadyForCutover; {
	case res.Migration.Status == livemigration.MigrationComplete:
		r.enter(StateComplete, now, "")
	case res.Migration.Status == livemigration.MigrationFailed:
		r.stop(StateFailed, now, Problem{Text: fmt.Sprintf("migration %s failed; the Atlas UI may say why", r.MigrationID)})
	case res.Migration.Status == livemigration.MigrationExpired:
		r.stop(StateExpired, now, Problem{Text: fmt.Sprintf("migration %s expired: it was not cut over within 120 hours of its being ready", r.MigrationID)})
	case r.State == StateReplicating && ready:
		r.enter(StateReady, now, "")
		r.NextCheckAt = now
		r.waitAtGate(now)
	case r.State == StateReplicating:
		r.passes(now)
	case r.State == StateFinishing && ready:
		r.stillReady(res, now)
	case r.State == StateFinishing && r.CutoverAt.IsZero():
		r.lapse(now)
		r.passes(now)
	case r.State == StateFinishing:
		r.passes(now)
	case ready:
		r.readySeen(res, now)
	default:
		r.ReadyAt = time.Time{}
		r.enter(StateReplicating, now, "not ready for cutover any more")
		r.lapse(now)
	}
}

// readySeen is a READY job that still is ready: may it be cut over?
func (r *Record) readySeen(res Result, now time.Time) {
	if !res.ApprovedUntil.IsZero() && !r.approvedByPerson(GateCutover, now) {
		r.approve(Approval{GateCutover, policy, now, stamp(res.ApprovedUntil)})
		r.eventOnce(now, "cutover approved by policy")
	}
	switch {
	case res.Hold != nil:
		r.wait(*res.Hold, now)
	case res.Failure != nil:
		r.explain(*res.Failure, now)
	case res.Intent.Action == ActionCutover: // the context has ended
	default:
		r.waitEnds(now)
		r.waitAtGate(now)
	}
	if r.Problem == nil {
		r.NextCheckAt = now // for the cutover
	}
}

// stillReady is a job whose cutover was sent, and that does not look like it.
func (r *Record) stillReady(res Result, now time.Time) {
	switch {
	case r.CutoverAt.IsZero() && (r.Unclear == nil || res.Intent.At.Sub(r.Unclear.At) >= intentLife):
		r.Unclear = nil
		r.State = StateReady
		r.eventOnce(now, "READY: the cutover has not been carried out")
		r.waitAtGate(now)
	case r.CutoverAt.IsZero(): // the request may still arrive
	case now.Sub(r.CutoverAt) >= finishingPatience:
		r.explain(Problem{Kind: ProblemNeedsAttention, Text: fmt.Sprintf(
			"Atlas accepted the cutover at %s, and the migration still looks ready for it; look at it in the Atlas UI", r.CutoverAt.Format(timeFormat))}, now)
	default:
		r.passes(now)
	}
}

// lapse ends the approvals of the cutover: they were given for a migration that was ready.
func (r *Record) lapse(now time.Time) {
	for _, a := range r.Approved {
		if a.Gate == GateCutover {
			r.event(now, fmt.Sprintf("the approval of the cutover by %s lapsed: the migration is not ready any more", a.By))
		}
	}
	r.disapprove(GateCutover)
}

// approve keeps the newest approval of a gate.
func (r *Record) approve(a Approval) {
	r.disapprove(a.Gate)
	r.Approved = append(r.Approved, a)
}

func (r *Record) disapprove(g Gate) {
	r.Approved = slices.DeleteFunc(r.Approved, func(a Approval) bool { return a.Gate == g })
	if len(r.Approved) == 0 {
		r.Approved = nil
	}
}

// dropMigration moves the job to the former ones.
func (r *Record) dropMigration() {
	if r.MigrationID != "" && !slices.Contains(r.FormerMigrationIDs, r.MigrationID) {
		r.FormerMigrationIDs = append(r.FormerMigrationIDs, r.MigrationID)
	}
	r.MigrationID, r.Migration = "", nil
	r.SeenAt, r.StartedAt, r.ReadyAt, r.CutoverAt = time.Time{}, time.Time{}, time.Time{}, time.Time{}
}

func firstTime(times ...time.Time) time.Time {
	for _, t := range times {
		if !t.IsZero() {
			return t
		}
	}
	return time.Time{}
}
