package livemigrationtest

import (
	"slices"
	"time"

	"github.com/livemigration/livemigration-go"
)

// Migration is a migration job as the server knows it: what a client would read of it now, and what Atlas does not
// show.
type Migration struct {
	ID              livemigration.MigrationID     `json:"_id"`
	Status          livemigration.MigrationStatus `json:"status"`
	ReadyForCutover bool                          `json:"readyForCutover"`
	MigrationHosts  []string                      `json:"migrationHosts"`
	LagTimeSeconds  *int64                        `json:"lagTimeSeconds,omitempty"`
	// ProjectID is the Atlas project in which the job was created.
	ProjectID livemigration.ProjectID `json:"projectId"`
	// CreatedBy is the public key or client ID with which the job was created; empty if the server asked for none.
	CreatedBy string `json:"createdBy,omitempty"`
	// Source and Destination are the clusters that the request named.
	Source      Cluster `json:"source"`
	Destination Cluster `json:"destination"`
	// History is the states of the job so far, with their times on the job clock. It begins with the creation and ends
	// with the present state.
	History []MigrationChange `json:"history"`
}

// MigrationChange is a state of a migration, and when it was reached.
type MigrationChange struct {
	Time            time.Time                     `json:"time"`
	Status          livemigration.MigrationStatus `json:"status"`
	ReadyForCutover bool                          `json:"readyForCutover"`
}

// Migrations returns the migration jobs as they are now, in the order of their creation.
func (s *Server) Migrations() []Migration {
	s.state.mu.Lock()
	defer s.state.mu.Unlock()
	now := s.clock.jobs()
	out := make([]Migration, 0, len(s.state.migrations))
	for _, m := range s.state.migrations {
		m.settle(now, s.state)
		is := m.snapshot(now, s.state)
		out = append(out, Migration{
			ID: livemigration.MigrationID(m.id), Status: is.status, ReadyForCutover: is.ready,
			MigrationHosts: slices.Clone(m.hosts), LagTimeSeconds: is.lag,
			ProjectID: livemigration.ProjectID(m.project), CreatedBy: m.createdBy,
			Source: m.source, Destination: m.destination, History: slices.Clone(m.history),
		})
	}
	return out
}
