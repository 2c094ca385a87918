package durable

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/livemigration/livemigration-go"
)

// sentinel is an error that programs compare with errors.Is. It marshals to JSON as its kind.
type sentinel struct{ kind, text string }

// Error is the text.
func (e *sentinel) Error() string { return e.text }

// MarshalJSON writes kind and message.
func (e *sentinel) MarshalJSON() ([]byte, error) {
	return json.Marshal(wireError{Kind: e.kind, Message: e.text})
}

// recordError says what failed, and for which record.
func recordError(what, name string, err error) error {
	return &changeError{fmt.Sprintf("%s %q: ", what, name), err}
}

type changeError struct {
	head string
	err  error
}

// Error leaves out what the reason repeats.
func (e *changeError) Error() string {
	text := strings.TrimPrefix(e.err.Error(), "durable: ")
	return "durable: " + e.head + strings.TrimPrefix(text, e.head)
}

// Unwrap returns the reason.
func (e *changeError) Unwrap() error { return e.err }

// MarshalJSON writes kind, message and records.
func (e *IncompleteError) MarshalJSON() ([]byte, error) {
	return json.Marshal(wireError{Kind: "incomplete", Message: e.Error(), Records: summaries(e.Records)})
}

// MarshalJSON writes kind, message and records.
func (e *UnsavedError) MarshalJSON() ([]byte, error) {
	return json.Marshal(wireError{Kind: "unsaved", Message: e.Error(), Records: summaries(e.Records)})
}

// wireError is the JSON of the errors of this package, which is like that of the client.
type wireError struct {
	Kind    string    `json:"kind"`
	Message string    `json:"message"`
	Records []summary `json:"records,omitempty"`
}

type summary struct {
	Name        string                    `json:"name"`
	State       State                     `json:"state"`
	MigrationID livemigration.MigrationID `json:"migration_id,omitempty"`
	Problem     *Problem                  `json:"problem,omitempty"`
}

func summaries(records []Record) []summary {
	all := make([]summary, len(records))
	for i, r := range records {
		all[i] = summary{r.Plan.Name, r.State, r.MigrationID, r.Problem}
	}
	return all
}

// manyErrors are several errors in one line.
type manyErrors []error

// joined returns the errors that are not nil, as one.
func joined(errs []error) error {
	all := slices.DeleteFunc(slices.Clone(errs), func(err error) bool { return err == nil })
	switch len(all) {
	case 0:
		return nil
	case 1:
		return all[0]
	default:
		return manyErrors(all)
	}
}

// Error names the first twenty.
func (e manyErrors) Error() string {
	texts := make([]string, len(e))
	for i, err := range e {
		texts[i] = err.Error()
	}
	return firstOf(texts)
}

// Unwrap returns the errors.
func (e manyErrors) Unwrap() []error { return e }

func contextError(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if errors.Is(cause, err) {
		return cause
	}
	return fmt.Errorf("%w: %w", err, cause)
}
