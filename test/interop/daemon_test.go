package interop

import (
	"crypto/rand"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	startTimeout = 10 * time.Second
	stopTimeout  = 10 * time.Second
	pollInterval = 10 * time.Millisecond

	// accessLog and errorLog are the files in a daemon's directory to which its configuration makes it write.
	accessLog, errorLog = "access.log", "error.log"
)

// requireProgram returns the path of the first of the programs that is installed. If none is, the test is skipped. With
// CI=true it fails instead.
func requireProgram(t *testing.T, names ...string) string {
	t.Helper()
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
		// Debian keeps servers where the PATH of users who are not root does not look.
		if path, err := exec.LookPath(filepath.Join("/usr/sbin", name)); err == nil {
			return path
		}
	}
	missing(t, strings.Join(names, " or ")+" is not installed")
	return ""
}

func missing(t *testing.T, reason string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(reason)
	}
	t.Skip(reason)
}

// daemon is a server that a test runs as a child process, in the foreground, with its files in a directory of its own.
type daemon struct {
	t         *testing.T
	configure func(*daemon) (command []string) // writes the configuration
	env       []string
	dir       string
	realm     string // of its challenges: what tells it from whoever else may have got the port
	address   string
	process   *exec.Cmd
	exited    chan struct{}
}

// startDaemon starts a server, waits until it asks for credentials, and stops it at the end of the test.
func startDaemon(t *testing.T, configure func(*daemon) []string, env ...string) *daemon {
	t.Helper()
	d := &daemon{t: t, configure: configure, env: env, dir: t.TempDir(), realm: "interop " + rand.Text()}
	// A server that root starts serves as somebody else, and the parent of a test's directory is closed to others.
	require.NoError(t, os.Chmod(filepath.Dir(d.dir), 0o755))
	t.Cleanup(d.stop)
	t.Cleanup(d.showLogs)
	// Between the choice of a port and its use another process may take it.
	for range 3 {
		d.address = freeAddress(t)
		if d.start() {
			return d
		}
	}
	require.FailNow(t, "the server does not start")
	return nil
}

// restart stops the server and starts it on the same address, with a new configuration.
func (d *daemon) restart() {
	d.t.Helper()
	d.stop()
	require.True(d.t, d.start(), "the server does not start again")
}

// start runs the server, and reports whether it has become ready.
func (d *daemon) start() bool {
	d.t.Helper()
	command := d.configure(d)
	output, err := os.OpenFile(filepath.Join(d.dir, "output.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	require.NoError(d.t, err)
	defer output.Close()
	process := exec.Command(command[0], command[1:]...)
	process.Env = append(os.Environ(), d.env...)
	process.Stdout, process.Stderr = output, output
	require.NoError(d.t, process.Start())
	exited := make(chan struct{})
	go func() {
		defer close(exited)
		_ = process.Wait() // how it ended stands in its logs
	}()
	d.process, d.exited = process, exited
	return d.ready()
}

// ready polls the server until it responds with its challenge. It gives up when the process has ended.
func (d *daemon) ready() bool {
	d.t.Helper()
	deadline := time.After(startTimeout)
	for {
		select {
		case <-d.exited:
			return false
		case <-deadline:
			require.FailNow(d.t, "the server is not ready in time")
		case <-time.After(pollInterval):
		}
		if res, err := d.probe(); err == nil && strings.Contains(res.Header.Get("WWW-Authenticate"), d.realm) {
			return true
		}
	}
}

// probe makes a request without credentials, on a connection of its own. The body of the response is closed.
func (d *daemon) probe() (*http.Response, error) {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: time.Second}
	res, err := client.Get(d.url() + "/ready")
	if err != nil {
		return nil, err
	}
	return res, res.Body.Close()
}

// stop ends the server and waits until it is gone.
func (d *daemon) stop() {
	if d.process == nil {
		return
	}
	_ = d.process.Process.Signal(syscall.SIGTERM) // fails only when the process has ended already
	select {
	case <-d.exited:
	case <-time.After(stopTimeout):
		_ = d.process.Process.Kill()
		<-d.exited
	}
	d.process = nil
}

func (d *daemon) url() string { return "http://" + d.address }

func (d *daemon) path(file string) string { return filepath.Join(d.dir, file) }

func (d *daemon) write(file, content string) {
	d.t.Helper()
	require.NoError(d.t, os.WriteFile(d.path(file), []byte(content), 0o644))
}

// logged stops the server, so that nothing is left in its buffers, and returns the requests below /api in its access
// log, one line each.
func (d *daemon) logged() []string {
	d.t.Helper()
	d.stop()
	data, err := os.ReadFile(d.path(accessLog))
	require.NoError(d.t, err)
	var requests []string
	for line := range strings.Lines(string(data)) {
		if strings.Contains(line, " /api/") {
			requests = append(requests, strings.TrimSpace(line))
		}
	}
	return requests
}

// showLogs shows the end of what the server wrote if the test has failed.
func (d *daemon) showLogs() {
	if !d.t.Failed() {
		return
	}
	const most = 4 << 10
	for _, file := range []string{"output.log", errorLog, accessLog} {
		data, err := os.ReadFile(d.path(file))
		if err == nil && len(data) > 0 {
			d.t.Logf("%s:\n%s", file, data[max(0, len(data)-most):])
		}
	}
}

func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	return listener.Addr().String()
}
