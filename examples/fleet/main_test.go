package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go"
	"github.com/livemigration/livemigration-go/durable"
	"github.com/livemigration/livemigration-go/livemigrationtest"
)

// rig is an in-memory Atlas, and a directory of records.
type rig struct {
	*livemigrationtest.Server
	t     *testing.T
	state string
}

// newRig also sets the environment of the tool.
func newRig(t *testing.T) *rig {
	server := livemigrationtest.NewServer(livemigrationtest.WithSpeed(20_000))
	t.Cleanup(server.Close)
	for name, value := range environment(server) {
		t.Setenv(name, value)
	}
	return &rig{Server: server, t: t, state: filepath.Join(t.TempDir(), "state")}
}

func environment(server *livemigrationtest.Server) map[string]string {
	public, private := server.APIKey()
	return map[string]string{
		"MONGODB_ATLAS_ACCESS_TOKEN": "", "MONGODB_ATLAS_CLIENT_ID": "", "MONGODB_ATLAS_CLIENT_SECRET": "",
		"MONGODB_ATLAS_PUBLIC_API_KEY": public, "MONGODB_ATLAS_PRIVATE_API_KEY": private.Reveal(),
		"MONGODB_ATLAS_BASE_URL": server.URL(), "SOURCE_PASSWORD": "",
	}
}

func (r *rig) plans(names ...string) (plans []durable.Plan) {
	for _, name := range names {
		plans = append(plans, durable.Plan{Name: name, ProjectID: r.ProjectID(), Request: livemigration.MigrationRequest{
			Source:         livemigration.Source{ProjectID: "5c7e8f90f1ee700000000001", ClusterName: name + "-old", ManagedAuthentication: true},
			Destination:    livemigration.Destination{ClusterName: name},
			MigrationHosts: []string{name + ".example.com"},
		}})
	}
	return plans
}

// addPlans adds plans by a JSON file.
func (r *rig) addPlans(plans ...durable.Plan) {
	r.t.Helper()
	data, err := json.Marshal(plans)
	require.NoError(r.t, err)
	path := filepath.Join(r.t.TempDir(), "plans.json")
	require.NoError(r.t, os.WriteFile(path, data, 0o600))
	many := "1 plan is in "
	if len(plans) != 1 {
		many = fmt.Sprintf("%d plans are in ", len(plans))
	}
	assert.Equal(r.t, many+r.state+"\n", r.succeed("add", path))
}

// tool runs a command to its end.
func (r *rig) tool(ctx context.Context, args ...string) (stdout, stderr string, status int) {
	var out, log bytes.Buffer
	args = append([]string{"fleet", "-state", r.state}, args...)
	status = run(ctx, args, strings.NewReader(""), &out, &log)
	for line := range strings.Lines(out.String() + log.String()) {
		if !strings.Contains(line, r.state) { // temporary directories have long names
			assert.LessOrEqual(r.t, len([]rune(strings.TrimRight(line, "\n"))), 80, line)
		}
	}
	return out.String(), log.String(), status
}

func (r *rig) succeed(args ...string) string {
	r.t.Helper()
	stdout, stderr, status := r.tool(r.t.Context(), args...)
	require.Equal(r.t, exitDone, status, stdout+stderr)
	assert.Empty(r.t, stderr)
	return stdout
}

func (r *rig) records() map[string]durable.Record {
	r.t.Helper()
	dir, err := durable.OpenDir(r.state)
	require.NoError(r.t, err)
	list, err := durable.NewFleet(nil, dir).Records(r.t.Context())
	require.NoError(r.t, err)
	byName := make(map[string]durable.Record)
	for _, record := range list {
		byName[record.Plan.Name] = record
	}
	return byName
}

const (
	always = "00:00-24:00"
	poll   = "20ms"
)

func TestRunToTheEnd(t *testing.T) {
	r := newRig(t)
	r.addPlans(r.plans("orders", "events", "billing")...)
	stdout := r.succeed("run", "-window", always, "-poll", poll)
	assert.Regexp(t, `(?m)^\d\d:\d\d:\d\d  orders: VALIDATING: validation [0-9a-f]{24}$`, stdout)
	assert.Regexp(t, `(?m)^\d\d:\d\d:\d\d  orders: REPLICATING: migration [0-9a-f]{24}$`, stdout)
	assert.Contains(t, stdout, "  orders: READY: waits for the approval of the cutover\n")
	assert.True(t, strings.HasSuffix(stdout, "\n3 migrations: 3 COMPLETE\n"), stdout)
	assert.Len(t, r.Migrations(), 3)

	assert.Equal(t, "3 migrations: 3 COMPLETE\n", r.succeed("run"), "nothing is left to do")
	report := r.succeed("report")
	assert.Regexp(t, `(?m)^\| billing \| billing-old \| billing \| COMPLETE \| \d+s \| \d+s \| \d+s \| \d+s \| \d+s \|$`, report)
	assert.Contains(t, report, "Delete the link-tokens")
	assert.Len(t, r.Migrations(), 3)
}

