package durable

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// news is what others have stored.
type news struct {
	listed  bool // all records were listed
	changed []Record
	missing map[string]error // why a known record could not be read: ErrNotFound when it is gone
	err     error
}

// ask asks what others have stored: each time if the store is a Changer, and else every 30 seconds, or after a change of this
// fleet. When Changed fails, a list shows which records can be read.
func (r *run) ask(ctx context.Context) {
	changer, cheap := r.store.(Changer)
	list := (!cheap || r.askFails) && (r.askAgain || time.Since(r.listedAt) >= listInterval)
	if r.asking || !cheap && !list {
		return
	}
	r.asking, r.askAgain = true, false
	known := make(map[string]int64, len(r.order))
	for _, e := range r.order {
		known[e.record.Plan.Name] = e.record.Revision
		if e.lost {
			known[e.record.Plan.Name] = 0
		}
	}
	go func() {
		if list {
			r.news <- r.list(ctx, known)
			return
		}
		changed, gone, err := changer.Changed(ctx, known)
		found := news{changed: changed, missing: make(map[string]error, len(gone)), err: err}
		for _, name := range gone {
			found.missing[name] = ErrNotFound
		}
		r.news <- found
	}()
}

// list lists all records, and loads each known one that the list lacks.
func (r *run) list(ctx context.Context, known map[string]int64) news {
	records, err := r.store.List(ctx)
	found := news{listed: true, changed: records, err: err, missing: make(map[string]error)}
	if err != nil && len(records) == 0 {
		return found
	}
	for _, record := range records {
		delete(known, record.Plan.Name)
	}
	for name := range known {
		record, err := r.store.Load(ctx, name)
		if err != nil {
			found.missing[name] = err
			continue
		}
		found.changed = append(found.changed, record)
	}
	return found
}

// takeNews takes what others have stored. It returns the error of a store that could not be listed for a minute, unless the
// store still has to learn the ID of a migration.
func (r *run) takeNews(found news) error {
	r.asking = false
	now := time.Now()
	for _, record := range found.changed {
		r.take(record)
	}
	for name, err := range found.missing {
		r.miss(name, err, now)
	}
	switch {
	case found.err == nil:
		r.failing, r.askFails = time.Time{}, false
	case !found.listed:
		r.askFails = true
		return nil
	case len(found.changed) > 0:
		r.failing = time.Time{}
	case r.failing.IsZero():
		r.failing = now
	case now.Sub(r.failing) >= storePatience && len(r.unsaved()) == 0:
		return fmt.Errorf("durable: run: %w", found.err)
	}
	if found.listed {
		r.askFails, r.listedAt = found.err != nil, now
	}
	r.setReadErr(found.err)
	return nil
}

func (r *run) setReadErr(err error) {
	r.mu.Lock()
	before := r.readErr
	r.readErr = err
	r.mu.Unlock()
	if err != nil && fmt.Sprint(before) != err.Error() {
		r.settings.logger.ErrorContext(r.ctx, "the store cannot be read", "error", err.Error())
	}
}

// take takes a record as it is stored; while an action is in progress, when it has ended.
func (r *run) take(record Record) {
	e := r.entries[key(record.Plan.Name)]
	if e == nil {
		r.add(record)
		return
	}
	if record.Revision <= e.record.Revision && !e.lost {
		return
	}
	if e.busy || e.owed != nil {
		e.later = &record
		return
	}
	now := time.Now()
	if seen := e.record; seen.State == record.State && seen.MigrationID == record.MigrationID && seen.SeenAt.After(record.SeenAt) {
		record.Migration, record.SeenAt = seen.Migration, seen.SeenAt
	}
	r.mu.Lock()
	e.set(record)
	e.savedAt = now
	r.noteStore(e, nil, now)
	r.mu.Unlock()
	r.tell(e, now)
}

var errGone = errors.New("its record is gone from the store, although it may have a migration in Atlas: restore it from a backup")

// miss takes out an entry whose record was removed. One that Remove would not take, or that cannot be read, stops.
func (r *run) miss(name string, err error, now time.Time) {
	e := r.entries[key(name)]
	if e == nil || e.busy {
		return
	}
	if errors.Is(err, ErrNotFound) {
		if e.owed == nil && e.record.checkRemove(now) == nil {
			r.remove(e)
			return
		}
		err = errGone
	}
	r.mu.Lock()
	e.lost = true
	r.noteStore(e, recordError("read", e.record.Plan.Name, err), now)
	r.mu.Unlock()
	r.tell(e, now)
}

// tell logs and reports a new state or problem, and logs a problem again each time its duration has doubled.
func (r *run) tell(e *entry, now time.Time) {
	record, problem := e.view(), Problem{}
	if record.Problem != nil {
		problem = *record.Problem
	}
	outage := now.Sub(problem.Since)
	same := record.State == e.toldState && problem.Kind == e.toldProblem.Kind && problem.Text == e.toldProblem.Text
	if same && !(problem.failing() && outage >= e.warnAfter) {
		return
	}
	level, message := slog.LevelInfo, "state"
	switch {
	case problem.Kind == ProblemRetrying:
		level, message = slog.LevelWarn, "retrying"
	case problem.Kind == ProblemNeedsAttention:
		level, message = slog.LevelError, "needs attention"
	case problem.Kind != "":
		message = "waiting"
	}
	r.log(level, message, &record, outage)
	e.warnAfter = max(time.Minute, 2*outage)
	e.toldState, e.toldProblem = record.State, problem
	if !same {
		r.notifier.notify(record)
	}
}

// log uses the keys of the client.
func (r *run) log(level slog.Level, message string, record *Record, outage time.Duration) {
	var attrs []slog.Attr
	text := func(key, value string) {
		if value != "" {
			attrs = append(attrs, slog.String(key, value))
		}
	}
	text("record", record.Plan.Name)
	text("state", string(record.State))
	text("project_id", string(record.Plan.ProjectID))
	text("validation_id", string(record.ValidationID))
	text("migration_id", string(record.MigrationID))
	if p := record.Problem; p != nil {
		text("problem", string(p.Kind))
		text("error", p.Text)
		text("operation", p.Operation)
		if p.Status != 0 {
			attrs = append(attrs, slog.Int("status", p.Status))
		}
		text("code", p.Code)
		if p.failing() {
			attrs = append(attrs, slog.Duration("outage", outage.Round(time.Second)))
		}
	}
	r.settings.logger.LogAttrs(r.ctx, level, message, attrs...)
}
