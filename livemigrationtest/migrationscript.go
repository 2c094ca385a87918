package livemigrationtest

import (
	"errors"
	"fmt"
	"time"

	"github.com/livemigration/livemigration-go"
)

// FailNextMigration makes the next migration that is created end as FAILED, when it would have become ready for
// cutover. It shares a queue with [Server.HoldNextMigration]: several calls are for as many migrations, in order.
func (s *Server) FailNextMigration() { s.ForCluster("").FailNextMigration() }

// HoldNextMigration makes the next migration that is created stay WORKING at the lag, once it has been scheduled, until
// [Server.ReleaseMigration]. It shares a queue with [Server.FailNextMigration]: several calls are for as many
// migrations, in order.
func (s *Server) HoldNextMigration(lag time.Duration) { s.ForCluster("").HoldNextMigration(lag) }

// FailMigration makes a migration FAILED now. It is an error when there is no such job or when it has ended.
func (s *Server) FailMigration(id livemigration.MigrationID) error {
	return s.script("fail", id, func(m *migration, _ time.Time) error {
		m.ended = livemigration.MigrationFailed
		return nil
	})
}

// ExpireMigration makes a migration EXPIRED now, as if nobody had cut it over in time. It is an error when there is no
// such job, or when it has ended or been cut over.
func (s *Server) ExpireMigration(id livemigration.MigrationID) error {
	return s.script("expire", id, func(m *migration, _ time.Time) error {
		if !m.cutover.IsZero() {
			return errCutOver
		}
		m.ended = livemigration.MigrationExpired
		return nil
	})
}

// HoldMigration makes a migration WORKING at the lag from now on. It does not become ready for cutover, or stops being
// ready, until [Server.ReleaseMigration] lets it continue from where it was. Its cutover window does not run meanwhile.
// It is an error when there is no such job, or when it has ended or been cut over.
func (s *Server) HoldMigration(id livemigration.MigrationID, lag time.Duration) error {
	return s.script("hold", id, func(m *migration, now time.Time) error {
		if !m.cutover.IsZero() {
			return errCutOver
		}
		progress := max(m.progress(now), s.state.timings.Scheduling)
		m.base, m.since, m.hold = progress, now, &hold{at: progress, lag: lag}
		return nil
	})
}

// ReleaseMigration undoes [Server.HoldMigration] and [Server.HoldNextMigration]. It is an error when there is no such
// job, or when it is not held.
func (s *Server) ReleaseMigration(id livemigration.MigrationID) error {
	return s.script("release", id, func(m *migration, now time.Time) error {
		if m.hold == nil {
			return errors.New("it is not held")
		}
		m.base, m.since, m.hold = m.progress(now), now, nil
		return nil
	})
}

var errCutOver = errors.New("it has been cut over")

// script changes a migration that has not ended.
func (s *Server) script(verb string, id livemigration.MigrationID, change func(*migration, time.Time) error) error {
	s.state.mu.Lock()
	defer s.state.mu.Unlock()
	m := s.state.migrations.find(string(id))
	if m == nil {
		return fmt.Errorf("livemigrationtest: %s migration: there is no migration %s", verb, id)
	}
	now, timings := s.clock.jobs(), s.state.timings
	m.settle(now, timings)
	if status := m.snapshot(now, timings).status; status.Final() {
		return fmt.Errorf("livemigrationtest: %s migration %s: it is %s", verb, id, status)
	}
	if err := change(m, now); err != nil {
		return fmt.Errorf("livemigrationtest: %s migration %s: %w", verb, id, err)
	}
	m.settle(now, timings)
	return nil
}
