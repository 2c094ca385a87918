package livemigration

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/livemigration/livemigration-go/internal/redact"
)

// An [*APIError] matches these by its status.
var (
	ErrBadRequest   = errors.New("bad request")  // 400
	ErrUnauthorized = errors.New("unauthorized") // 401: wrong credentials, a missing role, or the IP access list
	ErrForbidden    = errors.New("forbidden")    // 403: a missing role, or the IP access list
	ErrNotFound     = errors.New("not found")    // 404
	ErrConflict     = errors.New("conflict")     // 409: the state does not allow it
	ErrVersionGone  = errors.New("version gone") // 410: update this package
	ErrRateLimited  = errors.New("rate limited") // 429, or a [*PacingError]
	ErrServer       = errors.New("server error") // 5xx
)

// Other errors match these.
var (
	ErrInvalidRequest   = errors.New("invalid request")       // [*InvalidRequestError]
	ErrOutcomeUnknown   = errors.New("outcome unknown")       // [*OutcomeUnknownError]
	ErrValidationFailed = errors.New("validation failed")     // [*ValidationFailedError]
	ErrMigrationFailed  = errors.New("migration failed")      // [*MigrationFailedError] with [MigrationFailed]
	ErrMigrationExpired = errors.New("migration expired")     // [*MigrationFailedError] with [MigrationExpired]
	ErrInvalidConfig    = errors.New("invalid configuration") // a client or credentials that cannot be created
)

const messagePrefix = "livemigration: "

// APIError is a failure with which Atlas, or a gateway in front of it, responded.
type APIError struct {
	Operation    string           // the method that was called, such as "Migrations.Create"
	StatusCode   int              // of the response, or inside its body
	Code         string           // Atlas's, such as "IP_ADDRESS_NOT_ON_ACCESS_LIST"; empty from a gateway
	Reason       string           // the status in words
	Detail       string           // Atlas's explanation, or an excerpt of the body
	Parameters   []any            // of Code: strings, numbers (float64) and nil
	Fields       []FieldViolation // that Atlas rejected
	Method, Path string           // such as "/groups/6560f2a49c1b7e03d5000001/liveMigrations", or of a token endpoint
	Attempts     int
	RetryAfter   time.Duration // how long Atlas asked to wait; 0 if it did not
	RequestID    string        // for Atlas's support; empty if Atlas sent none
	Duration     time.Duration // with all attempts and waits

	limit time.Duration // set when Atlas asks for a longer wait than the call makes
}

func (e *APIError) Error() string { return message(e.Operation, e.Method, e.Path, e.summary()) }

func message(operation, method, path, summary string) string {
	if operation != "" {
		operation += ": "
	}
	return messagePrefix + operation + method + " " + path + ": " + summary
}

// summary is the message without the operation, for messages that name it.
func (e *APIError) summary() string { return e.cause() + afterAttempts(e.Attempts) }

// cause is the message of one attempt.
func (e *APIError) cause() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d", e.StatusCode)
	if name := cmp.Or(e.Code, e.Reason); name != "" {
		b.WriteString(" " + redact.Line(name))
	}
	if e.Detail != "" {
		b.WriteString(": " + redact.Line(e.Detail))
	}
	if len(e.Fields) > 0 {
		b.WriteString(": " + redact.Line(joinViolations(e.Fields)))
	}
	if e.limit > 0 {
		fmt.Fprintf(&b, "; Atlas asked to wait %s, longer than this client's limit of %s (RetryPolicy.MaxRetryAfter)",
			short(e.RetryAfter), short(e.limit))
	} else if e.RetryAfter > 0 {
		fmt.Fprintf(&b, " (retry after %s)", e.RetryAfter)
	}
	return b.String()
}

func afterAttempts(n int) string {
	if n < 2 {
		return ""
	}
	return fmt.Sprintf(" (after %d attempts)", n)
}

