package durable

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/livemigration/livemigration-go"
)

// Fleet moves any number of migrations to their end, and can be stopped and started again at any moment. It is safe for
// concurrent use.
//
// [Fleet.Run] does the work, in one process at a time. The other methods read the records and change them. They work at
// the same time, also from other processes, and no change is lost.
type Fleet struct {
	client   *livemigration.Client
	store    Store
	settings settings
	driver   *Driver

	mu      sync.Mutex
	current *run // nil when this fleet does not run
}

// NewFleet returns a fleet of the records in the store. Only [Fleet.Run] needs the client; it may be nil for all other
// methods.
func NewFleet(client *livemigration.Client, store Store, opts ...Option) *Fleet {
	if store == nil {
		store = missingStore{}
	}
	settings := newSettings(opts)
	return &Fleet{client: client, store: store, settings: settings, driver: &Driver{client, settings}}
}

// Records returns all records, by name. While this fleet runs, they are as it last saw them. Problem says when a record
// waits for what another one has. With an error of the store it returns those that could be read.
func (f *Fleet) Records(ctx context.Context) ([]Record, error) {
	if run := f.running(); run != nil {
		return explainWaits(run.snapshot()), nil
	}
	records, err := f.store.List(ctx)
	sortByName(records)
	return explainWaits(records), err
}

func (f *Fleet) running() *run {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.current
}

// Add stores the records of plans. All plans are checked before one is stored. A plan that is known and equal changes
// nothing.
//
// The error is [ErrConflict] when a plan is known and different, or when another record has its source or destination
// cluster and is not FAILED, EXPIRED or ABANDONED. It is [livemigration.ErrInvalidRequest] when a plan is not valid.
// Each call reads all records, so give it all plans at once.
func (f *Fleet) Add(ctx context.Context, plans ...Plan) error {
	records, err := f.store.List(ctx)
	if err != nil {
		return fmt.Errorf("durable: add plans: %w", err)
	}
	known, taken := make(map[string]Plan, len(records)), newClusters(records)
	for _, r := range records {
		known[key(r.Plan.Name)] = r.Plan
	}
	var fresh []Plan
	given := make(map[string]bool, len(plans))
	var problems problems
	for _, plan := range plans {
		other, exists := known[key(plan.Name)]
		err := plan.Validate()
		switch {
		case err != nil:
			err = fmt.Errorf("durable: add %q: %w", plan.Name, err)
		case exists && plan.equal(other):
			continue
		case exists:
			err = fmt.Errorf("durable: add %q: %w", plan.Name, anotherPlan(plan, other, given[key(plan.Name)]))
		default:
			err = taken.take("add", plan)
		}
		if err != nil {
			problems = append(problems, err)
			continue
		}
		known[key(plan.Name)], given[key(plan.Name)] = plan, true
		fresh = append(fresh, plan)
	}
	if len(problems) > 0 {
		return problems
	}
	defer f.nudge()
	for _, plan := range fresh {
		if err := f.add(ctx, plan); err != nil {
			return err
		}
	}
	return nil
}

func anotherPlan(plan, other Plan, given bool) error {
	where, differences := "there is another plan", plan.differences(other)
	if given {
		where = "the name is given twice, with another plan"
	}
	if plan.Name != other.Name {
		return fmt.Errorf("%s %q: %w", where, other.Name, ErrConflict)
	}
	return fmt.Errorf("%s of that name, which differs in %s: %w", where, differences, ErrConflict)
}

// add stores a plan that was not known a moment ago.
func (f *Fleet) add(ctx context.Context, plan Plan) error {
	_, err := f.store.Save(ctx, NewRecord(plan, time.Now()))
	if !errors.Is(err, ErrConflict) {
		return err
	}
	if stored, loadErr := f.store.Load(ctx, plan.Name); loadErr == nil && stored.Plan.equal(plan) {
		return nil // somebody else has added the same
	}
	return err
}

