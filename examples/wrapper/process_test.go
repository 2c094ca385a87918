//go:build unix

package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go"
	"github.com/livemigration/livemigration-go/livemigrationtest"
)

// binaries is the directory of the two programs.
var binaries string

func TestMain(m *testing.M) { os.Exit(build(m)) }

func build(m *testing.M) int {
	dir, err := os.MkdirTemp("", "wrapper-test-")
	if err == nil {
		defer func() { _ = os.RemoveAll(dir) }()
		binaries = dir
		const atlas = "github.com/livemigration/livemigration-go/livemigrationtest/cmd/atlas-in-memory"
		var out []byte
		if out, err = exec.Command("go", "build", "-o", dir+"/", ".", atlas).CombinedOutput(); err != nil {
			err = fmt.Errorf("%w: %s", err, out)
		}
	}
	if err != nil {
		_, _ = fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// startAtlas runs an in-memory Atlas until the test ends, and returns the variables that it prints.
func startAtlas(t *testing.T, speed string) (env []string) {
	t.Helper()
	process := exec.Command(filepath.Join(binaries, "atlas-in-memory"), "-speed", speed)
	process.Stderr = os.Stderr
	stdout, err := process.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, process.Start())
	t.Cleanup(func() {
		assert.NoError(t, process.Process.Signal(syscall.SIGTERM))
		assert.NoError(t, process.Wait())
	})
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		env = append(env, lines.Text())
		if strings.HasPrefix(lines.Text(), "MONGODB_ATLAS_PROJECT_ID=") {
			return env
		}
	}
	require.Fail(t, "the variables have no MONGODB_ATLAS_PROJECT_ID", lines.Err())
	return nil
}

func wrapper(env []string, args ...string) *exec.Cmd {
	process := exec.Command(filepath.Join(binaries, "wrapper"), args...)
	process.Env = env // and nothing else: no credentials of the machine
	return process
}

// succeed runs the tool to its end and returns its lines.
func succeed(t *testing.T, env []string, args ...string) []string {
	t.Helper()
	var stdout, stderr bytes.Buffer
	process := wrapper(env, append([]string{"-poll", "20ms"}, args...)...)
	process.Stdout, process.Stderr = &stdout, &stderr
	require.NoError(t, process.Run(), stderr.String())
	assert.Empty(t, stderr.String())
	return strings.Split(strings.TrimSpace(stdout.String()), "\n")
}

// start starts a migration. Its ID is in the environment that it returns.
func start(t *testing.T, env []string, request string) []string {
	t.Helper()
	created := succeed(t, env, "migrate", "-output", "json", "-request", request)
	var migration livemigration.Migration
	require.NoError(t, json.Unmarshal([]byte(created[0]), &migration))
	return append(env, "MIGRATION_ID="+string(migration.ID))
}

func newRequest(t *testing.T) string {
	t.Helper()
	server := livemigrationtest.NewServer()
	defer server.Close()
	return writeRequest(t, server)
}

// A whole migration. Each step is a process, which knows its environment and its flags only.
func TestWholeMigration(t *testing.T) {
	request := newRequest(t)
	env := append(startAtlas(t, "3600"), "SOURCE_PASSWORD=a secret password") // the cutover window lasts two minutes
	assert.Contains(t, succeed(t, env, "validate", "-request", request)[0], "SUCCESS")
	env = start(t, env, request)
	watched := succeed(t, env, "watch")
	assert.Contains(t, watched[len(watched)-1], "ready for cutover")
	cut := succeed(t, env, "cutover", "-output", "json")
	var migration livemigration.Migration
	require.NoError(t, json.Unmarshal([]byte(cut[len(cut)-1]), &migration))
	assert.Equal(t, livemigration.MigrationComplete, migration.Status)
}

// Ctrl-C ends the tool and not the job, which is never ready at this speed.
func TestInterrupt(t *testing.T) {
	env := start(t, append(startAtlas(t, "0.001"), "SOURCE_PASSWORD=a secret password"), newRequest(t))
	watch := wrapper(env, "-poll", "1h", "-output", "json", "watch")
	var stderr bytes.Buffer
	watch.Stderr = &stderr
	stdout, err := watch.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, watch.Start())
	_, err = bufio.NewReader(stdout).ReadString('\n')
	require.NoError(t, err)
	require.NoError(t, watch.Process.Signal(os.Interrupt))
	_ = watch.Wait() // its status follows
	assert.Equal(t, 130, watch.ProcessState.ExitCode(), stderr.String())
	assert.Contains(t, stderr.String(), `"kind":"wait"`)
	assert.Contains(t, succeed(t, env, "status")[0], " NEW", "it continues")
}
