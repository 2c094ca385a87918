package livemigrationtest_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go"
	"github.com/livemigration/livemigration-go/livemigrationtest"
)

func TestMigrations(t *testing.T) {
	t.Parallel()
	srv := newOpenServer(t)
	id := startMigrationOn(t, srv)
	m := srv.Migrations()[0]
	assert.Equal(t, id, m.ID)
	assert.Equal(t, livemigration.MigrationNew, m.Status)
	assert.Equal(t, srv.ProjectID(), m.ProjectID)
	assert.Equal(t, livemigrationtest.Cluster{ProjectID: sourceProject, ClusterName: "orders"}, m.Source)
	assert.Equal(t, livemigrationtest.Cluster{ProjectID: srv.ProjectID(), ClusterName: "Cluster0"}, m.Destination)
	assert.Equal(t, []string{"vm001.example.com"}, m.MigrationHosts)

	m.MigrationHosts[0], m.History[0].Status = "changed", "CHANGED"
	assert.Equal(t, "vm001.example.com", srv.Migrations()[0].MigrationHosts[0], "a copy")
	assert.Equal(t, livemigration.MigrationNew, srv.Migrations()[0].History[0].Status, "a copy")
}

// step is a change as a test compares it: when it happened since the creation, and what to.
type step struct {
	at     time.Duration
	status livemigration.MigrationStatus
	ready  bool
}

func steps(m livemigrationtest.Migration) []step {
	var out []step
	for _, c := range m.History {
		out = append(out, step{c.Time.Sub(m.History[0].Time), c.Status, c.ReadyForCutover})
	}
	return out
}

// The history is right however seldom somebody looks.
func TestHistory(t *testing.T) {
	t.Parallel()
	const (
		isNew    = livemigration.MigrationNew
		working  = livemigration.MigrationWorking
		complete = livemigration.MigrationComplete
		failed   = livemigration.MigrationFailed
		expired  = livemigration.MigrationExpired

		ready  = time.Minute + time.Hour
		window = 120 * time.Hour
	)
	begin := []step{{0, isNew, false}, {time.Minute, working, false}}
	tests := map[string]struct {
		script func(t *testing.T, srv *livemigrationtest.Server)
		want   []step
	}{
		"new":     {func(*testing.T, *livemigrationtest.Server) {}, begin[:1]},
		"working": {func(_ *testing.T, srv *livemigrationtest.Server) { srv.Advance(time.Hour) }, begin},
		"expired": {
			func(_ *testing.T, srv *livemigrationtest.Server) { srv.Advance(1000 * time.Hour) },
			append(begin[:2:2], step{ready, working, true}, step{ready + window, expired, false}),
		},
		"complete": {
			func(t *testing.T, srv *livemigrationtest.Server) {
				srv.Advance(2 * time.Hour)
				require.Equal(t, http.StatusAccepted, cutoverStatus(t, srv, srv.Migrations()[0].ID))
				srv.Advance(1000 * time.Hour)
			},
			append(begin[:2:2], step{ready, working, true}, step{2 * time.Hour, working, false},
				step{2*time.Hour + 5*time.Minute, complete, false}),
		},
		"failed": {
			func(t *testing.T, srv *livemigrationtest.Server) {
				srv.Advance(30 * time.Minute)
				require.NoError(t, srv.FailMigration(srv.Migrations()[0].ID))
				srv.Advance(time.Hour)
			},
			append(begin[:2:2], step{30 * time.Minute, failed, false}),
		},
		"held while ready": {
			func(t *testing.T, srv *livemigrationtest.Server) {
				id := srv.Migrations()[0].ID
				srv.Advance(2 * time.Hour)
				require.NoError(t, srv.HoldMigration(id, time.Minute))
				srv.Advance(10 * time.Hour)
				require.NoError(t, srv.ReleaseMigration(id))
				srv.Advance(time.Hour)
			},
			append(begin[:2:2], step{ready, working, true}, step{2 * time.Hour, working, false}, step{12 * time.Hour, working, true}),
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				srv := newOpenServer(t)
				startMigrationOn(t, srv)
				tt.script(t, srv)
				assert.Equal(t, tt.want, steps(srv.Migrations()[0]))
				assert.Equal(t, tt.want, steps(srv.Migrations()[0]), "looking changes nothing")
			})
		})
	}
}

func TestHistoryOfScriptedMigrations(t *testing.T) {
	t.Parallel()
	srv := newOpenServer(t)
	srv.FailNextMigration()
	srv.HoldNextMigration(time.Minute)
	startMigrationOn(t, srv)
	startMigrationOn(t, srv)
	srv.Advance(1000 * time.Hour)
	begin := []step{{0, livemigration.MigrationNew, false}, {time.Minute, livemigration.MigrationWorking, false}}
	all := srv.Migrations()
	assert.Equal(t, append(begin[:2:2], step{time.Minute + time.Hour, livemigration.MigrationFailed, false}), steps(all[0]))
	assert.Equal(t, begin, steps(all[1]))
}

func TestMigrationPrints(t *testing.T) {
	t.Parallel()
	srv := newOpenServer(t)
	id := startMigrationOn(t, srv)
	clusters := fmt.Sprintf("%s/orders to %s/Cluster0 on vm001.example.com", sourceProject, srv.ProjectID())
	assert.Equal(t, fmt.Sprintf("migration %s: NEW: %s", id, clusters), srv.Migrations()[0].String())
	srv.Advance(2 * time.Hour)
	m := srv.Migrations()[0]
	want := fmt.Sprintf("migration %s: WORKING, ready for cutover, lag 1s: %s", id, clusters)
	assert.Equal(t, want, fmt.Sprint(m))
	var out bytes.Buffer
	slog.New(slog.NewTextHandler(&out, nil)).Info("seen", "migration", m)
	assert.Contains(t, out.String(), want)
}

func TestMigrationInJSON(t *testing.T) {
	t.Parallel()
	srv := newOpenServer(t)
	id := startMigrationOn(t, srv)
	srv.Advance(2 * time.Hour)
	m := srv.Migrations()[0]
	data, err := json.Marshal(m)
	require.NoError(t, err)

	var members map[string]any
	require.NoError(t, json.Unmarshal(data, &members))
	assert.ElementsMatch(t, []string{
		"_id", "status", "readyForCutover", "migrationHosts", "lagTimeSeconds", "projectId", "source", "destination", "history",
	}, keys(members))
	assert.Equal(t, string(id), members["_id"])
	assert.Equal(t, map[string]any{"projectId": sourceProject, "clusterName": "orders"}, members["source"])

	var again livemigrationtest.Migration
	require.NoError(t, json.Unmarshal(data, &again))
	assert.Equal(t, m.Migration, again.Migration)
	assert.Equal(t, m.Destination, again.Destination)
	assert.Equal(t, steps(m), steps(again))
	assert.Error(t, json.Unmarshal([]byte(`{"_id":1}`), &again))
}
