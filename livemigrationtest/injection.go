package livemigrationtest

import (
	"slices"
	"sync"
)

// PendingFaultCount returns how many injected faults have not struck yet. A test uses it to make sure that all have.
func (s *Server) PendingFaultCount() int {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	sum := 0
	for _, i := range s.faults.queue {
		sum += i.left
	}
	return sum
}

// ClearFaults removes the faults that have not struck yet.
func (s *Server) ClearFaults() {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.faults.queue = nil
}

// faultQueue is the injected faults, in order.
type faultQueue struct {
	mu    sync.Mutex
	queue []injection
}

type injection struct {
	operation Operation
	cluster   string // empty: any or none
	fault     Fault
	pass      int // requests to let pass first
	left      int
}

func (q *faultQueue) add(i injection) {
	if f := i.fault; i.left <= 0 || !f.plain && f.replaces == nil && f.changes == nil && len(f.header) == 0 {
		return // nothing would change
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.queue = append(q.queue, i)
}

func (i *injection) matches(c *call) bool {
	switch i.operation {
	case Handshake:
		return c.verdict.missing
	case AnyOperation:
		return c.verdict.accepted && !c.oauth
	default:
		return c.verdict.accepted && i.operation == c.operation()
	}
}

// pickFault takes the fault that strikes a request; the zero Fault if there is none.
func (s *Server) pickFault(c *call) Fault {
	job, about := s.jobOf(c)
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	for at := range s.faults.queue {
		i := &s.faults.queue[at]
		if !i.matches(c) || i.cluster != "" && !(about && job.touches(i.cluster)) {
			continue
		}
		if i.pass > 0 {
			i.pass--
			break
		}
		fault := i.fault
		if i.left--; i.left == 0 {
			s.faults.queue = slices.Delete(s.faults.queue, at, at+1)
		}
		return fault
	}
	return Fault{}
}

// jobOf returns the job that a request is about, if there is one.
func (s *Server) jobOf(c *call) (job order, about bool) {
	s.state.mu.Lock()
	defer s.state.mu.Unlock()
	switch c.operation() {
	case CreateValidation, CreateMigration:
		return readOrder(c.body), true
	case GetValidation:
		if v := s.state.validationByID[c.job]; v != nil {
			return v.order, true
		}
	case GetMigration, Cutover:
		if m := s.state.migrationByID[c.job]; m != nil {
			return m.order, true
		}
	}
	return order{}, false
}
