package durable

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// The model lives many lives of records in virtual time, on the pure functions alone: two engines on one store, each of which
// believes that it has the lock; saves that fail, also after they were carried out; requests that arrive late, are lost or
// answered by silence; suspended and killed programs; and people who approve, revoke, adopt, restart, replace, abandon, remove
// and add. It counts what must never happen.
type model struct {
	rng     *rand.Rand
	now     time.Time
	broken  string // the rule that is broken
	calm    bool   // nothing fails from now on
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
