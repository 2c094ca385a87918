//go:build unix

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

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
	if out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// immediate makes every job end as soon as it has begun, unless a test holds it.
var immediate = livemigrationtest.WithTimings(livemigrationtest.Timings{
	Validation: -1, Scheduling: -1, InitialSync: -1, Finishing: -1,
})

// atlas is an in-memory Atlas, and what a run of the program against it needs.
type atlas struct {
	*livemigrationtest.Server
	dir     string
	env     []string
	secrets []string
}

func newAtlas(t *testing.T, opts ...livemigrationtest.Option) *atlas {
	t.Helper()
	srv := livemigrationtest.NewServer(append([]livemigrationtest.Option{immediate}, opts...)...)
	t.Cleanup(srv.Close)
	public, private := srv.APIKey()
	sourcePublic, sourcePrivate := srv.SourceAPIKey()
	request := srv.SampleRequest()
	password := request.Source.Password.Reveal()
	a := &atlas{Server: srv, dir: t.TempDir(), secrets: []string{private.Reveal(), sourcePrivate.Reveal(), password}}
	data, err := json.Marshal(request)
	if err != nil {
		t.Fatal(err)
	}
	file := strings.Replace(string(data), `"password":"[REDACTED]",`, "", 1)
	if err := os.WriteFile(filepath.Join(a.dir, "request.json"), []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	a.env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + a.dir, "TERM=xterm",
		"MONGODB_ATLAS_BASE_URL=" + srv.URL(), "MONGODB_ATLAS_PUBLIC_API_KEY=" + public, "MONGODB_ATLAS_PRIVATE_API_KEY=" + private.Reveal(),
		orgVariable + "=" + string(srv.OrgID()), projectVariable + "=" + string(srv.ProjectID()), passwordVariable + "=" + password,
		sourceURLVariable + "=" + srv.SourceURL(), sourceOrgVariable + "=" + string(srv.SourceOrgID()),
		sourceKeyVariable + "=" + sourcePublic, sourcePrivVariable + "=" + sourcePrivate.Reveal(),
	}
	return a
}

// args are those of a run: the request, a state directory, and quick polls.
func (a *atlas) args(more ...string) []string {
	return append([]string{"-request", filepath.Join(a.dir, "request.json"), "-state", filepath.Join(a.dir, "state"), "-poll", "20ms"}, more...)
}

// without drops a variable of the environment.
func (a *atlas) without(names ...string) *atlas {
	for _, name := range names {
		kept := a.env[:0:0]
		for _, variable := range a.env {
			if !strings.HasPrefix(variable, name+"=") {
				kept = append(kept, variable)
			}
		}
		a.env = kept
	}
	return a
}

// process is a run of the program.
type process struct {
	t   *testing.T
	a   *atlas
	cmd *exec.Cmd
	// drawn gives the end of what a terminal shows; nil without one.
	drawn chan error

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

func (a *atlas) command(t *testing.T, args ...string) *process {
	t.Helper()
	p := &process{t: t, a: a, cmd: exec.Command(binary, args...)}
	p.cmd.Env, p.cmd.Dir = a.env, a.dir
	t.Cleanup(func() {
		if p.cmd.ProcessState == nil && p.cmd.Process != nil {
			_ = p.cmd.Process.Kill()
			_ = p.cmd.Wait()
		}
	})
	return p
}

func (a *atlas) start(t *testing.T, args ...string) *process {
	t.Helper()
	p := a.command(t, args...)
	p.cmd.Stdout, p.cmd.Stderr = p, p
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return p
}

// run runs the program to its end, and checks its exit status and that it shows no secret.
func (a *atlas) run(t *testing.T, status int, args ...string) string {
	t.Helper()
	return a.start(t, args...).wait(status)
}

const patience = 30 * time.Second

// until waits for a text in the output.
func (p *process) until(text string) {
	p.t.Helper()
	for deadline := time.Now().Add(patience); !strings.Contains(p.output(), text); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			p.t.Fatalf("no %q in:\n%s", text, p.output())
		}
	}
}

func (p *process) wait(status int) string {
	p.t.Helper()
	done := make(chan error, 1)
	go func() {
		err := p.cmd.Wait()
		if p.drawn != nil {
			<-p.drawn
		}
		done <- err
	}()
	select {
	case <-done:
	case <-time.After(patience):
		p.t.Fatalf("it does not end:\n%s", p.output())
	}
	out := p.output()
	if got := p.cmd.ProcessState.ExitCode(); got != status {
		p.t.Fatalf("exit status %d, want %d:\n%s", got, status, out)
	}
	for _, secret := range p.a.secrets {
		if strings.Contains(out, secret) {
			p.t.Errorf("a secret is shown:\n%s", out)
		}
	}
	return out
}

func wants(t *testing.T, out string, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if !strings.Contains(strings.Join(strings.Fields(out), " "), text) {
			t.Errorf("no %q in:\n%s", text, out)
		}
	}
}
