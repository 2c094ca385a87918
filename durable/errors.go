package durable

import (
	"fmt"
	"strings"
)

var (
	// ErrStale says that the store has another revision of the record: load it, and try again.
	ErrStale error = &sentinel{"stale", "stale revision"}
	// ErrConflict says that a change is not possible: the state of the record does not allow it, or another record has the
	// same name, cluster or migration.
	ErrConflict error = &sentinel{"conflict", "conflict"}
	// ErrNotFound says that a store has no record of that name.
	ErrNotFound error = &sentinel{"not_found", "record not found"}
	// ErrRunning says that another run works on the store.
	ErrRunning error = &sentinel{"running", "another run works on this store"}
	// ErrLockLost says that a run has lost its lock, so another run may work on the store.
	ErrLockLost error = &sentinel{"lock_lost", "the lock of the run was lost"}
)

// IncompleteError names the Records that were neither COMPLETE nor ABANDONED when a run ended.
type IncompleteError struct{ Records []Record }

// Error names the first twenty records, with state and problem.
func (e *IncompleteError) Error() string {
	return fmt.Sprintf("durable: %s not complete: %s", count(e.Records, " is", "s are"), list(e.Records))
}

// UnsavedError names the Records that a run could not store, although Atlas has created their migrations. Write down their
// migration IDs.
type UnsavedError struct{ Records []Record }

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
