package livemigration

import (
	"cmp"
	"context"
	"errors"
	"log/slog"

	"github.com/livemigration/livemigration-go/internal/endpoint"
	"github.com/livemigration/livemigration-go/internal/redact"
	"github.com/livemigration/livemigration-go/internal/response"
)

// ValidationsService checks migration requests before they are carried out.
type ValidationsService struct{ core *core }

// Validation is a validation job.
type Validation struct {
	ID ValidationID `json:"_id"`
	// ProjectID is the destination project.
	ProjectID       ProjectID        `json:"groupId"`
	SourceProjectID ProjectID        `json:"sourceGroupId"`
	Status          ValidationStatus `json:"status"`
	// ErrorMessage says why the validation failed; it is set with [ValidationFailed] only.
	ErrorMessage string `json:"errorMessage,omitempty"`
}

// ValidationStatus is the state of a validation job. Values that this package does not know pass through as they are.
type ValidationStatus string

const (
	// ValidationPending: the job runs.
	ValidationPending ValidationStatus = "PENDING"
	// ValidationSuccess: the migration can be started. Final.
	ValidationSuccess ValidationStatus = "SUCCESS"
	// ValidationFailed: the migration cannot be started, see [Validation.ErrorMessage]. Final.
	ValidationFailed ValidationStatus = "FAILED"
)

// Final reports whether the job has ended. It is false for a status that this package does not know.
func (s ValidationStatus) Final() bool { return s == ValidationSuccess || s == ValidationFailed }

// String describes the job in one line: its id, status and why it failed.
func (v Validation) String() string {
	text := "validation " + string(v.ID) + " " + cmp.Or(string(v.Status), "without a status")
	if v.ErrorMessage != "" {
		text += ": " + v.ErrorMessage
	}
	return redact.Line(text)
}

// LogValue is a group of validation_id, state and, where there is one, error.
func (v Validation) LogValue() slog.Value {
	attrs := []slog.Attr{slog.String("validation_id", string(v.ID)), slog.String("state", redact.Line(string(v.Status)))}
	if v.ErrorMessage != "" {
		attrs = append(attrs, slog.String("error", redact.Line(v.ErrorMessage)))
	}
	return slog.GroupValue(attrs...)
}

// Create starts a job that checks a migration request without migrating anything. It needs the role Organization Owner.
//
// An empty req.Destination.ProjectID becomes projectID; a different one is rejected. A second validation is harmless, so
// the call is retried after every failure that may pass. Errors are [*InvalidRequestError], [*APIError], [*PacingError] and
// [*CallError].
//
// POST /groups/{groupId}/liveMigrations/validate
//
// https://www.mongodb.com/docs/api/doc/atlas-admin-api-v2/operation/operation-validategrouplivemigrations
func (s *ValidationsService) Create(ctx context.Context, projectID ProjectID, req MigrationRequest, opts ...CallOption) (*Validation, error) {
	return send[Validation](ctx, s.core, &endpoint.CreateValidation, []identifier{projectID}, &migrationPayload{projectID, req}, opts)
}

// Get reads a validation job. It needs the role Organization Owner. Errors are [*InvalidRequestError] and [*APIError].
//
// GET /groups/{groupId}/liveMigrations/validate/{validationId}
//
// https://www.mongodb.com/docs/api/doc/atlas-admin-api-v2/operation/operation-getgrouplivemigrationvalidatestatus
func (s *ValidationsService) Get(ctx context.Context, projectID ProjectID, validationID ValidationID, opts ...CallOption) (*Validation, error) {
	return send[Validation](ctx, s.core, &endpoint.GetValidation, []identifier{projectID, validationID}, nil, opts)
}

func (v *Validation) check(asked string) error {
	return checkJob(string(v.ID), string(v.Status), asked)
}

// UnmarshalJSON reads a validation from JSON. One odd value does not cost the others: it is left out. The user and password
// of a URI in ErrorMessage are redacted.
func (v *Validation) UnmarshalJSON(data []byte) error {
	type plain Validation
	err := response.Lenient(data, (*plain)(v))
	if v.ErrorMessage != "" {
		v.ErrorMessage = redact.New(nil).Redact(v.ErrorMessage)
	}
	return err
}

// checkJob rejects a response about a job that cannot be used: one without the id of a job that was created, one about
// another job, or one that tells nothing. Without a status beside the right id the rest is used.
func checkJob(id, status, asked string) error {
	switch {
	case asked == "" && id == "":
		return errors.New("no _id in it")
	case asked == "" && checkID("", id) != nil:
		return errors.New("its _id is not an id")
	case asked != "" && id != "" && id != asked:
		return errors.New("it is about another job")
	case id == "" && status == "":
		return errors.New("no _id and no status in it")
	default:
		return nil
	}
}

// ValidationFailedError says that a validation ended in [ValidationFailed].
type ValidationFailedError struct {
	// Validation is the job's last state; its ErrorMessage says why.
	Validation *Validation
}

// Error gives the job's id and Atlas's reason.
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

// Is reports whether target is [ErrValidationFailed].
func (e *ValidationFailedError) Is(target error) bool { return target == ErrValidationFailed }
