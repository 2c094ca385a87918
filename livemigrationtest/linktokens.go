package livemigrationtest

import (
	"crypto/rand"
	"net/http"
	"slices"
	"strings"
)

// LinkTokens returns how many link-tokens there are.
func (s *Server) LinkTokenCount() int {
	s.state.mu.Lock()
	defer s.state.mu.Unlock()
	return len(s.state.linkTokens)
}

func (s *Server) createLinkToken(c *call) (any, *apiError) {
	token := rand.Text() + rand.Text()
	s.state.mu.Lock()
	defer s.state.mu.Unlock()
	s.state.linkTokens = append(s.state.linkTokens, token)
	if s.config.autoConnect {
		for _, org := range s.state.sourceOrgs {
			org.autoConnect(token)
		}
	}
	if c.version == v1 && s.config.quirks {
		return map[string][]string{"linkToken": {token}}, nil
	}
	return map[string]string{"linkToken": token}, nil
}

// deleteLinkToken removes the link of the organization: all link-tokens, and what is connected by them.
func (s *Server) deleteLinkToken(*call) (any, *apiError) {
	s.state.mu.Lock()
	defer s.state.mu.Unlock()
	if len(s.state.linkTokens) == 0 {
		return nil, &apiError{
			status: http.StatusNotFound, code: codeUnexpectedError, nullParameters: true,
			detail: "Could not find the requested external organization link.",
		}
	}
	if projects := s.activeProjects(); len(projects) > 0 {
		list := strings.Join(projects, ", ")
		return nil, &apiError{
			status: http.StatusConflict, code: codeLinkInUse, parameters: []any{list},
			detail: "Cannot delete organization link while there is active migration in following project ids: " + list,
		}
	}
	s.state.linkTokens = nil
	for _, org := range s.state.sourceOrgs {
		org.disconnect()
	}
	return nil, nil
}

// activeProjects lists the Atlas projects in which a migration runs. The caller holds the lock.
func (s *Server) activeProjects() []string {
	var projects []string
	for _, m := range s.activeMigrations() {
		projects = append(projects, m.project)
	}
	slices.Sort(projects)
	return slices.Compact(projects)
}

// activeMigrations lists the migrations that have not ended. The caller holds the lock.
func (s *Server) activeMigrations() []*migration {
	var active []*migration
	now := s.clock.jobs()
	for _, m := range s.state.migrations.ordered {
		if m.active(now, s.state.timings) {
			active = append(active, m)
		}
	}
	return active
}
