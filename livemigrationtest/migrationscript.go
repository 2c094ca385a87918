package livemigrationtest

import (
	"errors"
	"fmt"
	"time"

	"github.com/livemigration/livemigration-go"
)

// ClusterScript says what happens to the jobs of one cluster, see [Server.ForCluster]. The methods of a Server are for
// every cluster.
type ClusterScript struct {
	server *Server
	name   string
}

// ForCluster aims at one cluster what otherwise strikes the next request or job. A request or job belongs to the cluster
// if its source or its destination has the name.
//
//	srv.ForCluster("orders").Inject(livemigrationtest.CreateMigration, livemigrationtest.Status(503), 1)
//	srv.ForCluster("events").FailNextMigration()
func (s *Server) ForCluster(name string) ClusterScript { return ClusterScript{server: s, name: name} }

// Inject makes the next requests of the operation fail, as many as times says. Faults for the same requests queue: the
// second one begins when the first has struck as often as it should. A request that [Fault.After] lets pass, passes all
// of them.
//
// Operations other than [Handshake] match authenticated requests only, so that a fault tests the operation and not the
// exchange of credentials before it. For IssueToken and RevokeToken these are the requests with the right client
// credentials. A times of 0 or less does nothing.
//
// Of one cluster it strikes the requests that create a job for it, and those that are about such a job, but never one
// about no job, such as a request for a link-token.
func (c ClusterScript) Inject(op Operation, f Fault, times int) {
	c.server.faults.add(injection{operation: op, cluster: c.name, fault: f, pass: f.after, left: times})
}

// FailNextValidation makes the next validation that is created end as FAILED with the message, after
// Timings.Validation. Several calls are for as many validations, in order.
func (c ClusterScript) FailNextValidation(message string) {
	c.plan(&c.server.state.nextValidations, course{cluster: c.name, message: message})
}

// FailNextMigration makes the next migration that is created end as FAILED, when it would have become ready for
// cutover. Several calls are for as many migrations, in order.
func (c ClusterScript) FailNextMigration() {
	c.plan(&c.server.state.nextMigrations, course{cluster: c.name})
}

// HoldNextMigration makes the next migration that is created stay WORKING at the lag, once it has been scheduled, until
// [Server.ReleaseMigration]. It shares a queue with FailNextMigration.
func (c ClusterScript) HoldNextMigration(lag time.Duration) {
	c.plan(&c.server.state.nextMigrations, course{cluster: c.name, hold: true, lag: lag})
}

func (c ClusterScript) plan(queue *[]course, next course) {
	c.server.state.mu.Lock()
	defer c.server.state.mu.Unlock()
	*queue = append(*queue, next)
}

// StopWrites ends the writes of applications to the source. The lag of a migration that is ready for cutover then falls
// to 0, by ten seconds in each second of the job clock.
func (c ClusterScript) StopWrites() { c.setQuiet(true) }

// ResumeWrites undoes StopWrites.
func (c ClusterScript) ResumeWrites() { c.setQuiet(false) }

func (c ClusterScript) setQuiet(quiet bool) {
	st := c.server.state
	st.mu.Lock()
	defer st.mu.Unlock()
	if c.name == "" {
		clear(st.quiet)
	}
	st.quiet[c.name] = quiet
	now := c.server.clock.jobs()
	for _, m := range st.migrations {
		if c.name == "" || m.source.ClusterName == c.name {
			m.lag, m.lagged, m.quiet = m.lagAt(now, st), now, quiet
		}
	}
}

// ReleaseMigration lets a migration of HoldNextMigration go on. It is an error if the migration is not held.
func (s *Server) ReleaseMigration(id livemigration.MigrationID) error {
	return s.script("release", id, func(m *migration, now time.Time) error {
		if !m.held {
			return errors.New("it is not held")
		}
		m.held, m.created = false, now.Add(-min(now.Sub(m.created), s.state.timings.Scheduling))
		return nil
	})
}

// FailMigration makes a migration FAILED now. It is an error if it has ended.
func (s *Server) FailMigration(id livemigration.MigrationID) error {
	return s.script("fail", id, func(m *migration, _ time.Time) error {
		m.ended = livemigration.MigrationFailed
		return nil
	})
}

// ExpireMigration makes a migration EXPIRED now, as if its cutover window had passed. It is an error if it has ended or
// been cut over.
func (s *Server) ExpireMigration(id livemigration.MigrationID) error {
	return s.script("expire", id, func(m *migration, _ time.Time) error {
		if !m.cutover.IsZero() {
			return errors.New("it has been cut over")
		}
		m.ended = livemigration.MigrationExpired
		return nil
	})
}

// ExtendTime adds 24 hours to the cutover window of a migration, as Extend time in the Atlas UI does. It is an error if
// the migration is not ready for cutover.
func (s *Server) ExtendTime(id livemigration.MigrationID) error {
	return s.script("extend the time of", id, func(m *migration, now time.Time) error {
		if !m.snapshot(now, s.state).ready {
			return errors.New("it is not ready for cutover")
		}
		m.extended += extension
		return nil
	})
}

// script changes a migration that has not ended.
func (s *Server) script(verb string, id livemigration.MigrationID, change func(*migration, time.Time) error) error {
	s.state.mu.Lock()
	defer s.state.mu.Unlock()
	m := s.state.migrationByID[string(id)]
	if m == nil {
		return fmt.Errorf("livemigrationtest: %s migration: there is no migration %s", verb, id)
	}
	now := s.clock.jobs()
	m.settle(now, s.state)
	if status := m.snapshot(now, s.state).status; ended(status) {
		return fmt.Errorf("livemigrationtest: %s migration %s: it is %s", verb, id, status)
	}
	if err := change(m, now); err != nil {
		return fmt.Errorf("livemigrationtest: %s migration %s: %w", verb, id, err)
	}
	m.settle(now, s.state)
	return nil
}
