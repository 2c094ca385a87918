package durable

import (
	"time"

	"github.com/livemigration/livemigration-go"
)

// Outcome says how an action ended.
type Outcome string

const (
	// OutcomeDone: Atlas did it, or answered a check.
	OutcomeDone Outcome = "done"
	// OutcomeNotDone: certainly not done. It may succeed later.
	OutcomeNotDone Outcome = "notDone"
	// OutcomeRejected: not done, and never will be as it is: status 400 from Atlas itself, or an invalid request.
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
	// Failure says why it was not done, or why that is unknown. Hold says what holds a cutover back. When the action was
	// not done and there is neither, the context has ended.
	Failure *Problem `json:"failure,omitempty"`
	Hold    *Problem `json:"hold,omitempty"`

	// Validation and Migration are what was seen. CreatedID is the migration that was created; with an unknown outcome it
	// is known when a part of the response showed it.
	Validation *livemigration.Validation `json:"validation,omitempty"`
	Migration  *livemigration.Migration  `json:"migration,omitempty"`
	CreatedID  livemigration.MigrationID `json:"createdId,omitempty"`
	// ApprovedUntil is when the yes of the function of [WithCutoverApproval] ends; zero without one.
	ApprovedUntil time.Time `json:"approvedUntil,omitzero"`

	// Wait is the time to the next action.
	Wait time.Duration `json:"wait"`
}

// notDone is the result of an action that is in progress for r and of which nothing was sent.
func notDone(r *Record) Result {
	res := Result{State: r.State, ValidationID: r.ValidationID, MigrationID: r.MigrationID, Outcome: OutcomeNotDone}
	if r.Begun != nil {
		res.Intent = *r.Begun
	}
	return res
}

// normal makes a result consistent: what does not say certainly how an action ended is unknown.
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
