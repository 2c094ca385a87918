package livemigrationtest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

const wantID = "must be 24 lowercase hexadecimal digits"

// apiError is an error that a response reports.
type apiError struct {
	status         int
	code           string // empty: codeFor the status
	detail         string
	parameters     []any // strings, numbers or nil
	nullParameters bool  // null in place of an empty list
	bare           bool  // a 401 without a challenge
	violations     []violation
}

// violation is one thing that is wrong with one field.
type violation struct {
	code        string
	Field       string `json:"field"`
	Description string `json:"description"`
}

// errorBody is an error as Atlas writes it.
type errorBody struct {
	BadRequestDetail *badRequestDetail `json:"badRequestDetail,omitempty"`
	Detail           string            `json:"detail"`
	Error            int               `json:"error"`
	ErrorCode        string            `json:"errorCode"`
	Parameters       []any             `json:"parameters"`
	Reason           string            `json:"reason"`
}

type badRequestDetail struct {
	Fields []violation `json:"fields"`
}

func (e *apiError) body() errorBody {
	body := errorBody{
		Error: e.status, ErrorCode: e.code, Reason: http.StatusText(e.status), Detail: e.detail, Parameters: e.parameters,
	}
	if body.ErrorCode == "" {
		body.ErrorCode = codeFor(e.status)
	}
	if body.Parameters == nil && !e.nullParameters {
		body.Parameters = []any{}
	}
	if len(e.violations) > 0 {
		body.BadRequestDetail = &badRequestDetail{e.violations}
	}
	return body
}

// unauthorizedBody is a 401 as Atlas writes it.
func (e *apiError) unauthorizedBody() []byte {
	quote := func(text string) []byte {
		quoted, _ := json.Marshal(text) // a string cannot fail
		return quoted
	}
	body := e.body()
	return fmt.Appendf(nil, "{\n  \"error\" : %d,\n  \"reason\" : %s,\n  \"detail\" : %s,\n  \"errorCode\" : %s\n}",
		body.Error, quote(body.Reason), quote(body.Detail), quote(body.ErrorCode))
}

// codeFor is the usual code of a status. If Atlas's code is not public, it is the status's name.
func codeFor(status int) string {
	switch status {
	case http.StatusBadRequest:
		return "VALIDATION_ERROR"
	case http.StatusNotFound:
		return "RESOURCE_NOT_FOUND"
	case http.StatusGone:
		return "VERSION_GONE"
	case http.StatusTooManyRequests:
		return "RATE_LIMITED"
	}
	name := http.StatusText(status)
	if status == http.StatusUnauthorized || status >= http.StatusInternalServerError || name == "" {
		return "UNEXPECTED_ERROR"
	}
	return strings.NewReplacer(" ", "_", "-", "_").Replace(strings.ToUpper(name))
}

// failure is an error without parameters.
func failure(status int, detail string) *apiError { return &apiError{status: status, detail: detail} }

// badRequest is the error for violations; nil without any. Its code is the one that they share. The descriptions are in
// badRequestDetail only: a client shows that together with the detail.
func badRequest(violations []violation) *apiError {
	if len(violations) == 0 {
		return nil
	}
	e := &apiError{status: http.StatusBadRequest, code: violations[0].code, detail: "Invalid request", violations: violations}
	if slices.ContainsFunc(violations, func(v violation) bool { return v.code != e.code }) {
		e.code = "VALIDATION_ERROR"
	}
	for _, v := range violations {
		e.parameters = append(e.parameters, v.Field)
	}
	return e
}

// badParameter is the error for one parameter of the path, the query or the body. It does not show the value, which may
// be a secret, or one in the wrong place.
func badParameter(name, description string) *apiError {
	return badRequest([]violation{{"INVALID_ATTRIBUTE", name, description}})
}

// notFound is the error for a resource that does not exist.
func notFound(code, what, id string) *apiError {
	return &apiError{
		status: http.StatusNotFound, code: code, detail: "No " + what + " with ID " + id + " exists.", parameters: []any{id},
	}
}

func upgrading() *apiError {
	return &apiError{
		status: http.StatusMethodNotAllowed, code: "WRITES_NOT_ALLOWED_DURING_APP_UPGRADES",
		detail: "Nothing can be changed while Atlas is being upgraded. Try again later.",
	}
}
