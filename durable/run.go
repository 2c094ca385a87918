package durable

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"
)

const (
	tick          = time.Second      // between two scans for changes and for what is due
	listInterval  = 30 * time.Second // between two lists of a store without Changed, or whose Changed fails
	storePatience = time.Minute      // for which a store, or a record in it, may fail
	poolSize      = 64               // bounds the actions in progress
	poolPoll      = poolSize * 3 / 4 // bounds the polls, so that they do not delay changes
)

// run is one Run. Its loop starts each action in a goroutine, at most one for each record, which sends back the new record.
// Only the loop changes entries.
type run struct {
	store    Store
	driver   *Driver
	settings *settings
	notifier *notifier
	ctx      context.Context // does not end
	saving   context.Context // for the store
	serve    bool
	by       string // names this run in intents

	mu      sync.Mutex // guards what Records reads: entries, their records and errors, readErr
	entries map[string]*entry
	order   []*entry // by name
	readErr error    // names records that cannot be read

	polls     []*entry // that are due
	busy      int      // actions in progress
	polling   int      // polls in progress
	asking    bool     // for changes
	askAgain  bool     // something has changed since
	askFails  bool     // Changed failed
	listedAt  time.Time
	failing   time.Time // since when the store cannot be listed
	saveFails bool      // the last save failed
	savedAt   time.Time // of the last save that succeeded

	results chan result
	news    chan news
	wake    chan struct{}
}

// entry is a record in a run.
type entry struct {
	record Record // as last read, saved or seen
	held   []string
	now    bool // it is due now, whatever NextCheckAt says

	busy    bool
	doing   Action
	savedAt time.Time // when it was last read or saved
	owed    *owed     // nil: nothing
	later   *Record   // as another process stored it during the action
	retryAt time.Time // when to try the store again

	err     error // why it cannot be read or stored, since failing
	failing time.Time
	lost    bool // it cannot be read, or is gone

	toldState   State
	toldProblem Problem
	warnAfter   time.Duration
}

// owed is a result that the store does not contain yet, and the record to which it applies.
type owed struct {
	record Record
	result Result
}

func newRun(ctx context.Context, f *Fleet, driver *Driver, serve bool) *run {
	host, _ := os.Hostname() // the random part is enough
	ctx = context.WithoutCancel(ctx)
	return &run{
		store: f.store, driver: driver, settings: &f.settings, serve: serve, ctx: ctx,
		notifier: newNotifier(ctx, f.settings.onChange),
		by:       fmt.Sprintf("%s/%d/%s", host, os.Getpid(), rand.Text()[:8]),
		entries:  make(map[string]*entry),
		results:  make(chan result), news: make(chan news), wake: make(chan struct{}, 1),
	}
}

// begin takes the records of the store. Those with a Problem are tried at once, because its cause may be gone.
func (r *run) begin(records []Record, err error) {
	sortByName(records)
	for _, record := range records {
		r.take(record)
	}
	for _, e := range r.order {
		e.now = e.record.Problem != nil
	}
	r.listedAt = time.Now()
	r.setReadErr(err)
}

// loop runs until nothing is left to do, the context ends, the lock is lost, or the store fails.
func (r *run) loop(ctx context.Context, lost <-chan struct{}) error {
	working, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	saving, endSaving := context.WithCancel(r.ctx)
	defer endSaving()
	r.saving = saving
	go func() {
		select {
		case <-lost: // nil is never ready
			stop(ErrLockLost)
		case <-working.Done():
		}
	}()
	err := r.work(working)
	stop(nil)
	unsaved := r.drain(endSaving)
	if err == nil {
		err = r.verdict()
	}
	if unsaved != nil {
		return errors.Join(err, unsaved)
	}
	return err
}

// work asks what has changed and picks what is due, once a second, and at once after a change of this fleet.
func (r *run) work(ctx context.Context) error {
	ticker := time.NewTicker(max(tick/100, min(tick, r.settings.minInterval)))
	defer ticker.Stop()
	finished := r.pick(ctx)
	for ctx.Err() == nil {
		if finished && !r.serve {
			return nil
		}
		select {
		case <-ctx.Done():
		case done := <-r.results:
			r.settle(done)
			r.startPolls(ctx)
		case found := <-r.news:
			if err := r.takeNews(found); err != nil {
				return err
			}
			if r.askAgain {
				r.ask(ctx)
			}
			finished = r.pick(ctx)
		case <-r.wake:
			r.askAgain = true
			r.ask(ctx)
		case <-ticker.C:
			r.ask(ctx)
			finished = r.pick(ctx)
		}
	}
	if errors.Is(context.Cause(ctx), ErrLockLost) {
		return fmt.Errorf("durable: run: %w", ErrLockLost)
	}
	return fmt.Errorf("durable: run: %w", contextError(ctx))
}

