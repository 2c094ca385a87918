package main

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go"
	"github.com/livemigration/livemigration-go/durable"
	"github.com/livemigration/livemigration-go/livemigrationtest"
)

// asProgram makes the test binary the program, for tests that send signals to it.
const asProgram = "FLEET_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
	}
	os.Exit(m.Run())
}

// rig is an in-memory Atlas, and a directory of records.
type rig struct {
	*livemigrationtest.Server
	t     *testing.T
	state string
}

// newRig also sets the environment of the tool.
func newRig(t *testing.T, opts ...livemigrationtest.Option) *rig {
	server := livemigrationtest.NewServer(append([]livemigrationtest.Option{livemigrationtest.WithSpeed(20_000)}, opts...)...)
	t.Cleanup(server.Close)
	public, private := server.APIKey()
	for name, value := range map[string]string{
		"MONGODB_ATLAS_ACCESS_TOKEN": "", "MONGODB_ATLAS_CLIENT_ID": "", "MONGODB_ATLAS_CLIENT_SECRET": "",
		"MONGODB_ATLAS_PUBLIC_API_KEY": public, "MONGODB_ATLAS_PRIVATE_API_KEY": private.Reveal(),
		"MONGODB_ATLAS_BASE_URL": server.URL(), "SOURCE_PASSWORD": "", "USER": "ada",
	} {
		t.Setenv(name, value)
	}
	return &rig{Server: server, t: t, state: filepath.Join(t.TempDir(), "state")}
}

func (r *rig) plans(names ...string) (plans []durable.Plan) {
	for _, name := range names {
		plans = append(plans, durable.Plan{Name: name, ProjectID: r.ProjectID(), Parallel: true, Request: livemigration.MigrationRequest{
			Source:         livemigration.Source{ProjectID: "5c7e8f90f1ee700000000001", ClusterName: name + "-old", ManagedAuthentication: true},
			Destination:    livemigration.Destination{ClusterName: name},
			MigrationHosts: []string{name + ".example.com"},
		}})
	}
	return plans
}

// write writes a JSON file of plans.
func (r *rig) write(plans ...durable.Plan) string {
	r.t.Helper()
	data, err := json.Marshal(plans)
	require.NoError(r.t, err)
	path := filepath.Join(r.t.TempDir(), "plans.json")
	require.NoError(r.t, os.WriteFile(path, data, 0o600))
	return path
}

// tool runs a command to its end.
func (r *rig) tool(args ...string) (stdout, stderr string, status int) {
	var out, log bytes.Buffer
	status = run(r.t.Context(), append([]string{"fleet", "-state", r.state}, args...), &out, &log)
	return out.String(), log.String(), status
}

func (r *rig) succeed(args ...string) string {
	r.t.Helper()
	stdout, stderr, status := r.tool(args...)
	require.Equal(r.t, exitDone, status, stdout+stderr)
	assert.Empty(r.t, stderr)
	return stdout
}

func (r *rig) fail(status int, args ...string) (stdout, stderr string) {
	r.t.Helper()
	stdout, stderr, got := r.tool(args...)
	assert.Equal(r.t, status, got, stdout+stderr)
	return stdout, stderr
}

// run is the command run to its end, with all cutovers approved.
func (r *rig) run(more ...string) []string {
	return append([]string{"run", "-yes", "-poll", "20ms"}, more...)
}

func (r *rig) record(name string) (record durable.Record) {
	dir, err := durable.OpenDir(r.state)
	require.NoError(r.t, err)
	record, err = dir.Load(r.t.Context(), name)
	require.NoError(r.t, err)
	return record
}

// until waits for a state.
func (r *rig) until(name string, state durable.State) {
	r.t.Helper()
	require.Eventually(r.t, func() bool { return r.record(name).State == state }, time.Minute, 20*time.Millisecond)
}

