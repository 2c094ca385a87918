//go:build unix

package main

import (
	"bytes"
	"encoding/json"
	"io/fs"
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

// asProgram makes the test binary the program.
const asProgram = "PUSHMIGRATION_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
	}
	os.Exit(m.Run())
}

// atlas is an in-memory Atlas, and the environment of a run of the program against it.
type atlas struct {
	*livemigrationtest.Server
	t       *testing.T
	dir     string
	env     map[string]string
	secrets []string
}

func newAtlas(t *testing.T, opts ...livemigrationtest.Option) *atlas {
	t.Helper()
	srv := livemigrationtest.NewServer(append([]livemigrationtest.Option{livemigrationtest.WithSpeed(20_000)}, opts...)...)
	t.Cleanup(srv.Close)
	public, private := srv.APIKey()
	sourcePublic, sourcePrivate := srv.SourceAPIKey()
	password := srv.SampleRequest().Source.Password.Reveal()
	a := &atlas{Server: srv, t: t, dir: t.TempDir(), secrets: []string{private.Reveal(), sourcePrivate.Reveal(), password}}
	a.env = map[string]string{
		asProgram: "1", "HOME": a.dir, "MONGODB_ATLAS_BASE_URL": srv.URL(),
		"MONGODB_ATLAS_PUBLIC_API_KEY": public, "MONGODB_ATLAS_PRIVATE_API_KEY": private.Reveal(),
		orgVariable: string(srv.OrgID()), projectVariable: string(srv.ProjectID()), passwordVariable: password,
		sourceURLVariable: srv.SourceURL(), sourceOrgVariable: string(srv.SourceOrgID()),
		sourceKeyVariable: sourcePublic, sourcePrivVariable: sourcePrivate.Reveal(),
	}
	a.write(false)
	return a
}

// write writes the request file.
func (a *atlas) write(drop bool) {
	a.t.Helper()
	request := a.SampleRequest()
	request.DropDestinationData = drop
	request.Source.Password = ""
	data, err := json.Marshal(request)
	require.NoError(a.t, err)
	require.NoError(a.t, os.WriteFile(filepath.Join(a.dir, "request.json"), data, 0o600))
}

// process is a run of the program.
type process struct {
	*exec.Cmd
	a *atlas

	mu  sync.Mutex
	out bytes.Buffer
}

func (p *process) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out.Write(b)
}

func (p *process) output() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out.String()
}

func (a *atlas) command(args ...string) *process {
	p := &process{a: a, Cmd: exec.Command(os.Args[0], args...)}
	p.Dir = a.dir
	for name, value := range a.env {
		p.Env = append(p.Env, name+"="+value)
	}
	a.t.Cleanup(func() {
		if p.ProcessState == nil && p.Process != nil {
			_ = p.Process.Kill()
			_ = p.Wait()
		}
	})
	return p
}

// args are the request, a state directory, and quick polls.
func args(more ...string) []string {
	return append([]string{"-request", "request.json", "-state", "state", "-poll", "20ms"}, more...)
}

func (a *atlas) start(args ...string) *process {
	a.t.Helper()
	p := a.command(args...)
	p.Stdout, p.Stderr = p, p
	require.NoError(a.t, p.Start())
	return p
}

// run runs the program to its end.
func (a *atlas) run(status int, args ...string) string {
	a.t.Helper()
	return a.start(args...).end(status)
}

// until waits for a text in the output.
func (p *process) until(text string) {
	p.a.t.Helper()
	require.Eventually(p.a.t, func() bool { return strings.Contains(p.output(), text) }, time.Minute, 5*time.Millisecond, text)
}

// end checks the exit status, and that no secret is shown or stored.
func (p *process) end(status int) string {
	p.a.t.Helper()
	_ = p.Wait() // its status follows
	texts := p.output()
	require.Equal(p.a.t, status, p.ProcessState.ExitCode(), texts)
	require.NoError(p.a.t, filepath.WalkDir(p.a.dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		texts += string(data)
		return err
	}))
	for _, secret := range p.a.secrets {
		assert.NotContains(p.a.t, texts, secret)
	}
	return p.output()
}

func (a *atlas) wantOneJob(status livemigration.MigrationStatus) {
	a.t.Helper()
	jobs := a.Migrations()
	require.Len(a.t, jobs, 1)
	assert.Equal(a.t, status, jobs[0].Status)
}

func TestAWholeMigration(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{"by the program": "SYNCED", "by a person": "paste the link-token"} {
		t.Run("connected "+name, func(t *testing.T) {
			t.Parallel()
			a := newAtlas(t, livemigrationtest.WithAutoConnect(name == "by a person"))
			if name == "by a person" {
				delete(a.env, sourceKeyVariable)
			}
			a.write(true)
			out := a.run(exitDone, args("-link", "-yes")...)
			for _, text := range []string{
				"link-token created", want, "REPLICATING, migration " + string(a.Migrations()[0].ID), "link-token deleted", "is COMPLETE",
			} {
				assert.Contains(t, out, text)
			}
			assert.Zero(t, a.LinkTokenCount())
			assert.Contains(t, a.run(exitDone, args("-link", "-yes")...), "is COMPLETE", "again")
			a.wantOneJob(livemigration.MigrationComplete)
		})
	}
}

