package durable

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"time"

	"github.com/livemigration/livemigration-go"
)

const (
	lockRun   = "run"
	lockPlans = "plans"
	// lockPause is the time between two attempts to take the lock of the plans.
	lockPause = 20 * time.Millisecond
	// mostStale is how often in a row others may change a record before a change of a person gives up.
	mostStale = 100
)

// Add stores the records of plans. All plans are checked before one is stored. A plan that is stored already, and equal,
// changes nothing, so a program can give all its plans each time that it starts. Each call reads all records: give it all
// plans at once.
//
// The error is [ErrConflict] when a record has the name with another plan, or when another record has the source or the
// destination cluster. A record that is FAILED, EXPIRED or ABANDONED has none, and one that is COMPLETE has its destination
// only. The error is [livemigration.ErrInvalidRequest] when a plan is not valid.
func (f *Fleet) Add(ctx context.Context, plans ...Plan) error {
	return f.lockedPlans(ctx, "add plans", func(records []Record) error {
		fresh, err := freshPlans(records, plans)
		if err != nil {
			return err
		}
		for _, plan := range fresh {
			if err := f.save(ctx, NewRecord(plan, time.Now())); err != nil {
				return recordError("add", plan.Name, err)
			}
		}
		return nil
	})
}

// freshPlans are the plans that are not stored yet. The error names all that cannot be added.
func freshPlans(records []Record, plans []Plan) (fresh []Plan, err error) {
	known, taken := make(map[string]Plan, len(records)+len(plans)), takenClusters(records)
	for _, r := range records {
		known[key(r.Plan.Name)] = r.Plan
	}
	var problems []error
	for _, plan := range plans {
		other, exists := known[key(plan.Name)]
		err := plan.Validate()
		switch {
		case err != nil:
		case exists && plan.equal(other):
			continue
		case exists:
			err = fmt.Errorf("a plan of that name exists and differs in %s: use Replace, or another name: %w",
				nameOrDifferences(plan, other), ErrConflict)
		default:
			err = taken.take(plan)
		}
		if err != nil {
			problems = append(problems, recordError("add", plan.Name, err))
			continue
		}
		known[key(plan.Name)] = plan
		fresh = append(fresh, plan)
	}
	return fresh, joined(problems)
}

func nameOrDifferences(plan, other Plan) string {
	if plan.Name != other.Name {
		return fmt.Sprintf("the case of its name, %q", other.Name)
	}
	return plan.differences(other)
}

// Replace gives a PLANNED, FAILED or EXPIRED record another plan of the same name, see [Record.Replace]. The clusters must
// be free, as for [Fleet.Add].
func (f *Fleet) Replace(ctx context.Context, plan Plan) error {
	return f.lockedPlans(ctx, fmt.Sprintf("replace %q", plan.Name), func(records []Record) error {
		return f.changeAmong(ctx, "replace", plan.Name, records, func(r Record, now time.Time) (Record, error) {
			return r.Replace(plan, now)
		})
	})
}

// Restart plans records again that are UNCLEAR, FAILED or EXPIRED, see [Record.Restart]. If one is UNCLEAR, make sure in
// Atlas first that its migration does not run. The error is [ErrConflict] in another state, less than two minutes after a
// record became UNCLEAR, and when another record has one of the clusters by now. Those that can be restarted are; the errors
// of the others are joined.
func (f *Fleet) Restart(ctx context.Context, names ...string) error {
	return f.lockedPlans(ctx, "restart", func(records []Record) error {
		var problems []error
		for _, name := range names {
			if err := f.changeAmong(ctx, "restart", name, records, Record.Restart); err != nil {
				problems = append(problems, err)
			} else if i := indexOf(records, name); i >= 0 {
				records[i].State = StatePlanned // it has its clusters from now on
			}
		}
		return joined(problems)
	})
}

// Adopt gives an UNCLEAR record the ID of the migration that a person has found in Atlas, see [Record.Adopt]. The error is
// [ErrConflict] in another state, and when another record has the ID.
func (f *Fleet) Adopt(ctx context.Context, name string, id livemigration.MigrationID) error {
	return f.lockedPlans(ctx, fmt.Sprintf("adopt a migration for %q", name), func(records []Record) error {
		for _, other := range records {
			if id != "" && other.MigrationID == id && key(other.Plan.Name) != key(name) {
				return recordError("adopt a migration for", name, fmt.Errorf("%q has migration %s: %w", other.Plan.Name, id, ErrConflict))
			}
		}
		return f.change(ctx, "adopt a migration for", name, func(r Record, now time.Time) (Record, error) { return r.Adopt(id, now) })
	})
}

