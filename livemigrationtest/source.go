package livemigrationtest

import (
	"crypto/rand"
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"github.com/livemigration/livemigration-go"
)

// sourceOrg is an organization of Cloud Manager or Ops Manager.
type sourceOrg struct {
	id       string
	projects []wireProject
	token    string // the link-token by which it is connected; empty: it is not
	auto     bool   // it was connected by WithAutoConnect
}

// has reports whether a project belongs to the organization.
func (o *sourceOrg) has(project livemigration.ProjectID) bool {
	return slices.ContainsFunc(o.projects, func(p wireProject) bool { return p.ProjectID == string(project) })
}

// sourceOrg returns the first organization of which is is true, or nil. The caller has the lock.
func (st *state) sourceOrg(is func(*sourceOrg) bool) *sourceOrg {
	if at := slices.IndexFunc(st.sourceOrgs, is); at >= 0 {
		return st.sourceOrgs[at]
	}
	return nil
}

// sourceOrgOf returns the organization of a source project, or nil.
func (st *state) sourceOrgOf(project livemigration.ProjectID) *sourceOrg {
	return st.sourceOrg(func(o *sourceOrg) bool { return o.has(project) })
}

// sourceOrgByID returns the organization of a path that has been checked.
func (st *state) sourceOrgByID(id string) *sourceOrg {
	return st.sourceOrg(func(o *sourceOrg) bool { return o.id == id })
}

// wireLink is the connection of a source organization as the source side writes it.
func (o *sourceOrg) wireLink() map[string]string {
	if o.token == "" {
		return map[string]string{"status": "NOT_SYNCED"}
	}
	return map[string]string{"status": "SYNCED"}
}

// createMigrationLink connects the organization. If it is connected already, it gets the new link-token.
func (s *Server) createMigrationLink(c *call) (any, *apiError) {
	var body struct {
		LinkToken string `json:"linkToken"`
	}
	_ = json.Unmarshal(c.body, &body) // it has been checked
	s.state.mu.Lock()
	defer s.state.mu.Unlock()
	org := s.state.sourceOrgByID(c.scope)
	taken := func(o *sourceOrg) bool { return o != org && o.token == body.LinkToken && !o.auto }
	switch {
	case !slices.Contains(s.state.linkTokens, body.LinkToken):
		return nil, badParameter("linkToken", "is not a link-token of Atlas, or no longer")
	case slices.ContainsFunc(s.state.sourceOrgs, taken):
		return nil, badParameter("linkToken", "is used by another organization")
	}
	org.token, org.auto = body.LinkToken, false
	return org.wireLink(), nil
}

func (s *Server) migrationLinkStatus(c *call) (any, *apiError) {
	s.state.mu.Lock()
	defer s.state.mu.Unlock()
	return s.state.sourceOrgByID(c.scope).wireLink(), nil
}

// deleteMigrationLink disconnects the organization. That ends the synchronization of its clusters, so their migrations
// fail.
func (s *Server) deleteMigrationLink(c *call) (any, *apiError) {
	s.state.mu.Lock()
	defer s.state.mu.Unlock()
	org := s.state.sourceOrgByID(c.scope)
	if org.token == "" {
		return nil, newError(http.StatusNotFound, "", "The organization is not connected to Atlas.")
	}
	org.token, org.auto = "", false
	now := s.clock.jobs()
	for _, m := range s.activeMigrations() {
		if org.has(m.source.ProjectID) {
			m.settle(now, s.state)
			m.ended = livemigration.MigrationFailed
			m.settle(now, s.state)
		}
	}
	return nil, nil
}

// LinkTokenCount returns how many link-tokens there are.
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
	for _, org := range s.state.sourceOrgs {
		if s.config.autoConnect && org.token == "" {
			org.token, org.auto = token, true
		}
	}
	if c.version == v1 && s.config.documentedResponses {
		return map[string][]string{"linkToken": {token}}, nil
	}
	return map[string]string{"linkToken": token}, nil
}

// deleteLinkToken removes the link of the organization: all link-tokens, and what is connected by them.
func (s *Server) deleteLinkToken(*call) (any, *apiError) {
	s.state.mu.Lock()
	defer s.state.mu.Unlock()
	if len(s.state.linkTokens) == 0 {
		err := newError(http.StatusNotFound, "UNEXPECTED_ERROR", "Could not find the requested external organization link.")
		err.Parameters = nil
		return nil, err
	}
	var projects []string
	for _, m := range s.activeMigrations() {
		projects = append(projects, m.project)
	}
	if len(projects) > 0 {
		slices.Sort(projects)
		list := strings.Join(slices.Compact(projects), ", ")
		return nil, newError(http.StatusConflict, "CANNOT_DELETE_ORG_ACTIVE_LIVE_MIGRATION_ATLAS_ORG_LINK",
			"Cannot delete organization link while there is active migration in following project ids: "+list, list)
	}
	s.state.linkTokens = nil
	for _, org := range s.state.sourceOrgs {
		org.token, org.auto = "", false
	}
	return nil, nil
}