func TestRunToTheEnd(t *testing.T) {
	r := newRig(t)
	r.succeed("add", r.write(r.plans("orders", "events", "billing")...))
	stdout := r.succeed(r.run("-window", "00:00-24:00", "-max-lag", "1h")...)
	assert.Regexp(t, `(?m)^\d\d:\d\d:\d\d  orders REPLICATING, migration [0-9a-f]{24}$`, stdout)
	assert.True(t, strings.HasSuffix(stdout, "\n3 migrations: 3 COMPLETE\n"), stdout)
	assert.Equal(t, "3 migrations: 3 COMPLETE\n", r.succeed("run"), "nothing is left to do")
	assert.Len(t, r.Migrations(), 3)

	rows, err := csv.NewReader(strings.NewReader(r.succeed("report"))).ReadAll()
	require.NoError(t, err)
	assert.Equal(t, head, rows[0])
	assert.Equal(t, []string{"billing", "COMPLETE", "billing-old", "billing"}, rows[1][:4])
	for i := 6; i < 11; i++ {
		_, err := time.Parse(time.RFC3339, rows[1][i])
		assert.NoError(t, err, head[i])
	}
	var records []durable.Record
	require.NoError(t, json.Unmarshal([]byte(r.succeed("report", "-output", "json")), &records))
	assert.Equal(t, durable.StateComplete, records[2].State)
	assert.Contains(t, r.succeed("status", "-watch"), "billing  COMPLETE", "it ends with the records")
	assert.Equal(t, "billing: removed\n", r.succeed("remove", "billing"))
	assert.Contains(t, r.succeed("status"), "2 migrations: 2 COMPLETE\n")
}

// Nothing is cut over, and no data is destroyed, before a person approves from another process.
func TestApproveAndRevoke(t *testing.T) {
	r := newRig(t)
	plans := r.plans("orders", "events")
	plans[0].Request.DropDestinationData = true
	r.succeed("add", r.write(plans...))
	ended := make(chan int, 1)
	go func() {
		_, _, status := r.tool("run", "-poll", "20ms")
		ended <- status
	}()
	r.until("orders", durable.StateValidated)
	r.until("events", durable.StateReady)
	status := r.succeed("status")
	assert.Regexp(t, `(?m)^orders  VALIDATED  .*waits for the approval of the start`, status)
	assert.Regexp(t, `(?m)^events  READY  .* 120h .*waits for the approval of the cutover`, status)
	assert.Equal(t, "orders: cutover approved\n", r.succeed("approve", "-for", "1h", "orders"), "in advance")
	assert.Equal(t, "orders: approval of the cutover revoked\n", r.succeed("revoke", "orders"))
	assert.Equal(t, "orders: start approved\n", r.succeed("approve", "-gate", "start", "orders"))
	r.until("orders", durable.StateReady)
	assert.Equal(t, "orders: cutover approved\nevents: cutover approved\n", r.succeed("approve", "-by", "grace", "orders", "events"))
	assert.Equal(t, exitDone, <-ended)
	history := r.succeed("status", "orders")
	for _, want := range []string{
		"start approved: ada", "cutover approved: ada, until 20", "revoked: ada", "cutover approved: grace\n", "COMPLETE",
	} {
		assert.Contains(t, history, want)
	}
}

// An UNCLEAR record says what to look for, and how to go on.
func TestUnclear(t *testing.T) {
	r := newRig(t)
	r.succeed("add", r.write(r.plans("orders")...))
	r.Inject(livemigrationtest.CreateMigration, livemigrationtest.ResetAfterRequest(), 1)
	_, stderr := r.fail(exitIncomplete, r.run()...)
	assert.True(t, strings.HasSuffix(stderr, "\nfleet: not complete: 1 migration: 1 UNCLEAR\n"), stderr)
	assert.Contains(t, stderr, "live migration of the source cluster orders-old. If it is there, adopt its ID")
	_, stderr = r.fail(exitFailed, "restart", "orders")
	assert.Contains(t, stderr, "conflict", "the request may still arrive")
	r.fail(exitUsage, "adopt", "orders", "7")
	assert.Equal(t, "orders: adopted\n", r.succeed("adopt", "orders", string(r.Migrations()[0].ID)))
	r.succeed(r.run()...)
	assert.Len(t, r.Migrations(), 1)
}

