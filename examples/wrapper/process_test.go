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

// startAtlas runs an in-memory Atlas with a source side until the test ends, and returns the variables that it prints.
func startAtlas(t *testing.T) (env []string) {
	t.Helper()
	process := exec.Command(filepath.Join(binaries, "atlas-in-memory"), "-source", "-speed", "20000")
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
		if strings.HasPrefix(lines.Text(), "SOURCE_ORG_ID=") {
			return env
		}
	}
	require.Fail(t, "the variables have no SOURCE_ORG_ID", lines.Err())
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

// A whole migration, each step a process of its own that knows nothing but the environment and its flags.
func TestWholeMigration(t *testing.T) {
	env := startAtlas(t)
	for range 2 { // the second one finds the link
		assert.Equal(t, []string{"SYNCED"}, succeed(t, env, "link"))
	}
	assert.Equal(t, []string{`{"status":"SYNCED"}`}, succeed(t, env, "link", "-output", "json"))

	var list []livemigration.AvailableProject
	require.NoError(t, json.Unmarshal([]byte(succeed(t, env, "projects", "-output", "json")[0]), &list))
	require.NotEmpty(t, list)
	from := list[0].Name + "/" + list[0].Deployments[0].Name
	assert.Contains(t, succeed(t, env, "projects")[0], from+"  MongoDB ")

	request := []string{"-from", from, "-to", "Cluster0"}
	assert.Contains(t, succeed(t, env, append([]string{"validate"}, request...)...)[0], "SUCCESS")
	var migration livemigration.Migration
	created := succeed(t, env, append([]string{"migrate", "-output", "json"}, request...)...)
	require.NoError(t, json.Unmarshal([]byte(created[0]), &migration))
	job := []string{"-migration", string(migration.ID)}

	watched := succeed(t, env, append([]string{"watch"}, job...)...)
	assert.Contains(t, watched[len(watched)-1], "ready for cutover")
	assert.Contains(t, succeed(t, env, append([]string{"status"}, job...)...)[0], string(migration.ID)+" WORKING")
	cut := succeed(t, env, append([]string{"cutover", "-output", "json"}, job...)...)
	require.NoError(t, json.Unmarshal([]byte(cut[len(cut)-1]), &migration))
	assert.Equal(t, livemigration.MigrationComplete, migration.Status)
}

// Ctrl-C ends the tool and not the job.
func TestInterrupt(t *testing.T) {
	env := startAtlas(t)
	succeed(t, env, "link")
	from, _, _ := strings.Cut(succeed(t, env, "projects")[0], "  ")
	created := succeed(t, env, "migrate", "-output", "json", "-from", from, "-to", "Cluster0")
	var migration livemigration.Migration
	require.NoError(t, json.Unmarshal([]byte(created[0]), &migration))

	watch := wrapper(env, "watch", "-poll", "1h", "-output", "json", "-migration", string(migration.ID))
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
	var printed struct{ Kind, Message string }
	require.NoError(t, json.Unmarshal(stderr.Bytes(), &printed), stderr.String())
	assert.Equal(t, "wait", printed.Kind)
	assert.Contains(t, printed.Message, string(migration.ID))
}
