package durable

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// holdEnv names the directory that a process of this test binary locks.
const holdEnv = "DURABLE_TEST_HOLD"

func TestMain(m *testing.M) {
	if path := os.Getenv(holdEnv); path != "" {
		hold(path)
		return
	}
	os.Exit(m.Run())
}

// hold takes both locks of a directory and keeps them until the process is killed.
func hold(path string) {
	dir, err := OpenDir(path)
	if err == nil {
		_, err = dir.Lock(context.Background())
	}
	if err == nil {
		_, err = dir.lockToSave(context.Background())
	}
	fmt.Println(err)
	_, _ = bufio.NewReader(os.Stdin).ReadByte() // never
}

func TestLocksEndWithTheirProcess(t *testing.T) {
	path := t.TempDir()
	dir := openDir(t, path)
	saved := mustSave(t, dir, NewRecord(planFor("a"), t0))
	other := exec.CommandContext(t.Context(), os.Args[0])
	other.Env = append(os.Environ(), holdEnv+"="+path)
	stdin, err := other.StdinPipe()
	require.NoError(t, err)
	defer func() { _ = stdin.Close() }()
	stdout, err := other.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, other.Start())
	line, err := bufio.NewReader(stdout).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "<nil>\n", line)

	_, err = dir.Lock(t.Context())
	require.ErrorIs(t, err, ErrRunning)
	loaded, err := dir.Load(t.Context(), "a")
	require.NoError(t, err, "readers do not wait")
	assert.Equal(t, saved, loaded)

	require.NoError(t, other.Process.Kill())
	_ = other.Wait() // it was killed
	unlock, err := dir.Lock(t.Context())
	require.NoError(t, err)
	require.NoError(t, unlock())
	mustSave(t, dir, saved)
}
