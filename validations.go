package livemigration

import (
	"cmp"
	"context"
	"errors"
	"log/slog"

	"github.com/livemigration/livemigration-go/internal/redact"
	"github.com/livemigration/livemigration-go/internal/response"
)

type ValidationsService core

type Validation struct {
	ID              ValidationID     `json:"_id"`
	ProjectID       ProjectID        `json:"groupId"` // of the destination
	SourceProjectID ProjectID        `json:"sourceGroupId"`
	Status          ValidationStatus `json:"status"`
	ErrorMessage    string           `json:"errorMessage,omitempty"` // why it failed
}

type ValidationStatus string

const (
	ValidationPending ValidationStatus = "PENDING"
	ValidationSuccess ValidationStatus = "SUCCESS"
	ValidationFailed  ValidationStatus = "FAILED"
)

// Final reports whether s is SUCCESS or FAILED.
func (s ValidationStatus) Final() bool { return s == ValidationSuccess || s == ValidationFailed }

func (v Validation) String() string {
	text := "validation " + string(v.ID) + " " + cmp.Or(string(v.Status), "without a status")
	if v.ErrorMessage != "" {
		text += ": " + v.ErrorMessage
	}
	return redact.New(nil).Clean(text)
}

func (v Validation) LogValue() slog.Value {
	attrs := []slog.Attr{slog.String("validation_id", string(v.ID)), slog.String("state", redact.New(nil).Clean(string(v.Status)))}
	if v.ErrorMessage != "" {
		attrs = append(attrs, slog.String("error", redact.New(nil).Clean(v.ErrorMessage)))
	}
	return slog.GroupValue(attrs...)
}

// Create starts the validation of a request: network, TLS, user, disk space, versions. Role: Organization Owner.
//
// POST /groups/{groupId}/liveMigrations/validate
// https://www.mongodb.com/docs/api/doc/atlas-admin-api-v2/operation/operation-validategrouplivemigrations
func (s *ValidationsService) Create(
	ctx context.Context, projectID ProjectID, req MigrationRequest, opts ...CallOption,
) (*Validation, error) {
	return send[Validation](ctx, (*core)(s), &createValidation, []string{string(projectID)}, &migrationPayload{projectID, req}, opts)
}

// Get reads a validation. Role: Organization Owner.
//
// GET /groups/{groupId}/liveMigrations/validate/{validationId}
// https://www.mongodb.com/docs/api/doc/atlas-admin-api-v2/operation/operation-getgrouplivemigrationvalidatestatus
func (s *ValidationsService) Get(ctx context.Context, projectID ProjectID, id ValidationID, opts ...CallOption) (*Validation, error) {
	return send[Validation](ctx, (*core)(s), &getValidation, []string{string(projectID), string(id)}, nil, opts)
}

func (v *Validation) check(asked string) (id string, err error) {
	return checkJob(string(v.ID), string(v.Status), asked)
}

func (v *Validation) UnmarshalJSON(data []byte) error {
	type plain Validation
	*v = Validation{}
	err := response.Decode(data, (*plain)(v))
	if v.ErrorMessage != "" {
		v.ErrorMessage = redact.New(nil).Redact(v.ErrorMessage)
	}
	return err
}

// checkJob rejects a response that cannot be used: one without the ID of the job that was created, one about another
// job, or one without ID and status. A missing status alone is an unknown status.
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
	Validation *Validation // its last state
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
