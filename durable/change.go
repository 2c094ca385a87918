package durable

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/livemigration/livemigration-go"
)

// ErrConflict says that a change is not possible: the store has another revision of the record, the record is not in a
// state that allows the change, or another record has the same name, cluster or job.
var ErrConflict = errors.New("conflict")

// Approve returns the record with the gate open, also in advance. Unknown gates, and records that are final, stay as
// they are.
func (r Record) Approve(g Gate, now time.Time) Record {
	r, now = r.clone(), stamp(now)
	granted := slices.Contains(r.Granted, g)
	if !g.known() || r.State.Final() || r.approved(g) && !granted {
		return r
	}
	if granted { // from now on by a person, and for good
		r.Granted = without(r.Granted, []Gate{g})
		r.event(now, "approved by a person: "+string(g))
		r.Updated = now
		return r
	}
	r.open(g, now)
	r.event(now, "approved: "+string(g))
	return r
}

// grant opens a gate for one attempt.
func (r *Record) grant(g Gate, now time.Time) {
	r.open(g, now)
	r.Granted = append(r.Granted, g)
	r.step(now, "approved by WithApproval: "+string(g))
}

func (r *Record) open(g Gate, now time.Time) {
	lacked, troubled := r.Gate() == g, r.troubled()
	r.Approved = append(r.Approved, g)
	r.Updated = now
	if lacked {
		r.CheckAt = now
	}
	if lacked && !troubled {
		r.explain(r.note(), now)
	}
}

// Adopt returns an UNCLEAR record with the id of the job that a person has found in Atlas. It becomes REPLICATING. Its
// first look makes sure that the job runs on the migration host of the plan. The error is
// [livemigration.ErrInvalidRequest] for a malformed id, else [ErrConflict].
func (r Record) Adopt(id livemigration.MigrationID, now time.Time) (Record, error) {
	r, now = r.clone(), stamp(now)
	if err := id.Validate(); err != nil {
		return r, fmt.Errorf("durable: adopt a migration for %q: %w", r.Plan.Name, err)
	}
	if r.State != StateUnclear {
		return r, r.wrongState("adopt a migration for", StateUnclear)
	}
	if r.MigrationID != id {
		r.dropMigration()
	}
	r.MigrationID, r.Migration = id, nil
	r.FormerMigrationIDs = without(r.FormerMigrationIDs, []livemigration.MigrationID{id})
	r.ReadySince, r.CutOverAt = time.Time{}, time.Time{}
	r.Begun, r.CheckAt, r.Updated = ActionNone, now, now
	r.explain("", now)
	r.enter(StateReplicating, now, "adopted migration "+string(id))
	return r, nil
}

// Restart returns the record as PLANNED. It must be UNCLEAR, FAILED or EXPIRED. Ids, approvals and ReadySince are
// cleared. Events stay, and the migration becomes one of FormerMigrationIDs. The error is [ErrConflict].
func (r Record) Restart(now time.Time) (Record, error) {
	r, now = r.clone(), stamp(now)
	if r.State != StateUnclear && r.State != StateFailed && r.State != StateExpired {
		return r, r.wrongState("restart", StateUnclear, StateFailed, StateExpired)
	}
	r.plan(now, "restarted")
	return r, nil
}

// Replace returns the record with another plan of the same name, PLANNED. The record must be PLANNED, FAILED or
// EXPIRED. It clears what [Record.Restart] clears. The error is [ErrConflict], or [livemigration.ErrInvalidRequest] for
// a plan that is not valid.
func (r Record) Replace(plan Plan, now time.Time) (Record, error) {
	r, now = r.clone(), stamp(now)
	if err := plan.Validate(); err != nil {
		return r, fmt.Errorf("durable: replace the plan %q: %w", plan.Name, err)
	}
	if plan.Name != r.Plan.Name {
		return r, fmt.Errorf("durable: replace the plan %q by one with the name %q: %w", r.Plan.Name, plan.Name, ErrConflict)
	}
	if r.State != StatePlanned && r.State != StateFailed && r.State != StateExpired {
		return r, r.wrongState("replace the plan of", StatePlanned, StateFailed, StateExpired)
	}
	if r.State == StatePlanned && r.Plan.equal(plan) {
		return r, nil
	}
	r.Plan = plan.clone()
	r.plan(now, "another plan")
	return r, nil
}

// plan begins from the beginning.
func (r *Record) plan(now time.Time, text string) {
	r.dropMigration()
	r.ValidationID = ""
	r.Begun, r.Approved, r.Granted = ActionNone, nil, nil
	r.State, r.CheckAt, r.Updated = StatePlanned, now, now
	r.explain("", now)
	r.event(now, joinText(string(StatePlanned), text))
}

// Abandon returns the record as ABANDONED: it needs no attention any more. In Atlas nothing changes. An action that is
// under way stays so, and its result is kept, see [Record.Merge].
func (r Record) Abandon(now time.Time) Record {
	r, now = r.clone(), stamp(now)
	if r.State == StateAbandoned {
		return r
	}
	r.event(now, fmt.Sprintf("%s: it was %s", StateAbandoned, r.State))
	r.State, r.Updated = StateAbandoned, now
	r.explain("", now)
	return r
}

func (r *Record) wrongState(what string, allowed ...State) error {
	return fmt.Errorf("durable: %s %q: it is %s, must be %s: %w", what, r.Plan.Name, r.State, enumerate(allowed), ErrConflict)
}

// without returns the elements of list that are not among those.
func without[T comparable](list, those []T) []T {
	kept := slices.DeleteFunc(slices.Clone(list), func(one T) bool { return slices.Contains(those, one) })
	if len(kept) == 0 {
		return nil
	}
	return kept
}

// enumerate writes "A, B or C".
func enumerate(states []State) (text string) {
	for i, state := range states {
		switch {
		case i > 0 && i == len(states)-1:
			text += " or "
		case i > 0:
			text += ", "
		}
		text += string(state)
	}
	return text
}