// drain waits for the actions in progress, and tries to save results that are owed for 30 seconds after the last action.
func (r *run) drain(endSaving context.CancelFunc) error {
	const patience = 30 * time.Second
	ended := time.Now()
	last := ended
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for {
		now := time.Now()
		if now.Sub(ended) > 2*patience {
			endSaving()
		}
		owing := slices.ContainsFunc(r.order, func(e *entry) bool { return e.owed != nil })
		if r.busy == 0 && !r.asking && (!owing || now.Sub(last) >= patience) {
			if unsaved := r.unsaved(); len(unsaved) > 0 {
				return &UnsavedError{unsaved}
			}
			return nil
		}
		select {
		case done := <-r.results:
			if done.entry.doing != ActionNone {
				last = time.Now()
			}
			r.settle(done)
		case <-r.news:
			r.asking = false
		case <-ticker.C:
			for _, e := range r.order {
				if e.owed != nil && !e.busy && now.Sub(last) < patience {
					r.start(r.ctx, e, ActionNone)
				}
			}
		}
	}
}

// unsaved returns the records with a migration that the store does not know. Everything else can be recovered.
func (r *run) unsaved() (records []Record) {
	for _, e := range r.order {
		if e.owesID() {
			records = append(records, e.view())
		}
	}
	return records
}

// finished reports whether nothing more happens on its own.
func (r *run) finished(holders map[string]*entry, now time.Time) bool {
	if r.busy > 0 {
		return false
	}
	for _, e := range r.order {
		if !r.over(e, now) && !r.blocked(e, holders, now) {
			return false
		}
	}
	return true
}

// over reports whether nothing more happens to an entry on its own.
func (r *run) over(e *entry, now time.Time) bool {
	if r.stopped(e, now) {
		return true
	}
	return (e.record.State.Final() || e.record.State == StateUnclear) && e.record.Begun == nil && e.owed == nil
}

// stopped reports whether a record cannot be read, is gone, or cannot be stored for a minute while others can.
func (r *run) stopped(e *entry, now time.Time) bool {
	alone := e.err != nil && !e.owesID() && now.Sub(e.failing) >= storePatience && r.savedAt.After(e.failing)
	return e.lost || alone
}

func (e *entry) owesID() bool { return e.owed != nil && e.owed.result.CreatedID != "" }

// blocked reports whether an entry waits for a resource of an entry that is over.
func (r *run) blocked(e *entry, holders map[string]*entry, now time.Time) bool {
	if e.record.Begun != nil || e.owed != nil {
		return false
	}
	for _, name := range e.record.Plan.needs(e.record.startAction()) {
		if holder := holders[name]; holder != nil && holder != e && r.over(holder, now) {
			return true
		}
	}
	return false
}

// verdict is the error of a run in which nothing is left to do.
func (r *run) verdict() error {
	records, err := r.snapshot()
	left := slices.DeleteFunc(records, func(record Record) bool {
		return record.State == StateComplete || record.State == StateAbandoned
	})
	if len(left) > 0 {
		return joined([]error{&IncompleteError{left}, err})
	}
	if err != nil {
		return fmt.Errorf("durable: run: %w", err)
	}
	return nil
}

// snapshot copies the records, by name. The error names those that cannot be read or stored.
func (r *run) snapshot() ([]Record, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	records := make([]Record, len(r.order))
	problems := []error{r.readErr}
	for i, e := range r.order {
		records[i] = e.view()
		if e.err != nil && (!e.lost || r.readErr == nil) {
			problems = append(problems, e.err)
		}
	}
	return explainWaits(records), joined(problems)
}

// view is the record as others see it, with the error of the store.
func (e *entry) view() Record {
	record := e.record.clone()
	if e.err != nil {
		record.Problem = &Problem{Kind: ProblemNeedsAttention, Text: clean(e.err.Error()), Since: e.failing}
	}
	return record
}

func (r *run) add(record Record) {
	e, name := &entry{toldState: record.State}, key(record.Plan.Name)
	at, _ := slices.BinarySearchFunc(r.order, name, func(e *entry, name string) int {
		return cmp.Compare(key(e.record.Plan.Name), name)
	})
	if record.Problem != nil {
		e.toldProblem = *record.Problem
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.entries[name] = e
	e.set(record)
	r.order = slices.Insert(r.order, at, e)
}

func (e *entry) set(record Record) { e.record, e.held = record, record.held() }

func (r *run) remove(e *entry) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.entries, key(e.record.Plan.Name))
	r.order = slices.DeleteFunc(r.order, func(other *entry) bool { return other == e })
}
