//go:build unix

package main

import (
	"errors"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"

	"github.com/livemigration/livemigration-go"
)

// terminal is a run of the program on a terminal of its own.
type terminal struct {
	*process
	keys *os.File
}

func onTerminal(t *testing.T, a *atlas, args ...string) *terminal {
	t.Helper()
	p := newProcess(t, a.secrets(), a.env, binary, args...)
	primary, secondary, err := pty.Open()
	if err != nil {
		t.Skipf("no terminal to test on: %v", err)
	}
	if err := pty.Setsize(primary, &pty.Winsize{Rows: 40, Cols: 120}); err != nil {
		t.Fatal(err)
	}
	p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = secondary, secondary, p.errOut
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	p.begin()
	_ = secondary.Close()
	drawn := make(chan error, 1)
	go func() {
		_, err := io.Copy(p.out, primary)
		drawn <- err
	}()
	t.Cleanup(func() {
		if err := <-drawn; err != nil && !errors.Is(err, syscall.EIO) { // EIO is the end of a terminal
			t.Error(err)
		}
		_ = primary.Close()
	})
	return &terminal{p, primary}
}

func (tm *terminal) typeKeys(keys string) {
	tm.t.Helper()
	if _, err := io.WriteString(tm.keys, keys); err != nil {
		tm.t.Fatal(err)
	}
}

func TestTerminal(t *testing.T) {
	t.Parallel()
	a := connected(t)
	a.HoldNextMigration(42 * time.Second)
	path := a.requestFile(t, func(r *livemigration.MigrationRequest) { r.DropDestinationData = true })
	tm := onTerminal(t, a, "-request", path, "-poll", "10ms")
	tm.waitFor("All data in the destination cluster Cluster0 will be dropped")
	tm.waitFor("Drop them and start the migration? [yes/no] ")
	if len(a.Migrations()) != 0 {
		t.Fatal("it did not wait for the answer")
	}
	tm.typeKeys("\nyes\n") // a stray Enter decides nothing
	tm.waitFor("WORKING, lag 42s, not ready for cutover")
	tm.waitFor("⠙ replication") // the line is drawn again and again
	if err := a.ReleaseMigration(a.Migrations()[0].ID); err != nil {
		t.Fatal(err)
	}
	tm.waitFor("Cut over? [yes/no] ")
	tm.typeKeys("Y\n")
	tm.wait(exitDone)
	tm.out.waitFor("total")
	tm.wantOut("✓ validation", "✓ replication", "ready for cutover", "is COMPLETE.")
}

func TestTerminalDeclined(t *testing.T) {
	t.Parallel()
	for name, keys := range map[string]string{"no": "no\n", "end of input": "\x04"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := connected(t)
			tm := onTerminal(t, a, "-request", a.requestFile(t))
			tm.waitFor("Cut over? [yes/no] ")
			tm.typeKeys(keys)
			tm.wait(exitFailed)
			tm.wantErr("not confirmed")
			tm.waitFor("-resume " + string(a.Migrations()[0].ID))
			if m := a.Migrations()[0]; !m.ReadyForCutover {
				t.Errorf("the migration is %s and not ready for cutover", m.Status)
			}
		})
	}
}

func TestTerminalInterruptedPrompt(t *testing.T) {
	t.Parallel()
	a := connected(t)
	tm := onTerminal(t, a, "-request", a.requestFile(t))
	tm.waitFor("Cut over? [yes/no] ")
	tm.typeKeys("\x03")
	tm.wait(exitInterrupted)
	tm.waitFor("-resume " + string(a.Migrations()[0].ID))
	if strings.Contains(tm.out.String(), "✓ cutover") {
		t.Error("it cut over")
	}
}
