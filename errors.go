package livemigration

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// Sentinels for [errors.Is] against an [*APIError], by its status.
var (
	// ErrBadRequest is status 400: Atlas refused the request's form or content.
	ErrBadRequest = errors.New("bad request")
	// ErrUnauthorized is status 401: the credentials are wrong.
	ErrUnauthorized = errors.New("unauthorized")
	// ErrForbidden is status 403: the credentials lack a role, or the caller's address is not on their access list.
	ErrForbidden = errors.New("forbidden")
	// ErrNotFound is status 404.
	ErrNotFound = errors.New("not found")
	// ErrConflict is status 409: the resource is not in a state that allows the operation.
	ErrConflict = errors.New("conflict")
	// ErrVersionGone is status 410: Atlas has removed this version of the resource; a newer release of this package is needed.
	ErrVersionGone = errors.New("version gone")
	// ErrRateLimited is status 429: too many requests, see [APIError.RetryAfter]. It is also any [*PacingError].
	ErrRateLimited = errors.New("rate limited")
	// ErrServer is status 500 and above.
	ErrServer = errors.New("server error")
)

// Sentinels for [errors.Is] against the other errors of this package.
var (
	// ErrInvalidRequest is any [*InvalidRequestError].
	ErrInvalidRequest = errors.New("invalid request")
	// ErrOutcomeUnknown is any [*OutcomeUnknownError].
	ErrOutcomeUnknown = errors.New("outcome unknown")
	// ErrValidationFailed is any [*ValidationFailedError].
	ErrValidationFailed = errors.New("validation failed")
	// ErrMigrationFailed is a [*MigrationFailedError] with status [MigrationFailed].
	ErrMigrationFailed = errors.New("migration failed")
	// ErrMigrationExpired is a [*MigrationFailedError] with status [MigrationExpired].
	ErrMigrationExpired = errors.New("migration expired")
)

const messagePrefix = "livemigration: "

// APIError is a failure that Atlas, or a gateway before it, answered with.
type APIError struct {
	// StatusCode is the HTTP status, or the one inside the envelope with [WithEnvelope].
	StatusCode int
	// Code is Atlas's error code such as "IP_ADDRESS_NOT_ON_ACCESS_LIST"; empty when the answer was not Atlas's JSON.
	Code string
	// Reason is the status in words.
	Reason string
	// Detail is Atlas's explanation, or a short excerpt of an answer that was not Atlas's JSON.
	Detail string
	// Parameters belong to Code: strings, numbers (float64) and nil.
	Parameters []any
	// Fields are the fields of the request that Atlas refused.
	Fields []FieldViolation
	// Method and Path are those of the request. Path is below the prefix of the API version, except for that of a token
	// endpoint. The ids in it are no secrets.
	Method, Path string
	// Attempts is how many times the request was made.
	Attempts int
	// RetryAfter is how long Atlas asked to wait; 0 when it did not ask.
	RetryAfter time.Duration
	// RequestID is Atlas's name for the request, for its support; empty when Atlas gave none.
	RequestID string
	// Duration is how long the call took, with all its attempts and the waits between them.
	Duration time.Duration

	retryAfterGiven bool // a Retry-After of 0 seconds is one too
	fromAtlas       bool // the body was Atlas's JSON error
	staleNonce      bool // a 401 that is not about the keys
}

// FieldViolation is one field of a request that is not as it must be.
type FieldViolation struct {
	// Field is a JSON path in the request's body such as "source.password", or the name of a parameter such as "groupId".
	Field string
	// Description says what is right.
	Description string
}

// String returns "field description".
func (v FieldViolation) String() string { return v.Field + " " + v.Description }

// Error describes the failure in one line.
func (e *APIError) Error() string {
	return messagePrefix + e.Method + " " + e.Path + ": " + e.summary()
}