func (e *APIError) Is(target error) bool {
	sentinels := [...]error{ErrBadRequest, ErrUnauthorized, ErrForbidden, ErrNotFound, ErrConflict, ErrVersionGone, ErrRateLimited}
	i := slices.Index([]int{400, 401, 403, 404, 409, 410, 429}, e.StatusCode)
	return i >= 0 && target == sentinels[i] || e.StatusCode >= http.StatusInternalServerError && target == ErrServer
}

// OutcomeUnknownError is a request that may have taken effect, and is not safe to send again.
type OutcomeUnknownError struct {
	Operation, Method, Path string
	Err                     error  // how the last attempt ended
	ID                      string // of the job that was created, if a part of the response showed it
	Attempts                int
	Duration                time.Duration
	RequestID               string

	check string
}

func (e *OutcomeUnknownError) Error() string {
	return message(e.Operation, e.Method, e.Path, e.summary())
}

func (e *OutcomeUnknownError) summary() string {
	text := "outcome unknown: " + cmp.Or(e.check, "the request may have taken effect; check the Atlas UI before you send it again")
	if e.ID != "" {
		text += "; its ID is " + e.ID
	}
	return text + ": " + summaryOf(e.Err)
}

func (e *OutcomeUnknownError) MigrationID() MigrationID { return MigrationID(e.ID) }
func (e *OutcomeUnknownError) Unwrap() error            { return e.Err }

func (e *OutcomeUnknownError) Is(target error) bool {
	return target == ErrOutcomeUnknown || target == errMayHaveCreated && e.Method != http.MethodPut // a cutover creates nothing
}

// MayHaveCreated reports whether a call may have created a migration, a link-token or a link. Check it first: such an
// error may also match [ErrServer], [ErrRateLimited] or [context.Canceled].
func MayHaveCreated(err error) bool {
	return errors.Is(err, errMayHaveCreated)
}

// errMayHaveCreated is matched by what may have created something. [errors.Is] follows all errors that are joined.
var errMayHaveCreated = errors.New("may have created")

// summaryOf is an error's message without what the message around it says already.
func summaryOf(err error) string {
	if err == nil {
		return "no cause given"
	}
	if own, ok := err.(interface{ summary() string }); ok {
		return own.summary()
	}
	return redact.Line(strings.TrimPrefix(err.Error(), messagePrefix))
}

func causeOf(err error) string {
	if own, ok := err.(interface{ cause() string }); ok {
		return own.cause()
	}
	return summaryOf(err)
}

// CallError is a call without a usable response, because of the network, a timeout or the context.
type CallError struct {
	Operation, Method, Path string
	Attempts                int
	Duration                time.Duration
	Err                     error
}

func (e *CallError) Error() string   { return message(e.Operation, e.Method, e.Path, e.summary()) }
func (e *CallError) Unwrap() error   { return e.Err }
func (e *CallError) summary() string { return e.cause() + afterAttempts(e.Attempts) }
func (e *CallError) cause() string   { return summaryOf(e.Err) }

// PacingError is a request that was not sent, because its turn within the rate limit would have come after the
// context's deadline (then it also matches [context.DeadlineExceeded]), or later than the client waits.
type PacingError struct {
	Operation, Method, Path string
	Attempts                int // before this one
	Duration                time.Duration
	Wait                    time.Duration // about how long until its turn
	Err                     error         // how the attempt before ended, nil without one

	deadline bool
}

func (e *PacingError) Error() string { return message(e.Operation, e.Method, e.Path, e.summary()) }

func (e *PacingError) summary() string {
	text := "not sent: rate limited for another " + short(e.Wait)
	if e.deadline {
		text += ", past the context's deadline"
	}
	if e.Err != nil {
		text += "; last error: " + summaryOf(e.Err)
	}
	return text
}

func (e *PacingError) Is(target error) bool {
	return target == ErrRateLimited || e.deadline && target == context.DeadlineExceeded
}

func (e *PacingError) Unwrap() error { return e.Err }

// interruptedError is a context that ended, and the failure before that.
type interruptedError struct{ ended, before error }

func (e *interruptedError) Error() string {
	return summaryOf(e.ended) + "; last error: " + causeOf(e.before)
}

func (e *interruptedError) Unwrap() []error { return []error{e.ended, e.before} }
