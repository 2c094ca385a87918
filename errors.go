package livemigration

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/livemigration/livemigration-go/internal/exchange"
	"github.com/livemigration/livemigration-go/internal/pacing"
	"github.com/livemigration/livemigration-go/internal/redact"
	"github.com/livemigration/livemigration-go/internal/response"
)

// Sentinels for [errors.Is] against an [*APIError], by its status.
var (
	// ErrBadRequest is status 400.
	ErrBadRequest = errors.New("bad request")
	// ErrUnauthorized is status 401: the credentials are wrong.
	ErrUnauthorized = errors.New("unauthorized")
	// ErrForbidden is status 403: a role is missing, or the address is not on the access list.
	ErrForbidden = errors.New("forbidden")
	// ErrNotFound is status 404.
	ErrNotFound = errors.New("not found")
	// ErrConflict is status 409: not in a state that allows the operation.
	ErrConflict = errors.New("conflict")
	// ErrVersionGone is status 410: Atlas has removed this version of the API. Update this package.
	ErrVersionGone = errors.New("version gone")
	// ErrRateLimited is status 429, or a [*PacingError].
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
	// ErrInvalidConfig is any error of [NewClient], [NewClientFromEnv], [NewSourceClient] and [CredentialsFromEnv].
	ErrInvalidConfig = errors.New("invalid configuration")
	// ErrMigrationExpired is a [*MigrationFailedError] with status [MigrationExpired].
	ErrMigrationExpired = errors.New("migration expired")
)

const messagePrefix = "livemigration: "

// APIError is a failure with which Atlas, or a gateway before it, responded.
type APIError struct {
	// StatusCode is the HTTP status, or the one inside an envelope or a body.
	StatusCode int
	// Code is Atlas's error code, such as "IP_ADDRESS_NOT_ON_ACCESS_LIST"; empty from a gateway.
	Code string
	// Reason is the status in words.
	Reason string
	// Detail is Atlas's explanation, or an excerpt of another text.
	Detail string
	// Parameters belong to Code: strings, numbers (float64) and nil.
	Parameters []any
	// Fields are those of the request that Atlas rejected.
	Fields []FieldViolation
	// Path is below the prefix of the API version, or that of a token endpoint.
	Method, Path string
	// Attempts is how many times the request was made.
	Attempts int
	// RetryAfter is how long Atlas asked to wait; 0 if it did not.
	RetryAfter time.Duration
	// RequestID is for Atlas's support; empty if Atlas gave none.
	RequestID string
	// Duration is that of the call, all attempts and waits included.
	Duration time.Duration

	// limit is set when Atlas asks for a longer wait than a call makes.
	limit time.Duration
}

// Error is one line.
func (e *APIError) Error() string {
	return messagePrefix + e.Method + " " + e.Path + ": " + e.summary()
}

// summary is the message without the operation, for messages that name it themselves.
func (e *APIError) summary() string {
	r := response.Error{
		StatusCode: e.StatusCode, Code: e.Code, Reason: e.Reason, Detail: e.Detail, RetryAfter: e.RetryAfter,
	}
	for _, f := range e.Fields {
		r.Fields = append(r.Fields, response.Field{Name: f.Field, Description: f.Description})
	}
	text := r.Summary() + afterAttempts(e.Attempts)
	if e.limit > 0 {
		text += ": Atlas asks to wait " + short(e.RetryAfter) + ", calls wait " + short(e.limit) + " at the most"
	}
	return text
}

func afterAttempts(n int) string {
	if n < 2 {
		return ""
	}
	return fmt.Sprintf(" (after %d attempts)", n)
}

// Is matches the sentinel of the status.
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

// OutcomeUnknownError says that a request may have been carried out, and that sending it again is not safe. The message
// says what to look for in Atlas, and where. After a cutover, [MigrationsService.Get] tells.
type OutcomeUnknownError struct {
	// Path is below the prefix of the API version.
	Method, Path string
	// Err is how the last attempt ended: an [*APIError] or a [*CallError].
	Err error
	// ID is that of the job that was created, if a part of the response showed it.
	ID string
	// Attempts is how many times the request was made.
	Attempts int
	// Duration is that of the call.
	Duration time.Duration
	// RequestID is for Atlas's support; often empty.
	RequestID string

	lookFor string
}

// Error is one line.
func (e *OutcomeUnknownError) Error() string {
	return messagePrefix + e.Method + " " + e.Path + ": " + e.summary()
}

func (e *OutcomeUnknownError) summary() string {
	known := ""
	if e.ID != "" {
		known = ", the id is " + e.ID
	}
	lookFor := cmp.Or(e.lookFor, "the request may have been carried out, look in Atlas before you send it again")
	return lookFor + known + ": " + summaryOf(e.Err)
}

// MigrationID returns ID as that of a migration.
func (e *OutcomeUnknownError) MigrationID() MigrationID { return MigrationID(e.ID) }

// Unwrap returns Err.
func (e *OutcomeUnknownError) Unwrap() error { return e.Err }

// Is matches [ErrOutcomeUnknown].
func (e *OutcomeUnknownError) Is(target error) bool {
	return target == ErrOutcomeUnknown || target == errMayHaveCreated && e.Method != http.MethodPut // that is a cutover
}

