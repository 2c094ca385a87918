package livemigrationtest

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/livemigration/livemigration-go"
)

// readyLag is how far behind a destination is that has caught up.
const readyLag = time.Second

// migration is a migration job. Its progress is time: of scheduling, then of the initial sync, then of being ready for
// cutover.
type migration struct {
	id      string
	project string
	source  string // project
	hosts   []string
	base    time.Duration // progress at since
	since   time.Time
	hold    *hold
	failing bool      // fails instead of becoming ready
	cutover time.Time // zero: not yet
	ended   livemigration.MigrationStatus
}

// hold keeps a migration's progress from passing a point, and shows a lag once it is there.
type hold struct {
	at  time.Duration
	lag time.Duration
}

// snapshot is what a migration has come to at some time.
type snapshot struct {
	status livemigration.MigrationStatus
	ready  bool
	lag    *int64
}

func (m *migration) progress(now time.Time) time.Duration {
	progress := m.base + now.Sub(m.since)
	if m.hold != nil {
		progress = min(progress, m.hold.at)
	}
	return progress
}

func (m *migration) snapshot(now time.Time, t Timings) snapshot {
	switch {
	case m.ended != "":
		return snapshot{status: m.ended}
	case !m.cutover.IsZero() && now.Sub(m.cutover) < t.Finishing:
		return snapshot{status: livemigration.MigrationWorking}
	case !m.cutover.IsZero():
		return snapshot{status: livemigration.MigrationComplete}
	default:
		return m.replication(m.progress(now), t)
	}
}

// replication is the snapshot of a migration that has not been cut over.
func (m *migration) replication(progress time.Duration, t Timings) snapshot {
	ready := t.Scheduling + t.InitialSync
	switch {
	case m.hold != nil && progress >= m.hold.at:
		return snapshot{status: livemigration.MigrationWorking, lag: lagSeconds(m.hold.lag)}
	case progress < t.Scheduling:
		return snapshot{status: livemigration.MigrationNew}
	case progress < ready:
		return snapshot{status: livemigration.MigrationWorking, lag: lagSeconds(ready - progress + readyLag)}
	case m.failing:
		return snapshot{status: livemigration.MigrationFailed}
	case progress < ready+t.CutoverWindow:
		return snapshot{status: livemigration.MigrationWorking, ready: true, lag: lagSeconds(readyLag)}
	default:
		return snapshot{status: livemigration.MigrationExpired}
	}
}

func lagSeconds(lag time.Duration) *int64 {
	value := int64(seconds(lag))
	return &value
}

// oneOrMany is the hosts as the documentation of v1.0 shows them: a bare string, which only one host can be.
type oneOrMany []string

func (hosts oneOrMany) MarshalJSON() ([]byte, error) {
	if len(hosts) == 1 {
		return json.Marshal(hosts[0])
	}
	return json.Marshal([]string(hosts))
}

// wireMigration is a migration as Atlas writes it.
type wireMigration struct {
	ID              string `json:"_id"`
	Status          string `json:"status"`
	ReadyForCutover bool   `json:"readyForCutover"`
	MigrationHosts  any    `json:"migrationHosts"`
	LagTimeSeconds  *int64 `json:"lagTimeSeconds,omitempty"`
}

func (s *Server) wireMigration(m *migration, version apiVersion) wireMigration {
	now := m.snapshot(s.clock.jobs(), s.state.timings)
	out := wireMigration{
		ID: m.id, Status: string(now.status), ReadyForCutover: now.ready, MigrationHosts: m.hosts, LagTimeSeconds: now.lag,
	}
	if version == v1 && s.config.quirks {
		out.MigrationHosts = oneOrMany(m.hosts)
	}
	return out
}

// order is what the server needs of the body that starts a job.
type order struct {
	Source struct {
		GroupID string `json:"groupId"`
	} `json:"source"`
	MigrationHosts []string `json:"migrationHosts"`
}

// readOrder reads a body that has been checked.
func readOrder(body []byte) (order, *apiError) {
	var o order
	if err := json.Unmarshal(body, &o); err != nil {
		return order{}, &apiError{status: http.StatusBadRequest, code: codeInvalidJSON, detail: "The request body is not valid."}
	}
	return o, nil
}