// However the program ends, the same command continues.
func TestResumed(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		signal syscall.Signal
		status int
	}{
		"killed":      {syscall.SIGKILL, -1},
		"interrupted": {syscall.SIGINT, exitInterrupted},
		"ended":       {syscall.SIGTERM, exitInterrupted},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newAtlas(t, livemigrationtest.WithSpeed(0))
			p := a.start(args("-link", "-yes")...)
			p.until("VALIDATING")
			a.Advance(time.Hour)
			p.until("REPLICATING")
			require.NoError(t, p.Process.Signal(tc.signal))
			out := p.end(tc.status)
			if tc.status == exitInterrupted {
				assert.Contains(t, out, "interrupted; the same command continues, with the state in state")
			}
			a.Advance(3 * time.Hour)
			p = a.start(args("-link", "-yes")...)
			p.until("FINISHING")
			a.Advance(time.Hour)
			assert.Contains(t, p.end(exitDone), "is COMPLETE")
			a.wantOneJob(livemigration.MigrationComplete)
		})
	}
}

// A person decides what becomes of a migration that does not continue by itself. An edited request is not taken by itself.
func TestUnclearAndFailed(t *testing.T) {
	t.Parallel()
	a := newAtlas(t)
	a.ForCluster("").FailNextValidation("no disk")
	assert.Contains(t, a.run(exitFailed, args("-link", "-yes")...), "no disk")
	a.write(true)
	assert.Contains(t, a.run(exitUsage, args("-link", "-yes")...), "differs in")
	a.write(false)
	fleet := a.fleet()
	require.NoError(t, fleet.Restart(t.Context(), name))
	a.Inject(livemigrationtest.CreateMigration, livemigrationtest.ResetAfterRequest(), 1)
	for range 2 { // nothing changes by itself
		out := a.run(exitUnclear, args("-yes")...)
		assert.Contains(t, out, "Look in the Atlas UI at project "+string(a.ProjectID()))
		assert.Contains(t, out, "With fleet -state state you can adopt, restart")
	}
	require.NoError(t, fleet.Adopt(t.Context(), name, a.Migrations()[0].ID))
	assert.Contains(t, a.run(exitDone, args("-yes")...), "is COMPLETE")
	a.wantOneJob(livemigration.MigrationComplete)
}

// fleet changes the record from another process.
func (a *atlas) fleet() *durable.Fleet {
	store, err := durable.OpenDir(filepath.Join(a.dir, "state"))
	require.NoError(a.t, err)
	fleet, err := durable.NewFleet(store)
	require.NoError(a.t, err)
	return fleet
}

func TestALinkTokenThatMayExist(t *testing.T) {
	t.Parallel()
	a := newAtlas(t, livemigrationtest.WithAutoConnect(false))
	a.Inject(livemigrationtest.CreateLinkToken, livemigrationtest.ResetAfterRequest(), 1)
	a.run(exitUnclear, args("-link", "-yes")...)
	assert.Contains(t, a.run(exitUnclear, args("-link", "-yes")...), "a run before may have created a link-token")
	assert.Equal(t, 1, a.LinkTokenCount())
}

func TestUsage(t *testing.T) {
	t.Parallel()
	a := newAtlas(t)
	for name, tc := range map[string]struct {
		args []string
		want string
	}{
		"an argument":       {args("x"), `unexpected argument "x"`},
		"an unknown flag":   {args("-resume"), "flag provided but not defined: -resume"},
		"no request":        {[]string{"-yes"}, "-request is missing"},
		"no such file":      {[]string{"-yes", "-request", "nowhere"}, "nowhere"},
		"nothing connected": {args("-yes"), "-link connects a source organization"},
	} {
		t.Run(name, func(t *testing.T) {
			assert.Contains(t, a.run(exitUsage, tc.args...), tc.want)
		})
	}
	assert.Contains(t, a.run(exitDone, "-h"), "pushmigration migrates a cluster")
	a.env = map[string]string{asProgram: "1", orgVariable: "7"}
	for line := range strings.Lines(a.run(exitUsage, "-request", "request.json", "-yes")) {
		assert.Regexp(t, "^pushmigration: (CredentialsFromEnv: |"+orgVariable+"|"+projectVariable+").*", line, "a line for each problem")
	}
}

// Without -yes no data is deleted, and nothing is cut over, before a person approves in another process.
func TestApprove(t *testing.T) {
	t.Parallel()
	a := newAtlas(t)
	a.write(true)
	p := a.start(args("-link")...)
	p.until("in another terminal: fleet -state state approve -gate start migration")
	assert.Empty(t, a.Migrations())
	require.NoError(t, a.fleet().Approve(t.Context(), name, durable.GateStart, "ada", time.Time{}))
	p.until("in another terminal: fleet -state state approve -gate cutover migration")
	polled := a.RequestCount(livemigrationtest.GetMigration)
	require.Eventually(t, func() bool { return a.RequestCount(livemigrationtest.GetMigration) > polled+5 }, time.Minute, 10*time.Millisecond)
	assert.Zero(t, a.RequestCount(livemigrationtest.Cutover))
	require.NoError(t, a.fleet().Approve(t.Context(), name, durable.GateCutover, "ada", time.Time{}))
	assert.Contains(t, p.end(exitDone), "is COMPLETE")
}
