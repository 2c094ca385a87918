package durable

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/livemigration/livemigration-go"
)

// The model lives many lives of records in virtual time, on the pure functions alone: two engines on one store, each of which
// believes that it has the lock; saves that fail, also after they were carried out; requests that arrive late, are lost or
// answered by silence; suspended and killed programs; and people who approve, revoke, adopt, restart, replace, abandon, remove
// and add. It counts what must never happen.
type model struct {
	rng     *rand.Rand
	now     time.Time
	broken  string // the rule that is broken
	calm    bool   // nothing fails any more
	windows []Window

	store     map[string]Record
	revisions map[string]int64 // the last of each name, also after it was removed
	approvals map[string]Approval
	jobs      []*modelJob
	ops       []*modelOp
	engines   [2]string // the names of their runs
	runs      int

	twice, lost, badCutovers int
	created, cutovers        int
}

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

// modelOp is an action in progress in an engine.
type modelOp struct {
	engine int
	record Record
	stage  string // save, send, arrive, apply
	due    time.Time
	yes    bool // of the function of WithCutoverApproval
	result Result
}

func newModel(t *testing.T, seed uint64, broken string) *model {
	t.Helper()
	m := &model{
		rng: rand.New(rand.NewPCG(seed, 1)), now: t0, broken: broken,
		store: make(map[string]Record), revisions: make(map[string]int64), approvals: make(map[string]Approval),
	}
	m.windows = []Window{window(t, "11:00-10:00", time.UTC)}
	for minute := 0; minute < 60; minute += 5 {
		m.windows = append(m.windows, window(t, fmt.Sprintf("10:%02d-10:%02d", minute, minute+3), time.UTC))
	}
	for i := range m.engines {
		m.engines[i] = m.newRun()
	}
	for i := range 3 {
		_ = m.add(fmt.Sprintf("r%d", i)) // a person adds those that could not be stored
	}
	return m
}

func (m *model) newRun() string {
	if m.runs++; m.broken == "By" {
		return "run"
	}
	return fmt.Sprintf("run-%d", m.runs)
}

func (m *model) chance(percent int) bool { return !m.calm && m.rng.IntN(100) < percent }

func (m *model) upTo(most time.Duration) time.Duration {
	return time.Duration(m.rng.Int64N(int64(most) + 1))
}

func (m *model) in(most time.Duration) time.Time { return m.now.Add(m.upTo(most)) }

var errModelStore = errors.New("the disk is full")

// save compares and swaps. It may fail before it is carried out, or after.
func (m *model) save(r Record) (Record, error) {
	if err := r.Validate(); err != nil {
		panic(err)
	}
	stored, exists := m.store[r.Plan.Name]
	if m.chance(4) {
		return r, errModelStore
	}
	if m.broken != "compare" && checkRevision(r, stored, exists) != nil {
		return r, ErrStale
	}
	m.revisions[r.Plan.Name]++
	r.Revision = m.revisions[r.Plan.Name]
	if stored.State == StateReady && r.State == StateReplicating {
		delete(m.approvals, r.Plan.Name)
	}
	m.store[r.Plan.Name] = r.clone()
	if m.chance(4) {
		return r, errModelStore
	}
	return r, nil
}

func (m *model) add(name string) error {
	plan := planFor(name)
	plan.HoldStart = m.rng.IntN(4) == 0
	_, err := m.save(NewRecord(plan, m.now))
	return err
}

// step is one moment: time passes, what is due goes on, and somebody does something.
func (m *model) step() {
	end := m.in(10 * time.Second)
	for len(m.ops) > 0 {
		op := slices.MinFunc(m.ops, func(a, b *modelOp) int { return a.due.Compare(b.due) })
		if op.due.After(end) {
			break
		}
		m.now = op.due
		m.advance(op)
	}
	m.now = end
	switch n := m.rng.IntN(100); {
	case n < 60:
		m.act(m.rng.IntN(2), m.store[m.anyName()])
	case n < 70: // both at the same instant
		before := m.store[m.anyName()]
		m.act(0, before)
		m.act(1, before)
	case n < 72 && !m.calm:
		m.kill(m.rng.IntN(2))
	case n < 90:
		m.person(m.anyName())
	}
}

