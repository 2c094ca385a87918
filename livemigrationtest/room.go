package livemigrationtest

import (
	"net/http"
	"slices"
)

// checkRoom checks that the migration host and the source organization serve no other migration. A source project that
// the source side does not have counts as an organization of its own. The caller holds the lock.
func (s *Server) checkRoom(wanted order) *apiError {
	for _, m := range s.activeMigrations() {
		for _, host := range wanted.hosts {
			if slices.Contains(m.hosts, host) {
				return occupied("The migration host "+host+" serves another migration.", host)
			}
		}
		org := s.state.sourceOrgOf(m.source.ProjectID)
		if org != nil && org == s.state.sourceOrgOf(wanted.source.ProjectID) {
			return occupied("Another migration from the source organization "+org.id+" is running.", org.id)
		}
		if m.source.ProjectID == wanted.source.ProjectID {
			project := string(m.source.ProjectID)
			return occupied("Another migration from the source project "+project+" is running.", project)
		}
	}
	return nil
}

func occupied(detail, by string) *apiError {
	return &apiError{status: http.StatusConflict, detail: detail, parameters: []any{by}}
}
