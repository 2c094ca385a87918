package durable

import (
	"context"
	"errors"
	"log/slog"
	"time"
)

const (
	// lagInterval is how often a new lag is stored.
	lagInterval = 5 * time.Minute
	// storePatience is for how long a store that fails is tried.
	storePatience = time.Minute
	firstRetry    = 100 * time.Millisecond
	longestRetry  = 5 * time.Second
	// conflictPatience is how many conflicts in a row are somebody else's changes, and not a store that never takes one.
	conflictPatience = 100
)

// performer does actions, with what must be stored before and after. It keeps the rule that makes a run safe: an action
// that changes something is stored as begun before it is sent, and is sent once for each time that it has begun.
type performer struct {
	driver *Driver
	store  Store
	logger *slog.Logger
}

// job is a record that is due.
type job struct {
	record  Record
	unsaved bool // the store does not know all of it
	lagDue  bool // a new lag is to be stored
}

// perform does the next action of a record.
func (p *performer) perform(ctx context.Context, j job) result {
	before := j.record
	if before.Begun != ActionNone { // by a run that has ended
		return p.keep(ctx, before.Recover(time.Now()), true)
	}
	action := before.Next()
	begun := before.Begin(action, time.Now())
	if action.Changes() {
		stored, ok, err := p.begin(ctx, before, action)
		if err != nil || !ok {
			return result{record: stored, saved: err == nil, err: err}
		}
		begun = stored
	}
	done, err := p.driver.Do(ctx, begun)
	switch {
	case err != nil && ctx.Err() == nil: // the record cannot do what it says is next
		return result{record: done, err: err}
	case action.Changes():
		return p.keep(ctx, done, true)
	case len(done.Granted) > len(before.Granted):
		return result{record: done} // it holds for an attempt that is stored at once
	case j.unsaved || done.News(before) || j.lagDue && done.changed(before):
		return p.keep(ctx, done, false)
	default:
		return result{record: done}
	}
}

// begin stores the intent. It is false when somebody else has changed the record in a way that makes another action the
// next one, or has begun itself; the record is then the one that is stored.
func (p *performer) begin(ctx context.Context, mine Record, action Action) (begun Record, ok bool, err error) {
	tried, ok := mine.Begin(action, time.Now()), true
	begun, err = p.save(ctx, tried, true, func(stored Record) (Record, bool) {
		if stored.Begun == action && stored.Updated.Equal(tried.Updated) && !stored.News(tried) {
			return stored, false // a save before this one, which was carried out although it failed
		}
		if stored.Begun != ActionNone || stored.State != mine.State || stored.MigrationID != mine.MigrationID || !stored.Plan.equal(mine.Plan) {
			ok = false
			return stored, false
		}
		mine = mine.Merge(stored)
		tried, ok = mine.Begin(action, time.Now()), mine.Next() == action
		return tried, ok
	})
	return begun, ok && err == nil, err
}

// keep stores a result.
func (p *performer) keep(ctx context.Context, done Record, important bool) result {
	saved, err := p.save(ctx, done, important, func(stored Record) (Record, bool) {
		merged := done.Merge(stored)
		return merged, merged.News(stored)
	})
	if err != nil {
		return result{record: done, err: err}
	}
	return result{record: saved, saved: true}
}

// save stores a record, for as long as a store may fail. What is important is tried also when the context has ended. After
// a conflict merge says what to store in the place of the record, or that nothing is to be.
func (p *performer) save(ctx context.Context, record Record, important bool, merge func(stored Record) (Record, bool)) (Record, error) {
	var failing time.Time
	retry := firstRetry
	for conflicts := 0; ; {
		saved, again, err := p.saveOnce(ctx, record, merge)
		switch {
		case err == nil && !again:
			return saved, nil
		case again && conflicts < conflictPatience:
			conflicts++
			record = saved
			continue
		case again:
			err = ErrConflict
		}
		if failing.IsZero() {
			failing = time.Now()
		}
		p.logger.Error("a record cannot be stored", "record", record.Plan.Name, "state", string(record.State),
			"migration", string(record.MigrationID), "error", err)
		if time.Since(failing) >= storePatience || ctx.Err() != nil && !important {
			return record, err
		}
		wait(ctx, min(retry, storePatience-time.Since(failing)+1), important)
		retry = min(2*retry, longestRetry)
	}
}

// wait ends with the context, unless it is important.
func wait(ctx context.Context, d time.Duration, important bool) {
	if important {
		ctx = context.WithoutCancel(ctx)
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// saveOnce stores a record, or says what to store instead.
func (p *performer) saveOnce(ctx context.Context, record Record, merge func(Record) (Record, bool)) (_ Record, again bool, err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storePatience)
	defer cancel()
	saved, err := p.store.Save(ctx, record)
	if err == nil || !errors.Is(err, ErrConflict) {
		return saved, false, err
	}
	stored, err := p.store.Load(ctx, record.Plan.Name)
	if err != nil {
		return record, false, err
	}
	merged, again := merge(stored)
	return merged, again, nil
}
