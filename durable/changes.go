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
	listed     bool // all records were listed
	changed    []Record
	gone       []string
	unreadable map[string]error
	err        error
}

// ask asks what others have stored, where that is cheap or some time has passed.
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
		r.news <- news{changed: changed, gone: gone, err: err}
	}()
}

// list lists all records, and finds out about each known one that is missing.
func (r *run) list(ctx context.Context, known map[string]int64) news {
	records, err := r.store.List(ctx)
	a := news{listed: true, changed: records, err: err, unreadable: make(map[string]error)}
	if err != nil && len(records) == 0 {
		return a
	}
	for _, record := range records {
		delete(known, record.Plan.Name)
	}
	for name := range known {
		record, err := r.store.Load(ctx, name)
		switch {
		case err == nil:
			a.changed = append(a.changed, record)
		case errors.Is(err, ErrNotFound):
			a.gone = append(a.gone, name)
		default:
			a.unreadable[name] = err
		}
	}
	return a
}

// takeNews takes what others have stored. The error is that of a store that could not be listed for a minute, unless it
// must still learn the ID of a migration.
func (r *run) takeNews(a news) error {
	r.asking = false
	now := time.Now()
	for _, record := range a.changed {
		r.take(record)
	}
	for _, name := range a.gone {
		r.takeGone(name, now)
	}
	for name, err := range a.unreadable {
		r.lose(r.entries[key(name)], err, now)
	}
	switch {
	case a.err == nil:
		r.failing, r.askFails = time.Time{}, false
	case !a.listed:
		r.askFails = true
		return nil
	case len(a.changed) > 0:
		r.failing = time.Time{}
	case r.failing.IsZero():
		r.failing = now
	case now.Sub(r.failing) >= storePatience && len(r.unsaved()) == 0:
		return fmt.Errorf("durable: run: %w", a.err)
	}
	if a.listed {
		r.askFails, r.listedAt = a.err != nil, now
	}
	r.setReadErr(a.err)
	return nil
}

// setReadErr notes and logs that records cannot be read.
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

// takeGone drops an entry whose record is gone. One that Remove would not take stays, and stops.
func (r *run) takeGone(name string, now time.Time) {
	e := r.entries[key(name)]
	if e == nil || e.busy {
		return
	}
	if e.owed == nil && e.record.checkRemove(now) == nil {
		r.remove(e)
		return
	}
	r.lose(e, errGone, now)
}

var errGone = errors.New("its record is gone from the store, although it may have a migration in Atlas: restore it from a backup")

// lose stops an entry whose record cannot be read, or is gone.
func (r *run) lose(e *entry, err error, now time.Time) {
	if e == nil || e.busy {
		return
	}
	r.mu.Lock()
	e.lost = true
	r.noteStore(e, recordError("read", e.record.Plan.Name, err), now)
	r.mu.Unlock()
	r.tell(e, now)
}

// tell logs and reports what has changed in the state or the problem of a record.
func (r *run) tell(e *entry, now time.Time) {
	record, problem := e.view(), Problem{}
	if record.Problem != nil {
		problem = *record.Problem
	}
	outage := now.Sub(problem.Since)
	stopped := problem.Kind == ProblemRetrying || problem.Kind == ProblemNeedsAttention
	same := record.State == e.toldState && problem.Kind == e.toldProblem.Kind && problem.Text == e.toldProblem.Text
	if same && !(stopped && outage >= e.warnAfter) {
		return
	}
	switch {
	case problem.Kind == ProblemRetrying:
		r.log(slog.LevelWarn, "retrying", &record, slog.Duration("outage", outage.Round(time.Second)))
	case problem.Kind == ProblemNeedsAttention:
		r.log(slog.LevelError, "needs attention", &record, slog.Duration("outage", outage.Round(time.Second)))
	case problem.Kind != "":
		r.log(slog.LevelInfo, "waiting", &record)
	default:
		r.log(slog.LevelInfo, "state", &record)
	}
	e.warnAfter = max(time.Minute, 2*outage)
	e.toldState, e.toldProblem = record.State, problem
	if !same {
		r.notifier.notify(record)
	}
}

// log writes a log record with the keys of the client.
func (r *run) log(level slog.Level, message string, record *Record, attrs ...slog.Attr) {
	all := []slog.Attr{
		slog.String("record", record.Plan.Name), slog.String("state", string(record.State)),
		slog.String("project_id", string(record.Plan.ProjectID)),
	}
	if record.ValidationID != "" {
		all = append(all, slog.String("validation_id", string(record.ValidationID)))
	}
	if record.MigrationID != "" {
		all = append(all, slog.String("migration_id", string(record.MigrationID)))
	}
	if p := record.Problem; p != nil {
		all = append(all, slog.String("problem", string(p.Kind)), slog.String("error", p.Text))
		if p.Operation != "" {
			all = append(all, slog.String("operation", p.Operation))
		}
		if p.Status != 0 {
			all = append(all, slog.Int("status", p.Status), slog.String("code", p.Code))
		}
	}
	r.settings.logger.LogAttrs(r.ctx, level, message, append(all, attrs...)...)
}
