package livemigration

import (
	"fmt"
	"strings"
)

// InvalidRequestError is a request that was rejected before anything was sent.
type InvalidRequestError struct {
	// Violations are everything that is wrong.
	Violations []FieldViolation
}

// Error names the first twenty violations, in one line.
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
	// Field is a JSON path such as "source.password", or the name of a parameter such as "migration ID".
	Field string `json:"field"`
	// Description says what is right.
	Description string `json:"description"`
}

func (v FieldViolation) String() string { return v.Field + " " + v.Description }