// summary is the message without the operation, for messages that name it themselves.
func (e *APIError) summary() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d", e.StatusCode)
	switch {
	case e.Code != "":
		b.WriteString(" " + e.Code)
	case e.Reason != "":
		b.WriteString(" " + e.Reason)
	}
	if e.Detail != "" {
		b.WriteString(": " + e.Detail)
	}
	if len(e.Fields) > 0 {
		b.WriteString(": " + clean(joinViolations(e.Fields)))
	}
	if e.RetryAfter > 0 {
		fmt.Fprintf(&b, " (retry after %s)", e.RetryAfter)
	}
	b.WriteString(formatAttempts(e.Attempts))
	return b.String()
}

// Is reports whether target is the sentinel of the error's status.
func (e *APIError) Is(target error) bool {
	switch e.StatusCode {
	case http.StatusBadRequest:
		return target == ErrBadRequest
	case http.StatusUnauthorized:
		return target == ErrUnauthorized
	case http.StatusForbidden:
		return target == ErrForbidden
	case http.StatusNotFound:
		return target == ErrNotFound
	case http.StatusConflict:
		return target == ErrConflict
	case http.StatusGone:
		return target == ErrVersionGone
	case http.StatusTooManyRequests:
		return target == ErrRateLimited
	default:
		return e.StatusCode >= http.StatusInternalServerError && target == ErrServer
	}
}

// InvalidRequestError is a request that was refused before anything was sent.
type InvalidRequestError struct {
	// Violations are all that is wrong, in the order of the fields.
	Violations []FieldViolation
}

// Error lists the violations in one line, up to twenty of them.
func (e *InvalidRequestError) Error() string {
	return messagePrefix + "invalid request: " + joinViolations(e.Violations)
}

// Is reports whether target is [ErrInvalidRequest].
func (e *InvalidRequestError) Is(target error) bool { return target == ErrInvalidRequest }

// invalidRequest keeps a nil pointer from becoming a non-nil error.
func invalidRequest(violations []FieldViolation) error {
	if len(violations) == 0 {
		return nil
	}
	return &InvalidRequestError{Violations: violations}
}

