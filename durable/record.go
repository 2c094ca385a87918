package durable

import (
	"slices"
	"time"

	"github.com/livemigration/livemigration-go"
)

// Record is everything about one migration that must survive its program. In JSON it has the names of its fields in
// camelCase, and the number of its format.
//
// Its methods are pure. They use neither the clock nor chance, change nothing in their receiver, share no slice with
// it, and keep Revision. Times are in UTC.
type Record struct {
	Plan  Plan
	State State
	// Begun is the action that is under way; empty when there is none.
	Begun Action
	// ValidationID is the validation job, from StateValidating on.
	ValidationID livemigration.ValidationID
	// MigrationID is the migration job, from StateReplicating on.
	MigrationID livemigration.MigrationID
	// FormerMigrationIDs are jobs that the record had before it was restarted, or before another id was adopted.
	FormerMigrationIDs []livemigration.MigrationID
	// Migration is the job as it was last seen; nil when it has not been seen yet.
	Migration *livemigration.Migration
	// ReadySince is when the job was first seen ready for cutover; zero when it is not.
	ReadySince time.Time
	// CutOverAt is when Atlas accepted the cutover; zero when it has not, or when that is unknown.
	CutOverAt time.Time
	// CheckAt is when the next action is due.
	CheckAt time.Time
	// Updated is when anything but CheckAt changed last.
	Updated time.Time
	// Approved are the gates that are open.
	Approved []Gate
	// Granted are those of Approved that WithApproval has opened. They hold for one attempt. When it fails, or the
	// program ends before it, WithApproval is asked again.
	Granted []Gate
	// Problem says why the record does not continue, in words for a person. It is empty when it does. It holds no
	// number that changes all the time.
	Problem string
	// ProblemSince is when the record stopped. It stays when one failure follows another.
	ProblemSince time.Time
	// Events are what happened, the oldest first: the last 100.
	Events []Event
	// Revision counts the changes in the store; 0: not stored yet.
	Revision int64
}

// Event is something that happened to a record.
type Event struct {
	Time time.Time `json:"time"`
	Text string    `json:"text"`
}

// State is where a record stands.
type State string

const (
	// StatePlanned: nothing has been asked of Atlas.
	StatePlanned State = "PLANNED"
	// StateValidating: a validation job runs.
	StateValidating State = "VALIDATING"
	// StateValidated: the validation has succeeded. The migration is to be created.
	StateValidated State = "VALIDATED"
	// StateReplicating: the migration job runs.
	StateReplicating State = "REPLICATING"
	// StateReady: the migration is ready for cutover.
	StateReady State = "READY"
	// StateFinishing: the cutover has been sent.
	StateFinishing State = "FINISHING"
	// StateComplete: the migration has finished. Final.
	StateComplete State = "COMPLETE"
	// StateFailed: the validation or the migration has failed, or Atlas rejected a request. Final.
	StateFailed State = "FAILED"
	// StateExpired: the migration was not cut over in time. Final.
	StateExpired State = "EXPIRED"
	// StateUnclear: a person has to look in Atlas, see Record.Problem.
	StateUnclear State = "UNCLEAR"
	// StateAbandoned: a person has taken the record out. Final.
	StateAbandoned State = "ABANDONED"
)

// Final reports whether nothing more happens to a record by itself: COMPLETE, FAILED, EXPIRED, ABANDONED.
func (s State) Final() bool {
	return s == StateComplete || s == StateFailed || s == StateExpired || s == StateAbandoned
}

func (s State) known() bool {
	switch s {
	case StatePlanned, StateValidating, StateValidated, StateReplicating, StateReady, StateFinishing, StateUnclear:
		return true
	default:
		return s.Final()
	}
}

// Action is something that is done for a record.
type Action string

const (
	// ActionNone: there is nothing to do.
	ActionNone Action = ""
	// ActionValidate creates a validation.
	ActionValidate Action = "validate"
	// ActionCheckValidation reads the validation.
	ActionCheckValidation Action = "check validation"
	// ActionCreate creates the migration.
	ActionCreate Action = "create"
	// ActionCheck reads the migration.
	ActionCheck Action = "check"
	// ActionCutover cuts over.
	ActionCutover Action = "cut over"
	// ActionApprove asks WithApproval, and reads the migration when that is due.
	ActionApprove Action = "approve"
)

