package livemigrationtest

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/livemigration/livemigration-go"
)

// Migration is a migration job as the server holds it: what a client would read of it now, and what Atlas does not
// tell. It prints in one line.
type Migration struct {
	livemigration.Migration
	// ProjectID is the Atlas project in which the job was created.
	ProjectID livemigration.ProjectID
	// Source and Destination are the clusters that the request named.
	Source, Destination Cluster
	// History is the states of the job so far, with their times on the job clock. It begins with the creation and ends
	// with the present state.
	History []MigrationChange
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
	out := make([]Migration, 0, len(s.state.migrations.ordered))
	for _, m := range s.state.migrations.ordered {
		m.settle(now, s.state.timings)
		is := m.snapshot(now, s.state.timings)
		out = append(out, Migration{
			Migration: livemigration.Migration{
				ID: livemigration.MigrationID(m.id), Status: is.status, ReadyForCutover: is.ready,
				MigrationHosts: append([]string{}, m.hosts...), LagTimeSeconds: is.lag,
			},
			ProjectID: livemigration.ProjectID(m.project), Source: m.source, Destination: m.destination,
			History: slices.Clone(m.history),
		})
	}
	return out
}

// String returns the id, state, clusters and hosts.
func (m Migration) String() string {
	state := string(m.Status)
	if m.ReadyForCutover {
		state += ", ready for cutover"
	}
	if lag, ok := m.Lag(); ok {
		state += ", lag " + lag.String()
	}
	return fmt.Sprintf("migration %s: %s: %s to %s on %s",
		m.ID, state, m.Source, m.Destination, strings.Join(m.MigrationHosts, ", "))
}

// LogValue returns what String does.
func (m Migration) LogValue() slog.Value { return slog.StringValue(m.String()) }

// migrationJSON is a Migration in JSON: what Atlas writes, and the rest beside it.
type migrationJSON struct {
	ID              livemigration.MigrationID     `json:"_id"`
	Status          livemigration.MigrationStatus `json:"status"`
	ReadyForCutover bool                          `json:"readyForCutover"`
	MigrationHosts  []string                      `json:"migrationHosts"`
	LagTimeSeconds  *int64                        `json:"lagTimeSeconds,omitempty"`
	ProjectID       livemigration.ProjectID       `json:"projectId"`
	Source          Cluster                       `json:"source"`
	Destination     Cluster                       `json:"destination"`
	History         []MigrationChange             `json:"history"`
}

// MarshalJSON writes the members that Atlas writes, and projectId, source, destination and history.
func (m Migration) MarshalJSON() ([]byte, error) {
	return json.Marshal(migrationJSON{
		m.ID, m.Status, m.ReadyForCutover, m.MigrationHosts, m.LagTimeSeconds,
		m.ProjectID, m.Source, m.Destination, m.History,
	})
}

// UnmarshalJSON reads what MarshalJSON writes.
func (m *Migration) UnmarshalJSON(data []byte) error {
	var in migrationJSON
	if err := json.Unmarshal(data, &in); err != nil {
		return err
	}
	*m = Migration{
		Migration: livemigration.Migration{
			ID: in.ID, Status: in.Status, ReadyForCutover: in.ReadyForCutover, MigrationHosts: in.MigrationHosts,
			LagTimeSeconds: in.LagTimeSeconds,
		},
		ProjectID: in.ProjectID, Source: in.Source, Destination: in.Destination, History: in.History,
	}
	return nil
}
