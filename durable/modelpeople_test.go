package durable

import (
	"errors"
	"time"
)

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
