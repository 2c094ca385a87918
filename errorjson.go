package livemigration

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"time"

	"github.com/livemigration/livemigration-go/internal/redact"
)

// ErrorJSON returns the JSON of any error, even a wrapped one: an object, an array for [errors.Join], null for nil. Its
// members, such as kind, message, status, code and may_have_created, are in docs/observability.md.
func ErrorJSON(err error) []byte {
	if err == nil {
		return []byte("null")
	}
	for inner, depth := err, 0; inner != nil; inner, depth = errors.Unwrap(inner), depth+1 {
		if marshaler, ok := inner.(json.Marshaler); ok {
			if data, failed := json.Marshal(marshaler); failed == nil {
				return withMessage(data, err, depth)
			}
		}
		if joined, ok := inner.(interface{ Unwrap() []error }); ok {
			parts := [][]byte{}
			for _, one := range joined.Unwrap() {
				parts = append(parts, ErrorJSON(one))
			}
			return append(append([]byte("["), bytes.Join(parts, []byte(","))...), ']')
		}
	}
	data, _ := json.Marshal(errorJSON{Kind: "other", Message: summaryOf(err)})
	return data
}

// withMessage puts the message of the whole error into the JSON of one inside it.
func withMessage(data []byte, whole error, depth int) []byte {
	var members map[string]json.RawMessage
	if depth == 0 || json.Unmarshal(data, &members) != nil {
		return data
	}
	message, _ := json.Marshal(redact.Line(whole.Error()))
	members["message"] = message
	changed, _ := json.Marshal(members)
	return changed
}

// errorJSON is the form in which every error of this package marshals to JSON.
type errorJSON struct {
	Kind       string           `json:"kind"`
	Message    string           `json:"message"`
	Operation  string           `json:"operation,omitempty"`
	Status     int              `json:"status,omitempty"`
	Code       string           `json:"code,omitempty"`
	RequestID  string           `json:"request_id,omitempty"`
	Method     string           `json:"method,omitempty"`
	Path       string           `json:"path,omitempty"`
	ID         string           `json:"id,omitempty"`
	Attempts   int              `json:"attempts,omitempty"`
	Duration   float64          `json:"duration_seconds,omitempty"`
	RetryAfter float64          `json:"retry_after_seconds,omitempty"`
	Wait       float64          `json:"wait_seconds,omitempty"`
	Outage     float64          `json:"outage_seconds,omitempty"`
	MayExist   bool             `json:"may_have_created,omitempty"`
	Retryable  bool             `json:"retryable,omitempty"`
	Fields     []FieldViolation `json:"fields,omitempty"`
}

func (j *errorJSON) call(kind, operation, method, path string, attempts int, took time.Duration) {
	j.Kind, j.Operation, j.Method, j.Path, j.Attempts, j.Duration = kind, operation, method, path, attempts, took.Seconds()
}

func marshalError(err error) ([]byte, error) {
	j := errorJSON{Message: err.Error(), MayExist: MayHaveCreated(err), Retryable: Retryable(err)}
	var api *APIError
	if errors.As(err, &api) {
		j.Status, j.Code, j.RequestID, j.Fields, j.RetryAfter = api.StatusCode, api.Code, api.RequestID, api.Fields, api.RetryAfter.Seconds()
	}
	switch e := err.(type) {
	case *APIError:
		j.call("api", e.Operation, e.Method, e.Path, e.Attempts, e.Duration)
	case *CallError:
		j.call("call", e.Operation, e.Method, e.Path, e.Attempts, e.Duration)
	case *PacingError:
		j.call("pacing", e.Operation, e.Method, e.Path, e.Attempts, e.Duration)
		j.Wait = e.Wait.Seconds()
	case *OutcomeUnknownError:
		j.call("outcome_unknown", e.Operation, e.Method, e.Path, e.Attempts, e.Duration)
		j.ID, j.RequestID = e.ID, cmp.Or(e.RequestID, j.RequestID)
	case *InvalidRequestError:
		j.Kind, j.Fields = "invalid_request", e.Violations
	case *WaitError:
		j.Kind, j.Outage = "wait", e.Outage.Seconds()
	case *ValidationFailedError:
		j.Kind = "validation_failed"
		if e.Validation != nil {
			j.ID = string(e.Validation.ID)
		}
	case *MigrationFailedError:
		j.Kind = "migration_failed"
		if errors.Is(e, ErrMigrationExpired) {
			j.Kind = "migration_expired"
		}
		if e.Migration != nil {
			j.ID = string(e.Migration.ID)
		}
	case *configError:
		j.Kind = "invalid_config"
	}
	return json.Marshal(j)
}

func (e *APIError) MarshalJSON() ([]byte, error)              { return marshalError(e) }
func (e *CallError) MarshalJSON() ([]byte, error)             { return marshalError(e) }
func (e *PacingError) MarshalJSON() ([]byte, error)           { return marshalError(e) }
func (e *OutcomeUnknownError) MarshalJSON() ([]byte, error)   { return marshalError(e) }
func (e *InvalidRequestError) MarshalJSON() ([]byte, error)   { return marshalError(e) }
func (e *WaitError) MarshalJSON() ([]byte, error)             { return marshalError(e) }
func (e *ValidationFailedError) MarshalJSON() ([]byte, error) { return marshalError(e) }
func (e *MigrationFailedError) MarshalJSON() ([]byte, error)  { return marshalError(e) }
func (e *configError) MarshalJSON() ([]byte, error)           { return marshalError(e) }