// Approve opens a gate of a record, now or in advance. by is who approves, and until is when the approval ends; the zero time
// is never. Stop writes to the source before you approve the cutover.
//
// The error is [ErrConflict] for a record that is final, and once the action behind the gate has started. It is
// [livemigration.ErrInvalidRequest] if by is empty, see [Record.Approve].
func (f *Fleet) Approve(ctx context.Context, name string, gate Gate, by string, until time.Time) error {
	return f.change(ctx, "approve", name, func(r Record, now time.Time) (Record, error) { return r.Approve(gate, by, until, now) })
}

// Revoke takes an approval back. by is who revokes. nil means that the action behind the gate is not sent after this. The
// errors are those of [Fleet.Approve].
func (f *Fleet) Revoke(ctx context.Context, name string, gate Gate, by string) error {
	return f.change(ctx, "revoke an approval of", name, func(r Record, now time.Time) (Record, error) { return r.Revoke(gate, by, now) })
}

// Abandon takes a record out, see [Record.Abandon]: it needs no attention any more, and other records may have its clusters.
// In Atlas nothing changes: a migration that runs there continues.
func (f *Fleet) Abandon(ctx context.Context, name string) error {
	return f.change(ctx, "abandon", name, func(r Record, now time.Time) (Record, error) { return r.Abandon(now) })
}

// Remove deletes a record from the store. It must be COMPLETE, ABANDONED, or PLANNED and never have had a migration, and
// nothing may have begun. Else the error is [ErrConflict]. Its name and its clusters can be used again.
func (f *Fleet) Remove(ctx context.Context, name string) error {
	for range mostStale {
		stored, err := f.store.Load(ctx, name)
		if err == nil {
			err = stored.checkRemove(time.Now())
		}
		if err == nil {
			err = f.store.Delete(ctx, stored.Plan.Name, stored.Revision)
		}
		switch {
		case err == nil:
			f.wake()
			return nil
		case !errors.Is(err, ErrStale):
			return recordError("remove", name, err)
		}
	}
	return recordError("remove", name, ErrStale)
}

// change stores what do returns for a record, and does so again when the record was changed meanwhile.
func (f *Fleet) change(ctx context.Context, what, name string, do func(Record, time.Time) (Record, error)) error {
	for range mostStale {
		stored, err := f.store.Load(ctx, name)
		if err != nil {
			return recordError(what, name, err)
		}
		changed, err := do(stored, time.Now())
		if err == nil && reflect.DeepEqual(changed, stored) {
			return nil
		}
		if err == nil {
			err = f.save(ctx, changed)
		}
		if err == nil {
			return nil
		}
		if !errors.Is(err, ErrStale) {
			return recordError(what, name, err)
		}
	}
	return recordError(what, name, ErrStale)
}

// changeAmong does so where the clusters of the result must be free.
func (f *Fleet) changeAmong(
	ctx context.Context, what, name string, records []Record, do func(Record, time.Time) (Record, error),
) error {
	return f.change(ctx, what, name, func(r Record, now time.Time) (Record, error) {
		changed, err := do(r, now)
		if err == nil {
			err = takenClusters(records).except(name).take(changed.Plan)
		}
		return changed, err
	})
}

func (f *Fleet) save(ctx context.Context, r Record) error {
	_, err := f.store.Save(ctx, r)
	f.wake()
	return err
}

// lockedPlans does something with all records while no other process adds, replaces, restarts or adopts.
func (f *Fleet) lockedPlans(ctx context.Context, what string, do func([]Record) error) (err error) {
	lost, unlock, err := f.store.Lock(ctx, lockPlans)
	for errors.Is(err, ErrRunning) {
		if wait(ctx, lockPause); ctx.Err() != nil {
			return fmt.Errorf("durable: %s: wait for the lock of the plans: %w", what, contextError(ctx))
		}
		lost, unlock, err = f.store.Lock(ctx, lockPlans)
	}
	if err != nil {
		return fmt.Errorf("durable: %s: %w", what, err)
	}
	defer func() {
		if unlockErr := unlock(); err == nil && unlockErr != nil {
			err = fmt.Errorf("durable: %s: unlock the plans: %w", what, unlockErr)
		}
	}()
	records, err := f.store.List(ctx)
	if err != nil {
		return fmt.Errorf("durable: %s: %w", what, err)
	}
	select {
	case <-lost: // nil is never ready
		return fmt.Errorf("durable: %s: %w", what, ErrLockLost)
	default:
		return do(records)
	}
}