// Approve opens a gate of a record, now or in advance. An open gate stays open. The error is [ErrConflict] for a record
// that is final.
//
// Before the cutover is approved, writes to the source must have stopped.
func (f *Fleet) Approve(ctx context.Context, name string, gate Gate) error {
	if !gate.known() {
		return fmt.Errorf("durable: approve a gate of %q: %q is no gate, must be %q or %q: %w",
			name, gate, GateStart, GateCutover, livemigration.ErrInvalidRequest)
	}
	return f.change(ctx, name, func(r Record, now time.Time) (Record, error) {
		if r.State.Final() {
			return r, fmt.Errorf("durable: approve the %s of %q: it is %s: %w", gate, r.Plan.Name, r.State, ErrConflict)
		}
		return r.Approve(gate, now), nil
	})
}

// Adopt gives an UNCLEAR record the id of the job that a person has found in Atlas, see [Record.Adopt]. The error is
// [ErrConflict] when another record has the id.
func (f *Fleet) Adopt(ctx context.Context, name string, id livemigration.MigrationID) error {
	others, err := f.store.List(ctx)
	if err != nil {
		return fmt.Errorf("durable: adopt a migration for %q: %w", name, err)
	}
	for _, other := range others {
		if id != "" && other.MigrationID == id && key(other.Plan.Name) != key(name) {
			return fmt.Errorf("durable: adopt migration %s for %q: %q has it: %w", id, name, other.Plan.Name, ErrConflict)
		}
	}
	return f.change(ctx, name, func(r Record, now time.Time) (Record, error) { return r.Adopt(id, now) })
}

// Restart plans a record again. It must be UNCLEAR, FAILED or EXPIRED, see [Record.Restart]. If it is UNCLEAR, make
// sure in Atlas first that its migration does not run. The error is [ErrConflict] in another state, or when another
// record has one of the clusters by now.
func (f *Fleet) Restart(ctx context.Context, name string) error {
	return f.changeAmongOthers(ctx, name, "restart", func(r Record, now time.Time) (Record, error) { return r.Restart(now) })
}

// Replace gives a record another plan of the same name. The record must be PLANNED, FAILED or EXPIRED, see
// [Record.Replace]. The clusters must be free, as for [Fleet.Add].
func (f *Fleet) Replace(ctx context.Context, plan Plan) error {
	return f.changeAmongOthers(ctx, plan.Name, "replace", func(r Record, now time.Time) (Record, error) { return r.Replace(plan, now) })
}

// Abandon takes a record out, in any state. It needs no attention any more and holds up no other record. In Atlas
// nothing changes: a job that runs there continues.
func (f *Fleet) Abandon(ctx context.Context, name string) error {
	return f.change(ctx, name, func(r Record, now time.Time) (Record, error) { return r.Abandon(now), nil })
}

// change stores what do makes of a record, again if somebody else was faster.
func (f *Fleet) change(ctx context.Context, name string, do func(Record, time.Time) (Record, error)) error {
	const most = 100 // each time somebody else has stored something
	var conflict error
	for range most {
		stored, err := f.store.Load(ctx, name)
		if err != nil {
			return err
		}
		changed, err := do(stored, time.Now())
		if err != nil || !changed.News(stored) {
			return err
		}
		if _, err = f.store.Save(ctx, changed); !errors.Is(err, ErrConflict) {
			f.nudge()
			return err
		}
		conflict = err
	}
	return conflict
}

// changeAmongOthers does so where the clusters of the result must be free.
func (f *Fleet) changeAmongOthers(ctx context.Context, name, what string, do func(Record, time.Time) (Record, error)) error {
	records, err := f.store.List(ctx)
	if err != nil {
		return fmt.Errorf("durable: %s %q: %w", what, name, err)
	}
	others := records[:0]
	for _, r := range records {
		if key(r.Plan.Name) != key(name) {
			others = append(others, r)
		}
	}
	return f.change(ctx, name, func(r Record, now time.Time) (Record, error) {
		changed, err := do(r, now)
		if err == nil {
			err = newClusters(others).take(what, changed.Plan)
		}
		return changed, err
	})
}

// nudge makes the run of this fleet look for changes at once.
func (f *Fleet) nudge() {
	if run := f.running(); run != nil {
		select {
		case run.nudged <- struct{}{}:
		default:
		}
	}
}
