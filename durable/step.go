package durable

import (
	"context"
	"errors"
	"time"
)

const (
	lagInterval = 5 * time.Minute // between two saves of a new lag
	storeRetry  = 2 * time.Second // between two attempts to store a record
)

// result is a record after an action.
type result struct {
	entry  *entry
	record Record
	stored bool // the store contains the record
	saved  bool // by this action
	owed   *owed
	err    error // of the store
}

// step does one action of a record: begin, save, do, apply, save.
func (r *run) step(ctx context.Context, record Record, action Action, lagDue bool) result {
	begun := record.Begin(action, r.by, time.Now())
	if begun.Begun == nil { // the time for it has passed
		return result{record: record}
	}
	if !action.Changes() {
		return r.keep(record, r.driver.Do(ctx, begun), lagDue)
	}
	stored, mine, err := r.saveIntent(record, begun)
	if !mine {
		return result{record: stored, stored: err == nil, err: err}
	}
	return r.keep(stored, r.driver.Do(ctx, stored), false)
}

// saveIntent stores an intent. It is mine if the store contains it, even after a save that seemed to fail. Else it returns the
// record as it is stored by now, if that is known.
func (r *run) saveIntent(record, begun Record) (stored Record, mine bool, err error) {
	stored, err = r.store.Save(r.saving, begun)
	if err == nil {
		return stored, true, nil
	}
	loaded, loadErr := r.store.Load(r.saving, record.Plan.Name)
	switch {
	case loadErr != nil:
		return record, false, errors.Join(err, loadErr)
	case loaded.Begun != nil && loaded.Begun.Equal(*begun.Begun):
		return loaded, true, nil
	case errors.Is(err, ErrStale):
		return loaded, false, nil
	default:
		return loaded, false, err
	}
}

// keep applies a result to the record as it is stored by now, and stores news, and a new lag if it is due. The result of an
// action that changes something is owed until it is stored. A poll is repeated instead.
func (r *run) keep(record Record, res Result, lagDue bool) result {
	base := record
	for tries := 1; ; tries++ {
		applied := base.Apply(res, time.Now())
		if !applied.News(base) && !(lagDue && newLag(applied, base)) {
			return result{record: applied}
		}
		saved, err := r.store.Save(r.saving, applied)
		if err == nil {
			return result{record: saved, stored: true, saved: true}
		}
		if errors.Is(err, ErrStale) && tries < mostStale {
			var loaded Record
			if loaded, err = r.store.Load(r.saving, record.Plan.Name); err == nil {
				base = loaded
				continue
			}
		}
		if res.Intent.Action.Changes() {
			return result{record: applied, owed: &owed{record, res}, err: err}
		}
		return result{record: record, err: err}
	}
}

func newLag(a, b Record) bool {
	if a.Migration == nil || a.Migration.LagTimeSeconds == nil {
		return false
	}
	return b.Migration == nil || b.Migration.LagTimeSeconds == nil || *a.Migration.LagTimeSeconds != *b.Migration.LagTimeSeconds
}

// conclude stores what becomes of a record with an action that is not in progress in this run. Another run started it, or a
// save of this run stored its intent although it seemed to fail: then nothing was sent.
func (r *run) conclude(record Record) result {
	res := notDone(&record)
	if record.Begun.By != r.by {
		res.Outcome = OutcomeUnknown
	}
	done := r.keep(record, res, false)
	if done.err != nil {
		return result{record: record, err: done.err}
	}
	return done
}
