package durable

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Store keeps records. [OpenDir] and [NewMemory] make two. The package storetest tests one of your own. A Store is safe
// for concurrent use, also by several processes where it is for more than one.
type Store interface {
	// List returns all records, in any order. If some cannot be read, it returns the others with an error that names
	// them.
	List(ctx context.Context) ([]Record, error)
	// Load returns the record of that name. Case does not matter. The error is [ErrNotFound] when there is none.
	Load(ctx context.Context, name string) (Record, error)
	// Save stores r if the stored revision is r.Revision, in one step; else the error is [ErrConflict]. Revision 0
	// means that no record of this name is stored, in any case. Save returns r with the next revision, otherwise
	// unchanged. When it returns, the record has survived. It rejects what [Record.Validate] rejects.
	Save(ctx context.Context, r Record) (Record, error)
	// Lock takes the lock of a run, without waiting. The error is [ErrRunning] while another [Fleet.Run] has it. The
	// lock ends with unlock, and with the process. The other methods do not need it.
	Lock(ctx context.Context) (unlock func() error, err error)
}

// Changer is an optional interface of a [Store]. With it, [Fleet.Run] notices within seconds what other processes have
// stored. Without it, Run lists all records every 30 seconds.
type Changer interface {
	// Changed returns the records whose revision differs from what known returns for their name. known returns 0 for a
	// name that it does not know. Changed is called every two seconds, so it must cost little when nothing has changed.
	// With an error it returns those that could be read.
	Changed(ctx context.Context, known func(name string) int64) ([]Record, error)
}

func conflict(r Record, why string) error {
	return fmt.Errorf("durable: save %q: %s: %w", r.Plan.Name, why, ErrConflict)
}

func notFound(name string) error {
	return fmt.Errorf("durable: load %q: %w", name, ErrNotFound)
}

// checkRevision compares what is to be stored with what is.
func checkRevision(r Record, stored Record, exists bool) error {
	switch {
	case !exists && r.Revision != 0:
		return conflict(r, "it is not stored")
	case exists && stored.Plan.Name != r.Plan.Name:
		return conflict(r, fmt.Sprintf("there is a record %q", stored.Plan.Name))
	case exists && stored.Revision != r.Revision:
		return conflict(r, fmt.Sprintf("its revision is %d, not %d", stored.Revision, r.Revision))
	default:
		return nil
	}
}

func sortByName(records []Record) {
	slices.SortFunc(records, func(a, b Record) int { return strings.Compare(key(a.Plan.Name), key(b.Plan.Name)) })
}

// missingStore stands in the place of a nil one.
type missingStore struct{}

var errNoStore = errors.New("durable: the store must not be nil")

func (missingStore) List(context.Context) ([]Record, error)       { return nil, errNoStore }
func (missingStore) Load(context.Context, string) (Record, error) { return Record{}, errNoStore }
func (missingStore) Save(context.Context, Record) (Record, error) { return Record{}, errNoStore }
func (missingStore) Lock(context.Context) (func() error, error)   { return nil, errNoStore }
