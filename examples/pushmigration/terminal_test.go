//go:build unix

package main

import (
	"io"
	"os"
	"syscall"
	"testing"

	"github.com/creack/pty"

	"github.com/livemigration/livemigration-go"
)

// terminal is a run of the program on a terminal of its own.
type terminal struct {
	*process
	keys *os.File
}

func (a *atlas) onTerminal(t *testing.T, args ...string) *terminal {
	t.Helper()
	p := a.command(t, args...)
	primary, secondary, err := pty.Open()
	if err != nil {
		t.Skipf("no terminal to test on: %v", err)
	}
	if err := pty.Setsize(primary, &pty.Winsize{Rows: 40, Cols: 120}); err != nil {
		t.Fatal(err)
	}
	p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = secondary, secondary, secondary
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = secondary.Close()
	p.drawn = make(chan error)
	go func() {
		_, _ = io.Copy(p, primary) // it ends with an error, EIO, when nobody has the terminal any more
		close(p.drawn)
	}()
	t.Cleanup(func() {
		<-p.drawn
		_ = primary.Close()
	})
	return &terminal{p, primary}
}

func (tm *terminal) enter(line string) {
	tm.t.Helper()
	if _, err := io.WriteString(tm.keys, line+"\n"); err != nil {
		tm.t.Fatal(err)
	}
}

func TestTerminalAsksBeforeTheCutover(t *testing.T) {
	t.Parallel()
	a := newAtlas(t)
	q := a.SampleRequest()
	p := a.onTerminal(t, a.args("-link")...)
	p.until("shall it be cut over? [yes/no]")
	wants(t, p.output(), "Cluster "+q.Source.ClusterName+" is copied to cluster "+q.Destination.ClusterName, "Stop all writes to the source now")
	a.wantOneJob(t, livemigration.MigrationWorking)
	p.enter("")
	p.enter("what?")
	p.enter("yes")
	wants(t, p.wait(exitDone), "COMPLETE")
	a.wantOneJob(t, livemigration.MigrationComplete)
}

func TestTerminalDeclined(t *testing.T) {
	t.Parallel()
	a := newAtlas(t)
	p := a.onTerminal(t, a.args("-link")...)
	p.until("[yes/no]")
	p.enter("no")
	wants(t, p.wait(exitFailed), "not confirmed")
	a.wantOneJob(t, livemigration.MigrationWorking)
	p = a.onTerminal(t, a.args("-link")...) // it asks again
	p.until("[yes/no]")
	p.enter("y")
	p.wait(exitDone)
}

func TestTerminalAsksBeforeDataAreDestroyedAndForThePassword(t *testing.T) {
	t.Parallel()
	a := newAtlas(t).without(passwordVariable)
	a.edit(t, kept, dropped)
	p := a.onTerminal(t, a.args("-link")...)
	p.until("at the source: ")
	p.enter(a.SampleRequest().Source.Password.Reveal())
	p.until("Destroy them and start the migration? [yes/no]")
	if jobs := a.Migrations(); len(jobs) != 0 {
		t.Errorf("started before it was confirmed: %v", jobs)
	}
	p.enter("yes")
	p.until("shall it be cut over?")
	p.enter("yes")
	wants(t, p.wait(exitDone), "COMPLETE")
}

func TestTerminalInterruptedPrompt(t *testing.T) {
	t.Parallel()
	a := newAtlas(t)
	p := a.onTerminal(t, a.args("-link")...)
	p.until("[yes/no]")
	if _, err := p.keys.WriteString("\x03"); err != nil {
		t.Fatal(err)
	}
	wants(t, p.wait(exitInterrupted), "interrupted; the state is kept in")
	a.wantOneJob(t, livemigration.MigrationWorking)
}
