package durable

import (
	"slices"
	"time"
)

const (
	// intentLife is for how long an intent is good.
	intentLife = time.Minute
	// approvalMargin is for how long an approval and a window must last, so that they have not ended when Atlas gets the
	// request.
	approvalMargin = 30 * time.Second
	// policy is By of an approval of the function of WithCutoverApproval.
	policy = "policy"
)

// Next returns what is to be done, due at NextCheckAt. It is [ActionNone] when a record is final or UNCLEAR, while its
// start waits for an approval, and while an action is in progress. Then [Driver.Do] or [Record.Recover] is next. Next knows
// no windows and no lag: a check asks for them, and leaves a Problem that waits.
func (r Record) Next(now time.Time) Action {
	if r.Begun != nil {
		return ActionNone
	}
	switch r.State {
	case StatePlanned:
		return ActionValidate
	case StateValidating:
		return ActionCheckValidation
	case StateValidated:
		if r.Gate(now) != "" {
			return ActionNone
		}
		return ActionCreate
	case StateReady:
		if r.Gate(now) != "" || r.Problem != nil && r.Problem.Kind.Waiting() {
			return ActionCheck
		}
		return ActionCutover
	case StateReplicating, StateFinishing:
		return ActionCheck
	default:
		return ActionNone
	}
}

// Gate returns the approval that the record lacks now, empty when there is none: [GateStart] when it is VALIDATED and has
// that gate, [GateCutover] when it is READY. An approval that ends within 30 seconds does not count.
func (r Record) Gate(now time.Time) Gate {
	switch {
	case r.State == StateValidated && r.Plan.hasStartGate() && !r.approved(GateStart, now):
		return GateStart
	case r.State == StateReady && !r.approved(GateCutover, now):
		return GateCutover
	default:
		return ""
	}
}

func (p Plan) hasStartGate() bool { return p.HoldStart || p.Request.DropDestinationData }

func (r *Record) approved(g Gate, now time.Time) bool {
	return slices.ContainsFunc(r.Approved, func(a Approval) bool { return a.Gate == g && a.holds(now) })
}

// approvedByPerson is approved without the function of WithCutoverApproval.
func (r *Record) approvedByPerson(g Gate, now time.Time) bool {
	return slices.ContainsFunc(r.Approved, func(a Approval) bool { return a.Gate == g && a.By != policy && a.holds(now) })
}

func (a Approval) holds(now time.Time) bool {
	return a.Until.IsZero() || !a.Until.Before(now.Add(approvalMargin))
}

// Begin returns the record with the action in progress. by names the run, and must be different for each run. When the
// action changes something (see [Action.Changes]), store the result before you call [Driver.Do] with it, and call Do only
// when it was you who stored it. Only the action that [Record.Next] returns can begin; for another one the record stays as
// it is.
func (r Record) Begin(a Action, by string, now time.Time) Record {
	r, now = r.clone(), stamp(now)
	if a == ActionNone || a != r.Next(now) {
		return r
	}
	r.Begun = &Intent{a, now, r.Revision + 1, by}
	if a.Changes() {
		r.UpdatedAt = now
	}
	return r
}

// Recover returns the record without its action in progress, for when the result will not come because the program was
// killed:
//
//   - A check or a validation is due again.
//   - A cutover may have taken effect. The record becomes FINISHING, and the next check shows whether it has.
//   - A create request may have taken effect. The record becomes UNCLEAR, because a second request would start a second job.
//
// A result that arrives later still counts, see [Record.Apply]. A record with nothing in progress stays as it is.
func (r Record) Recover(now time.Time) Record {
	if r.Begun == nil || !r.Begun.Action.Changes() {
		r = r.clone()
		r.Begun = nil
		return r
	}
	res := notDone(&r)
	res.Outcome = OutcomeUnknown
	return r.Apply(res, now)
}
