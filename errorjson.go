package livemigration

import (
	"encoding/json"
	"errors"
	"time"
)

// errorJSON is the form in which every error of this package marshals to JSON, for tools that print it.
type errorJSON struct {
	Kind       string           `json:"kind"`
	Message    string           `json:"message"`
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
	Fields     []fieldViolation `json:"fields,omitempty"`
}

type fieldViolation struct {
	Field       string `json:"field"`
	Description string `json:"description"`
}

func violationsJSON(violations []FieldViolation) (out []fieldViolation) {
	for _, v := range violations {
		out = append(out, fieldViolation(v))
	}
	return out
}

// marshal fills in what every error has, and what the APIError within it says.
func (j errorJSON) marshal(kind string, err error) ([]byte, error) {
	j.Kind, j.Message, j.MayExist = kind, err.Error(), MayHaveCreated(err)
	var api *APIError
	if errors.As(err, &api) {
		j.Status, j.Code, j.RetryAfter = api.StatusCode, api.Code, api.RetryAfter.Seconds()
		if j.RequestID == "" {
			j.RequestID = api.RequestID
		}
		if j.Fields == nil {
			j.Fields = violationsJSON(api.Fields)
		}
	}
	return json.Marshal(j)
}

func callJSON(method, path string, attempts int, took time.Duration) errorJSON {
	return errorJSON{Method: method, Path: path, Attempts: attempts, Duration: took.Seconds()}
}

// MarshalJSON writes kind, message, status, code, request_id, method, path, attempts, fields, duration_seconds and
// retry_after_seconds.
func (e *APIError) MarshalJSON() ([]byte, error) {
	return callJSON(e.Method, e.Path, e.Attempts, e.Duration).marshal("api", e)
}

// MarshalJSON writes kind, message and fields.
func (e *InvalidRequestError) MarshalJSON() ([]byte, error) {
	return errorJSON{Fields: violationsJSON(e.Violations)}.marshal("invalid_request", e)
}

// MarshalJSON writes what that of an [APIError] does, may_have_created and id.
func (e *OutcomeUnknownError) MarshalJSON() ([]byte, error) {
	j := callJSON(e.Method, e.Path, e.Attempts, e.Duration)
	j.ID, j.RequestID = e.ID, e.RequestID
	return j.marshal("outcome_unknown", e)
}

// MarshalJSON writes kind, message, method, path, attempts, duration_seconds and wait_seconds.
func (e *PacingError) MarshalJSON() ([]byte, error) {
	j := callJSON(e.Method, e.Path, e.Attempts, e.Duration)
	j.Wait = e.Wait.Seconds()
	return j.marshal("pacing", e)
}

// MarshalJSON writes kind, message, method, path, attempts and duration_seconds.
func (e *CallError) MarshalJSON() ([]byte, error) {
	return callJSON(e.Method, e.Path, e.Attempts, e.Duration).marshal("call", e)
}

// MarshalJSON writes kind, message, outage_seconds, and what there is of an [APIError].
func (e *WaitError) MarshalJSON() ([]byte, error) {
	return errorJSON{Outage: e.Outage.Seconds()}.marshal("wait", e)
}

// MarshalJSON writes kind, message and id.
func (e *ValidationFailedError) MarshalJSON() ([]byte, error) {
	var j errorJSON
	if e.Validation != nil {
		j.ID = string(e.Validation.ID)
	}
	return j.marshal("validation_failed", e)
}

// MarshalJSON writes kind, message and id.
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

// MarshalJSON writes kind and message.
func (e *configError) MarshalJSON() ([]byte, error) { return errorJSON{}.marshal("invalid_config", e) }
