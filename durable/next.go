package durable

import (
	"fmt"
	"time"
)

// Next returns what is to be done, due at CheckAt. It is [ActionNone] when a record is final or UNCLEAR, and while an
// action is under way. Then [Driver.Do] or [Record.Recover] is next.
func (r Record) Next() Action {
	if r.Begun != ActionNone {
		return ActionNone
	}
	switch r.State {
	case StatePlanned:
		return ActionValidate
	case StateValidating:
		return ActionCheckValidation
	case StateValidated:
		return r.behindGate(ActionCreate)
	case StateReplicating, StateFinishing:
		return ActionCheck
	case StateReady:
		return r.behindGate(ActionCutover)
	default:
		return ActionNone
	}
}

func (r *Record) behindGate(a Action) Action {
	if r.Gate() != "" {
		return ActionApprove
	}
	return a
}

// Gate returns the approval that the record lacks now, empty when there is none: [GateStart] when it is VALIDATED and
// its request drops the data of the destination, [GateCutover] when it is READY.
func (r Record) Gate() Gate {
	switch {
	case r.State == StateValidated && r.Plan.Request.DropDestinationData && !r.approved(GateStart):
		return GateStart
	case r.State == StateReady && !r.approved(GateCutover):
		return GateCutover
	default:
		return ""
	}
}

// Begin returns the record with the action under way. When the action changes something (see [Action.Changes]), store
// the result before you call [Driver.Do] with it. Only the action that [Record.Next] returns can begin; for another one
// the record stays as it is.
func (r Record) Begin(a Action, now time.Time) Record {
	r = r.clone()
	if a == ActionNone || a != r.Next() {
		return r
	}
	r.Begun = a
	if a.Changes() {
		r.Updated = stamp(now)
	}
	return r
}

// Recover returns what becomes of a record whose program ended while an action was under way, so that nobody knows how
// the action ended:
//
//   - A look or a validation is due again.
//   - A cutover may have been carried out. The record becomes FINISHING, and looks first.
//   - A creation may have been carried out. The record becomes UNCLEAR, because a second one would start a second
//     job.
//
// What [WithApproval] has granted is asked for again. A record with nothing under way otherwise stays as it is.
func (r Record) Recover(now time.Time) Record {
	r, now = r.clone(), stamp(now)
	begun, since := r.Begun, r.Updated
	r.Begun = ActionNone
	if begun != ActionNone {
		r.CheckAt, r.Updated = now, now
	}
	r.lapse(now)
	switch {
	case begun == ActionCreate && r.MigrationID == "" && !r.State.Final():
		r.unclear(now, fmt.Sprintf("nobody knows whether Atlas created the migration: the program ended after it began to create it at %s",
			since.UTC().Format(timeFormat)))
	case begun == ActionCreate && r.State == StateAbandoned:
		r.event(now, "the creation that had begun may have been carried out")
	case begun == ActionCreate && r.State == StateValidated:
		r.enter(StateReplicating, now, "migration "+string(r.MigrationID))
	case begun == ActionCutover && r.State == StateReady:
		r.enter(StateFinishing, now, "the program ended after it began to cut over")
	}
	return r
}

// lapse takes back what WithApproval has granted.
func (r *Record) lapse(now time.Time) {
	if len(r.Granted) == 0 {
		return
	}
	troubled := r.troubled()
	r.Approved = without(r.Approved, r.Granted)
	r.Granted = nil
	if !troubled {
		r.explain(r.note(), now)
	}
}
