package durable

import (
	"reflect"
	"slices"
	"time"

	"github.com/livemigration/livemigration-go"
)

// Record is one migration as a document: everything about it that must survive the program. Its JSON has the names of its
// fields in camelCase, and the number of its format.
//
// Its methods are pure. They use no clock, change nothing in their receiver, share no slice with it, and keep Revision.
// Times are in UTC.
type Record struct {
	Plan  Plan  `json:"plan"`
	State State `json:"state"`
	// Begun is the action in progress; nil if there is none. An action that only reads is in Begun in memory only.
	Begun *Intent `json:"begun,omitempty"`
	// Unclear is the create request or the cutover whose outcome is unknown.
	Unclear *Intent `json:"unclear,omitempty"`
	// ValidationID is the validation job, from StateValidating on, and MigrationID the migration, from StateReplicating on.
	ValidationID livemigration.ValidationID `json:"validationId,omitempty"`
	MigrationID  livemigration.MigrationID  `json:"migrationId,omitempty"`
	// FormerMigrationIDs are migrations from before a restart or another [Record.Adopt], and those whose creation became
	// known later.
	FormerMigrationIDs []livemigration.MigrationID `json:"formerMigrationIds,omitempty"`
	// Migration is the migration as last seen, at SeenAt; nil if it has not been seen yet.
	Migration *livemigration.Migration `json:"migration,omitempty"`
	SeenAt    time.Time                `json:"seenAt,omitzero"`
	// Approved contains the newest approval of each gate.
	Approved []Approval `json:"approved,omitempty"`
	// Problem says why the record does not continue; nil if it does.
	Problem *Problem `json:"problem,omitempty"`
	// PlannedAt is when the record was planned or restarted, and StartedAt when its create request started.
	PlannedAt time.Time `json:"plannedAt,omitzero"`
	StartedAt time.Time `json:"startedAt,omitzero"`
	// ReadyAt is when the migration was last seen before it was ready for cutover: its 120 hours start then or later.
	ReadyAt time.Time `json:"readyAt,omitzero"`
	// CutoverAt is when Atlas accepted the cutover; zero if it has not, or if that is unknown.
	CutoverAt time.Time `json:"cutoverAt,omitzero"`
	// EndedAt is when the record came to a final state.
	EndedAt time.Time `json:"endedAt,omitzero"`
	// NextCheckAt is when the next action is due.
	NextCheckAt time.Time `json:"nextCheckAt,omitzero"`
	// UpdatedAt is when anything but Migration, SeenAt and NextCheckAt last changed.
	UpdatedAt time.Time `json:"updatedAt,omitzero"`
	// Events are the last 100 things that happened, the oldest first.
	Events []Event `json:"events,omitempty"`
	// Revision counts the changes in the store; 0: not stored yet.
	Revision int64 `json:"revision"`
}

// Event is something that happened to a record.
type Event struct {
	Time time.Time `json:"time"`
	Text string    `json:"text"`
}

// Approval opens a gate, from At to Until; zero: it does not end.
type Approval struct {
	Gate Gate `json:"gate"`
	// By is who approved; "policy" is the function of [WithCutoverApproval].
	By    string    `json:"by"`
	At    time.Time `json:"at"`
	Until time.Time `json:"until,omitzero"`
}

// Intent is an action in progress.
type Intent struct {
	Action Action    `json:"action"`
	At     time.Time `json:"at"`
	// Number is the revision that stores the intent.
	Number int64 `json:"number"`
	// By names the run that started the action. Each run has a different name, so that no run takes the intent of another
	// run for its own.
	By string `json:"by"`
}

// Equal reports whether both are the same intent. After a Save that failed, an equal intent in the store is your own.
func (i Intent) Equal(other Intent) bool {
	return i.Action == other.Action && i.At.Equal(other.At) && i.Number == other.Number && i.By == other.By
}

// State is where a record stands.
type State string

const (
	// StatePlanned: nothing has been sent to Atlas.
	StatePlanned State = "PLANNED"
	// StateValidating: the validation job runs.
	StateValidating State = "VALIDATING"
	// StateValidated: the validation has succeeded. The migration is created next.
	StateValidated State = "VALIDATED"
	// StateReplicating: the migration job runs.
	StateReplicating State = "REPLICATING"
	// StateReady: the migration is ready for cutover.
	StateReady State = "READY"
	// StateFinishing: the cutover has been sent.
	StateFinishing State = "FINISHING"
	// StateComplete: the migration has finished. Final.
	StateComplete State = "COMPLETE"
	// StateFailed: the validation or the migration has failed, or Atlas rejected the request. Final.
	StateFailed State = "FAILED"
	// StateExpired: the migration was not cut over in time. Final.
	StateExpired State = "EXPIRED"
	// StateUnclear: you have to check the Atlas UI, see Record.Problem.
	StateUnclear State = "UNCLEAR"
	// StateAbandoned: you have taken the record out. Final.
	StateAbandoned State = "ABANDONED"
)

