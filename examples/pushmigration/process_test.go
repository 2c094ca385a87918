//go:build unix

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/livemigration/livemigration-go"
	"github.com/livemigration/livemigration-go/livemigrationtest"
)

// binary is the program, built once for all tests.
var binary string

func TestMain(m *testing.M) { os.Exit(buildAndRun(m)) }

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "pushmigration-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "pushmigration")
	args := []string{"build", "-o", binary}
	if raceEnabled() {
		args = append(args, "-race")
	}
	if out, err := exec.Command("go", append(args, ".")...).CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

func raceEnabled() bool {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return false
	}
	for _, setting := range info.Settings {
		if setting.Key == "-race" {
			return setting.Value == "true"
		}
	}
	return false
}

// atlas is an Atlas in memory, and what a run of the program against it needs.
type atlas struct {
	*livemigrationtest.Server
	dir string
	env []string
	// secretVariable is that of the secret half of the credentials.
	secretVariable string
}

// immediate makes every job end as soon as it has begun, unless a test holds it.
var immediate = livemigrationtest.WithTimings(livemigrationtest.Timings{
	Validation: -1, Scheduling: -1, InitialSync: -1, Finishing: -1,
})

func newAtlas(t *testing.T, opts ...livemigrationtest.Option) *atlas {
	t.Helper()
	server := livemigrationtest.NewServer(append([]livemigrationtest.Option{immediate}, opts...)...)
	t.Cleanup(server.Close)
	public, private := server.APIKey()
	return &atlas{Server: server, dir: t.TempDir(), secretVariable: privateKeyVariable, env: []string{
		publicKeyVariable + "=" + public,
		privateKeyVariable + "=" + private.Reveal(),
		"MONGODB_ATLAS_ORG_ID=" + string(server.OrgID()),
		"MONGODB_ATLAS_PROJECT_ID=" + string(server.ProjectID()),
		"MONGODB_ATLAS_BASE_URL=" + server.URL(),
		"SOURCE_PASSWORD=" + server.Request().Source.Password.Reveal(),
	}}
}

// newAccountAtlas is an Atlas with whose service account the program runs, in the place of the API key.
func newAccountAtlas(t *testing.T) *atlas {
	t.Helper()
	a := newAtlas(t)
	id, secret := a.ServiceAccount()
	a.env[0], a.env[1] = clientIDVariable+"="+id, clientSecretVariable+"="+secret.Reveal()
	a.secretVariable = clientSecretVariable
	return a
}

// connected is an Atlas to which the source organization is connected already.
func connected(t *testing.T, opts ...livemigrationtest.Option) *atlas {
	t.Helper()
	a := newAtlas(t, opts...)
	client, err := a.NewClient()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.LinkTokens.Create(t.Context(), a.OrgID(), livemigration.LinkTokenRequest{}); err != nil {
		t.Fatal(err)
	}
	a.ResetRequests()
	return a
}

// startMigration starts a migration without the program.
func (a *atlas) startMigration(t *testing.T) livemigration.MigrationID {
	t.Helper()
	client, err := a.NewClient()
	if err != nil {
		t.Fatal(err)
	}
	m, err := client.Migrations.Create(t.Context(), a.ProjectID(), a.Request())
	if err != nil {
		t.Fatal(err)
	}
	a.ResetRequests()
	return m.ID
}

// path is a file of the test. Its name needs quoting in a shell.
func (a *atlas) path(name string) string { return filepath.Join(a.dir, "it's "+name) }

