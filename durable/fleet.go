package durable

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/livemigration/livemigration-go"
)

// Fleet brings any number of migrations to their end. You can stop and start it at any moment. It is safe for concurrent use.
//
// [Fleet.Run] or [Fleet.Serve] does the work, in one process at a time. The other methods read and change the records. You can
// call them at the same time, from other processes too, and no change is lost.
type Fleet struct {
	store    Store
	settings settings

	mu      sync.Mutex
	current *run // nil when this fleet does not run
}

// NewFleet returns a fleet of the records in the store. The error is [livemigration.ErrInvalidConfig], and names the options
// that are not valid.
func NewFleet(store Store, opts ...Option) (*Fleet, error) {
	if store == nil {
		return nil, fmt.Errorf("durable: %w: NewFleet needs a store: open one with OpenDir", livemigration.ErrInvalidConfig)
	}
	settings, err := newSettings(opts)
	if err != nil {
		return nil, err
	}
	return &Fleet{store: store, settings: settings}, nil
}

// Records returns all records, by name; while this fleet runs, as it last read, saved or saw them. The Problem of a PLANNED or
// VALIDATED record says what it waits for, which is not stored.
//
// With an error, Records returns the records that could be read. The error names those that cannot be read or stored.
func (f *Fleet) Records(ctx context.Context) ([]Record, error) {
	if r := f.running(); r != nil {
		return r.snapshot()
	}
	records, err := f.store.List(ctx)
	if err != nil {
		err = fmt.Errorf("durable: read the records: %w", err)
	}
	return explainWaits(records), err
}

// Record returns one record, as [Fleet.Records] does. The error is [ErrNotFound] if there is none of that name.
func (f *Fleet) Record(ctx context.Context, name string) (Record, error) {
	records, err := f.Records(ctx)
	if indexOf(records, name) < 0 && err == nil {
		added, failed := f.store.Load(ctx, name) // perhaps after the run has read the store
		if failed != nil {
			return Record{}, recordError("read", name, failed)
		}
		records = explainWaits(append(records, added))
	}
	if i := indexOf(records, name); i >= 0 {
		return records[i], nil
	}
	return Record{}, err
}

func indexOf(records []Record, name string) int {
	return slices.IndexFunc(records, func(r Record) bool { return key(r.Plan.Name) == key(name) })
}

// Run works until nothing is left to do: each record is final, UNCLEAR, or waits for a resource of such a record. Then the
// error is nil if all are COMPLETE or ABANDONED, and else an [*IncompleteError]. Records that wait for an approval keep Run
// running, and so do failed requests, which are retried.
//
// Run takes the lock of the store. The error is [ErrRunning] while another run has it, and [ErrLockLost] if it is lost later.
// Run does not start if the store cannot be listed, or if a record needs a password and there is no [WithPassword].
//
// A store that cannot be listed for a minute ends Run with the store's error. While the store cannot save, no action starts. A
// record that cannot be read or stored, or that is gone although [Fleet.Remove] would not take it, stops alone, and the
// error of Run names it.
//
// When ctx ends, Run returns within a second, or after the responses to create requests in flight, at most 30 seconds. You can
// resume everything later. Run tries for up to 30 seconds more to save what the store does not contain yet. An
// [*UnsavedError] names the records for which that failed.
func (f *Fleet) Run(ctx context.Context, client *livemigration.Client) error {
	return f.run(ctx, client, false)
}

// Serve is [Fleet.Run] for a service: it waits while another run has the lock, takes a lost lock again, continues after errors
// of the store, which it logs, and ends with ctx only. The error is that of ctx, joined with an [*UnsavedError] if there is
// one. Serve does not start without a client.
func (f *Fleet) Serve(ctx context.Context, client *livemigration.Client) error {
	if _, err := newDriver(client, f.settings); err != nil {
		return err
	}
	var unsaved []error
	told := ""
	for {
		err := f.run(ctx, client, true)
		if lost := (*UnsavedError)(nil); errors.As(err, &lost) {
			unsaved = append(unsaved, lost)
		}
		if ctx.Err() != nil {
			return errors.Join(append(unsaved, fmt.Errorf("durable: serve: %w", contextError(ctx)))...)
		}
		if text := fmt.Sprint(err); text != told {
			f.settings.logger.WarnContext(ctx, "run ended, starting again", "error", text)
			told = text
		}
		wait(ctx, tick)
	}
}

func (f *Fleet) run(ctx context.Context, client *livemigration.Client, serve bool) (err error) {
	driver, err := newDriver(client, f.settings)
	if err != nil {
		return err
	}
	lost, unlock, err := f.store.Lock(ctx, lockRun)
	if err != nil {
		return fmt.Errorf("durable: run: %w", err)
	}
	defer func() {
		if unlockErr := unlock(); err == nil && unlockErr != nil {
			err = fmt.Errorf("durable: unlock the store: %w", unlockErr)
		}
	}()
	records, err := f.store.List(ctx)
	if err != nil && len(records) == 0 {
		return fmt.Errorf("durable: run: %w", err)
	}
	if !serve {
		if missing := f.missingPasswords(records); missing != nil {
			return missing
		}
	}
	r := newRun(ctx, f, driver, serve)
	r.begin(records, err)
	f.mu.Lock()
	if f.current != nil {
		f.mu.Unlock()
		return fmt.Errorf("durable: run: %w", ErrRunning)
	}
	f.current = r
	f.mu.Unlock()
	err = r.loop(ctx, lost)
	f.mu.Lock()
	f.current = nil
	f.mu.Unlock()
	r.notifier.close()
	return err
}

// missingPasswords names the first record that can never start.
func (f *Fleet) missingPasswords(records []Record) error {
	if f.settings.password != nil {
		return nil
	}
	for _, r := range records {
		if !r.State.Final() && r.Plan.needsPassword() {
			return fmt.Errorf("durable: %w: the plan %q has a source username but no password: pass WithPassword to NewFleet",
				livemigration.ErrInvalidConfig, r.Plan.Name)
		}
	}
	return nil
}

// wake makes the run of this fleet ask for changes at once.
func (f *Fleet) wake() {
	if r := f.running(); r != nil {
		select {
		case r.wake <- struct{}{}:
		default:
		}
	}
}

func (f *Fleet) running() *run {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.current
}
