package durable

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestLockFileNamesTheProcess(t *testing.T) {
	path := t.TempDir()
	one, two := newDir(t, path), newDir(t, path)
	lost, unlock, err := one.Lock(t.Context(), "run")
	require.NoError(t, err)
	text, err := os.ReadFile(filepath.Join(path, ".run.lock"))
	require.NoError(t, err)
	host, err := os.Hostname()
	require.NoError(t, err)
	assert.Equal(t, fmt.Sprintf("process %d on host %s\n"+
		"Do not delete this file, also when nothing runs: a run whose lock file is deleted ends.\n", os.Getpid(), host), string(text))
	_, _, err = two.Lock(t.Context(), "run")
	require.ErrorIs(t, err, ErrRunning)
	assert.ErrorContains(t, err, fmt.Sprintf("process %d on host %s", os.Getpid(), host))
	require.NoError(t, unlock())
	require.NoError(t, unlock(), "a second time does nothing")
	select {
	case <-lost:
		t.Error("an unlocked lock is not lost")
	default:
	}
	_, unlock, err = two.Lock(t.Context(), "run")
	require.NoError(t, err)
	require.NoError(t, unlock())
	for _, name := range []string{"", "../run", "a/b"} {
		_, _, err = two.Lock(t.Context(), name)
		assert.ErrorContains(t, err, "name", name)
	}
}

func TestLockIsLostWithItsFile(t *testing.T) {
	for name, lose := range map[string]func(path string) error{
		"removed": os.Remove,
		"replaced": func(path string) error {
			other := path + ".new"
			if err := os.WriteFile(other, nil, 0o600); err != nil {
				return err
			}
			return os.Rename(other, path)
		},
		"with its directory": func(path string) error { return os.RemoveAll(filepath.Dir(path)) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dir := newDir(t, filepath.Join(t.TempDir(), "state"))
				lost, unlock, err := dir.Lock(t.Context(), "run")
				require.NoError(t, err)
				time.Sleep(time.Hour)
				synctest.Wait()
				select {
				case <-lost:
					t.Fatal("the lock is not lost")
				default:
				}
				require.NoError(t, lose(filepath.Join(dir.path, ".run.lock")))
				select {
				case <-lost:
				case <-time.After(2 * time.Second):
					t.Error("the loss is not noticed within two seconds")
				}
				require.NoError(t, unlock())
			})
		})
	}
}

// A process that opened the lock file before it was removed must not take the lock of a file that has no name.
func TestLockOfARemovedFileIsNone(t *testing.T) {
	path := t.TempDir()
	one, two := newDir(t, path), newDir(t, path)
	removed := false
	one.try = func(operation string, do func() error) error {
		err := do()
		if operation == "lock" && !removed {
			removed = true
			require.NoError(t, os.Remove(filepath.Join(path, ".run.lock")))
		}
		return err
	}
	_, unlock, err := one.Lock(t.Context(), "run")
	require.NoError(t, err)
	require.True(t, removed)
	_, _, err = two.Lock(t.Context(), "run")
	require.ErrorIs(t, err, ErrRunning)
	require.NoError(t, unlock())
}

// holdEnv names the directory that a process of this test binary locks.
const holdEnv = "DURABLE_TEST_HOLD"

// hold takes the locks of a directory and keeps them until the process is killed.
func hold(path string) {
	dir, err := OpenDir(path)
	if err == nil {
		_, _, err = dir.Lock(context.Background(), "run")
	}
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(dir.alone(context.Background(), func() error {
		fmt.Println("locked")
		_, err := bufio.NewReader(os.Stdin).ReadByte() // never
		return err
	}))
}

func TestLocksEndWithTheirProcess(t *testing.T) {
	if path := os.Getenv(holdEnv); path != "" {
		hold(path)
		return
	}
	path := t.TempDir()
	dir := newDir(t, path)
	saved := dirSave(t, dir, dirRecord("a"))
	other := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestLocksEndWithTheirProcess$")
	other.Env = append(os.Environ(), holdEnv+"="+path)
	stdin, err := other.StdinPipe()
	require.NoError(t, err)
	defer func() { _ = stdin.Close() }()
	stdout, err := other.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, other.Start())
	line, err := bufio.NewReader(stdout).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "locked\n", line)

	_, _, err = dir.Lock(t.Context(), "run")
	require.ErrorIs(t, err, ErrRunning)
	assert.ErrorContains(t, err, fmt.Sprint("process ", other.Process.Pid))
	loaded, err := dir.Load(t.Context(), "a")
	require.NoError(t, err, "Load does not wait")
	assert.Equal(t, saved, loaded)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	_, err = dir.Save(ctx, saved)
	cancel()
	require.ErrorIs(t, err, context.DeadlineExceeded)
	assert.ErrorContains(t, err, "another process has locked "+filepath.Join(path, saveLock))

	done := make(chan error, 1)
	go func() {
		_, err := dir.Save(t.Context(), saved)
		done <- err
	}()
	require.NoError(t, other.Process.Kill())
	_ = other.Wait() // it was killed
	require.NoError(t, <-done, "it waited for the other process")
	_, unlock, err := dir.Lock(t.Context(), "run")
	require.NoError(t, err)
	require.NoError(t, unlock())
}