// requestFile writes the server's request, without its password, and returns the path.
func (a *atlas) requestFile(t *testing.T, changes ...func(*livemigration.MigrationRequest)) string {
	t.Helper()
	request := a.Request()
	request.Source.Password = ""
	for _, change := range changes {
		change(&request)
	}
	body, err := json.Marshal(request)
	if err != nil {
		t.Fatal(err)
	}
	path := a.path("migration.json")
	if err := os.WriteFile(path, body, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// migrate starts a run with the server's request and the arguments.
func (a *atlas) migrate(t *testing.T, args ...string) *process {
	t.Helper()
	return a.start(t, append([]string{"-request", a.requestFile(t), "-poll", "10ms"}, args...)...)
}

func (a *atlas) start(t *testing.T, args ...string) *process {
	t.Helper()
	return start(t, a.secrets(), a.env, binary, args...)
}

// shell runs a line that the program has printed.
func (a *atlas) shell(t *testing.T, line string) *process {
	t.Helper()
	return start(t, a.secrets(), a.env, "sh", "-c", line)
}

func (a *atlas) secrets() []string {
	_, private := a.APIKey()
	id, secret := a.ServiceAccount()
	return []string{private.Reveal(), secret.Reveal(), id + ":" + secret.Reveal(), a.Request().Source.Password.Reveal()}
}

// calls returns the operations of the requests that were authenticated, in order.
func (a *atlas) calls() (calls []livemigrationtest.Operation) {
	for _, r := range a.Requests() {
		if r.Authenticated {
			calls = append(calls, r.Operation)
		}
	}
	return calls
}

// process is a run of the program that does not outlive its test.
type process struct {
	t       *testing.T
	cmd     *exec.Cmd
	out     *output
	errOut  *output
	secrets []string
}

// patience is far more than anything takes.
const patience = 60 * time.Second

func start(t *testing.T, secrets, env []string, name string, args ...string) *process {
	t.Helper()
	p := newProcess(t, secrets, env, name, args...)
	p.cmd.Stdout, p.cmd.Stderr = p.out, p.errOut
	p.begin()
	return p
}

func newProcess(t *testing.T, secrets, env []string, name string, args ...string) *process {
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Env = append([]string{
		"PATH=" + os.Getenv("PATH"), "TMPDIR=" + t.TempDir(), "TERM=xterm",
		"GORACE=atexit_sleep_ms=0", // without it, the race detector makes every exit take a second
	}, env...)
	return &process{t: t, cmd: cmd, out: newOutput(), errOut: newOutput(), secrets: secrets}
}

func (p *process) begin() {
	p.t.Helper()
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() {
		if p.cmd.ProcessState == nil {
			_ = p.cmd.Process.Kill()
			_ = p.cmd.Wait()
		}
	})
}

// waitFor waits until the text is on stdout.
func (p *process) waitFor(text string) {
	p.t.Helper()
	if !p.out.waitFor(text) {
		p.t.Fatalf("no %q on stdout:\n%s\nstderr:\n%s", text, p.out, p.errOut)
	}
}

func (p *process) signal(s os.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

// wait waits for the end of the program and checks what holds for every run: its status, one line on stderr for each
// failure and none else, and no secret anywhere.
func (p *process) wait(status int) {
	p.t.Helper()
	if got := p.end(); got != status {
		p.t.Errorf("exit status %d, want %d\nstdout:\n%s\nstderr:\n%s", got, status, p.out, p.errOut)
	}
	if got, want := strings.Count(p.errOut.String(), "\n"), min(status, 1); got != want {
		p.t.Errorf("%d lines on stderr, want %d:\n%s", got, want, p.errOut)
	}
	if len(leaks(p.out.String()+p.errOut.String(), p.secrets)) > 0 {
		p.t.Errorf("a secret is in the output:\n%s%s", p.out, p.errOut)
	}
}

// end waits for the end of the program and returns its status.
func (p *process) end() int {
	p.t.Helper()
	timer := time.AfterFunc(patience, func() { _ = p.cmd.Process.Kill() })
	defer timer.Stop()
	var exit *exec.ExitError
	if err := p.cmd.Wait(); err != nil && !errors.As(err, &exit) {
		p.t.Fatal(err)
	}
	return p.cmd.ProcessState.ExitCode()
}

func (p *process) wantOut(texts ...string) { p.t.Helper(); p.want("stdout", p.out, texts) }

func (p *process) wantErr(texts ...string) { p.t.Helper(); p.want("stderr", p.errOut, texts) }

func (p *process) want(name string, out *output, texts []string) {
	p.t.Helper()
	for _, text := range texts {
		if !strings.Contains(out.String(), text) {
			p.t.Errorf("no %q on %s:\n%s", text, name, out)
		}
	}
}

// command returns the indented line, a command for a shell, that holds the text.
func (p *process) command(text string) string {
	p.t.Helper()
	return p.commandOn(p.out, text)
}

func (p *process) commandOn(out *output, text string) string {
	p.t.Helper()
	for line := range strings.Lines(out.String()) {
		if strings.HasPrefix(line, "  ") && strings.Contains(line, text) && strings.Contains(line, filepath.Base(binary)) {
			return strings.TrimSpace(line)
		}
	}
	p.t.Fatalf("no command with %q in:\n%s", text, out)
	return ""
}

// output is what a process has written so far.
type output struct {
	mu      sync.Mutex
	written bytes.Buffer
	more    chan struct{}
}

func newOutput() *output { return &output{more: make(chan struct{}, 1)} }

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	select {
	case o.more <- struct{}{}:
	default:
	}
	return o.written.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.written.String()
}

func (o *output) waitFor(text string) bool {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for !strings.Contains(o.String(), text) {
		select {
		case <-o.more:
		case <-timer.C:
			return false
		}
	}
	return true
}
