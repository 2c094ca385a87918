package durable

import (
	"fmt"
	"time"

	"github.com/livemigration/livemigration-go"
)

// modelJob is a migration in the model's Atlas.
type modelJob struct {
	id            livemigration.MigrationID
	record        string
	ready         time.Time
	pauses, goes  time.Time // it is not ready between these
	ends          time.Time // it fails or expires; zero: it does not
	cut           time.Time
	received      bool // a living engine has got its ID
	removedRecord bool
}

func (j *modelJob) final(now time.Time) bool {
	return !j.cut.IsZero() && !now.Before(j.cut.Add(time.Minute)) || !j.ends.IsZero() && !now.Before(j.ends)
}

func (j *modelJob) isReady(now time.Time) bool {
	paused := !now.Before(j.pauses) && now.Before(j.goes)
	return !j.final(now) && j.cut.IsZero() && !now.Before(j.ready) && !paused
}

func (j *modelJob) see(now time.Time) *livemigration.Migration {
	m := &livemigration.Migration{ID: j.id, Status: livemigration.MigrationWorking, ReadyForCutover: j.isReady(now)}
	switch {
	case j.final(now) && !j.cut.IsZero():
		m.Status = livemigration.MigrationComplete
	case j.final(now):
		m.Status = livemigration.MigrationExpired
	}
	return m
}

// send is what the driver does until a request is handed over.
func (m *model) send(op *modelOp) {
	r := op.record
	op.result = notDone(&r)
	op.result.Wait = m.upTo(time.Minute)
	op.stage, op.due = "apply", m.in(2*time.Second)
	age := m.now.Sub(r.Begun.At)
	if r.Begun.Action.Changes() && m.broken != "minute" && age >= intentLife {
		op.result.Failure = &Problem{Kind: ProblemNeedsAttention, Text: "the minute has passed"}
		return
	}
	if m.chance(5) {
		op.result.Failure = failure(opCheck, 503, "")
		return
	}
	if (r.Begun.Action == ActionCutover || r.Begun.Action == ActionCheck) && !m.look(op) {
		return
	}
	if r.Begun.Action.Changes() {
		op.stage, op.due = "arrive", m.in(29*time.Second)
		return
	}
	op.result.Outcome = OutcomeDone
	if r.Begun.Action == ActionCheckValidation {
		op.result.Validation = &livemigration.Validation{ID: r.ValidationID, Status: livemigration.ValidationSuccess}
	}
}

// look reads the job and asks what holds its cutover back. It reports whether there is anything more to do.
func (m *model) look(op *modelOp) bool {
	r := op.record
	j := m.job(r.MigrationID)
	if j == nil {
		op.result.Failure = failure(opCheck, 404, codeNotFound)
		return false
	}
	op.result.Migration = j.see(m.now)
	if r.State != StateReady || !j.isReady(m.now) {
		op.result.Outcome = OutcomeDone
		if r.Begun.Action == ActionCutover {
			op.result.Outcome = OutcomeNotDone
		}
		return false
	}
	person := r.approvedByPerson(GateCutover, m.now)
	op.yes = m.rng.IntN(10) == 0
	switch {
	case m.broken != "window" && !allow(m.windows, m.now):
		op.result.Hold = &Problem{Kind: ProblemWaitingForWindow, Text: "waits for the window"}
	case person || r.Begun.Action == ActionCutover && m.broken == "until":
	case !op.yes:
		hold := approvalProblem("the cutover")
		op.result.Hold = &hold
	default:
		op.result.ApprovedUntil = m.now.Add(time.Minute)
	}
	return op.result.Hold == nil
}

func (m *model) job(id livemigration.MigrationID) *modelJob {
	for _, j := range m.jobs {
		if j.id == id {
			return j
		}
	}
	return nil
}

// live is the job of a record that goes on in Atlas, as a person finds it there.
func (m *model) live(name string) *modelJob {
	for _, j := range m.jobs {
		if j.record == name && !j.final(m.now) && !j.removedRecord {
			return j
		}
	}
	return nil
}

// arrive is Atlas. The response may be lost, and so may the request.
func (m *model) arrive(op *modelOp) {
	killed := op.result.Wait < 0
	op.stage, op.due = "apply", m.in(time.Second)
	if m.chance(15) {
		op.due = m.in(8 * time.Minute)
	}
	if killed {
		m.drop(op)
	}
	switch {
	case m.chance(5): // the request is lost
		op.result.Outcome = OutcomeUnknown
		return
	case m.chance(10):
		op.result.Failure = failure(opCreate, 409, "X")
		return
	}
	switch op.result.Intent.Action {
	case ActionValidate:
		op.result.Outcome, op.result.Validation = OutcomeDone, &livemigration.Validation{ID: validationID}
	case ActionCreate:
		m.create(op)
	case ActionCutover:
		m.cutover(op)
	}
	if op.result.Outcome == OutcomeDone && m.chance(15) { // the response is lost
		op.result.Outcome, op.result.CreatedID, op.result.Migration = OutcomeUnknown, "", nil
	}
	if j := m.job(op.result.CreatedID); j != nil {
		j.received = !killed
	}
}

func (m *model) create(op *modelOp) {
	name := op.record.Plan.Name
	if m.live(name) != nil {
		m.twice++
	}
	m.created++
	j := &modelJob{id: livemigration.MigrationID(fmt.Sprintf("%024x", len(m.jobs)+1)), record: name, ready: m.in(5 * time.Minute)}
	if m.chance(30) {
		j.pauses = j.ready.Add(m.upTo(5 * time.Minute))
		j.goes = j.pauses.Add(m.upTo(5 * time.Minute))
	}
	if m.chance(20) {
		j.ends = j.ready.Add(m.upTo(20 * time.Minute))
	}
	m.jobs = append(m.jobs, j)
	op.result.Outcome, op.result.CreatedID, op.result.Migration = OutcomeDone, j.id, j.see(m.now)
}

func (m *model) cutover(op *modelOp) {
	j := m.job(op.record.MigrationID)
	if j == nil || !j.isReady(m.now) {
		op.result.Failure = failure(opCutover, 409, "X")
		return
	}
	approval, approved := m.approvals[op.record.Plan.Name]
	inTime := approved && (approval.Until.IsZero() || !m.now.After(approval.Until))
	if !anyOpen(m.windows, m.now) || !op.yes && !inTime {
		m.badCutovers++
	}
	m.cutovers++
	j.cut = m.now
	op.result.Outcome = OutcomeDone
}
