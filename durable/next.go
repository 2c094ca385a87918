package durable

import (
	"slices"
	"time"
)

const (
	intentLife     = time.Minute      // for which an intent is good
	approvalMargin = 30 * time.Second // for which an approval and a window must last, so that Atlas gets the request in time
	policy         = "policy"         // By of an approval by the function of WithCutoverApproval
)

// Next returns the next action, due at NextCheckAt. It is [ActionNone] for a record that is final or UNCLEAR, while its start
// waits for an approval, and while an action is in progress; then [Driver.Do] or [Record.Recover] is next. Next does not know
// windows and lag. If they hold a cutover back, a check sets a Problem.
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

// Gate returns the gate at which the record waits for an approval: [GateStart] if it is VALIDATED and has that gate,
// [GateCutover] if it is READY, and else empty. An approval that ends within 30 seconds does not count.
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

// Begin returns the record with the action in progress. by names the run, and must differ between runs. If the action changes
// something (see [Action.Changes]), store the returned record, and call [Driver.Do] only if it was you who stored it. If the
// action is not the one that [Record.Next] returns, the record stays as it is.
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
