package livemigrationtest

import (
	"encoding/json"
	"net/http"

	"github.com/livemigration/livemigration-go"
)

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

func (s *Server) createMigration(c *call) (any, *apiError) {
	order := readOrder(c.body)
	s.state.mu.Lock()
	defer s.state.mu.Unlock()
	now := s.clock.jobs()
	if s.config.oneAtATime {
		if err := s.checkRoom(order); err != nil {
			return nil, err
		}
	}
	m := &migration{order: order, id: s.state.ids.next(), project: c.scope, since: now, settled: now}
	if script, ok := shift(&s.state.nextMigrations, order.direction); ok {
		script(m)
	}
	m.settle(now, s.state.timings)
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
	now, timings := s.clock.jobs(), s.state.timings
	m.settle(now, timings)
	switch {
	case !m.cutover.IsZero():
		return nil, failure(http.StatusConflict, "The migration has already been cut over.")
	case !m.snapshot(now, timings).ready:
		return nil, failure(http.StatusConflict, "The migration is not ready for cutover.")
	}
	m.cutover = now
	m.settle(now, timings)
	if c.version == v2 {
		return nil, nil
	}
	return wireValidation{
		ID: m.id, GroupID: m.project, SourceID: string(m.source.ProjectID), Status: string(livemigration.ValidationPending),
	}, nil
}