func (s *Server) createMigration(c *call) (any, *apiError) {
	order, err := readOrder(c.body)
	if err != nil {
		return nil, err
	}
	s.state.mu.Lock()
	defer s.state.mu.Unlock()
	m := &migration{
		id: s.state.ids.next(), project: c.scope, source: order.Source.GroupID, hosts: order.MigrationHosts,
		since: s.clock.jobs(),
	}
	if script, ok := shift(&s.state.nextMigrations); ok {
		script(m)
	}
	s.state.migrations.add(m.id, m)
	return s.wireMigration(m, c.version), nil
}

func (s *Server) getMigration(c *call) (any, *apiError) {
	s.state.mu.Lock()
	defer s.state.mu.Unlock()
	m, err := s.migrationOf(c)
	if err != nil {
		return nil, err
	}
	return s.wireMigration(m, c.version), nil
}

// migrationOf finds the job that the path names, in its project. The caller holds the lock.
func (s *Server) migrationOf(c *call) (*migration, *apiError) {
	if m := s.state.migrations.find(c.job); m != nil && m.project == c.scope {
		return m, nil
	}
	return nil, notFound(codeResourceNotFound, "migration", c.job)
}

func (s *Server) cutover(c *call) (any, *apiError) {
	s.state.mu.Lock()
	defer s.state.mu.Unlock()
	m, err := s.migrationOf(c)
	if err != nil {
		return nil, err
	}
	now := s.clock.jobs()
	if !m.snapshot(now, s.state.timings).ready {
		return nil, refusal(http.StatusConflict, "The migration is not ready for cutover.")
	}
	m.cutover = now
	if c.version == v2 {
		return nil, nil
	}
	return wireValidation{
		ID: m.id, GroupID: m.project, SourceID: m.source, Status: string(livemigration.ValidationSuccess),
	}, nil
}

// Migrations returns the migration jobs as they are now, in the order of their creation.
func (s *Server) Migrations() []livemigration.Migration {
	s.state.mu.Lock()
	defer s.state.mu.Unlock()
	now := s.clock.jobs()
	out := make([]livemigration.Migration, 0, len(s.state.migrations.ordered))
	for _, m := range s.state.migrations.ordered {
		is := m.snapshot(now, s.state.timings)
		out = append(out, livemigration.Migration{
			ID: livemigration.MigrationID(m.id), Status: is.status, ReadyForCutover: is.ready,
			MigrationHosts: append([]string{}, m.hosts...), LagTimeSeconds: is.lag,
		})
	}
	return out
}

// FailNextMigration makes the next migration that is created end as FAILED, at the time at which it would have become
// ready for cutover. It queues with [Server.HoldNextMigration]: several calls are for as many migrations, in order.
func (s *Server) FailNextMigration() {
	s.scriptNext(func(m *migration) { m.failing = true })
}

// HoldNextMigration makes the next migration that is created stay WORKING at the lag, once it has been scheduled, until
// [Server.ReleaseMigration]. It queues with [Server.FailNextMigration]: several calls are for as many migrations, in
// order.
func (s *Server) HoldNextMigration(lag time.Duration) {
	s.scriptNext(func(m *migration) { m.hold = &hold{at: s.state.timings.Scheduling, lag: lag} })
}

func (s *Server) scriptNext(script func(*migration)) {
	s.state.mu.Lock()
	defer s.state.mu.Unlock()
	s.state.nextMigrations = append(s.state.nextMigrations, script)
}

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

// HoldMigration makes a migration WORKING at the lag from now on: it does not become ready for cutover, or stops being
// so, until [Server.ReleaseMigration] lets it go on from where it was. Its cutover window does not run meanwhile. It is
// an error when there is no such job, or when it has ended or been cut over.
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
	now := s.clock.jobs()
	if status := m.snapshot(now, s.state.timings).status; status.Final() {
		return fmt.Errorf("livemigrationtest: %s migration %s: it is %s", verb, id, status)
	}
	if err := change(m, now); err != nil {
		return fmt.Errorf("livemigrationtest: %s migration %s: %w", verb, id, err)
	}
	return nil
}
