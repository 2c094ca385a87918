package durable

import (
	"container/heap"
	"context"
	"slices"
	"strings"
	"time"
)

// dueQueue is the entries that are to be acted on, the earliest first.
type dueQueue []*entry

func (q dueQueue) Len() int           { return len(q) }
func (q dueQueue) Less(i, j int) bool { return q[i].due.Before(q[j].due) }
func (q dueQueue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].index, q[j].index = i, j
}

// Push adds an entry, for package heap.
func (q *dueQueue) Push(x any) {
	e := x.(*entry)
	e.index = len(*q)
	*q = append(*q, e)
}

// Pop takes the last entry, for package heap.
func (q *dueQueue) Pop() any {
	last := len(*q) - 1
	e := (*q)[last]
	(*q)[last] = nil
	*q = (*q)[:last]
	e.index = -1
	return e
}

// add takes a record into the run.
func (r *run) add(record Record) *entry {
	e := &entry{
		record: record, needs: r.resources.ids(record.Plan), index: -1, savedAt: time.Now(),
		told: told{record.State, record.Problem},
	}
	r.mu.Lock()
	r.entries[key(record.Plan.Name)] = e
	at, _ := slices.BinarySearchFunc(r.order, e, func(a, b *entry) int {
		return strings.Compare(key(a.record.Plan.Name), key(b.record.Plan.Name))
	})
	r.order = slices.Insert(r.order, at, e)
	r.mu.Unlock()
	r.account(e)
	return e
}

// spreadOut makes what a run finds due one after the other: thousands of looks at once would be as many requests.
func (r *run) spreadOut(now time.Time) {
	step := spreadStep
	if looks := len(r.order); looks > 0 {
		step = min(step, r.settings.maxInterval/time.Duration(looks))
	}
	slot := now
	for _, e := range r.order {
		if r.pointless(e) {
			continue
		}
		due := e.record.CheckAt
		if e.record.Begun != ActionNone {
			r.at(e, now) // there is nothing to ask Atlas for
			continue
		}
		if due.Before(slot) || due.After(now.Add(r.settings.maxInterval)) {
			due = slot
		}
		if !e.record.starts() {
			slot = slot.Add(step)
		}
		r.at(e, now.Add(max(0, due.Sub(now)))) // a time that a clock which is set does not move
	}
}

// schedule says when an entry is acted on next.
func (r *run) schedule(e *entry, now time.Time) {
	if r.pointless(e) {
		return
	}
	// As a duration, so that a clock that is set does not count.
	wait := max(0, min(e.record.CheckAt.Sub(stamp(now)), max(longestWait, r.settings.maxInterval)))
	e.lookDue = now.Add(wait)
	if e.record.Next() == ActionApprove && r.settings.approval != nil && !e.record.troubled() {
		wait = min(wait, approvalInterval)
		if !e.asked {
			wait = 0
		}
	}
	r.at(e, now.Add(wait))
}

// pointless reports whether there is nothing to do for an entry until somebody else changes its record.
func (r *run) pointless(e *entry) bool {
	next := e.record.Next()
	unasked := next == ActionApprove && e.record.State == StateValidated && r.settings.approval == nil
	return e.record.Begun == ActionNone && (next == ActionNone || unasked)
}

// at puts an entry into the queue.
func (r *run) at(e *entry, due time.Time) {
	r.takeOut(e)
	e.due = due
	heap.Push(&r.queue, e)
}

func (r *run) takeOut(e *entry) {
	if e.index >= 0 {
		heap.Remove(&r.queue, e.index)
	}
	e.waiting = false
}

// nextDue is the time until something is.
func (r *run) nextDue(now time.Time) time.Duration {
	wait := longestWait
	if len(r.queue) > 0 {
		wait = min(wait, r.queue[0].due.Sub(now))
	}
	if r.starts.held(now) && r.starts.waiting > 0 {
		wait = min(wait, r.starts.next.Sub(now))
	}
	return max(0, wait)
}

// startDue acts on all entries that are due.
func (r *run) startDue(ctx context.Context, now time.Time) {
	for len(r.queue) > 0 && !r.queue[0].due.After(now) {
		e := heap.Pop(&r.queue).(*entry)
		if e.record.starts() {
			e.waiting, r.rescan = true, true
			continue
		}
		r.act(ctx, e, now)
	}
	if r.rescan || r.starts.waiting > 0 && !r.starts.held(now) && r.starts.wasHeld {
		r.startWaiting(ctx, now)
	}
}

// startWaiting starts those that wait for resources and find them free: the VALIDATED ones, then the others, both by name.
// Those that have failed for long come last, so that many of them hold nobody up.
func (r *run) startWaiting(ctx context.Context, now time.Time) {
	r.starts.waiting, r.rescan = 0, false
	for rank := range 4 {
		failing, state := rank > 1, []State{StateValidated, StatePlanned}[rank%2]
		for _, e := range r.order {
			if !e.waiting || e.record.State != state || e.record.failsForLong() != failing {
				continue
			}
			if !r.starts.allow(e, now) || !r.resources.free(e) {
				r.starts.waiting++
				continue
			}
			e.waiting = false
			r.act(ctx, e, now)
		}
	}
	r.starts.wasHeld = r.starts.held(now)
}

// act does the next action of an entry in a goroutine of its own.
func (r *run) act(ctx context.Context, e *entry, now time.Time) {
	r.lapse(e, now)
	record := e.record
	action := record.Next()
	if action == ActionApprove && !now.Before(e.lookDue) {
		record.CheckAt = time.Time{} // whatever the clock says
	}
	if action.Changes() {
		r.hold(e, e.needs)
		r.count(e, true)
	}
	e.busy = true
	r.busy++
	job := job{record: record, unsaved: e.unsaved, lagDue: now.Sub(e.savedAt) >= lagInterval}
	go func() {
		done := r.perform(ctx, job)
		done.entry, done.action = e, action
		r.results <- done
	}()
}

// lapse takes back an approval that WithApproval gave too long ago.
func (r *run) lapse(e *entry, now time.Time) {
	if len(e.record.Granted) == 0 || now.Sub(e.grantedAt) <= approvalInterval {
		return
	}
	record := e.record.clone()
	record.lapse(stamp(now))
	e.unsaved = true
	r.set(e, record)
}

// set changes the record of an entry.
func (r *run) set(e *entry, record Record) {
	r.mu.Lock()
	e.record = record
	r.mu.Unlock()
}