func TestFailed(t *testing.T) {
	r := newRig(t)
	r.succeed("add", r.write(r.plans("orders", "events", "billing")...))
	for _, name := range []string{"orders", "events", "billing"} {
		r.ForCluster(name).FailNextValidation("the disk is full")
	}
	_, stderr := r.fail(exitIncomplete, r.run()...)
	assert.Regexp(t, "(?m)^fleet: orders FAILED: .*the disk is full", stderr)
	assert.Contains(t, stderr, "\nfleet: not complete: 3 migrations: 3 FAILED\n")

	other := r.plans("orders")
	other[0].Request.MigrationHosts = []string{"other.example.com"}
	file := r.write(other...)
	_, stderr = r.fail(exitFailed, "add", file)
	assert.Contains(t, stderr, "exists and differs in ")
	assert.Equal(t, "orders: abandoned\nevents: abandoned\n", r.succeed("abandon", "orders", "events"))
	assert.Equal(t, "orders: removed\n", r.succeed("remove", "orders"))
	assert.Contains(t, r.succeed("add", file), "no longer in "+file+": billing (FAILED), events (ABANDONED)\n1 plan of ")
	assert.Equal(t, "billing: planned again\n", r.succeed("restart", "billing"))
	assert.Contains(t, r.succeed(r.run()...), "3 migrations: 2 COMPLETE, 1 ABANDONED\n")
}

// However the program ends, the same command continues.
func TestSignals(t *testing.T) {
	for name, tt := range map[string]struct {
		signal syscall.Signal
		status int
	}{
		"killed":      {syscall.SIGKILL, -1},
		"interrupted": {syscall.SIGINT, exitInterrupted},
		"ended":       {syscall.SIGTERM, exitInterrupted},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.succeed("add", r.write(r.plans("orders")...))
			process := exec.Command(os.Args[0], "-state", r.state, "run", "-poll", "20ms")
			process.Env = append(os.Environ(), asProgram+"=1")
			var stderr bytes.Buffer
			process.Stderr = &stderr
			require.NoError(t, process.Start())
			r.until("orders", durable.StateReady)
			require.NoError(t, process.Process.Signal(tt.signal))
			_ = process.Wait() // its status follows
			assert.Equal(t, tt.status, process.ProcessState.ExitCode())
			if tt.status == exitInterrupted {
				assert.Equal(t, "fleet: interrupted; the same command continues\n", stderr.String())
			}
			assert.Contains(t, r.succeed(r.run()...), "1 migration: 1 COMPLETE\n")
			assert.Len(t, r.Migrations(), 1)
		})
	}
}

