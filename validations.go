package livemigration

import (
	"cmp"
	"context"
	"errors"
	"log/slog"

	"github.com/livemigration/livemigration-go/internal/redact"
	"github.com/livemigration/livemigration-go/internal/response"
)

// ValidationsService checks migration requests.
type ValidationsService core

// Validation is a validation job.
type Validation struct {
	ID ValidationID `json:"_id"`
	// ProjectID is the destination project.
	ProjectID       ProjectID        `json:"groupId"`
	SourceProjectID ProjectID        `json:"sourceGroupId"`
	Status          ValidationStatus `json:"status"`
	// ErrorMessage says why the validation failed.
	ErrorMessage string `json:"errorMessage,omitempty"`
}

// ValidationStatus is the state of a validation. Unknown values are kept.
type ValidationStatus string

const (
	// ValidationPending: in progress.
	ValidationPending ValidationStatus = "PENDING"
	// ValidationSuccess: the migration can be started. Final.
	ValidationSuccess ValidationStatus = "SUCCESS"
	// ValidationFailed: the migration cannot be started. Final.
	ValidationFailed ValidationStatus = "FAILED"
)

// Final reports whether the job has ended; false for unknown values.
func (s ValidationStatus) Final() bool { return s == ValidationSuccess || s == ValidationFailed }

// String is one line: ID, status and reason, without the userinfo of URIs.
func (v Validation) String() string {
	text := "validation " + string(v.ID) + " " + cmp.Or(string(v.Status), "without a status")
	if v.ErrorMessage != "" {
		text += ": " + v.ErrorMessage
	}
	return redact.New(nil).Clean(text)
}

// LogValue is a group of validation_id, state and error.
func (v Validation) LogValue() slog.Value {
	attrs := []slog.Attr{slog.String("validation_id", string(v.ID)), slog.String("state", redact.New(nil).Clean(string(v.Status)))}
	if v.ErrorMessage != "" {
		attrs = append(attrs, slog.String("error", redact.New(nil).Clean(v.ErrorMessage)))
	}
	return slog.GroupValue(attrs...)
}

// Create starts the validation of a migration request: network, TLS, user, disk space, versions. A validation changes
// nothing, so the request is retried. It needs the role Organization Owner. [ValidationsService.Run] waits for the result.
//
// POST /groups/{groupId}/liveMigrations/validate
//
// https://www.mongodb.com/docs/api/doc/atlas-admin-api-v2/operation/operation-validategrouplivemigrations
func (s *ValidationsService) Create(ctx context.Context, projectID ProjectID, req MigrationRequest, opts ...CallOption) (*Validation, error) {
	return send[Validation](ctx, (*core)(s), &createValidation, []string{string(projectID)}, &migrationPayload{projectID, req}, opts)
}

// Get reads a validation. It needs the role Organization Owner.
//
// GET /groups/{groupId}/liveMigrations/validate/{validationId}
//
// https://www.mongodb.com/docs/api/doc/atlas-admin-api-v2/operation/operation-getgrouplivemigrationvalidatestatus
func (s *ValidationsService) Get(ctx context.Context, projectID ProjectID, validationID ValidationID, opts ...CallOption) (*Validation, error) {
	return send[Validation](ctx, (*core)(s), &getValidation, []string{string(projectID), string(validationID)}, nil, opts)
}

func (v *Validation) check(asked string) (id string, err error) {
	return checkJob(string(v.ID), string(v.Status), asked)
}

// UnmarshalJSON leaves out values of an unexpected type, and redacts users and passwords in ErrorMessage.
func (v *Validation) UnmarshalJSON(data []byte) error {
	type plain Validation
	*v = Validation{}
	err := response.Decode(data, (*plain)(v))
	if v.ErrorMessage != "" {
		v.ErrorMessage = redact.New(nil).Redact(v.ErrorMessage)
	}
	return err
}

// checkJob rejects a response that cannot be used: one without the ID of the job that was created, one about another job,
// or one without ID and status. A missing status alone is an unknown status.
func checkJob(id, status, asked string) (string, error) {
	switch {
	case asked == "" && checkID("", id) != nil:
		return "", errors.New("no well-formed _id in it")
	case asked != "" && id != "" && id != asked:
		return "", errors.New("it is about another job")
	case id == "" && status == "":
		return "", errors.New("no _id and no status in it")
	default:
		return id, nil
	}
}

// ValidationFailedError is a validation that ended in [ValidationFailed].
type ValidationFailedError struct {
	// Validation is the last state.
	Validation *Validation
}

func (e *ValidationFailedError) Error() string {
	if e.Validation == nil {
		return messagePrefix + "validation failed"
	}
	message := messagePrefix + "validation " + string(e.Validation.ID) + " failed"
	if reason := redact.Line(e.Validation.ErrorMessage); reason != "" {
		message += ": " + reason
	}
	return message
}

func (e *ValidationFailedError) Is(target error) bool { return target == ErrValidationFailed }
