package livemigrationtest

import (
	"slices"
	"sync"
)

// Inject makes the next requests of the operation fail, as many as times says. Faults that match the same requests
// queue: the second one begins when the first has struck as often as it should. A request that [Fault.After] lets pass,
// passes all of them. [Server.ForCluster] aims a fault at one cluster.
//
// Operations other than [Handshake] match authenticated requests only, so that a fault tests the operation and not the
// exchange of credentials before it. For IssueToken and RevokeToken these are the requests with the right client
// credentials. A times of 0 or less does nothing.
func (s *Server) Inject(op Operation, f Fault, times int) {
	s.inject(injection{operation: op, fault: f, pass: f.after, left: times})
}

func (s *Server) inject(i injection) {
	if i.left > 0 && i.fault.kind != faultNone {
		s.faults.add(i)
	}
}

// PendingFaults returns how many injected faults have not struck yet. A test uses it to make sure that all have.
func (s *Server) PendingFaultCount() int { return s.faults.pending() }

// ClearFaults removes the faults that have not struck yet.
func (s *Server) ClearFaults() { s.faults.clear() }

// faultQueue is the injected faults, in order.
type faultQueue struct {
	mu    sync.Mutex
	queue []injection
}

type injection struct {
	operation Operation
	cluster   string // empty: of any, and none
	fault     Fault
	pass      int // requests to let pass first
	left      int
}

func (i injection) matches(c *call) bool {
	switch {
	case i.operation == Handshake:
		return c.verdict.missing
	case i.operation == AnyOperation:
		return c.verdict.accepted && !c.oauth
	default:
		return c.verdict.accepted && i.operation == c.operation()
	}
}

func (q *faultQueue) add(i injection) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.queue = append(q.queue, i)
}

// pickFault takes the fault that strikes a request. As long as that depends on a body that has not been read, it leaves
// the request undecided.
func (s *Server) pickFault(c *call) {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	c.undecided = false
	for at := range s.faults.queue {
		i := &s.faults.queue[at]
		if !i.matches(c) {
			continue
		}
		if i.cluster != "" {
			job, known := s.jobOf(c)
			if !known {
				c.undecided = true
				return
			}
			if !job.touches(i.cluster) {
				continue
			}
		}
		c.fault = s.faults.strike(at)
		return
	}
}

// strike uses up one time of the injection at a place; the zero fault when it lets the request pass. The caller holds
// the lock.
func (q *faultQueue) strike(at int) Fault {
	i := &q.queue[at]
	if i.pass > 0 {
		i.pass--
		return Fault{}
	}
	fault := i.fault
	if i.left--; i.left == 0 {
		q.queue = slices.Delete(q.queue, at, at+1)
	}
	return fault
}

// jobOf tells which clusters a request is about: none for one that is about no job. It is not known before the body of
// a request that creates a job has been read.
func (s *Server) jobOf(c *call) (job direction, known bool) {
	switch c.operation() {
	case CreateValidation, CreateMigration:
		return readOrder(c.body).direction, c.received
	case GetValidation, GetMigration, Cutover:
		s.state.mu.Lock()
		defer s.state.mu.Unlock()
		if v := s.state.validations.find(c.job); v != nil {
			return v.direction, true
		}
		if m := s.state.migrations.find(c.job); m != nil {
			return m.direction, true
		}
	}
	return direction{}, true
}

func (q *faultQueue) pending() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	sum := 0
	for _, i := range q.queue {
		sum += i.left
	}
	return sum
}

func (q *faultQueue) clear() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.queue = nil
}