// Outside of the window nothing is cut over, but by the command approve from another process.
func TestApprove(t *testing.T) {
	r := newRig(t)
	plans := r.plans("orders", "events")
	plans[0].Request.DropDestinationData = true
	r.addPlans(plans...)
	soon := time.Now().Add(12 * time.Hour)
	closed := soon.Format("15:04") + "-" + soon.Add(time.Minute).Format("15:04")
	ended := make(chan int, 1)
	go func() {
		_, _, status := r.tool(t.Context(), "run", "-window", closed, "-poll", poll)
		ended <- status
	}()
	waitFor := func(name string, gate durable.Gate) {
		require.Eventually(t, func() bool { record := r.records()[name]; return record.Gate() == gate }, 20*time.Second, 10*time.Millisecond)
	}
	waitFor("orders", durable.GateStart)
	waitFor("events", durable.GateCutover)
	status := r.succeed("status")
	assert.Regexp(t, `(?m)^orders  VALIDATED .* approval of the start$`, status)
	assert.Regexp(t, `(?m)^events  READY .* 119h|4d23h|5d00h +approval of the cutover$`, status)
	assert.Contains(t, r.succeed("report"), "`fleet -state "+r.state+" approve -gate start orders`")

	assert.Equal(t, "orders: approved\n", r.succeed("approve", "-gate", "start", "orders"))
	assert.Equal(t, "orders: approved\nevents: approved\n", r.succeed("approve", "orders", "events"))
	assert.Equal(t, exitDone, <-ended)
	assert.Equal(t, durable.StateComplete, r.records()["orders"].State)
}

// A record of which nobody knows says what to look for, and what settles it.
func TestUnclear(t *testing.T) {
	r := newRig(t)
	r.addPlans(r.plans("orders", "events")...)
	r.ForCluster("orders").Inject(livemigrationtest.CreateMigration, livemigrationtest.ResetAfterRequest(), 1)
	r.ForCluster("events").Inject(livemigrationtest.CreateMigration, livemigrationtest.Status(500), 1)
	stdout, stderr, status := r.tool(t.Context(), "run", "-window", always, "-poll", poll)
	assert.Equal(t, exitFailed, status)
	assert.Equal(t, "fleet: not complete: 2 UNCLEAR\n", stderr)
	for _, shown := range []string{stdout, r.succeed("status"), r.succeed("status", "orders")} {
		words := strings.Join(strings.Fields(shown), " ")
		assert.Contains(t, words, "Look in the Atlas user interface at project "+string(r.ProjectID())+", cluster orders, for a live migration of the source cluster orders-old")
		assert.Contains(t, words, "if the migration is in Atlas: fleet -state")
		assert.Contains(t, words, "adopt orders ID")
		assert.Contains(t, words, "restart orders")
	}

	_, stderr, status = r.tool(t.Context(), "adopt", "orders", "7")
	assert.Equal(t, exitUsage, status, stderr)
	require.Len(t, r.Migrations(), 1)
	assert.Equal(t, "orders: adopted\n", r.succeed("adopt", "orders", string(r.Migrations()[0].ID)))
	assert.Equal(t, "events: planned again\n", r.succeed("restart", "events"))
	r.succeed("run", "-window", always, "-poll", poll)
	assert.Len(t, r.Migrations(), 2)
}

func TestFailed(t *testing.T) {
	r := newRig(t)
	r.addPlans(r.plans("orders", "events")...)
	r.ForCluster("orders").FailNextValidation("the disk is full")
	r.ForCluster("events").FailNextMigration()
	stdout, _, status := r.tool(t.Context(), "run", "-window", always, "-poll", poll)
	assert.Equal(t, exitFailed, status)
	assert.Contains(t, stdout, "orders is FAILED: ")
	assert.Contains(t, stdout, "the disk is full")

	plans := r.plans("orders")
	plans[0].Request.MigrationHosts = []string{"other.example.com"}
	data, err := json.Marshal(plans)
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "other.json")
	require.NoError(t, os.WriteFile(path, data, 0o600))
	assert.Equal(t, "orders: replaced\n", r.succeed("replace", path))
	assert.Equal(t, "events: abandoned\n", r.succeed("abandon", "events"))
	assert.Contains(t, r.succeed("run", "-window", always, "-poll", poll), "2 migrations: 1 COMPLETE, 1 ABANDONED\n")
}

func TestInterrupted(t *testing.T) {
	r := newRig(t)
	r.addPlans(r.plans("orders")...)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, stderr, status := r.tool(ctx, "run")
	assert.Equal(t, exitInterrupted, status)
	assert.Equal(t, "fleet: interrupted; the same command continues\n", stderr)
}
