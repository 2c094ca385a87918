package durable

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/livemigration/livemigration-go"
)

// restartPatience is for how long after an unclear create request started a record is not restarted. An intent is good for a
// minute, and its request has ended 30 seconds later.
const restartPatience = 2 * time.Minute

// Approve returns the record with the gate open until the given time; zero: for good. You may approve a gate in advance. by is
// who approves. The approval of a cutover ends early if the migration is no longer ready.
//
// The error is [ErrConflict] once the action behind the gate is in progress or done, and in a state that never reaches it. It
// is [livemigration.ErrInvalidRequest] for an unknown gate, a time in the past, and a by that is empty, or "policy", which
// stands for the function of [WithCutoverApproval].
func (r Record) Approve(g Gate, by string, until, now time.Time) (Record, error) {
	r, now = r.clone(), stamp(now)
	what := "approve the " + string(g) + " of"
	if !until.IsZero() && !until.After(now) {
		return r, fmt.Errorf("durable: %s %q: %w", what, r.Plan.Name, invalid("until", "must be in the future, or zero"))
	}
	if err := r.checkGate(what, g, by); err != nil {
		return r, err
	}
	approval := Approval{Gate: g, By: by, At: now}
	text := joinText(string(g)+" approved", by)
	if !until.IsZero() {
		approval.Until = stamp(until)
		text += ", until " + approval.Until.Format(timeFormat)
	}
	r.approve(approval)
	r.eventOnce(now, text)
	r.UpdatedAt = now
	if g == GateCutover && r.Problem != nil && r.Problem.Kind == ProblemWaitingForApproval {
		r.waitEnds(now)
	}
	if g == GateCutover && r.State == StateReady || g == GateStart && r.State == StateValidated {
		r.NextCheckAt = now
	}
	return r, nil
}

// Revoke returns the record with the gate closed. by is who revokes. If the error is nil, the action behind the gate does not
// follow until a person, or the function of [WithCutoverApproval], approves it again. The errors are those of
// [Record.Approve].
func (r Record) Revoke(g Gate, by string, now time.Time) (Record, error) {
	r, now = r.clone(), stamp(now)
	what := "revoke the approval of the " + string(g) + " of"
	if err := r.checkGate(what, g, by); err != nil {
		return r, err
	}
	if !slices.ContainsFunc(r.Approved, func(a Approval) bool { return a.Gate == g }) {
		return r, nil
	}
	r.disapprove(g)
	r.event(now, joinText("approval of the "+string(g)+" revoked", by))
	r.UpdatedAt = now
	r.waitAtGate(now)
	return r, nil
}

// checkGate says why an approval cannot be changed, such as because the action behind the gate is in progress or done.
func (r *Record) checkGate(what string, g Gate, by string) error {
	var err error
	switch {
	case g != GateStart && g != GateCutover:
		err = invalid("gate", "must be start or cutover")
	case strings.TrimSpace(by) == "":
		err = invalid("by", "must not be empty: name the person or the program that decides")
	case strings.EqualFold(by, policy):
		err = invalid("by", `must not be "policy": that is the function of WithCutoverApproval`)
	}
	if err != nil {
		return fmt.Errorf("durable: %s %q: %w", what, r.Plan.Name, err)
	}
	states, action := []State{StatePlanned, StateValidating, StateValidated}, ActionCreate
	if g == GateCutover {
		states, action = append(states, StateReplicating, StateReady, StateUnclear), ActionCutover
	}
	if r.Begun != nil && r.Begun.Action == action {
		return fmt.Errorf("durable: %s %q: %q is in progress: %w", what, r.Plan.Name, action, ErrConflict)
	}
	return r.mustBe(what, states...)
}

// Adopt returns an UNCLEAR record with the ID of the migration that you found in Atlas, as REPLICATING. Its first check makes
// sure that the migration runs on the migration host of the plan. Until then, Adopt can replace the ID with another one. The
// error is [livemigration.ErrInvalidRequest] for a malformed ID, and else [ErrConflict].
func (r Record) Adopt(id livemigration.MigrationID, now time.Time) (Record, error) {
	r, now = r.clone(), stamp(now)
	const what = "adopt a migration for"
	if err := id.Validate(); err != nil {
		return r, fmt.Errorf("durable: %s %q: %w", what, r.Plan.Name, err)
	}
	if r.State != StateReplicating || r.Migration != nil {
		if err := r.mustBe(what, StateUnclear); err != nil {
			return r, err
		}
	}
	r.dropMigration()
	r.MigrationID = id
	r.FormerMigrationIDs = slices.DeleteFunc(r.FormerMigrationIDs, func(former livemigration.MigrationID) bool { return former == id })
	if len(r.FormerMigrationIDs) == 0 {
		r.FormerMigrationIDs = nil
	}
	if r.Unclear != nil { // it stays until the job is seen: this may be the wrong one
		r.StartedAt = r.Unclear.At
	}
	r.Problem = nil
	r.setState(StateReplicating, now)
	r.event(now, joinText(string(StateReplicating), "adopted migration "+string(id)))
	r.NextCheckAt, r.UpdatedAt = now, now
	return r, nil
}

