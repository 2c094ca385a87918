package durable

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/livemigration/livemigration-go"
)

// finishingPatience is how long a migration may be ready after Atlas has accepted its cutover.
const finishingPatience = 15 * time.Minute

// codeNotFound is Atlas's code for a job that it does not know. Other 404s come from keys of another organization.
const codeNotFound = "RESOURCE_NOT_FOUND"

func (r *Record) applyCheck(res Result, now time.Time) {
	inMemory := r.Begun != nil && r.Begun.Equal(res.Intent)
	if r.Begun != nil && !inMemory || r.State != res.State || r.ValidationID != res.ValidationID || r.MigrationID != res.MigrationID {
		return
	}
	r.Begun = nil
	switch {
	case res.Intent.Action == ActionCheckValidation && r.State == StateValidating:
		r.validationSeen(res, now)
	case res.Intent.Action != ActionCheck || !r.State.hasJob():
	case res.Migration == nil && res.Failure != nil:
		r.tryAgain(res, now)
	case res.Migration == nil: // the context has ended
	case r.Migration == nil && !r.onOurHosts(res.Migration):
		text := fmt.Sprintf("migration %s, which was adopted, runs on %s and not on the migration host of the plan: it is another one",
			r.MigrationID, clean(strings.Join(res.Migration.MigrationHosts, ", ")))
		r.dropMigration()
		r.unclear(now, Problem{Text: text})
	default:
		r.see(res)
		r.migrationSeen(res, now)
	}
}

func (r *Record) onOurHosts(seen *livemigration.Migration) bool {
	return !slices.ContainsFunc(seen.MigrationHosts, func(host string) bool {
		return !slices.ContainsFunc(r.Plan.Request.MigrationHosts, func(our string) bool { return foldHost(our) == foldHost(host) })
	})
}

func (r *Record) validationSeen(res Result, now time.Time) {
	switch f := res.Failure; {
	case f != nil && f.Status == 404 && f.Code == codeNotFound:
		r.enter(StatePlanned, now, fmt.Sprintf("Atlas no longer knows validation %s", r.ValidationID))
		r.ValidationID = ""
		r.NextCheckAt = now.Add(res.Wait)
	case f != nil:
		r.tryAgain(res, now)
	case res.Validation == nil: // the context has ended
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

// see keeps the migration as it was seen. A check shows what was true when it started, or later.
func (r *Record) see(res Result) {
	if r.State == StateReplicating {
		r.Unclear = nil // the migration that was created is the adopted one
		if res.Migration.ReadyForCutover {
			r.ReadyAt = cmp.Or(r.SeenAt, r.StartedAt, r.PlannedAt)
		}
	}
	r.Migration, r.SeenAt = cloneMigration(res.Migration), res.Intent.At
	r.Migration.ID = r.MigrationID
}

// migrationSeen takes the result of a check in each state that has a migration.
func (r *Record) migrationSeen(res Result, now time.Time) {
	r.NextCheckAt = now.Add(res.Wait)
	switch ready := res.Migration.ReadyForCutover; {
	case res.Migration.Status == livemigration.MigrationComplete:
		r.enter(StateComplete, now, "")
	case res.Migration.Status == livemigration.MigrationFailed:
		r.stop(StateFailed, now, Problem{Text: fmt.Sprintf("migration %s failed; the Atlas UI may say why", r.MigrationID)})
	case res.Migration.Status == livemigration.MigrationExpired:
		text := fmt.Sprintf("migration %s expired: it was not cut over within 120 hours", r.MigrationID)
		r.stop(StateExpired, now, Problem{Text: text})
	case r.State == StateReady && ready:
		r.readySeen(res, now)
	case r.State == StateReady:
		r.ReadyAt = time.Time{}
		r.enter(StateReplicating, now, "no longer ready for cutover")
		r.lapse(now)
	case r.State == StateReplicating && ready:
		r.enter(StateReady, now, "")
		r.NextCheckAt = now
		r.waitAtGate(now)
	case r.State == StateFinishing && ready:
		r.stillReady(res, now)
	case r.State == StateFinishing && r.CutoverAt.IsZero():
		r.lapse(now) // it may become ready again
		r.passes(now)
	default:
		r.passes(now)
	}
}

// readySeen is a READY migration that is still ready. May it be cut over?
func (r *Record) readySeen(res Result, now time.Time) {
	if !res.ApprovedUntil.IsZero() && !r.approvedByPerson(GateCutover, now) {
		r.approve(Approval{GateCutover, policy, now, stamp(res.ApprovedUntil)})
		r.eventOnce(now, "cutover approved: "+policy)
	}
	switch {
	case res.Hold != nil:
		r.wait(*res.Hold, now)
	case res.Failure != nil:
		r.explain(*res.Failure, now)
	case res.Intent.Action == ActionCheck: // else the context has ended
		r.waitEnds(now)
		r.waitAtGate(now)
	}
	if res.Failure == nil && r.Next(now) == ActionCutover {
		r.NextCheckAt = now // the yes of the function has ended by the next check
	}
}

// stillReady is a migration that is ready although its cutover was sent.
func (r *Record) stillReady(res Result, now time.Time) {
	switch {
	case r.CutoverAt.IsZero() && r.Unclear != nil && res.Intent.At.Sub(r.Unclear.At) < intentLife: // it may still be sent
	case r.CutoverAt.IsZero():
		r.Unclear, r.State = nil, StateReady
		r.eventOnce(now, "READY: the cutover has not taken effect")
		r.waitAtGate(now)
	case now.Sub(r.CutoverAt) >= finishingPatience:
		r.explain(Problem{Kind: ProblemNeedsAttention, Text: fmt.Sprintf(
			"Atlas accepted the cutover at %s, but the migration is still ready for it; check the Atlas UI", r.CutoverAt.Format(timeFormat))}, now)
	default:
		r.passes(now)
	}
}

// lapse ends the approval of the cutover, which was given for a migration that was ready.
func (r *Record) lapse(now time.Time) {
	for _, a := range r.Approved {
		if a.Gate == GateCutover {
			r.event(now, fmt.Sprintf("the approval of the cutover by %s lapsed: the migration is no longer ready", a.By))
		}
	}
	r.disapprove(GateCutover)
}

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

func (r *Record) dropMigration() {
	if r.MigrationID != "" && !slices.Contains(r.FormerMigrationIDs, r.MigrationID) {
		r.FormerMigrationIDs = append(r.FormerMigrationIDs, r.MigrationID)
	}
	r.MigrationID, r.Migration = "", nil
	r.SeenAt, r.StartedAt, r.ReadyAt, r.CutoverAt = time.Time{}, time.Time{}, time.Time{}, time.Time{}
}
