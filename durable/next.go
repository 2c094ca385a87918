package durable

import (
	"fmt"
	"time"
)

// Next returns what is to be done, due at CheckAt. It is [ActionNone] when a record is final or UNCLEAR, and while an
// action is under way: then [Driver.Do] returns what comes of it, or [Record.Recover] says what to make of it.
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

// Gate returns the approval that the record lacks now: [GateStart] when it is VALIDATED and its request drops the data of
// the destination, [GateCutover] when it is READY. It is empty when there is none.
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

// Begin returns the record with a under way. When a changes something (see [Action.Changes]), the result is stored before
// [Driver.Do] is called with it. An action other than [Record.Next] does not begin: the record stays as it is.
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

// Recover returns what becomes of a record that has begun something of which nobody knows how it ended, because the
// program ended first:
//
//   - looks, and validations, are due again;
//   - a cutover may have been carried out: the record becomes FINISHING, and looks first;
//   - a creation may have been carried out: the record becomes UNCLEAR, since a second one would start a second job.
//
// What [WithApproval] has granted is asked for again. A record that has begun nothing stays as it is otherwise.
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
