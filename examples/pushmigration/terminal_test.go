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
	"github.com/livemigration/livemigration-go/livemigrationtest"
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
	primary = interruptible(t, primary)
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
		// EIO is the end of a terminal, ErrClosed that of one which the test has closed.
		if err := <-drawn; err != nil && !errors.Is(err, syscall.EIO) && !errors.Is(err, os.ErrClosed) {
			t.Error(err)
		}
		_ = primary.Close()
	})
	return &terminal{p, primary}
}

// interruptible makes a file of which a pending read does not put off the end.
func interruptible(t *testing.T, file *os.File) *os.File {
	t.Helper()
	syscall.ForkLock.RLock() // no other process may get hold of the terminal
	defer syscall.ForkLock.RUnlock()
	fd, err := syscall.Dup(int(file.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	syscall.CloseOnExec(fd)
	if err := syscall.SetNonblock(fd, true); err != nil {
		t.Fatal(err)
	}
	_ = file.Close()
	return os.NewFile(uintptr(fd), file.Name())
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

func TestTerminalDeletion(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		keys           string
		status, tokens int
	}{
		"yes": {"yes\n", exitDone, 0},
		"no":  {"no\n", exitFailed, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := connected(t)
			tm := onTerminal(t, a, "-delete-link-token")
			tm.waitFor("stops the synchronization of every migration")
			tm.waitFor("Delete it? [yes/no] ")
			if len(a.Requests()) != 0 {
				t.Error("it did not wait for the answer")
			}
			tm.typeKeys(test.keys)
			tm.wait(test.status)
			if a.LinkTokens() != test.tokens {
				t.Errorf("%d link-tokens", a.LinkTokens())
			}
		})
	}
}

// The printed command asks where the run has asked.
func TestTerminalCommandWithoutYes(t *testing.T) {
	t.Parallel()
	a := newAtlas(t)
	a.FailNextValidation("the source user lacks a role")
	tm := onTerminal(t, a, "-request", a.requestFile(t), "-token-file", a.path("token"))
	tm.wait(exitFailed)
	tm.out.waitFor("-delete-link-token -token-file")
	if command := tm.command("-delete-link-token"); strings.Contains(command, "-yes") {
		t.Errorf("the command does not ask: %s", command)
	}
}

func TestTerminalSecondInterrupt(t *testing.T) {
	t.Parallel()
	a := connected(t)
	id := a.startMigration(t)
	a.Inject(livemigrationtest.Cutover, livemigrationtest.SlowBody(time.Hour), 1)
	tm := onTerminal(t, a, "-resume", string(id), "-yes")
	tm.waitFor("⠙ cutover")
	tm.typeKeys("\x03")
	tm.waitFor("stopping: waiting for the answer of Atlas")
	tm.typeKeys("\x03")
	tm.wait(exitInterrupted)
	tm.wantErr("interrupted twice; migration " + string(id))
	tm.waitFor("✗ cutover")
	tm.waitFor("-resume " + string(id))
}

// A terminal that is gone takes what is printed on it along.
func TestTerminalHangup(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		args []string
		at   string
	}{
		"waiting": {[]string{"-yes"}, "lag 1m0s"},
		"asking":  {nil, "Cut over? [yes/no] "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := connected(t)
			if test.args != nil {
				a.HoldNextMigration(time.Minute)
			}
			id := string(a.startMigration(t))
			tm := onTerminal(t, a, append(test.args, "-resume", id)...)
			tm.waitFor(test.at)
			_ = tm.keys.Close()
			if got := tm.end(); got != exitInterrupted {
				t.Errorf("exit status %d", got)
			}
			tm.wantErr("interrupted; migration " + id + " goes on in Atlas")
			tm.commandOn(tm.errOut, "-resume "+id)
		})
	}
}