// MayHaveCreated reports whether a migration, a link-token or a migration link may have been created. It is false for a
// cutover. Ask it before any other question: err may also be [ErrServer], [ErrRateLimited] or [context.Canceled].
func MayHaveCreated(err error) bool {
	return errors.Is(err, errMayHaveCreated)
}

// errMayHaveCreated is matched by what may have created something. [errors.Is] looks at all errors that are joined.
var errMayHaveCreated = errors.New("may have created")

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

// CallError is a call without a usable response: because of the network, a timeout, or a context that has ended.
type CallError struct {
	// Path is below the prefix of the API version.
	Method, Path string
	// Attempts is how many times the request was made.
	Attempts int
	// Duration is that of the call.
	Duration time.Duration
	// Err is what happened last.
	Err error

	text string
}

// Error is one line.
func (e *CallError) Error() string {
	return messagePrefix + e.Method + " " + e.Path + ": " + e.summary()
}

// Unwrap returns Err.
func (e *CallError) Unwrap() error { return e.Err }

func (e *CallError) summary() string {
	if e.text == "" && e.Err != nil { // one that somebody else has made
		return redact.Line(e.Err.Error())
	}
	return e.text
}

// PacingError says that a request was not sent, because its turn within the rate limit would have come after the
// context's deadline, or because Atlas asked for a longer wait than the client makes. It is [ErrRateLimited], and with
// a deadline [context.DeadlineExceeded]. See [WithoutPacing].
type PacingError struct {
	// Path is below the prefix of the API version.
	Method, Path string
	// Attempts is how many times the request was made before.
	Attempts int
	// Wait is about how long the request would have waited.
	Wait time.Duration
	// Duration is that of the call.
	Duration time.Duration
	// Err is how the attempt before ended; nil without one.
	Err error

	deadline bool
}

// Error is one line.
func (e *PacingError) Error() string {
	return messagePrefix + e.Method + " " + e.Path + ": " + e.summary()
}

func (e *PacingError) summary() string {
	text := (&pacing.TooLate{Wait: e.Wait, Deadline: e.deadline}).Error()
	if e.Err != nil {
		text += "; the attempt before: " + summaryOf(e.Err)
	}
	return text
}

// Is matches [ErrRateLimited], and [context.DeadlineExceeded] where the deadline is the reason.
func (e *PacingError) Is(target error) bool {
	return target == ErrRateLimited || e.deadline && target == context.DeadlineExceeded
}

// Unwrap returns Err.
func (e *PacingError) Unwrap() error { return e.Err }

// publicError turns what came of a call into its error, nil when it succeeded. lookFor says what to look for when nobody
// knows.
func publicError(r *exchange.Request, o *exchange.Outcome, lookFor string) error {
	if o.Verdict == exchange.Done {
		return nil
	}
	e := ending{r, o}
	f := &o.Failure
	var err error
	switch {
	case o.Waiting:
		err = e.interrupted("while waiting to retry after", f)
	case f.TooLate != nil:
		err = &PacingError{r.Endpoint.Method, r.Path, o.Attempts, f.TooLate.Wait, o.Duration, e.attempt(&o.Before), f.TooLate.Deadline}
	case o.Ended != nil && unusable(f.Err): // in a grace, and that is not what made it so
		err = e.interrupted("in an attempt that failed", f)
	case f.Response == nil && o.Ended != nil && !o.Before.None():
		err = e.interrupted("in an attempt after", &o.Before)
	case f.Response == nil && o.Ended != nil: // in whatever words the transport has put it
		err = e.call(o.Ended, redact.Line(o.Ended.Error()))
	default:
		err = e.attempt(f)
	}
	if o.Verdict == exchange.Failed {
		return err
	}
	return &OutcomeUnknownError{
		Method: r.Endpoint.Method, Path: r.Path, Err: err, ID: f.ID, Attempts: o.Attempts, Duration: o.Duration,
		RequestID: o.RequestID, lookFor: lookFor,
	}
}

// ending makes the errors of a call that did not succeed.
type ending struct {
	r *exchange.Request
	o *exchange.Outcome
}

func (e ending) call(err error, text string) error {
	return &CallError{e.r.Endpoint.Method, e.r.Path, e.o.Attempts, e.o.Duration, err, text + afterAttempts(e.o.Attempts)}
}

// attempt is the error of one attempt, nil when there was none.
func (e ending) attempt(f *exchange.Failure) error {
	switch {
	case f.None():
		return nil
	case f.Response != nil:
		api := newAPIError(f.Response, e.o.Duration)
		api.limit = f.Limit
		return api
	default:
		return e.call(f.Err, f.Text)
	}
}

func (e ending) interrupted(when string, before *exchange.Failure) error {
	ended := &interruptedError{e.o.Ended, when, before.Text, e.attempt(before)}
	return e.call(ended, ended.Error())
}

func unusable(err error) bool {
	return errors.As(err, new(*response.Unusable)) && !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded)
}

// interruptedError is a context that ended, and the failure before that.
type interruptedError struct {
	ended  error
	when   string
	text   string // of before
	before error
}

func (e *interruptedError) Error() string {
	return redact.Line(summaryOf(e.ended)) + " " + e.when + ": " + e.text
}

func (e *interruptedError) Unwrap() []error { return []error{e.ended, e.before} }
