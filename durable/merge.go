package durable

import (
	"reflect"
	"slices"
	"time"
)

// Merge returns r, which [Driver.Do] returned, with what others have stored meanwhile: their approvals and the
// revision. So it can be stored now, and no change is lost.
//
//   - If it has another plan or another job by now, that stays, and the job of r becomes a former one.
//   - If the record was abandoned, it stays ABANDONED, with the ids that r has.
func (r Record) Merge(stored Record) Record {
	r, stored = r.clone(), stored.clone()
	moved := stored.MigrationID != "" && stored.MigrationID != r.MigrationID ||
		r.MigrationID != "" && slices.Contains(stored.FormerMigrationIDs, r.MigrationID)
	switch {
	case moved || !r.Plan.equal(stored.Plan):
		return stored.keepFormer(r)
	case stored.State == StateAbandoned && r.State != StateAbandoned:
		return r.mergeAbandoned(stored)
	}
	lacked, note := r.Gate() != "", !r.troubled()
	for _, gate := range without(stored.Approved, stored.Granted) {
		if !r.approved(gate) {
			r.Approved = append(r.Approved, gate)
		}
		r.Granted = without(r.Granted, []Gate{gate})
	}
	if lacked && r.Gate() == "" {
		r.CheckAt = stored.CheckAt // Approve has made it due
		if note {
			r.explain("", r.Updated)
		}
	}
	r.mergeEvents(stored)
	r.Revision = stored.Revision
	return r
}

// mergeAbandoned keeps the state that a person has set, and what only r knows.
func (r Record) mergeAbandoned(stored Record) Record {
	r.State, r.Begun = StateAbandoned, ActionNone
	r.Approved, r.Granted = stored.Approved, stored.Granted
	r.Problem, r.ProblemSince = stored.Problem, stored.ProblemSince
	r.mergeEvents(stored)
	r.Revision = stored.Revision
	return r
}

// keepFormer keeps the job of an action whose record has become another one meanwhile.
func (r Record) keepFormer(done Record) Record {
	r.Begun = ActionNone
	known := done.MigrationID == r.MigrationID || slices.Contains(r.FormerMigrationIDs, done.MigrationID)
	if done.MigrationID != "" && !known {
		r.FormerMigrationIDs = append(r.FormerMigrationIDs, done.MigrationID)
	}
	return r
}

// mergeEvents adds the events that others have stored, in the order of time.
func (r *Record) mergeEvents(stored Record) {
	have := slices.Clone(r.Events)
	for _, event := range stored.Events {
		if !slices.Contains(have, event) {
			r.Events = append(r.Events, event)
		}
	}
	slices.SortStableFunc(r.Events, func(a, b Event) int { return a.Time.Compare(b.Time) })
	if more := len(r.Events) - maxEvents; more > 0 {
		r.Events = slices.Delete(r.Events, 0, more)
	}
}

// News reports whether r has something to store that since does not have. A new lag, or another time of the next look,
// is not news.
func (r Record) News(since Record) bool {
	return !reflect.DeepEqual(r.essence(), since.essence())
}

// changed reports whether r says anything that since does not, but for the time of the next look.
func (r Record) changed(since Record) bool {
	r.Begun, since.Begun = ActionNone, ActionNone
	r.CheckAt, since.CheckAt = time.Time{}, time.Time{}
	r.Updated, since.Updated = time.Time{}, time.Time{}
	r.Revision, since.Revision = 0, 0
	return !reflect.DeepEqual(r, since)
}

// essence leaves out what changes from look to look.
func (r Record) essence() Record {
	r.CheckAt, r.Updated, r.Revision = time.Time{}, time.Time{}, 0
	if r.Migration != nil {
		seen := *r.Migration
		seen.LagTimeSeconds = nil
		r.Migration = &seen
	}
	return r
}
