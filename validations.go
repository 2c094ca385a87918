package livemigration

import "context"

// ValidationsService checks migration requests before they are carried out.
type ValidationsService struct{ client *Client }

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

// Create starts a job that checks a migration request without migrating anything. It needs the role Organization Owner.
//
// An empty req.Destination.ProjectID becomes projectID; a different one is refused. Repeating a validation is harmless,
// so the call is repeated after every failure that may pass. Errors are [*InvalidRequestError] and [*APIError].
//
// POST /groups/{groupId}/liveMigrations/validate
//
// https://www.mongodb.com/docs/api/doc/atlas-admin-api-v2/operation/operation-validategrouplivemigrations
func (s *ValidationsService) Create(ctx context.Context, projectID ProjectID, req MigrationRequest, opts ...CallOption) (*Validation, error) {
	return send[Validation](ctx, s.client, &operations.createValidation, []identifier{projectID}, migrationPayload{projectID, req}, opts)
}

// Get reads a validation job. It needs the role Organization Owner. Errors are [*InvalidRequestError] and [*APIError].
//
// GET /groups/{groupId}/liveMigrations/validate/{validationId}
//
// https://www.mongodb.com/docs/api/doc/atlas-admin-api-v2/operation/operation-getgrouplivemigrationvalidatestatus
func (s *ValidationsService) Get(ctx context.Context, projectID ProjectID, validationID ValidationID, opts ...CallOption) (*Validation, error) {
	return send[Validation](ctx, s.client, &operations.getValidation, []identifier{projectID, validationID}, nil, opts)
}

func (v *Validation) incomplete(op *operation) string {
	return missing(op, string(v.ID), string(v.Status))
}

// missing names the one field without which the answer about a job is of no use: the id of a job that was created,
// the status of one that is read.
func missing(op *operation, id, status string) string {
	switch {
	case id == "" && op.createsJob():
		return "_id"
	case status == "" && !op.createsJob():
		return "status"
	default:
		return ""
	}
}