func (m *model) anyName() string { return fmt.Sprintf("r%d", m.rng.IntN(3)) }

// kill ends an engine. What it has sent may still arrive.
func (m *model) kill(i int) {
	m.ops = slices.DeleteFunc(m.ops, func(op *modelOp) bool {
		if op.engine != i {
			return false
		}
		if j := m.job(op.result.CreatedID); j != nil {
			j.received = false
		}
		op.result.Wait = -1 // the response reaches nobody
		return op.stage != "arrive"
	})
	m.engines[i] = m.newRun()
}

// act is an engine that has read a record.
func (m *model) act(engine int, r Record) {
	busy := func(op *modelOp) bool { return op.engine == engine && op.record.Plan.Name == r.Plan.Name }
	if r.Plan.Name == "" || slices.ContainsFunc(m.ops, busy) {
		return
	}
	if r.Begun != nil {
		if m.rng.IntN(3) == 0 {
			_, _ = m.save(r.Recover(m.now))
		}
		return
	}
	action := r.Next(m.now)
	if action == ActionNone || m.now.Before(r.NextCheckAt) {
		return
	}
	op := &modelOp{engine: engine, record: r.Begin(action, m.engines[engine], m.now), stage: "send", due: m.now}
	if action.Changes() {
		op.stage = "save"
	}
	if m.chance(10) {
		op.due = m.in(4 * time.Minute) // suspended
	}
	m.ops = append(m.ops, op)
	if op.due.Equal(m.now) {
		m.advance(op)
	}
}

func (m *model) advance(op *modelOp) {
	switch op.stage {
	case "save":
		m.begin(op)
	case "send":
		m.send(op)
	case "arrive":
		m.arrive(op)
	case "apply":
		m.apply(op)
	}
}

func (m *model) drop(op *modelOp) {
	m.ops = slices.DeleteFunc(m.ops, func(other *modelOp) bool { return other == op })
}