// Restart returns the record as PLANNED. It must be UNCLEAR, FAILED, EXPIRED or ABANDONED, with no action in progress. IDs,
// approvals and times are cleared, events stay, and the migration becomes one of FormerMigrationIDs. Else the error is
// [ErrConflict], and also less than two minutes after an unclear create request started, because it may still arrive.
func (r Record) Restart(now time.Time) (Record, error) {
	r, now = r.clone(), stamp(now)
	if err := r.mustBe("restart", StateUnclear, StateFailed, StateExpired, StateAbandoned); err != nil {
		return r, err
	}
	if err := r.mustRest("restart", now); err != nil {
		return r, err
	}
	r.plan(now, "restarted")
	return r, nil
}

// Replace returns the record with another plan of the same name, as PLANNED. The record must be PLANNED, FAILED or EXPIRED.
// Replace clears what [Record.Restart] clears, and a validation in progress is ignored. The error is [ErrConflict], or
// [livemigration.ErrInvalidRequest] for a plan that is not valid.
func (r Record) Replace(plan Plan, now time.Time) (Record, error) {
	r, now = r.clone(), stamp(now)
	if err := plan.Validate(); err != nil {
		return r, fmt.Errorf("durable: replace the plan %q: %w", plan.Name, err)
	}
	if plan.Name != r.Plan.Name {
		return r, fmt.Errorf("durable: replace the plan %q by one with the name %q: %w", r.Plan.Name, plan.Name, ErrConflict)
	}
	if err := r.mustBe("replace the plan of", StatePlanned, StateFailed, StateExpired); err != nil {
		return r, err
	}
	if r.State == StatePlanned && r.Plan.equal(plan) {
		return r, nil
	}
	r.Plan = plan.clone()
	r.plan(now, "another plan")
	return r, nil
}

// plan starts again from the plan.
func (r *Record) plan(now time.Time, text string) {
	r.dropMigration()
	r.ValidationID = ""
	r.Begun, r.Unclear, r.Approved, r.Problem = nil, nil, nil, nil
	r.State = StatePlanned
	r.PlannedAt, r.NextCheckAt, r.UpdatedAt, r.EndedAt = now, now, now, time.Time{}
	r.event(now, joinText(string(StatePlanned), text))
}

// Abandon returns the record as ABANDONED: it no longer needs attention, and gives its clusters back. In Atlas nothing changes.
// An action in progress stays, and its result is kept, see [Record.Apply]. The error is always nil.
func (r Record) Abandon(now time.Time) (Record, error) {
	r, now = r.clone(), stamp(now)
	if r.State == StateAbandoned {
		return r, nil
	}
	r.event(now, fmt.Sprintf("%s: it was %s", StateAbandoned, r.State))
	r.Problem = nil
	r.setState(StateAbandoned, now)
	r.UpdatedAt = now
	return r, nil
}

// checkRemove says why a record must not be removed: nothing else knows about its jobs in Atlas.
func (r *Record) checkRemove(now time.Time) error {
	if err := r.mustBe("remove", StatePlanned, StateComplete, StateAbandoned); err != nil {
		return err
	}
	if r.State == StatePlanned && len(r.FormerMigrationIDs) > 0 {
		return fmt.Errorf("durable: remove %q: it has had migrations, abandon it first: %w", r.Plan.Name, ErrConflict)
	}
	return r.mustRest("remove", now)
}

func (r *Record) mustBe(what string, allowed ...State) error {
	if slices.Contains(allowed, r.State) {
		return nil
	}
	texts := make([]string, len(allowed))
	for i, state := range allowed {
		texts[i] = string(state)
	}
	return fmt.Errorf("durable: %s %q: it is %s, must be one of %s: %w", what, r.Plan.Name, r.State, strings.Join(texts, ", "), ErrConflict)
}

// mustRest is an error while a request may still reach Atlas.
func (r *Record) mustRest(what string, now time.Time) error {
	if r.Begun != nil {
		return fmt.Errorf("durable: %s %q: %q is in progress: %w", what, r.Plan.Name, r.Begun.Action, ErrConflict)
	}
	if r.Unclear != nil && now.Before(r.Unclear.At.Add(restartPatience)) {
		return fmt.Errorf("durable: %s %q: a request to %s may still arrive, try again after %s: %w", what, r.Plan.Name, r.Unclear.Action,
			r.Unclear.At.Add(restartPatience).Format(time.RFC3339), ErrConflict)
	}
	return nil
}
