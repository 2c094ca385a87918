package durable

import (
	"slices"
	"time"
)

// resources is who has what serves one migration at a time.
type resources struct {
	known   map[string]int
	holders [][]*entry // by id; usually one
}

func newResources() resources { return resources{known: make(map[string]int)} }

// ids numbers the resources of a plan: an estate of thousands shares few names.
func (s *resources) ids(plan Plan) []int {
	names := plan.resources()
	ids := make([]int, len(names))
	for i, name := range names {
		id, ok := s.known[name]
		if !ok {
			id = len(s.holders)
			s.known[name] = id
			s.holders = append(s.holders, nil)
		}
		ids[i] = id
	}
	return ids
}

// free reports whether nobody else has what an entry needs.
func (s *resources) free(e *entry) bool {
	for _, id := range e.needs {
		for _, holder := range s.holders[id] {
			if holder != e {
				return false
			}
		}
	}
	return true
}

// stuck reports whether somebody has what an entry needs and does not give it back by itself.
func (s *resources) stuck(e *entry) bool {
	for _, id := range e.needs {
		for _, holder := range s.holders[id] {
			if holder != e && (holder.record.State == StateUnclear || holder.record.State == StateComplete) {
				return true
			}
		}
	}
	return false
}

func (s *resources) hold(e *entry, ids []int) {
	for _, id := range ids {
		s.holders[id] = append(s.holders[id], e)
	}
}

func (s *resources) release(e *entry, ids []int) {
	for _, id := range ids {
		s.holders[id] = without(s.holders[id], []*entry{e})
	}
}

// account gives an entry what belongs to the state of its record, and takes from it what does not.
func (r *run) account(e *entry) {
	record := &e.record
	lacks := record.Gate() != ""
	e.asked = e.asked && lacks
	waits := lacks && (e.asked || r.settings.approval == nil)
	// One that continues at once from the validation to the creation keeps what it has.
	goesOn := len(e.held) > 0 && record.State == StateValidated && !waits && !record.troubled()
	runs := record.mayRun() || goesOn
	switch {
	case runs:
		r.hold(e, e.needs)
	case record.State == StateComplete:
		r.hold(e, e.needs[:clusterResources])
	default:
		r.hold(e, nil)
	}
	r.count(e, runs && !waits && record.State != StateUnclear)
	r.moved = true
}

// hold gives an entry resources, and takes those that it had.
func (r *run) hold(e *entry, ids []int) {
	if slices.Equal(e.held, ids) {
		return
	}
	r.resources.release(e, e.held)
	e.held = ids
	r.resources.hold(e, ids)
	r.rescan = true
}

func (r *run) count(e *entry, underWay bool) {
	if e.underWay == underWay {
		return
	}
	e.underWay = underWay
	if underWay {
		r.starts.underWay++
	} else {
		r.starts.underWay--
		r.rescan = true
	}
}

// starts is what decides when another migration may start.
type starts struct {
	limit    int
	underWay int
	waiting  int // entries that wait to start

	// During an outage they start one after the other, ever more slowly: a fleet of thousands would else try them all.
	next    time.Time
	pause   time.Duration
	wasHeld bool
}

const (
	firstPause   = time.Second
	longestPause = 30 * time.Second
)

func (s *starts) held(now time.Time) bool { return now.Before(s.next) }

// allow reports whether an entry may start now. One that continues does not ask twice.
func (s *starts) allow(e *entry, now time.Time) bool {
	return e.underWay || s.underWay < s.limit && !s.held(now)
}

// note learns from how a start went.
func (s *starts) note(failed bool, now time.Time) {
	if !failed {
		s.next, s.pause = time.Time{}, 0
		return
	}
	s.pause = min(max(2*s.pause, firstPause), longestPause)
	s.next = now.Add(s.pause)
	s.wasHeld = true
}
