package livemigrationtest

import (
	"net/http"
	"slices"

	"github.com/livemigration/livemigration-go"
)

// sourceOrg is an organization of Cloud Manager or Ops Manager.
type sourceOrg struct {
	id       string
	projects []wireProject
	token    string // the link-token by which it is connected; empty: it is not
	auto     bool   // that was AutoConnect
}

func (o *sourceOrg) connect(token string) { o.token, o.auto = token, false }

// autoConnect connects the organization unless it is connected.
func (o *sourceOrg) autoConnect(token string) {
	if o.token == "" {
		o.token, o.auto = token, true
	}
}

func (o *sourceOrg) disconnect() { o.token, o.auto = "", false }

// has tells whether a project is one of the organization's.
func (o *sourceOrg) has(project livemigration.ProjectID) bool {
	return slices.ContainsFunc(o.projects, func(p wireProject) bool { return p.ProjectID == string(project) })
}

// SourceOrgID returns the id of the source organization, the first one when there are several. Atlas does not know it.
func (s *Server) SourceOrgID() livemigration.OrgID { return s.SourceOrgIDs()[0] }

// SourceOrgIDs returns the ids of all source organizations, in the order of [WithSourceOrganization].
func (s *Server) SourceOrgIDs() []livemigration.OrgID {
	return convert[livemigration.OrgID](s.source.scopes[scopeOrg])
}

func (st *state) sourceOrgIDs() []string {
	out := make([]string, 0, len(st.sourceOrgs))
	for _, org := range st.sourceOrgs {
		out = append(out, org.id)
	}
	return out
}

// sourceOrgOf returns the organization of a source project, or nil. The caller holds the lock.
func (st *state) sourceOrgOf(project livemigration.ProjectID) *sourceOrg {
	at := slices.IndexFunc(st.sourceOrgs, func(o *sourceOrg) bool { return o.has(project) })
	if at < 0 {
		return nil
	}
	return st.sourceOrgs[at]
}

// sourceOrgByID returns the organization of a path that has been checked. The caller holds the lock.
func (st *state) sourceOrgByID(id string) *sourceOrg {
	at := slices.IndexFunc(st.sourceOrgs, func(o *sourceOrg) bool { return o.id == id })
	return st.sourceOrgs[at]
}

// wireMigrationLink is the connection of a source organization as the source side writes it.
type wireMigrationLink struct {
	Status string `json:"status"`
}

func (o *sourceOrg) wireLink() wireMigrationLink {
	if o.token == "" {
		return wireMigrationLink{"NOT_SYNCED"}
	}
	return wireMigrationLink{"SYNCED"}
}

// createMigrationLink connects the organization. One that is connected already gets the new link-token.
func (s *Server) createMigrationLink(c *call) (any, *apiError) {
	token := readLinkToken(c.body)
	s.state.mu.Lock()
	defer s.state.mu.Unlock()
	org := s.state.sourceOrgByID(c.scope)
	taken := func(o *sourceOrg) bool { return o != org && o.token == token && !o.auto }
	switch {
	case !slices.Contains(s.state.linkTokens, token):
		return nil, badParameter("linkToken", "is not a link-token of Atlas, or not any more")
	case slices.ContainsFunc(s.state.sourceOrgs, taken):
		return nil, badParameter("linkToken", "is that of another organization")
	}
	org.connect(token)
	return org.wireLink(), nil
}

func (s *Server) migrationLinkStatus(c *call) (any, *apiError) {
	s.state.mu.Lock()
	defer s.state.mu.Unlock()
	return s.state.sourceOrgByID(c.scope).wireLink(), nil
}

// deleteMigrationLink disconnects the organization. That ends the synchronization of its clusters, so the migrations
// that run fail.
func (s *Server) deleteMigrationLink(c *call) (any, *apiError) {
	s.state.mu.Lock()
	defer s.state.mu.Unlock()
	org := s.state.sourceOrgByID(c.scope)
	if org.token == "" {
		return nil, failure(http.StatusNotFound, "The organization is not connected to Atlas.")
	}
	org.disconnect()
	now, timings := s.clock.jobs(), s.state.timings
	for _, m := range s.activeMigrations() {
		if org.has(m.source.ProjectID) {
			m.settle(now, timings)
			m.ended = livemigration.MigrationFailed
			m.settle(now, timings)
		}
	}
	return nil, nil
}
