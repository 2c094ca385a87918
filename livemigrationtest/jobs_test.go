package livemigrationtest_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go"
	"github.com/livemigration/livemigration-go/livemigrationtest"
)

// stateOf is a migration in a word, as "WORKING ready 1s".
func stateOf(m livemigrationtest.Migration) string {
	state := string(m.Status)
	if m.ReadyForCutover {
		state += " ready"
	}
	if m.LagTimeSeconds != nil {
		state += " " + (time.Duration(*m.LagTimeSeconds) * time.Second).String()
	}
	return state
}

func states(srv *livemigrationtest.Server) []string {
	var out []string
	for _, m := range srv.Migrations() {
		out = append(out, stateOf(m))
	}
	return out
}

func startMigrationOn(t *testing.T, srv *livemigrationtest.Server) livemigration.MigrationID {
	t.Helper()
	return livemigration.MigrationID(create(t, srv, livemigrationtest.CreateMigration))
}

func cutoverStatus(t *testing.T, srv *livemigrationtest.Server, id livemigration.MigrationID) int {
	t.Helper()
	return send(t, srv, endpoint(srv, livemigrationtest.Cutover, v2Prefix, string(id))).status
}

func TestMigrationPhases(t *testing.T) {
	t.Parallel()
	srv := newOpenServer(t)
	start := time.Now().Add(-time.Minute)
	id := startMigrationOn(t, srv)
	for _, step := range []struct {
		advance time.Duration
		want    string
		cutover int // the status; 0: it is not tried
	}{
		{0, "NEW", 409},
		{time.Minute - 1, "NEW", 409},
		{1, "WORKING 1h0m1s", 409},
		{30 * time.Minute, "WORKING 30m1s", 409},
		{30*time.Minute - 1, "WORKING 2s", 409},
		{1, "WORKING ready 1s", 0},
		{120*time.Hour - 1, "WORKING ready 1s", 202},
		{0, "WORKING", 409},
		{5*time.Minute - 1, "WORKING", 409},
		{1, "COMPLETE", 409},
		{1000 * time.Hour, "COMPLETE", 409},
	} {
		srv.Advance(step.advance)
		require.Equal(t, []string{step.want}, states(srv))
		if step.cutover != 0 {
			require.Equal(t, step.cutover, cutoverStatus(t, srv, id), step.want)
		}
	}
	m := srv.Migrations()[0]
	var history []string
	last := start
	for _, change := range m.History {
		history = append(history, fmt.Sprint(change.Status, change.ReadyForCutover))
		assert.True(t, change.Time.After(last), "%v", m.History)
		last = change.Time
	}
	assert.Equal(t, "NEWfalse WORKINGfalse WORKINGtrue WORKINGfalse COMPLETEfalse", strings.Join(history, " "))
	assert.Equal(t, 120*time.Hour-1, m.History[3].Time.Sub(m.History[2].Time))

	data, err := json.Marshal(m)
	require.NoError(t, err)
	var again livemigrationtest.Migration
	require.NoError(t, json.Unmarshal(data, &again))
	assert.Equal(t, m.Source, again.Source)
	assert.Contains(t, m.String(), sourceProject+"/orders to "+string(srv.ProjectID())+"/Cluster0 on vm001.example.com")
}

func TestMigrationExpires(t *testing.T) {
	t.Parallel()
	srv := newOpenServer(t, livemigrationtest.WithTimings(livemigrationtest.Timings{Scheduling: -1, InitialSync: time.Second}))
	id := startMigrationOn(t, srv)
	require.Equal(t, []string{"WORKING 2s"}, states(srv), "a negative time is none")
	require.ErrorContains(t, srv.ExtendTime(id), "it is not ready for cutover")
	srv.Advance(time.Second)
	require.NoError(t, srv.ExtendTime(id))
	require.NoError(t, srv.ExtendTime(id))
	srv.Advance(168*time.Hour - 1)
	require.Equal(t, []string{"WORKING ready 1s"}, states(srv), "twice 24 hours more")
	srv.Advance(1)
	require.Equal(t, []string{"EXPIRED"}, states(srv))
	require.ErrorContains(t, srv.ExtendTime(id), "it is EXPIRED")
	require.Equal(t, http.StatusConflict, cutoverStatus(t, srv, id))
}