func TestUsage(t *testing.T) {
	r := newRig(t)
	_, stderr := r.fail(exitUsage, "run")
	assert.Equal(t, "fleet: directory \""+r.state+"\" does not exist; add plans first: fleet add FILE...\n", stderr)
	assert.NoDirExists(t, r.state)
	r.succeed("add", r.write(r.plans("orders")...))
	for name, tt := range map[string]struct {
		args []string
		want string
	}{
		"no command":       {nil, "missing command"},
		"unknown command":  {[]string{"copy"}, `"copy"`},
		"unknown flag":     {[]string{"run", "-copy"}, "-copy"},
		"more arguments":   {[]string{"run", "now"}, `unexpected argument "now"`},
		"no such file":     {[]string{"add", "none.csv"}, "none.csv"},
		"no names":         {[]string{"approve"}, "must be NAME..."},
		"no ID":            {[]string{"adopt", "orders"}, "must be NAME ID"},
		"unknown gate":     {[]string{"approve", "-gate", "end", "orders"}, "cutover"},
		"negative time":    {[]string{"approve", "-for", "-1h", "orders"}, "-for"},
		"unknown output":   {[]string{"report", "-output", "xml"}, "json"},
		"malformed window": {[]string{"run", "-window", "night"}, "22:00-04:00"},
		"no limit":         {[]string{"run", "-limit", "0"}, "at least 1"},
		"negative lag":     {[]string{"run", "-max-lag", "-1s"}, "WithMaxLag"},
	} {
		t.Run(name, func(t *testing.T) {
			stdout, stderr := r.fail(exitUsage, tt.args...)
			assert.Contains(t, stderr, tt.want)
			assert.Equal(t, 1, strings.Count(stderr, "\n"), "one line")
			assert.Empty(t, stdout)
		})
	}
	stdout, stderr := r.fail(exitFailed, "approve", "events", "orders")
	assert.Contains(t, stderr, `approve "events": `)
	assert.Contains(t, stderr, "record not found")
	assert.Equal(t, "orders: cutover approved\n", stdout, "the others are approved")
	for _, column := range columns {
		assert.Contains(t, r.succeed("add", "-h"), "\n   "+column.name+" ")
	}
	assert.Empty(t, r.Recorded())
}

func TestPasswords(t *testing.T) {
	r := newRig(t)
	plans := r.plans("orders-eu.1", "events")
	for i := range plans {
		plans[i].Request.Source.ManagedAuthentication = false
		plans[i].Request.Source.Username = "sync"
	}
	r.succeed("add", r.write(plans...))
	t.Setenv("SOURCE_PASSWORD_ORDERS_EU_1", "the first secret")
	t.Setenv("SOURCE_PASSWORD", "the second secret")
	stdout := r.succeed(r.run()...)
	bodies := ""
	for _, request := range r.Recorded() {
		bodies += string(request.Body)
	}
	for _, secret := range []string{"the first secret", "the second secret"} {
		assert.Contains(t, bodies, secret)
		assert.NotContains(t, stdout, secret)
	}
}

// A damaged file is named, and stops nothing but its record.
func TestDamagedRecord(t *testing.T) {
	r := newRig(t)
	r.succeed("add", r.write(r.plans("orders", "events")...))
	require.NoError(t, os.WriteFile(filepath.Join(r.state, "orders.json"), []byte("{"), 0o600))
	for _, args := range [][]string{{"status"}, {"report", "-output", "json"}, {"report"}, r.run()} {
		stdout, stderr := r.fail(exitFailed, args...)
		assert.Contains(t, stdout, "events")
		assert.Contains(t, stderr, "orders.json")
	}
	assert.Equal(t, durable.StateComplete, r.record("events").State)
}

// status -watch shows each change, and ends when all records have ended.
func TestWatch(t *testing.T) {
	r := newRig(t)
	r.succeed("add", r.write(r.plans("orders")...))
	var out, log bytes.Buffer
	shown := &lockedWriter{out: &out}
	ended := make(chan int, 1)
	go func() {
		ended <- run(t.Context(), []string{"fleet", "-state", r.state, "status", "-watch"}, shown, &log)
	}()
	contains := func(text string) func() bool {
		return func() bool {
			shown.mu.Lock()
			defer shown.mu.Unlock()
			return strings.Contains(out.String(), text)
		}
	}
	require.Eventually(t, contains("1 migration: 1 PLANNED\n"), time.Minute, 10*time.Millisecond)
	r.succeed("abandon", "orders")
	require.Eventually(t, contains("  orders ABANDONED\n"), time.Minute, 10*time.Millisecond)
	assert.Equal(t, exitDone, <-ended, log.String())
}

type lockedWriter struct {
	mu  sync.Mutex
	out *bytes.Buffer
}

func (w *lockedWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.out.Write(p)
}
