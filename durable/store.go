package durable

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// Store keeps records. [OpenDir] and [NewMemory] return two. The package storetest tests your own. A Store is safe for
// concurrent use, and for several processes where it is meant for more than one.
type Store interface {
	// List returns all records, in any order. If some cannot be read, it returns the others with an error that names
	// them.
	List(ctx context.Context) ([]Record, error)
	// Load returns the record of that name. Case does not matter. The error is [ErrNotFound] when there is none.
	Load(ctx context.Context, name string) (Record, error)
	// Save stores r if the stored revision is r.Revision, in one step; else the error is [ErrStale]. Revision 0 means that
	// no record of this name is stored, in any case. Save returns r with the next revision, r.Revision+1, otherwise
	// unchanged. A new record gets a revision that its name never had: not after Delete either. When Save returns, the
	// record has survived. It rejects what [Record.Validate] rejects.
	Save(ctx context.Context, r Record) (Record, error)
	// Delete removes a record if the stored revision is the given one; else the error is [ErrStale]. The error is
	// [ErrNotFound] when there is none of that name.
	Delete(ctx context.Context, name string, revision int64) error
	// Lock takes the lock of that name without waiting: "run", by a run; "plans", by a change that compares plans. The error
	// is [ErrRunning] while another one has it. The lock ends with unlock, and with the process. lost is closed when the
	// lock is lost before; it is nil when that cannot be. The other methods do not need a lock.
	Lock(ctx context.Context, what string) (lost <-chan struct{}, unlock func() error, err error)
}

// Changer is an optional interface of a [Store]. With it, a run notices within a second what other processes have stored.
// Without it, a run lists all records every 30 seconds.
type Changer interface {
	// Changed returns the records whose revision differs from the known one of their name, and the known names of which
	// there is no record. It is called every second, so it must cost little when nothing has changed. With an error it
	// returns what could be read.
	Changed(ctx context.Context, known map[string]int64) (changed []Record, gone []string, err error)
}

// checkRevision compares a record that is to be stored with the stored one.
func checkRevision(r Record, stored Record, exists bool) error {
	switch {
	case !exists && r.Revision != 0:
		return fmt.Errorf("it is not stored: %w", ErrStale)
	case exists && stored.Plan.Name != r.Plan.Name:
		return fmt.Errorf("there is a record %q: %w", stored.Plan.Name, ErrStale)
	default:
		return sameRevision(r.Revision, stored, exists)
	}
}

// checkDelete compares a revision that is to be deleted with the stored one.
func checkDelete(revision int64, stored Record, exists bool) error {
	if !exists {
		return ErrNotFound
	}
	return sameRevision(revision, stored, exists)
}

func sameRevision(revision int64, stored Record, exists bool) error {
	if exists && stored.Revision != revision {
		return fmt.Errorf("its revision is %d, not %d: %w", stored.Revision, revision, ErrStale)
	}
	return nil
}

func sortByName(records []Record) {
	slices.SortFunc(records, func(a, b Record) int { return strings.Compare(key(a.Plan.Name), key(b.Plan.Name)) })
}