// The lag grows while applications write, and falls to 0 when they stop.
func TestLag(t *testing.T) {
	t.Parallel()
	srv := newOpenServer(t, livemigrationtest.WithLagGrowth(10*time.Minute))
	startMigrationOn(t, srv)
	srv.Advance(time.Minute + time.Hour)
	for _, step := range []struct {
		do      func()
		advance time.Duration
		want    string
	}{
		{nil, 0, "WORKING ready 1s"},
		{nil, 3 * time.Hour, "WORKING ready 30m1s"},
		{srv.ForCluster("another").StopWrites, time.Hour, "WORKING ready 40m1s"},
		{srv.ForCluster("orders").StopWrites, time.Minute, "WORKING ready 30m1s"},
		{nil, 4 * time.Minute, "WORKING ready 0s"},
		{nil, time.Hour, "WORKING ready 0s"},
		{srv.ResumeWrites, time.Hour, "WORKING ready 10m0s"},
		{srv.StopWrites, time.Hour, "WORKING ready 0s"},
	} {
		if step.do != nil {
			step.do()
		}
		srv.Advance(step.advance)
		require.Equal(t, []string{step.want}, states(srv))
	}
	startMigrationOn(t, srv)
	srv.Advance(2 * time.Hour)
	assert.Equal(t, "WORKING ready 0s", states(srv)[1], "nothing is written to the cluster of a later migration either")
}

func TestValidationPhases(t *testing.T) {
	t.Parallel()
	srv := newOpenServer(t)
	srv.FailNextValidation("no route to the source")
	create(t, srv, livemigrationtest.CreateValidation)
	create(t, srv, livemigrationtest.CreateValidation)
	all := func() string {
		var out []string
		for _, v := range srv.Validations() {
			assert.EqualValues(t, sourceProject, v.SourceProjectID)
			out = append(out, string(v.Status)+" "+v.ErrorMessage)
		}
		return strings.Join(out, ", ")
	}
	srv.Advance(-time.Hour)
	srv.Advance(time.Minute - 1)
	assert.Equal(t, "PENDING , PENDING ", all())
	srv.Advance(1)
	assert.Equal(t, "FAILED no route to the source, SUCCESS ", all())
}

func TestScriptedMigrations(t *testing.T) {
	t.Parallel()
	srv := newOpenServer(t)
	srv.FailNextMigration()
	srv.ForCluster("another").FailNextMigration()
	srv.ForCluster("orders").HoldNextMigration(90 * time.Second)
	first, held, third := startMigrationOn(t, srv), startMigrationOn(t, srv), startMigrationOn(t, srv)
	assert.Equal(t, []string{"NEW", "NEW", "NEW"}, states(srv))
	srv.Advance(time.Minute)
	assert.Equal(t, []string{"WORKING 1h0m1s", "WORKING 1m30s", "WORKING 1h0m1s"}, states(srv))
	srv.Advance(1000 * time.Hour)
	assert.Equal(t, []string{"FAILED", "WORKING 1m30s", "EXPIRED"}, states(srv))

	require.NoError(t, srv.ReleaseMigration(held))
	srv.Advance(time.Hour)
	assert.Equal(t, "WORKING ready 1s", states(srv)[1])
	require.ErrorContains(t, srv.ReleaseMigration(held), "it is not held")
	require.NoError(t, srv.ExpireMigration(held))
	assert.Equal(t, "EXPIRED", states(srv)[1])
	require.ErrorContains(t, srv.FailMigration(first), "it is FAILED")
	require.ErrorContains(t, srv.FailMigration("ffffffffffffffffffffffff"), "there is no migration")

	fourth := startMigrationOn(t, srv)
	srv.Advance(2 * time.Hour)
	require.Equal(t, http.StatusAccepted, cutoverStatus(t, srv, fourth))
	require.ErrorContains(t, srv.ExpireMigration(fourth), "it has been cut over")
	require.NoError(t, srv.FailMigration(fourth))
	assert.Equal(t, "FAILED", states(srv)[3])
	assert.Equal(t, third, srv.Migrations()[2].ID)
}

