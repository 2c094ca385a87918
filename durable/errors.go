package durable

import (
	"errors"
	"fmt"
	"strings"
)

var (
	// ErrNotFound says that a store has no record of that name.
	ErrNotFound = errors.New("record not found")
	// ErrRunning says that another [Fleet.Run] works on the store.
	ErrRunning = errors.New("another run works on this store")
)

// problems are several errors in one.
type problems []error

// Error names the first twenty.
func (p problems) Error() string {
	const most = 20
	texts := make([]string, 0, most+1)
	for _, problem := range p[:min(len(p), most)] {
		texts = append(texts, problem.Error())
	}
	if more := len(p) - most; more > 0 {
		texts = append(texts, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(texts, "; ")
}

// Unwrap returns all of them.
func (p problems) Unwrap() []error { return p }

// IncompleteError says that a run has ended with records that are neither COMPLETE nor ABANDONED.
type IncompleteError struct {
	// Records are those records.
	Records []Record
}

// Error names the first twenty records, with state and problem.
func (e *IncompleteError) Error() string {
	const most = 20
	var b strings.Builder
	if len(e.Records) == 1 {
		b.WriteString("durable: 1 record is not complete: ")
	} else {
		fmt.Fprintf(&b, "durable: %d records are not complete: ", len(e.Records))
	}
	for i, r := range e.Records[:min(len(e.Records), most)] {
		if i > 0 {
			b.WriteString("; ")
		}
		fmt.Fprintf(&b, "%s is %s", r.Plan.Name, r.State)
		if r.Problem != "" {
			b.WriteString(" (" + r.Problem + ")")
		}
	}
	if more := len(e.Records) - most; more > 0 {
		fmt.Fprintf(&b, "; and %d more", more)
	}
	return b.String()
}
