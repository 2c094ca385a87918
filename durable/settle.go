package durable

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// settle takes what an action has made of a record. The error is that of the store.
func (r *run) settle(done result) error {
	e, now := done.entry, time.Now()
	e.busy = false
	r.busy--
	if len(done.record.Granted) > 0 && len(e.record.Granted) == 0 {
		e.grantedAt = now
	}
	if done.saved {
		e.savedAt, e.unsaved = now, false
	} else if done.record.News(e.record) {
		e.unsaved = true
	}
	replaced := !done.record.Plan.equal(e.record.Plan)
	r.set(e, done.record)
	if done.err != nil {
		r.account(e)
		return fmt.Errorf("durable: run: %w", done.err)
	}
	if done.action == ActionValidate || done.action == ActionCreate {
		r.starts.note(done.record.troubled() && done.record.wantsToStart() && !done.record.lacksPassword(), now)
	}
	if replaced {
		r.replan(e)
	}
	e.asked = e.asked || done.action == ActionApprove
	r.account(e)
	r.schedule(e, now)
	r.tell(e, now)
	return nil
}

// replan follows a plan that has been replaced.
func (r *run) replan(e *entry) {
	r.hold(e, nil)
	e.needs = r.resources.ids(e.record.Plan)
	r.rescan = true
}

// tell reports what has changed.
func (r *run) tell(e *entry, now time.Time) {
	record := &e.record
	is := told{record.State, record.Problem}
	outage := now.Sub(record.ProblemSince)
	switch {
	case is == e.told && record.troubled() && outage >= e.warnAfter:
		r.log(slog.LevelWarn, "still stopped", record, slog.String("problem", record.Problem), slog.Duration("outage", outage.Round(time.Second)))
		e.warnAfter = 2 * outage
		return
	case is == e.told || e.unsaved:
		return
	case record.troubled() || record.State == StateUnclear || record.State == StateFailed || record.State == StateExpired:
		r.log(slog.LevelWarn, "stopped", record, slog.String("problem", record.Problem))
	case record.Problem != "": // it waits
		r.log(slog.LevelInfo, "state", record, slog.String("problem", record.Problem))
	default:
		r.log(slog.LevelInfo, "state", record)
	}
	e.told, e.warnAfter = is, max(time.Minute, 2*outage)
	r.notifier.notify(record)
}

// finished reports whether nothing more happens by itself.
func (r *run) finished() bool {
	if r.busy > 0 || !r.moved {
		return false
	}
	r.moved = false
	for _, e := range r.order {
		done := e.record.State.Final() || e.record.State == StateUnclear || e.record.wantsToStart() && r.resources.stuck(e)
		if !done || e.record.Begun != ActionNone {
			return false
		}
	}
	return true
}

// lookForChanges looks for what others have stored.
func (r *run) lookForChanges(ctx context.Context) {
	if r.again = r.looking; r.looking {
		return
	}
	r.looking = true
	go func() {
		var found changes
		if changer, ok := r.store.(Changer); ok {
			found.records, found.err = changer.Changed(ctx, r.revision)
		} else {
			found.records, found.err = r.store.List(ctx)
		}
		r.changes <- found
	}()
}

// revision is that of a record as the run knows it.
func (r *run) revision(name string) int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e := r.entries[key(name)]; e != nil {
		return e.record.Revision
	}
	return 0
}

// takeChanges takes what others have stored. For a record with an action under way that comes when its result is stored,
// or else at the next look. A store that cannot be read at all for a minute ends the run; a single record that cannot be
// read does not, since somebody may be writing it by hand.
func (r *run) takeChanges(found changes) error {
	r.looking = false
	now := time.Now()
	for _, record := range found.records {
		e := r.entries[key(record.Plan.Name)]
		switch {
		case e == nil:
			r.schedule(r.add(record), now)
		case !e.busy && record.Revision > e.record.Revision:
			r.take(e, record, now)
		}
	}
	var damage *damageError
	switch {
	case found.err == nil || errors.As(found.err, &damage):
		r.failing = time.Time{}
	case r.failing.IsZero():
		r.failing = now
	case now.Sub(r.failing) >= storePatience:
		return fmt.Errorf("durable: run: %w", found.err)
	}
	r.tellUnreadable(found.err, now)
	return nil
}

// tellUnreadable logs what cannot be read when that begins, and at each doubling of the time that it lasts.
func (r *run) tellUnreadable(err error, now time.Time) {
	switch {
	case err == nil:
		r.unreadable, r.unreadableWarn = time.Time{}, 0
		return
	case r.unreadable.IsZero():
		r.unreadable = now
	case now.Sub(r.unreadable) < r.unreadableWarn:
		return
	}
	r.unreadableWarn = max(time.Minute, 2*now.Sub(r.unreadable))
	r.settings.logger.Error("the store cannot be read", "error", err)
}

// take takes a record that somebody else has changed.
func (r *run) take(e *entry, record Record, now time.Time) {
	mine := e.record
	if record.State == mine.State && record.MigrationID == mine.MigrationID && mine.Migration != nil {
		record.Migration = cloneMigration(mine.Migration) // seen later
	}
	due, lookDue := e.due, e.lookDue
	same := record.Next() == mine.Next() && record.Plan.equal(mine.Plan)
	if !record.Plan.equal(mine.Plan) {
		r.set(e, record)
		r.replan(e)
	}
	r.set(e, record)
	e.unsaved, e.savedAt, e.grantedAt = false, now, time.Time{}
	r.account(e)
	r.takeOut(e)
	switch {
	case same && !r.pointless(e):
		r.at(e, due)
		e.lookDue = lookDue
	case !same:
		r.schedule(e, now)
	}
	r.tell(e, now)
}