func TestOneAtATime(t *testing.T) {
	t.Parallel()
	srv := newOpenServer(t, livemigrationtest.WithOneAtATime())
	request := func(project, host string) request {
		r := createRequest(srv)
		r.body = strings.Replace(strings.Replace(r.body, "vm001.example.com", host, 1), sourceProject, project, 1)
		return r
	}
	production, staging := string(srv.SampleRequest().Source.ProjectID), sourceProject
	assert.Equal(t, 201, send(t, srv, request(production, "a")).status)
	assertError(t, send(t, srv, request(production, "b")), http.StatusConflict, "CONFLICT")
	assertError(t, send(t, srv, request(strings.Replace(production, "a01", "a02", 1), "b")), http.StatusConflict, "CONFLICT")
	assertError(t, send(t, srv, request(staging, "a")), http.StatusConflict, "CONFLICT")
	assert.Equal(t, 201, send(t, srv, request(staging, "b")).status, "another organization and host")
	require.NoError(t, srv.FailMigration(srv.Migrations()[0].ID))
	assert.Equal(t, 201, send(t, srv, request(production, "a")).status, "the conflict has passed")
}

// A whole migration with the client's own waiting, in virtual time.
func TestWaitInBubble(t *testing.T) {
	t.Parallel()
	for name, opts := range map[string][]livemigrationtest.Option{"HTTP/1.1": nil, "HTTP/2": {livemigrationtest.WithHTTP2()}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				srv := newServer(t, append(opts, livemigrationtest.WithInProcess(), livemigrationtest.WithSpeed(1))...)
				client, ctx, project := newClient(t, srv), t.Context(), srv.ProjectID()
				start := time.Now()
				validation, err := client.Validations.Create(ctx, project, srv.SampleRequest())
				require.NoError(t, err)
				_, err = client.Validations.Wait(ctx, project, validation.ID)
				require.NoError(t, err)
				migration, err := client.Migrations.Create(ctx, project, srv.SampleRequest())
				require.NoError(t, err)
				srv.Inject(livemigrationtest.GetMigration, livemigrationtest.Status(503).WithRetryAfter(time.Second).After(3), 2)
				srv.Inject(livemigrationtest.GetMigration, livemigrationtest.SlowBody(10*time.Second), 1)
				_, err = client.Migrations.WaitReadyForCutover(ctx, project, migration.ID)
				require.NoError(t, err)
				require.NoError(t, client.Migrations.Cutover(ctx, project, migration.ID))
				migration, err = client.Migrations.WaitComplete(ctx, project, migration.ID)
				require.NoError(t, err)
				assert.Equal(t, livemigration.MigrationComplete, migration.Status)
				assert.Greater(t, time.Since(start), time.Hour)
				assert.Zero(t, srv.PendingFaultCount())
				public, _ := srv.APIKey()
				assert.Equal(t, public, srv.Migrations()[0].CreatedBy)
			})
		})
	}
}

// Advance adds to what moves at the server's speed; at speed 0 nothing moves.
func TestSpeed(t *testing.T) {
	t.Parallel()
	for speed, want := range map[float64][3]string{
		60: {"NEW", "WORKING 1h0m1s", "WORKING ready 1s"}, -1: {"NEW", "NEW", "WORKING 31m1s"},
	} {
		synctest.Test(t, func(t *testing.T) {
			srv := newOpenServer(t, livemigrationtest.WithSpeed(speed))
			startMigrationOn(t, srv)
			time.Sleep(time.Second - 1)
			assert.Equal(t, want[0], states(srv)[0])
			time.Sleep(time.Nanosecond)
			assert.Equal(t, want[1], states(srv)[0])
			srv.Advance(30 * time.Minute)
			time.Sleep(30 * time.Second)
			assert.Equal(t, want[2], states(srv)[0])
		})
	}
}
