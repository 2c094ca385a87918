//go:build unix

package main

import (
	"bufio"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/livemigration/livemigration-go/livemigrationtest"
)

// startOn starts a run whose stdout is the file.
func (a *atlas) startOn(t *testing.T, stdout *os.File, name string, args ...string) *process {
	t.Helper()
	p := newProcess(t, a.secrets(), a.env, name, args...)
	p.cmd.Stdout, p.cmd.Stderr = stdout, p.errOut
	p.begin()
	_ = stdout.Close()
	return p
}

func fullDevice(t *testing.T) *os.File {
	t.Helper()
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skipf("no device that is always full: %v", err)
	}
	return full
}

func pipe(t *testing.T) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return r, w
}

// wantUnheard waits for the end of a run that could not say on stdout what is left.
func (p *process) wantUnheard(texts ...string) {
	p.t.Helper()
	if got := p.end(); got != exitFailed {
		p.t.Errorf("exit status %d, want %d\nstderr:\n%s", got, exitFailed, p.errOut)
	}
	p.wantErr(append(texts, "stdout cannot be written: ")...)
	if len(leaks(p.errOut.String(), p.secrets)) > 0 {
		p.t.Errorf("a secret is on stderr:\n%s", p.errOut)
	}
}

// The reader of stdout goes away while the migration is being created, before anybody knows its id.
func TestClosedPipe(t *testing.T) {
	t.Parallel()
	a := newAtlas(t)
	a.Inject(livemigrationtest.CreateMigration, livemigrationtest.SlowBody(time.Second), 1)
	r, w := pipe(t)
	p := a.startOn(t, w, binary, "-request", a.requestFile(t), "-poll", "10ms", "-yes", "-token-file", a.path("token"))
	lines := bufio.NewScanner(r)
	for lines.Scan() && !strings.Contains(lines.Text(), "migration: started") {
	}
	_ = r.Close()
	id := "(none)"
	p.wantUnheard("broken pipe")
	if migrations := a.Migrations(); len(migrations) == 1 {
		id = string(migrations[0].ID)
	}
	p.wantErr("; migration "+id+" goes on in Atlas\n", "The link-token still exists")
	a.shell(t, p.commandOn(p.errOut, "-resume "+id)).wait(exitDone)
	if a.LinkTokens() != 0 || exists(t, a.path("token")) {
		t.Error("the printed command left the link-token or its file")
	}
}

// The reader goes away during a wait in which nothing is printed, and then the run is interrupted.
func TestClosedPipeAtTheEnd(t *testing.T) {
	t.Parallel()
	a := connected(t)
	a.HoldNextMigration(time.Minute)
	id := string(a.startMigration(t))
	r, w := pipe(t)
	p := a.startOn(t, w, binary, "-resume", id, "-yes", "-poll", "10ms")
	lines := bufio.NewScanner(r)
	for lines.Scan() && !strings.Contains(lines.Text(), "lag 1m0s") {
	}
	_ = r.Close()
	p.signal(os.Interrupt)
	p.end()
	p.wantErr(id)
	p.commandOn(p.errOut, "-resume "+id)
}

func TestFullDevice(t *testing.T) {
	t.Parallel()
	t.Run("start", func(t *testing.T) {
		t.Parallel()
		a := newAtlas(t)
		p := a.startOn(t, fullDevice(t), binary, "-request", a.requestFile(t), "-yes", "-token-file", a.path("token"))
		p.wantUnheard("no space left on device\n")
		if len(a.Requests()) != 0 || exists(t, a.path("token")) {
			t.Errorf("it began: %v", a.Requests())
		}
	})
	t.Run("resume", func(t *testing.T) {
		t.Parallel()
		a := connected(t)
		id := string(a.startMigration(t))
		p := a.startOn(t, fullDevice(t), binary, "-resume", id, "-yes")
		p.wantUnheard("no space left on device; migration " + id + " goes on in Atlas\n")
		p.commandOn(p.errOut, "-resume "+id)
		if len(a.Requests()) != 0 {
			t.Error("it went on unseen")
		}
	})
	t.Run("deletion", func(t *testing.T) {
		t.Parallel()
		a := connected(t)
		p := a.startOn(t, fullDevice(t), binary, "-delete-link-token", "-yes")
		p.wantUnheard()
		p.commandOn(p.errOut, "-delete-link-token")
		if a.LinkTokens() != 1 {
			t.Error("it deleted unseen")
		}
	})
	t.Run("help", func(t *testing.T) {
		t.Parallel()
		a := newAtlas(t)
		a.startOn(t, fullDevice(t), binary, "-h").wantUnheard()
	})
}

// A program that was started to outlive its terminal does.
func TestNoHangup(t *testing.T) {
	t.Parallel()
	a := connected(t)
	a.HoldNextMigration(time.Minute)
	id := a.startMigration(t)
	p := a.shell(t, `trap "" HUP; exec "`+binary+`" -yes -poll 10ms -resume `+string(id))
	p.waitFor("lag 1m0s")
	p.signal(syscall.SIGHUP)
	if err := a.ReleaseMigration(id); err != nil {
		t.Fatal(err)
	}
	p.wait(exitDone)
}
