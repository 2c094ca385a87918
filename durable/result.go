package durable

import (
	"time"

	"github.com/livemigration/livemigration-go"
)

// Outcome says how an action ended.
type Outcome string

const (
	// OutcomeDone: Atlas did it, or responded to a check.
	OutcomeDone Outcome = "done"
	// OutcomeNotDone: certainly not done. It may succeed later.
	OutcomeNotDone Outcome = "notDone"
	// OutcomeRejected: not done, and a retry would fail too: status 400 from Atlas itself, or an invalid request.
	OutcomeRejected Outcome = "rejected"
	// OutcomeUnknown: it may have been done.
	OutcomeUnknown Outcome = "unknown"
)

// Result is how an action of a record ended, see [Driver.Do] and [Record.Apply]. It can be sent as JSON, and contains no
// secret.
type Result struct {
	// Intent, State and the IDs say which action this was, of which record.
	Intent       Intent                     `json:"intent"`
	State        State                      `json:"state"`
	ValidationID livemigration.ValidationID `json:"validationId,omitempty"`
	MigrationID  livemigration.MigrationID  `json:"migrationId,omitempty"`

	Outcome Outcome `json:"outcome"`
	// Failure says why the action was not done, or why that is unknown. Hold says what holds a cutover back. If both are nil
	// and the action was not done, the context has ended.
	Failure *Problem `json:"failure,omitempty"`
	Hold    *Problem `json:"hold,omitempty"`

	// Validation and Migration are what was seen. CreatedID is the migration that was created. With an unknown outcome it
	// may come from a part of the response.
	Validation *livemigration.Validation `json:"validation,omitempty"`
	Migration  *livemigration.Migration  `json:"migration,omitempty"`
	CreatedID  livemigration.MigrationID `json:"createdId,omitempty"`
	// ApprovedUntil is when the approval by the function of [WithCutoverApproval] ends; zero if it gave none.
	ApprovedUntil time.Time `json:"approvedUntil,omitzero"`

	// Wait is the time to the next action.
	Wait time.Duration `json:"wait"`
}

// notDone is the result of the action in progress if nothing was sent.
func notDone(r *Record) Result {
	res := Result{State: r.State, ValidationID: r.ValidationID, MigrationID: r.MigrationID, Outcome: OutcomeNotDone}
	if r.Begun != nil {
		res.Intent = *r.Begun
	}
	return res
}

// normal makes a result consistent. An outcome is unknown unless the result is certain.
func (res Result) normal() Result {
	res.Wait = min(max(res.Wait, 0), longestWait)
	if res.Intent.Action != ActionCreate || res.CreatedID.Validate() != nil {
		res.CreatedID = ""
	}
	done := res.Outcome == OutcomeDone && (res.Intent.Action != ActionCreate || res.CreatedID != "")
	if res.Outcome == OutcomeRejected && res.Failure == nil {
		res.Failure = &Problem{Text: "Atlas rejected the request"}
	}
	if !done && res.Outcome != OutcomeNotDone && res.Outcome != OutcomeRejected {
		res.Outcome = OutcomeUnknown
	}
	return res
}
