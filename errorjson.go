package livemigration

import (
	"bytes"
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

// marshal fills in what every error has, and what the APIError within it says.
func (j errorJSON) marshal(kind string, err error) ([]byte, error) {
	j.Kind, j.Message, j.MayExist, j.Retryable = kind, err.Error(), MayHaveCreated(err), Retryable(err)
	var api *APIError
	if errors.As(err, &api) {
		j.Status, j.Code, j.RetryAfter = api.StatusCode, api.Code, api.RetryAfter.Seconds()
		if j.RequestID == "" {
			j.RequestID = api.RequestID
		}
		if j.Fields == nil {
			j.Fields = api.Fields
		}
	}
	return json.Marshal(j)
}

func callJSON(operation, method, path string, attempts int, took time.Duration) errorJSON {
	return errorJSON{Operation: operation, Method: method, Path: path, Attempts: attempts, Duration: took.Seconds()}
}

func (e *APIError) MarshalJSON() ([]byte, error) {
	return callJSON(e.Operation, e.Method, e.Path, e.Attempts, e.Duration).marshal("api", e)
}

func (e *InvalidRequestError) MarshalJSON() ([]byte, error) {
	return errorJSON{Fields: e.Violations}.marshal("invalid_request", e)
}

func (e *OutcomeUnknownError) MarshalJSON() ([]byte, error) {
	j := callJSON(e.Operation, e.Method, e.Path, e.Attempts, e.Duration)
	j.ID, j.RequestID = e.ID, e.RequestID
	return j.marshal("outcome_unknown", e)
}

func (e *PacingError) MarshalJSON() ([]byte, error) {
	j := callJSON(e.Operation, e.Method, e.Path, e.Attempts, e.Duration)
	j.Wait = e.Wait.Seconds()
	return j.marshal("pacing", e)
}

func (e *CallError) MarshalJSON() ([]byte, error) {
	return callJSON(e.Operation, e.Method, e.Path, e.Attempts, e.Duration).marshal("call", e)
}

func (e *WaitError) MarshalJSON() ([]byte, error) {
	return errorJSON{Outage: e.Outage.Seconds()}.marshal("wait", e)
}

func (e *ValidationFailedError) MarshalJSON() ([]byte, error) {
	var j errorJSON
	if e.Validation != nil {
		j.ID = string(e.Validation.ID)
	}
	return j.marshal("validation_failed", e)
}

func (e *MigrationFailedError) MarshalJSON() ([]byte, error) {
	var j errorJSON
	if e.Migration != nil {
		j.ID = string(e.Migration.ID)
	}
	if errors.Is(e, ErrMigrationExpired) {
		return j.marshal("migration_expired", e)
	}
	return j.marshal("migration_failed", e)
}

func (e *configError) MarshalJSON() ([]byte, error) { return errorJSON{}.marshal("invalid_config", e) }