// Changes reports whether the action changes something in Atlas: validate, create, cut over. Such an action is stored as
// begun before it is done.
func (a Action) Changes() bool {
	return a == ActionValidate || a == ActionCreate || a == ActionCutover
}

func (a Action) known() bool {
	switch a {
	case ActionNone, ActionCheckValidation, ActionCheck, ActionApprove:
		return true
	default:
		return a.Changes()
	}
}

// Gate is something that needs an approval. A gate may be approved in advance.
type Gate string

const (
	// GateStart is the gate before a migration that destroys the data of its destination (DropDestinationData). Other
	// migrations do not have it.
	GateStart Gate = "start"
	// GateCutover is the gate before the cutover.
	GateCutover Gate = "cutover"
)

func (g Gate) known() bool { return g == GateStart || g == GateCutover }

// maxEvents is how many events a record keeps.
const maxEvents = 100

// String is one line: the name, the state, the migration and the problem.
func (r Record) String() string {
	text := r.Plan.Name + " " + string(r.State)
	if r.MigrationID != "" {
		text += ", migration " + string(r.MigrationID)
	}
	if r.Problem != "" {
		text += ": " + r.Problem
	}
	return text
}

// NewRecord returns the record of a plan, PLANNED.
func NewRecord(plan Plan, now time.Time) Record {
	now = stamp(now)
	r := Record{Plan: plan, State: StatePlanned, CheckAt: now, Updated: now}.clone()
	r.event(now, "planned")
	return r
}

// stamp makes a time that is the same after a way through JSON.
func stamp(t time.Time) time.Time { return t.Round(0).UTC() }

// clone returns a copy that shares nothing that can change.
func (r Record) clone() Record {
	r.Plan = r.Plan.clone()
	r.FormerMigrationIDs = slices.Clone(r.FormerMigrationIDs)
	r.Approved = slices.Clone(r.Approved)
	r.Granted = slices.Clone(r.Granted)
	r.Events = slices.Clone(r.Events)
	r.Migration = cloneMigration(r.Migration)
	return r
}

func (p Plan) clone() Plan {
	p.Exclusive = slices.Clone(p.Exclusive)
	p.Request.MigrationHosts = slices.Clone(p.Request.MigrationHosts)
	if p.Request.Sharding == nil {
		return p
	}
	sharding := *p.Request.Sharding
	sharding.Entries = slices.Clone(sharding.Entries)
	for i := range sharding.Entries {
		entry := &sharding.Entries[i]
		entry.ShardCollection.Key = slices.Clone(entry.ShardCollection.Key)
	}
	p.Request.Sharding = &sharding
	return p
}

func cloneMigration(m *livemigration.Migration) *livemigration.Migration {
	if m == nil {
		return nil
	}
	copied := *m
	copied.MigrationHosts = slices.Clone(m.MigrationHosts)
	if m.LagTimeSeconds != nil {
		lag := *m.LagTimeSeconds
		copied.LagTimeSeconds = &lag
	}
	return &copied
}

// event adds an event.
func (r *Record) event(now time.Time, text string) {
	r.Events = append(r.Events, Event{now, text})
	if more := len(r.Events) - maxEvents; more > 0 {
		r.Events = slices.Delete(r.Events, 0, more)
	}
}

// step adds an event of a record that may go round by itself, such as from READY over an approval to FINISHING and back. It
// does not push its history out with it.
func (r *Record) step(now time.Time, text string) {
	for _, last := range r.Events[max(0, len(r.Events)-3):] {
		if last.Text == text {
			return
		}
	}
	r.event(now, text)
}

// lastEvent is when the record changed last in a way that its history knows.
func (r *Record) lastEvent() time.Time {
	if len(r.Events) == 0 {
		return r.Updated
	}
	return r.Events[len(r.Events)-1].Time
}

func (r *Record) approved(g Gate) bool { return slices.Contains(r.Approved, g) }

// dropMigration moves the job to the former ones.
func (r *Record) dropMigration() {
	if r.MigrationID != "" && !slices.Contains(r.FormerMigrationIDs, r.MigrationID) {
		r.FormerMigrationIDs = append(r.FormerMigrationIDs, r.MigrationID)
	}
	r.MigrationID, r.Migration = "", nil
	r.ReadySince, r.CutOverAt = time.Time{}, time.Time{}
}
