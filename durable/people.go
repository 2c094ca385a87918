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

// Add stores the records of plans. It checks all plans before it stores one. A plan that is already stored changes nothing, so a
// program can add all its plans each time it starts. Each call reads all records, so add many plans at once.
//
// The error is [ErrConflict] if a record has the name with another plan, or if another record has the source or the
// destination cluster. A record that is FAILED, EXPIRED or ABANDONED has none, and one that is COMPLETE only its destination.
// The error is [livemigration.ErrInvalidRequest] if a plan is not valid.
func (f *Fleet) Add(ctx context.Context, plans ...Plan) error {
	return f.lockedPlans(ctx, "add plans", func(records []Record) error {
		fresh, err := freshPlans(records, plans)
		if err != nil {
			return err
		}
		for _, plan := range fresh {
			if _, err := f.store.Save(ctx, NewRecord(plan, time.Now())); err != nil {
				return recordError("add", plan.Name, err)
			}
		}
		f.wake()
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

// Replace gives a PLANNED, FAILED or EXPIRED record another plan with the same name, see [Record.Replace]. The clusters must
// be free, as for [Fleet.Add].
func (f *Fleet) Replace(ctx context.Context, plan Plan) error {
	return f.lockedPlans(ctx, fmt.Sprintf("replace %q", plan.Name), func(records []Record) error {
		return f.changeAmong(ctx, "replace", plan.Name, records, func(r Record, now time.Time) (Record, error) {
			return r.Replace(plan, now)
		})
	})
}

// Restart plans UNCLEAR, FAILED, EXPIRED or ABANDONED records again, see [Record.Restart]. If one is UNCLEAR, first make sure
// in the Atlas UI that its migration does not run. The error is [ErrConflict] in other states, less than two minutes after the
// create request of an UNCLEAR record, and if another record has one of the clusters. Restart restarts the records that it
// can, and joins the errors of the others.
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

// Adopt gives an UNCLEAR record the ID of the migration that you found in Atlas, see [Record.Adopt]. The error is
// [ErrConflict] in other states, and if another record has the ID.
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

// Abandon takes a record out, see [Record.Abandon]: it no longer needs attention, and other records may have its clusters. In
// Atlas nothing changes: a migration that runs there continues.
func (f *Fleet) Abandon(ctx context.Context, name string) error {
	return f.change(ctx, "abandon", name, func(r Record, now time.Time) (Record, error) { return r.Abandon(now) })
}

// Remove deletes a record from the store. It must be COMPLETE, ABANDONED, or PLANNED and never have had a migration, and no
// action may be in progress; else the error is [ErrConflict]. Its name and its clusters can be used again.
func (f *Fleet) Remove(ctx context.Context, name string) error {
	return f.retry(ctx, "remove", name, func(stored Record) error {
		if err := stored.checkRemove(time.Now()); err != nil {
			return err
		}
		return f.store.Delete(ctx, stored.Plan.Name, stored.Revision)
	})
}

// change stores what do returns for a record.
func (f *Fleet) change(ctx context.Context, what, name string, do func(Record, time.Time) (Record, error)) error {
	return f.retry(ctx, what, name, func(stored Record) error {
		changed, err := do(stored, time.Now())
		if err != nil || reflect.DeepEqual(changed, stored) {
			return err
		}
		_, err = f.store.Save(ctx, changed)
		return err
	})
}

// retry does something with a record as it is stored, and does it again when the record was changed meanwhile.
func (f *Fleet) retry(ctx context.Context, what, name string, do func(Record) error) error {
	err := error(ErrStale)
	for tries := 0; errors.Is(err, ErrStale) && tries < mostStale; tries++ {
		var stored Record
		if stored, err = f.store.Load(ctx, name); err == nil {
			err = do(stored)
		}
	}
	f.wake()
	if err != nil {
		return recordError(what, name, err)
	}
	return nil
}

// changeAmong is change where the clusters of the result must be free.
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
