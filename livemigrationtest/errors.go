package livemigrationtest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

const wantID = "must be 24 lowercase hexadecimal digits"

// apiError is an error as Atlas writes it.
type apiError struct {
	BadRequestDetail *badRequestDetail `json:"badRequestDetail,omitempty"`
	Detail           string            `json:"detail"`
	Status           int               `json:"error"`
	Code             string            `json:"errorCode"`
	Parameters       []any             `json:"parameters"` // strings, numbers or nil
	Reason           string            `json:"reason"`

	bare bool // a 401 without a challenge
}

type badRequestDetail struct {
	Fields []violation `json:"fields"`
}

// violation is one thing that is wrong with one field.
type violation struct {
	code        string
	Field       string `json:"field"`
	Description string `json:"description"`
}

// newError returns an error. An empty code is the usual one of the status.
func newError(status int, code, detail string, parameters ...any) *apiError {
	if code == "" {
		code = codeFor(status)
	}
	return &apiError{
		Status: status, Code: code, Detail: detail, Reason: http.StatusText(status), Parameters: append([]any{}, parameters...),
	}
}

// codeFor is the usual code of a status. If Atlas's code is not public, it is the status's name.
func codeFor(status int) string {
	known := map[int]string{
		http.StatusBadRequest: "VALIDATION_ERROR", http.StatusNotFound: "RESOURCE_NOT_FOUND",
		http.StatusGone: "VERSION_GONE", http.StatusTooManyRequests: "RATE_LIMITED", http.StatusUnauthorized: "UNEXPECTED_ERROR",
	}
	if code := known[status]; code != "" {
		return code
	}
	name := http.StatusText(status)
	if status >= http.StatusInternalServerError || name == "" {
		return "UNEXPECTED_ERROR"
	}
	return strings.NewReplacer(" ", "_", "-", "_").Replace(strings.ToUpper(name))
}

// unauthorizedBody is the body of a 401 as Atlas writes it.
func (e *apiError) unauthorizedBody() []byte {
	detail, _ := json.Marshal(e.Detail) // a string cannot fail
	code, _ := json.Marshal(e.Code)
	const format = "{\n  \"error\" : %d,\n  \"reason\" : %q,\n  \"detail\" : %s,\n  \"errorCode\" : %s\n}"
	return fmt.Appendf(nil, format, e.Status, e.Reason, detail, code)
}

// badRequest is the error for violations; nil without any. Its code is the one that they share. The descriptions are in
// badRequestDetail only: a client shows that together with the detail.
func badRequest(violations []violation) *apiError {
	if len(violations) == 0 {
		return nil
	}
	e := newError(http.StatusBadRequest, violations[0].code, "Invalid request")
	e.BadRequestDetail = &badRequestDetail{violations}
	if slices.ContainsFunc(violations, func(v violation) bool { return v.code != e.Code }) {
		e.Code = "VALIDATION_ERROR"
	}
	for _, v := range violations {
		e.Parameters = append(e.Parameters, v.Field)
	}
	return e
}

// badParameter is the error for one parameter of the path or the body. It does not show the value, which may be a
// secret.
func badParameter(name, description string) *apiError {
	return badRequest([]violation{{"INVALID_ATTRIBUTE", name, description}})
}

// notFound is the error for a resource that does not exist.
func notFound(code, what, id string) *apiError {
	return newError(http.StatusNotFound, code, "No "+what+" with ID "+id+" exists.", id)
}

func upgrading() *apiError {
	return newError(http.StatusMethodNotAllowed, "WRITES_NOT_ALLOWED_DURING_APP_UPGRADES",
		"Nothing can be changed while Atlas is being upgraded. Try again later.")
}
