package durable

import (
	"fmt"
	"slices"
	"time"

	"github.com/livemigration/livemigration-go"
)

// Apply returns the record with the result of an action. Call it on the record as it is stored by then, so that no change that
// others have made since the action started is lost.
//
//   - The result of an action that changes something counts only if its intent is still in Begun.
//   - If its intent is in Unclear, it settles an UNCLEAR or FINISHING record as if it were in Begun.
//   - Any other migration that was created becomes one of FormerMigrationIDs, so that its ID is not lost.
//   - The result of a check counts only if no action is in progress, and if the state and the IDs are those for which the
//     check was made.
//
// Other results change nothing, so you may apply a result twice.
func (r Record) Apply(res Result, now time.Time) Record {
	before := r
	r, now, res = r.clone(), stamp(now), res.normal()
	if res.Intent.Action.Changes() {
		r.applyChange(res, now)
	} else {
		r.applyCheck(res, now)
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
	switch action := res.Intent.Action; {
	case action == ActionValidate && r.State == StatePlanned:
		r.validationCreated(res, now)
	case action == ActionCreate && r.State == StateValidated:
		r.migrationCreated(res, now)
	case action == ActionCutover && r.State == StateReady:
		r.cutoverSent(res, now)
	case res.CreatedID != "" && r.MigrationID == "": // abandoned meanwhile
		r.MigrationID, r.StartedAt = res.CreatedID, res.Intent.At
		r.event(now, "migration "+string(r.MigrationID)+" was created, but the record is abandoned")
	case res.Outcome == OutcomeUnknown:
		r.outcomeUnknown(res.Intent, res.Failure, now)
	default:
		r.keepCreated(res.CreatedID, now)
	}
}

// settles takes the record back to where the unclear action started, if a late result says how it ended.
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
	r.event(now, fmt.Sprintf("an earlier request created migration %s, which may still run: check the Atlas UI", id))
}

func (r *Record) validationCreated(res Result, now time.Time) {
	switch {
	case res.Validation != nil && res.Validation.ID.Validate() == nil:
		r.ValidationID = res.Validation.ID
		r.enter(StateValidating, now, "validation "+string(r.ValidationID))
		r.NextCheckAt = now.Add(res.Wait)
	case res.Outcome == OutcomeRejected:
		r.stop(StateFailed, now, *res.Failure)
	default:
		r.tryAgain(res, now)
	}
}

func (r *Record) migrationCreated(res Result, now time.Time) {
	switch {
	case res.CreatedID != "":
		r.MigrationID, r.Migration = res.CreatedID, cloneMigration(res.Migration)
		if r.Migration == nil {
			r.Migration = &livemigration.Migration{ID: res.CreatedID} // nil is a job that was adopted
		}
		r.StartedAt, r.SeenAt = res.Intent.At, res.Intent.At
		r.enter(StateReplicating, now, "migration "+string(r.MigrationID))
		r.NextCheckAt = now.Add(res.Wait)
	case res.Outcome == OutcomeRejected:
		r.stop(StateFailed, now, *res.Failure)
	case res.Outcome == OutcomeNotDone:
		r.tryAgain(res, now)
	default:
		r.outcomeUnknown(res.Intent, res.Failure, now)
	}
}

func (r *Record) cutoverSent(res Result, now time.Time) {
	if res.Migration != nil {
		r.see(res)
	}
	switch {
	case res.Outcome == OutcomeDone:
		r.CutoverAt = now
		r.enter(StateFinishing, now, "Atlas accepted the cutover")
		r.NextCheckAt = now.Add(res.Wait)
	case res.Outcome == OutcomeUnknown:
		r.outcomeUnknown(res.Intent, res.Failure, now)
		r.NextCheckAt = now.Add(res.Wait)
	case res.Migration != nil:
		r.migrationSeen(res, now)
	default:
		r.tryAgain(res, now)
	}
	if f := res.Failure; f != nil && f.Operation == opCutover && r.State == StateReady {
		r.eventOnce(now, "the cutover was not accepted: "+f.Text)
	}
}

// outcomeUnknown is a create request or a cutover that may have taken effect. why is nil if the program ended.
func (r *Record) outcomeUnknown(intent Intent, why *Problem, now time.Time) {
	problem := Problem{Text: fmt.Sprintf("the program ended after it started to %s at %s", intent.Action, intent.At.Format(timeFormat))}
	if why != nil {
		problem = *why
	}
	switch {
	case intent.Action == ActionCreate && r.State == StateValidated:
		problem.Operation = opCreate
		problem.Text = "it is unknown whether Atlas created the migration: " + problem.Text
		r.unclear(now, problem)
	case intent.Action == ActionCutover && r.State == StateReady:
		problem.Kind, problem.Operation = ProblemRetrying, opCutover
		problem.Text = "it is unknown whether Atlas accepted the cutover; the next check will show it: " + problem.Text
		r.State = StateFinishing
		r.eventOnce(now, string(StateFinishing)+": "+problem.Text)
		r.explain(problem, now)
	case intent.Action == ActionValidate:
		return
	default: // abandoned meanwhile
		r.event(now, "the outcome is unknown: "+problem.Text)
	}
	r.Unclear = &intent
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
