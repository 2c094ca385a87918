package durable

import (
	"fmt"
	"strings"
)

var (
	// ErrStale says that a store has another revision of the record: load it and try again.
	ErrStale error = &sentinel{"stale", "stale revision"}
	// ErrConflict says that a change is not possible: the record is not in a state that allows it, or another record has
	// the same name, cluster or job.
	ErrConflict error = &sentinel{"conflict", "conflict"}
	// ErrNotFound says that a store has no record of that name.
	ErrNotFound error = &sentinel{"not_found", "record not found"}
	// ErrRunning says that another run works on the store.
	ErrRunning error = &sentinel{"running", "another run works on this store"}
	// ErrLockLost says that a run has lost its lock, so that another run may work on the store.
	ErrLockLost error = &sentinel{"lock_lost", "the lock of the run was lost"}
)

// IncompleteError says that a run has ended with records that are neither COMPLETE nor ABANDONED.
type IncompleteError struct {
	// Records are those records.
	Records []Record
}

// Error names the first twenty records, with state and problem.
func (e *IncompleteError) Error() string {
	return fmt.Sprintf("durable: %s not complete: %s", count(e.Records, " is", "s are"), list(e.Records))
}

// UnsavedError says that a run has ended with records that could not be stored, although Atlas has done something for
// them. Write down their migration IDs.
type UnsavedError struct {
	// Records are those records, as they should be stored.
	Records []Record
}

// Error names the first twenty records, with state and migration.
func (e *UnsavedError) Error() string {
	return fmt.Sprintf("durable: %s not stored: %s", count(e.Records, " is", "s are"), list(e.Records))
}

func count(records []Record, one, more string) string {
	if len(records) == 1 {
		return "1 record" + one
	}
	return fmt.Sprintf("%d record%s", len(records), more)
}

func list(records []Record) string {
	texts := make([]string, len(records))
	for i, r := range records {
		texts[i] = r.String()
	}
	return firstOf(texts)
}

// firstOf joins the first twenty texts.
func firstOf(texts []string) string {
	const most = 20
	if more := len(texts) - most; more > 0 {
		texts = append(texts[:most:most], fmt.Sprintf("and %d more", more))
	}
	return strings.Join(texts, "; ")
}
