package durable

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/livemigration/livemigration-go"
)

// operation names an operation in Problem.
type operation string

const (
	creatingValidation operation = "creating the validation"
	readingValidation  operation = "reading the validation"
	creatingMigration  operation = "creating the migration"
	readingMigration   operation = "reading the migration"
	cuttingOver        operation = "the cutover"
	askingApproval     operation = "asking for the approval"
)

// describe puts a failure into words: a head that is the same for the same operation, status and code, and the rest.
func (o operation) describe(err error) (head, detail string) {
	var (
		api      *livemigration.APIError
		password *passwordError
		paced    *livemigration.PacingError
		call     *livemigration.CallError
	)
	switch {
	case errors.As(err, &api):
		return fmt.Sprintf("%s failed with %s", o, status(api)), apiDetail(api)
	case errors.As(err, &password):
		return string(o) + withoutPassword, password.err.Error()
	case errors.As(err, &paced):
		return fmt.Sprintf("%s waits: the rate limit is reached", o), ""
	case errors.As(err, &call):
		prefix := fmt.Sprintf("livemigration: %s %s: ", call.Method, call.Path)
		return fmt.Sprintf("%s failed without a response", o), strings.TrimPrefix(call.Error(), prefix)
	default:
		return fmt.Sprintf("%s failed", o), strings.TrimPrefix(err.Error(), "livemigration: ")
	}
}

// failedAt reports whether the last failure was that of an operation.
func (r *Record) failedAt(o operation) bool { return strings.HasPrefix(r.Problem, string(o)) }

const withoutPassword = " failed, without a password for the source user"

// lacksPassword reports whether the last action has sent nothing, because there was no password.
func (r *Record) lacksPassword() bool { return strings.Contains(r.Problem, withoutPassword) }

// text is a failure in one sentence.
func (o operation) text(err error) string {
	head, detail := o.describe(err)
	if detail = clean(detail); detail == "" {
		return head
	}
	return head + ": " + detail
}

// status is "403 IP_ADDRESS_NOT_ON_ACCESS_LIST", or "503 Service Unavailable" where Atlas gave no code.
func status(api *livemigration.APIError) string {
	text := api.Code
	if text == "" {
		text = http.StatusText(api.StatusCode)
	}
	return strings.TrimSpace(fmt.Sprintf("%d %s", api.StatusCode, text))
}

func apiDetail(api *livemigration.APIError) string {
	parts := make([]string, 0, 1+len(api.Fields))
	if api.Detail != "" {
		parts = append(parts, api.Detail)
	}
	for _, field := range api.Fields {
		parts = append(parts, field.String())
	}
	return strings.Join(parts, "; ")
}

// weather records a failure that passes by itself.
func (r *Record) weather(o operation, err error, now time.Time) {
	head, detail := o.describe(err)
	r.trouble(head, detail, now)
}

// rejected reports whether Atlas itself, or this library, will not take the request however often it is sent.
func rejected(err error) bool {
	var api *livemigration.APIError
	return errors.Is(err, livemigration.ErrInvalidRequest) || errors.As(err, &api) && api.Code != "" && final(api.StatusCode)
}

// rejectedByAnyone reports whether Atlas, or something before it, will not take the request.
func rejectedByAnyone(err error) bool {
	var api *livemigration.APIError
	return rejected(err) || errors.As(err, &api) && final(api.StatusCode)
}

func final(status int) bool { return status >= 400 && status < 500 && !passing(status) }

// passing reports whether a status of the client's side passes by itself: keys that are being exchanged, an access list,
// a proxy, a rate limit, time-outs.
func passing(status int) bool {
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusProxyAuthRequired, http.StatusRequestTimeout,
		http.StatusMisdirectedRequest, http.StatusTooEarly, http.StatusTooManyRequests, 460, 499:
		return true
	default:
		return false
	}
}

// unknownToAtlas reports whether Atlas itself says that there is no such job; a gateway may say 404 about anything.
func unknownToAtlas(err error) bool {
	var api *livemigration.APIError
	return errors.As(err, &api) && api.StatusCode == http.StatusNotFound && api.Code != ""
}