// joinViolations names the first ones; nobody reads a line of hundreds.
func joinViolations(violations []FieldViolation) string {
	const most = 20
	var parts []string
	for _, v := range violations[:min(len(violations), most)] {
		parts = append(parts, v.String())
	}
	if more := len(violations) - most; more > 0 {
		parts = append(parts, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(parts, "; ")
}

// OutcomeUnknownError says that a request may have been carried out, that its answer is lost, and that repeating it is
// not safe: a migration may run whose id nobody knows, or a link-token may exist. Look in the Atlas user interface
// before you call again.
type OutcomeUnknownError struct {
	// Method and Path are those of the request. Path is below the prefix of the API version.
	Method, Path string
	// Err is what became of the answer.
	Err error
	// ID is the id of the job that was created, where the part of the answer that arrived shows it; usually empty.
	ID string
	// Attempts is how many times the request was made.
	Attempts int
	// Duration is how long the call took, with all its attempts and the waits between them.
	Duration time.Duration
	// RequestID is Atlas's name for the request, for its support; empty when the answer with it is lost.
	RequestID string
}

// Error describes the failure in one line.
func (e *OutcomeUnknownError) Error() string {
	known := ""
	if e.ID != "" {
		known = ", the id is " + e.ID
	}
	return messagePrefix + e.Method + " " + e.Path + ": the request may have been carried out" + known +
		", check before repeating it: " + summaryOf(e.Err)
}

// Unwrap returns Err.
func (e *OutcomeUnknownError) Unwrap() error { return e.Err }

// Is reports whether target is [ErrOutcomeUnknown].
func (e *OutcomeUnknownError) Is(target error) bool { return target == ErrOutcomeUnknown }

// ValidationFailedError says that a validation ended in [ValidationFailed].
type ValidationFailedError struct {
	// Validation is the job's last state; its ErrorMessage says why.
	Validation *Validation
}

// Error gives the job's id and Atlas's reason.
func (e *ValidationFailedError) Error() string {
	if e.Validation == nil {
		return messagePrefix + "validation failed"
	}
	message := messagePrefix + "validation " + string(e.Validation.ID) + " failed"
	if reason := clean(e.Validation.ErrorMessage); reason != "" {
		message += ": " + reason
	}
	return message
}

// Is reports whether target is [ErrValidationFailed].
func (e *ValidationFailedError) Is(target error) bool { return target == ErrValidationFailed }

// MigrationFailedError says that a migration ended in [MigrationFailed] or [MigrationExpired].
type MigrationFailedError struct {
	// Migration is the job's last state.
	Migration *Migration
}

// Error gives the job's id and status.
func (e *MigrationFailedError) Error() string {
	if e.Migration == nil {
		return messagePrefix + "migration failed"
	}
	message := messagePrefix + "migration " + string(e.Migration.ID)
	if e.Migration.Status == MigrationExpired {
		return message + " expired: it was not cut over within 120 hours of its being ready"
	}
	return message + " failed"
}

// Is reports whether target is the sentinel of the job's status.
func (e *MigrationFailedError) Is(target error) bool {
	if e.Migration == nil {
		return false
	}
	switch e.Migration.Status {
	case MigrationFailed:
		return target == ErrMigrationFailed
	case MigrationExpired:
		return target == ErrMigrationExpired
	default:
		return false
	}
}

// summaryOf is an error's message without what the message around it says already.
func summaryOf(err error) string {
	if err == nil {
		return "no cause given"
	}
	if own, ok := err.(interface{ summary() string }); ok {
		return own.summary()
	}
	return strings.TrimPrefix(err.Error(), messagePrefix)
}

// formatAttempts ends a message about a request that was made more than once.
func formatAttempts(n int) string {
	if n < 2 {
		return ""
	}
	return fmt.Sprintf(" (after %d attempts)", n)
}

// CallError is a call that ended without an answer of Atlas or a gateway: for the network, a timeout, or a context that
// has ended.
type CallError struct {
	// Method and Path are those of the request. Path is below the prefix of the API version.
	Method, Path string
	// Attempts is how many times the request was made.
	Attempts int
	// Duration is how long the call took, with all its attempts and the waits between them.
	Duration time.Duration
	// Err is what happened in the last attempt.
	Err error

	text string
}

// Error describes the failure in one line.
func (e *CallError) Error() string {
	return messagePrefix + e.Method + " " + e.Path + ": " + e.summary()
}

// Unwrap returns Err.
func (e *CallError) Unwrap() error { return e.Err }

func (e *CallError) summary() string {
	if e.text == "" && e.Err != nil { // one that somebody else has made
		return clean(e.Err.Error())
	}
	return e.text
}

// interruptedError is a context that ended between two attempts.
type interruptedError struct{ ctx, last error }

func (e *interruptedError) Error() string {
	return e.ctx.Error() + " while waiting to repeat after: " + summaryOf(e.last)
}

func (e *interruptedError) Unwrap() []error { return []error{e.ctx, e.last} }

// timeoutError is a time-out that is not the deadline of the caller's context, although its own error says so. It is
// everything else that its own error is.
type timeoutError struct {
	text string
	err  error
}

func (e *timeoutError) Error() string  { return e.text }
func (*timeoutError) Timeout() bool    { return true }
func (*timeoutError) Temporary() bool  { return true }
func (e *timeoutError) As(to any) bool { return errors.As(e.err, to) }
func (e *timeoutError) Is(to error) bool {
	return to != context.DeadlineExceeded && errors.Is(e.err, to)
}

// salvagedError is the loss of an answer of which the job's id is known.
type salvagedError struct {
	id  string
	err error
}

func (e *salvagedError) Error() string { return e.err.Error() }
func (e *salvagedError) Unwrap() error { return e.err }

// keepSalvaged puts another error in the place of one, with the id that the one may hold.
func keepSalvaged(err, other error) error {
	var salvaged *salvagedError
	if errors.As(err, &salvaged) {
		return &salvagedError{salvaged.id, other}
	}
	return other
}

// brokenAnswerError is a success whose body is of no use.
type brokenAnswerError struct{ err error }

func (e *brokenAnswerError) Error() string { return "unusable answer: " + e.err.Error() }
func (e *brokenAnswerError) Unwrap() error { return e.err }
