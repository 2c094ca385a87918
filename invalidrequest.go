package livemigration

import (
	"fmt"
	"strings"
)

// InvalidRequestError is a request that was rejected before anything was sent.
type InvalidRequestError struct {
	Violations []FieldViolation // everything that is wrong
}

func (e *InvalidRequestError) Error() string {
	return messagePrefix + "invalid request: " + joinViolations(e.Violations)
}

func (e *InvalidRequestError) Is(target error) bool { return target == ErrInvalidRequest }

// invalidRequest keeps a nil pointer from becoming a non-nil error.
func invalidRequest(violations []FieldViolation) error {
	if len(violations) == 0 {
		return nil
	}
	return &InvalidRequestError{Violations: violations}
}

// joinViolations names the first ones; a line of hundreds is of no use.
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

// FieldViolation is a field that is wrong.
type FieldViolation struct {
	Field       string `json:"field"`       // a JSON path such as "source.password", or a parameter such as "migration ID"
	Description string `json:"description"` // what is right
}

func (v FieldViolation) String() string { return v.Field + " " + v.Description }