// Final reports whether nothing more happens to a record on its own: COMPLETE, FAILED, EXPIRED, ABANDONED.
func (s State) Final() bool {
	return s == StateComplete || s == StateFailed || s == StateExpired || s == StateAbandoned
}

func (s State) known() bool {
	return s.Final() || s.hasJob() || s == StatePlanned || s == StateValidating || s == StateValidated || s == StateUnclear
}

// hasJob reports whether a record in this state has a migration to poll.
func (s State) hasJob() bool { return s == StateReplicating || s == StateReady || s == StateFinishing }

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
	// ActionCheck reads the migration. For a READY record it also finds out whether the cutover may be sent.
	ActionCheck Action = "check"
	// ActionCutover cuts over.
	ActionCutover Action = "cut over"
)

// Changes reports whether the action changes something in Atlas: validate, create, cut over. The intent of such an action is
// stored before the request is sent.
func (a Action) Changes() bool {
	return a == ActionValidate || a == ActionCreate || a == ActionCutover
}

// Gate is a step that needs an approval, which you may give in advance.
type Gate string

const (
	// GateStart is the gate before the create request of a plan with HoldStart, or with DropDestinationData, which deletes the
	// data of the destination. Other plans do not have it. Only a person opens it.
	GateStart Gate = "start"
	// GateCutover is the gate before the cutover.
	GateCutover Gate = "cutover"
)

func (g Gate) known() bool { return g == GateStart || g == GateCutover }

const maxEvents = 100

// String is one line: the name, the state, the migration and the problem.
func (r Record) String() string {
	text := r.Plan.Name + " " + string(r.State)
	if r.MigrationID != "" {
		text += ", migration " + string(r.MigrationID)
	}
	if r.Problem != nil {
		text += ": " + r.Problem.Text
	}
	return text
}

// NewRecord returns the record of a plan, PLANNED.
func NewRecord(plan Plan, now time.Time) Record {
	now = stamp(now)
	r := Record{Plan: plan, State: StatePlanned, PlannedAt: now, NextCheckAt: now, UpdatedAt: now}.clone()
	r.event(now, "planned")
	return r
}

// News reports whether the record differs from before in a way that is worth storing. The lag of a migration, the times of the
// last and the next check, and a check in progress are not.
func (r Record) News(before Record) bool {
	a, b := r, before
	for _, record := range []*Record{&a, &b} {
		if record.Migration != nil {
			seen := *record.Migration
			seen.LagTimeSeconds = nil
			record.Migration = &seen
		}
		if record.Begun != nil && !record.Begun.Action.Changes() {
			record.Begun = nil
		}
		record.SeenAt, record.NextCheckAt, record.Revision = time.Time{}, time.Time{}, 0
	}
	return !reflect.DeepEqual(a, b)
}

// stamp returns a time that JSON keeps.
func stamp(t time.Time) time.Time { return t.Round(0).UTC() }

// clone returns a copy that shares nothing that can change.
func (r Record) clone() Record {
	r.Plan = r.Plan.clone()
	r.Begun, r.Unclear, r.Problem = clonePointer(r.Begun), clonePointer(r.Unclear), clonePointer(r.Problem)
	r.FormerMigrationIDs = slices.Clone(r.FormerMigrationIDs)
	r.Approved = slices.Clone(r.Approved)
	r.Events = slices.Clone(r.Events)
	r.Migration = cloneMigration(r.Migration)
	return r
}

func clonePointer[T any](p *T) *T {
	if p == nil {
		return nil
	}
	copied := *p
	return &copied
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
	copied.LagTimeSeconds = clonePointer(m.LagTimeSeconds)
	return &copied
}

func (r *Record) event(now time.Time, text string) {
	r.Events = append(r.Events, Event{now, text})
	if more := len(r.Events) - maxEvents; more > 0 {
		r.Events = slices.Delete(r.Events, 0, more)
	}
}

// eventOnce adds an event that may repeat, such as a rejected cutover, without pushing out the rest of the history.
func (r *Record) eventOnce(now time.Time, text string) {
	for _, last := range r.Events[max(0, len(r.Events)-4):] {
		if last.Text == text {
			return
		}
	}
	r.event(now, text)
}
