package durable

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/livemigration/livemigration-go"
)

const (
	// changesInterval is how often a run looks for what other processes have stored, where that is cheap, and where not.
	changesInterval = 2 * time.Second
	listInterval    = 30 * time.Second
	// spreadStep is the time between two looks of a run that begins, while there are few.
	spreadStep = 20 * time.Millisecond
	// longestWait bounds a wait whatever the clock says, which may have been set back.
	longestWait = time.Hour
)

// Run works until nothing is left to do: every record is final, UNCLEAR, or waits for what an UNCLEAR record has, or
// for a cluster that a COMPLETE one has. Then the error is nil if all are COMPLETE or ABANDONED, else an
// [*IncompleteError]. Records that wait for an approval keep it running.
//
// Run first takes the lock of the store. The error is [ErrRunning] while another run has it. Run does not begin when a
// record cannot be read, when an option can never work, or when a password is needed and there is no [WithPassword].
//
// Failures in Atlas or on the way there do not end it. A store that fails for a minute ends it, with the store's error.
// A record whose action was under way is then stored as begun, and the next run finds out what happened. When the
// context ends, Run stops within a second, or when the response to a creation on its way has arrived, 30 seconds at the
// most. Everything can be resumed, and no goroutine is left.
func (f *Fleet) Run(ctx context.Context) (err error) {
	unlock, err := f.store.Lock(ctx)
	if err != nil {
		return err
	}
	defer func() {
		if unlockErr := unlock(); err == nil && unlockErr != nil {
			err = fmt.Errorf("durable: unlock the store: %w", unlockErr)
		}
	}()
	r, err := f.begin(ctx)
	if err != nil {
		return err
	}
	defer f.end()
	defer r.notifier.close()
	return r.loop(ctx)
}

// begin reads the store and makes sure that the run can do what it has to.
func (f *Fleet) begin(ctx context.Context) (*run, error) {
	if err := f.settings.err(); err != nil {
		return nil, err
	}
	if f.client == nil {
		return nil, fmt.Errorf("durable: %w: NewFleet: the client must not be nil", livemigration.ErrInvalidConfig)
	}
	records, err := f.store.List(ctx)
	if err != nil {
		return nil, fmt.Errorf("durable: run: %w", err)
	}
	r := newRun(f)
	for _, record := range records {
		if other := r.entries[key(record.Plan.Name)]; other != nil {
			return nil, fmt.Errorf("durable: run: the names of the records %q and %q differ in case only", other.record.Plan.Name, record.Plan.Name)
		}
		if f.settings.password == nil && !record.State.Final() && record.Plan.needsPassword() {
			return nil, fmt.Errorf("durable: run: %q needs the password of its source user: %w: WithPassword is not given",
				record.Plan.Name, livemigration.ErrInvalidConfig)
		}
		r.add(record)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.current != nil {
		return nil, fmt.Errorf("durable: run: %w", ErrRunning)
	}
	r.notifier = newNotifier(f.settings.onChange)
	f.current = r
	return r, nil
}

func (f *Fleet) end() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.current = nil
}

// run is one Run. Its loop decides what is done when; actions are done in goroutines, one for each record at a time, that
// send back what the record has become. Only the loop changes entries.
type run struct {
	*performer
	settings *settings
	notifier *notifier

	mu      sync.Mutex // guards what Records reads: entries, and the record of each
	entries map[string]*entry
	order   []*entry // by name

	queue     dueQueue
	resources resources
	starts    starts
	busy      int  // actions under way
	rescan    bool // something has changed by which others may start
	moved     bool // something has changed by which the run may end

	results chan result
	changes chan changes
	nudged  chan struct{}
	looking bool // for changes
	again   bool // something may have changed since that look began
	failing time.Time
	// since when something cannot be read, and after how long that is logged again
	unreadable     time.Time
	unreadableWarn time.Duration
}

// entry is a record in a run.
type entry struct {
	record Record
	needs  []int // its resources

	due     time.Time // of the next action
	lookDue time.Time // of the next look, where the next action asks for an approval
	index   int       // in the queue, -1: it is not there

	busy      bool
	waiting   bool  // it is due, and waits for resources
	held      []int // what it has of its resources
	underWay  bool  // it counts to the limit
	asked     bool  // for the approval that it lacks
	unsaved   bool  // it says something that the store does not know
	savedAt   time.Time
	grantedAt time.Time

	told      told
	warnAfter time.Duration
}

// told is what is known outside of a record.
type told struct {
	state   State
	problem string
}

type result struct {
	entry  *entry
	action Action
	record Record
	saved  bool
	err    error
}

type changes struct {
	records []Record
	err     error
}

func newRun(f *Fleet) *run {
	return &run{
		performer: &performer{f.driver, f.store, f.settings.logger}, settings: &f.settings,
		entries: make(map[string]*entry), resources: newResources(), starts: starts{limit: f.settings.limit},
		results: make(chan result), changes: make(chan changes), nudged: make(chan struct{}, 1), moved: true,
	}
}

// loop runs until there is nothing more to do, the context ends, or the store fails.
func (r *run) loop(ctx context.Context) error {
	working, stop := context.WithCancel(ctx)
	defer stop()
	err := r.work(working)
	stop()
	for r.busy > 0 || r.looking { // what is under way is brought to a point from which it can be resumed
		select {
		case done := <-r.results:
			if failed := r.settle(done); failed != nil {
				err = errors.Join(err, failed)
			}
		case <-r.changes:
			r.looking = false
		}
	}
	if err != nil {
		return err
	}
	return r.verdict()
}

// work is the loop itself.
func (r *run) work(ctx context.Context) error {
	r.spreadOut(time.Now())
	interval := listInterval
	if _, cheap := r.store.(Changer); cheap {
		interval = changesInterval
	}
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		r.startDue(ctx, time.Now())
		if r.finished() {
			return nil
		}
		timer.Reset(r.nextDue(time.Now()))
		select {
		case <-ctx.Done():
			return fmt.Errorf("durable: run: %w", contextError(ctx))
		case done := <-r.results:
			if err := r.settle(done); err != nil {
				return err
			}
		case <-timer.C:
		case <-ticker.C:
			r.lookForChanges(ctx)
		case <-r.nudged:
			r.lookForChanges(ctx)
		case found := <-r.changes:
			if err := r.takeChanges(found); err != nil {
				return err
			}
			if r.again {
				r.lookForChanges(ctx)
			}
		}
	}
}

// verdict is the end of a run in which nothing is left to do.
func (r *run) verdict() error {
	var left []Record
	for _, record := range explainWaits(r.snapshot()) {
		if record.State != StateComplete && record.State != StateAbandoned {
			left = append(left, record)
		}
	}
	if len(left) == 0 {
		return nil
	}
	return &IncompleteError{left}
}

// snapshot copies the records, by name.
func (r *run) snapshot() []Record {
	r.mu.Lock()
	defer r.mu.Unlock()
	records := make([]Record, len(r.order))
	for i, e := range r.order {
		records[i] = e.record.clone()
	}
	return records
}

func (r *run) log(level slog.Level, message string, record *Record, attrs ...slog.Attr) {
	attrs = append([]slog.Attr{slog.String("record", record.Plan.Name), slog.String("state", string(record.State))}, attrs...)
	if record.MigrationID != "" {
		attrs = append(attrs, slog.String("migration", string(record.MigrationID)))
	}
	r.settings.logger.LogAttrs(context.Background(), level, message, attrs...)
}
