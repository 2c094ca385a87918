package livemigrationtest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// Error codes of Atlas. For a status without a code of its own here, see codeFor.
const (
	codeInvalidAttribute   = "INVALID_ATTRIBUTE"
	codeMissingAttribute   = "MISSING_ATTRIBUTE"
	codeInvalidJSON        = "INVALID_JSON"
	codeValidationError    = "VALIDATION_ERROR"
	codeResourceNotFound   = "RESOURCE_NOT_FOUND"
	codeGroupNotFound      = "GROUP_NOT_FOUND"
	codeInvalidVersionDate = "INVALID_VERSION_DATE"
	codeVersionGone        = "VERSION_GONE"
	codeRateLimited        = "RATE_LIMITED"
	codeTokenBucket        = "RATE_LIMITED_TOKEN_BUCKET"
	codeUnexpectedError    = "UNEXPECTED_ERROR"
	codeLinkInUse          = "CANNOT_DELETE_ORG_ACTIVE_LIVE_MIGRATION_ATLAS_ORG_LINK"
)

// apiError is an error on its way to the wire.
type apiError struct {
	status         int
	code           string // empty: codeFor the status
	detail         string
	parameters     []any // strings, numbers or nil
	nullParameters bool  // null stands in the place of an empty list
	violations     []violation
}

// violation is one thing that is wrong with one field.
type violation struct {
	code        string
	field       string
	description string
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
	Fields []fieldError `json:"fields"`
}

type fieldError struct {
	Field       string `json:"field"`
	Description string `json:"description"`
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
		body.BadRequestDetail = &badRequestDetail{}
		for _, v := range e.violations {
			body.BadRequestDetail.Fields = append(body.BadRequestDetail.Fields, fieldError{v.field, v.description})
		}
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

// codeFor is the usual code of a status. Where Atlas's own is not public it is the status's name.
func codeFor(status int) string {
	switch status {
	case http.StatusBadRequest:
		return codeValidationError
	case http.StatusUnauthorized:
		return codeUnexpectedError
	case http.StatusNotFound:
		return codeResourceNotFound
	case http.StatusGone:
		return codeVersionGone
	case http.StatusTooManyRequests:
		return codeRateLimited
	}
	name := http.StatusText(status)
	if status >= http.StatusInternalServerError || name == "" {
		return codeUnexpectedError
	}
	return strings.NewReplacer(" ", "_", "-", "_").Replace(strings.ToUpper(name))
}

// failure is an error without parameters.
func failure(status int, detail string) *apiError { return &apiError{status: status, detail: detail} }

// badRequest is the error for violations; nil without any. Its code is the one that they share. What is wrong stands in
// badRequestDetail only: a client shows that together with the detail.
func badRequest(violations []violation) *apiError {
	if len(violations) == 0 {
		return nil
	}
	e := &apiError{status: http.StatusBadRequest, code: violations[0].code, detail: "Invalid request", violations: violations}
	if slices.ContainsFunc(violations, func(v violation) bool { return v.code != e.code }) {
		e.code = codeValidationError
	}
	for _, v := range violations {
		e.parameters = append(e.parameters, v.field)
	}
	return e
}

// badParameter is the error for one parameter of the path, the query or the body. It does not show the value, which may
// be a secret, or one in the wrong place.
func badParameter(name, description string) *apiError {
	return badRequest([]violation{{codeInvalidAttribute, name, description}})
}

// notFound is the error for a resource that does not exist.
func notFound(code, what, id string) *apiError {
	return &apiError{
		status: http.StatusNotFound, code: code, detail: "No " + what + " with ID " + id + " exists.", parameters: []any{id},
	}
}
