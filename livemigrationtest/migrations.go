package livemigrationtest

import (
	"net/http"
	"slices"

	"github.com/livemigration/livemigration-go"
)

// wireMigration is a migration as Atlas writes it.
type wireMigration struct {
	ID              string `json:"_id"`
	Status          string `json:"status"`
	ReadyForCutover bool   `json:"readyForCutover"`
	MigrationHosts  any    `json:"migrationHosts"`
	LagTimeSeconds  *int64 `json:"lagTimeSeconds,omitempty"`
}

func (s *Server) wireMigration(m *migration, version apiVersion) wireMigration {
	now := m.snapshot(s.clock.jobs(), s.state)
	out := wireMigration{
		ID: m.id, Status: string(now.status), ReadyForCutover: now.ready, MigrationHosts: m.hosts, LagTimeSeconds: now.lag,
	}
	if version == v1 && s.config.documentedResponses && len(m.hosts) == 1 {
		out.MigrationHosts = m.hosts[0]
	}
	return out
}

func (s *Server) createMigration(c *call) (any, *apiError) {
	order := readOrder(c.body)
	s.state.mu.Lock()
	defer s.state.mu.Unlock()
	if s.config.oneAtATime {
		if err := s.checkFree(order); err != nil {
			return nil, err
		}
	}
	now := s.clock.jobs()
	m := &migration{
		order: order, id: s.state.ids.next(), project: c.scope, createdBy: c.verdict.name, created: now, settled: now,
	}
	var known bool
	if m.quiet, known = s.state.quiet[order.source.ClusterName]; !known {
		m.quiet = s.state.quiet[""]
	}
	if course, ok := takeCourse(&s.state.nextMigrations, order); ok {
		m.failing, m.held, m.heldLag = !course.hold, course.hold, course.lag
	}
	m.settle(now, s.state)
	s.state.migrations, s.state.migrationByID[m.id] = append(s.state.migrations, m), m
	return s.wireMigration(m, c.version), nil
}

// checkFree checks that the migration host, the source project and the source organization serve no other migration. The
// caller has the lock.
func (s *Server) checkFree(wanted order) *apiError {
	org := s.state.sourceOrgOf(wanted.source.ProjectID)
	for _, m := range s.activeMigrations() {
		taken := ""
		switch {
		case slices.ContainsFunc(wanted.hosts, func(host string) bool { return slices.Contains(m.hosts, host) }):
			taken = "migration host"
		case org != nil && org == s.state.sourceOrgOf(m.source.ProjectID):
			taken = "source organization"
		case m.source.ProjectID == wanted.source.ProjectID:
			taken = "source project"
		default:
			continue
		}
		return newError(http.StatusConflict, "", "Another migration of this "+taken+" is in progress.", m.project)
	}
	return nil
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

// migrationOf finds the job that the path names, in its project. The caller has the lock.
func (s *Server) migrationOf(c *call) (*migration, *apiError) {
	if m := s.state.migrationByID[c.job]; m != nil && m.project == c.scope {
		return m, nil
	}
	return nil, notFound("RESOURCE_NOT_FOUND", "migration", c.job)
}

func (s *Server) cutover(c *call) (any, *apiError) {
	s.state.mu.Lock()
	defer s.state.mu.Unlock()
	m, err := s.migrationOf(c)
	if err != nil {
		return nil, err
	}
	now := s.clock.jobs()
	m.settle(now, s.state)
	switch {
	case !m.cutover.IsZero():
		return nil, newError(http.StatusConflict, "", "The migration has already been cut over.")
	case !m.snapshot(now, s.state).ready:
		return nil, newError(http.StatusConflict, "", "The migration is not ready for cutover.")
	}
	m.cutover = now
	m.settle(now, s.state)
	if c.version == v2 {
		return nil, nil
	}
	return wireValidation{
		ID: m.id, GroupID: m.project, SourceID: string(m.source.ProjectID), Status: string(livemigration.ValidationPending),
	}, nil
}

// activeMigrations lists the migrations that have not ended. The caller has the lock.
func (s *Server) activeMigrations() []*migration {
	var active []*migration
	now := s.clock.jobs()
	for _, m := range s.state.migrations {
		if !ended(m.snapshot(now, s.state).status) {
			active = append(active, m)
		}
	}
	return active
}