func (m *model) begin(op *modelOp) {
	saved, err := m.save(op.record)
	if err != nil {
		saved = m.store[op.record.Plan.Name]
		if saved.Begun == nil || !saved.Begun.Equal(*op.record.Begun) {
			m.drop(op)
			return
		}
	}
	op.record, op.stage, op.due = saved, "send", m.in(2*time.Second)
	if m.chance(10) {
		op.due = m.in(4 * time.Minute) // suspended
	}
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

// apply stores a result. It is tried until it is stored.
func (m *model) apply(op *modelOp) {
	stored, exists := m.store[op.record.Plan.Name]
	op.due = m.in(5 * time.Second)
	if !exists {
		m.drop(op)
		return
	}
	applied := stored.Apply(op.result, m.now)
	if !applied.News(stored) {
		if !op.result.Intent.Action.Changes() { // kept in memory
			m.store[op.record.Plan.Name] = applied
		}
		m.drop(op)
		return
	}
	if _, err := m.save(applied); err == nil {
		m.drop(op)
	}
}

// person does something with a record, and knows what Atlas shows at this moment.
func (m *model) person(name string) {
	r, exists := m.store[name]
	if !exists {
		_ = m.add(name)
		return
	}
	live := m.live(name)
	var changed Record
	var err error
	switch n := m.rng.IntN(20); {
	case r.State == StateUnclear && live != nil:
		changed, err = r.Adopt(live.id, m.now)
	case r.State == StateUnclear || (r.State == StateFailed || r.State == StateExpired || r.State == StateAbandoned) && live == nil && n < 8:
		if m.broken == "two minutes" && r.Unclear != nil {
			r.Unclear.At = r.Unclear.At.Add(-time.Hour)
		}
		changed, err = r.Restart(m.now)
	case r.State == StateValidated && r.Gate(m.now) == GateStart:
		changed, err = r.Approve(GateStart, "ann", time.Time{}, m.now)
	case n < 8:
		approval := Approval{}
		if m.rng.IntN(2) == 0 && !m.calm {
			approval.Until = m.now.Add(m.upTo(3 * time.Minute)).Add(time.Second)
		}
		if changed, err = r.Approve(GateCutover, "ann", approval.Until, m.now); err == nil {
			m.change(changed, func() { m.approvals[name] = approval })
		}
		return
	case m.calm:
		return
	case n < 12:
		if changed, err = r.Revoke(GateCutover, "bob", m.now); err == nil {
			m.change(changed, func() { delete(m.approvals, name) })
		}
		return
	case n == 12:
		plan := r.Plan.clone()
		plan.Parallel = !plan.Parallel
		changed, err = r.Replace(plan, m.now)
	case n == 13 && m.rng.IntN(4) == 0:
		changed, err = r.Abandon(m.now)
	case n == 14 && live == nil && r.checkRemove(m.now) == nil:
		m.remove(name)
		return
	default:
		return
	}
	if err == nil {
		m.change(changed, func() {})
	}
}

// change stores the change of a person, who counts on it when there is no error; after one, what is stored counts.
func (m *model) change(changed Record, done func()) {
	_, err := m.save(changed)
	stored := m.store[changed.Plan.Name]
	same := stored.UpdatedAt.Equal(changed.UpdatedAt) && len(stored.Approved) == len(changed.Approved)
	if err == nil || errors.Is(err, errModelStore) && same {
		done()
	}
}

func (m *model) remove(name string) {
	for _, j := range m.jobs {
		if j.record == name {
			j.removedRecord = true
		}
	}
	delete(m.store, name)
	delete(m.approvals, name)
}

// run runs the model, first in trouble and then until everything has ended.
func (m *model) run(t *testing.T) {
	for range 250 {
		m.step()
	}
	m.calm = true
	for i := 0; !m.ended(); i++ {
		if i == 5000 {
			t.Fatalf("stuck: %v", m.store)
		}
		m.step()
	}
	for _, j := range m.jobs {
		r := m.store[j.record]
		known := r.MigrationID == j.id || slices.Contains(r.FormerMigrationIDs, j.id)
		if !known && !j.removedRecord && (j.received || r.State != StateAbandoned && !j.final(m.now)) {
			m.lost++
		}
	}
}

func (m *model) ended() bool {
	for _, r := range m.store {
		if !r.State.Final() || r.Begun != nil {
			return false
		}
	}
	return len(m.ops) == 0
}

// runModels sums up the lives of many models; with a broken rule until something is found.
func runModels(t *testing.T, models int, broken string) (sum model) {
	t.Helper()
	for seed := range models {
		m := newModel(t, uint64(seed), broken)
		m.run(t)
		sum.twice += m.twice
		sum.lost += m.lost
		sum.badCutovers += m.badCutovers
		sum.created += m.created
		sum.cutovers += m.cutovers
		if broken != "" && sum.twice+sum.lost+sum.badCutovers > 0 {
			break
		}
	}
	return sum
}

func TestModel(t *testing.T) {
	sum := runModels(t, 500, "")
	t.Logf("%d created, %d cutovers", sum.created, sum.cutovers)
	assert.Greater(t, sum.created, 1000)
	assert.Greater(t, sum.cutovers, 300)
	assert.Zero(t, sum.twice, "created twice")
	assert.Zero(t, sum.lost, "IDs lost")
	assert.Zero(t, sum.badCutovers, "cutovers outside a window or without an approval")
}

// TestModelFindsBrokenRules: without one of the rules the model finds what it looks for.
func TestModelFindsBrokenRules(t *testing.T) {
	for _, broken := range []string{"By", "minute", "two minutes", "compare", "window", "until"} {
		t.Run(broken, func(t *testing.T) {
			sum := runModels(t, 1000, broken)
			assert.Positive(t, sum.twice+sum.lost+sum.badCutovers)
		})
	}
}
