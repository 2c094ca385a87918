package interop

import (
	"crypto/rand"
	"fmt"
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
	startTimeout = 30 * time.Second
	stopTimeout  = 30 * time.Second
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

// daemon is a server that a test runs as a child process, in the foreground, with its files in a temporary directory.
type daemon struct {
	t       *testing.T
	dir     string
	scheme  string
	address string
	backend string // the address to which it passes requests on
	// configure writes the configuration and returns the command.
	configure func(*daemon) []string
	env       []string
	// mark is in the headers of each response without credentials: the configuration puts it there. Another process may
	// have taken the port, and a reload takes its time.
	mark    string
	process *exec.Cmd
	exited  chan struct{}
}

// start starts a server, waits until it serves, and stops it at the end of the test.
func (d *daemon) start(t *testing.T) *daemon {
	t.Helper()
	d.t, d.dir = t, t.TempDir()
	// A server that root starts serves as another user, and the parent of a test's directory is closed to others.
	require.NoError(t, os.Chmod(filepath.Dir(d.dir), 0o755))
	t.Cleanup(d.stop)
	t.Cleanup(d.showLogs)
	// Between the choice of a port and its use another process may take it.
	for range 3 {
		d.address = freeAddress(t)
		if d.run() {
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
	require.True(d.t, d.run(), "the server does not start again")
}

// run starts the process, and reports whether it has become ready.
func (d *daemon) run() bool {
	d.t.Helper()
	command := d.newConfiguration()
	output, err := os.OpenFile(d.path("output.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	require.NoError(d.t, err)
	defer output.Close()
	process := exec.Command(command[0], command[1:]...)
	process.Env = append(os.Environ(), d.env...)
	process.Stdout, process.Stderr = output, output
	require.NoError(d.t, process.Start())
	exited := make(chan struct{})
	go func() {
		defer close(exited)
		_ = process.Wait() // how it ended is in its logs
	}()
	d.process, d.exited = process, exited
	return d.ready()
}

func (d *daemon) newConfiguration() (command []string) {
	d.mark = "interop " + rand.Text()
	return d.configure(d)
}

// reload makes the server read a new configuration, and waits until it serves by that.
func (d *daemon) reload(signal syscall.Signal) {
	d.t.Helper()
	d.newConfiguration()
	require.NoError(d.t, d.process.Process.Signal(signal))
	require.True(d.t, d.ready(), "the server has ended")
}

// ready polls the server until a response has the mark. It gives up when the process has ended.
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
		if res, err := d.probe(); err == nil && strings.Contains(fmt.Sprint(res.Header), d.mark) {
			return true
		}
	}
}

// probe makes a request without credentials, on a new connection. The body of the response is closed.
func (d *daemon) probe() (*http.Response, error) {
	transport := &http.Transport{ForceAttemptHTTP2: true}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: 5 * time.Second}
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

func (d *daemon) url() string { return d.scheme + "://" + d.address }

func (d *daemon) path(file string) string { return filepath.Join(d.dir, file) }

func (d *daemon) write(file, content string) {
	d.t.Helper()
	require.NoError(d.t, os.WriteFile(d.path(file), []byte(content), 0o644))
}

// fillIn writes a file of the directory testdata, in which ${NAME} stands for a value, and returns its path. The values
// given may contain others.
func (d *daemon) fillIn(file string, values map[string]string) string {
	d.t.Helper()
	content, err := os.ReadFile(filepath.Join("testdata", file))
	require.NoError(d.t, err)
	host, port, _ := net.SplitHostPort(d.address)
	backendHost, backendPort, _ := net.SplitHostPort(d.backend)
	common := map[string]string{
		"DIR": d.dir, "ADDRESS": d.address, "HOST": host, "PORT": port, "MARK": d.mark, "CERT": certificateFile,
		"BACKEND": d.backend, "BACKEND_HOST": backendHost, "BACKEND_PORT": backendPort,
	}
	text := string(content)
	for _, known := range []map[string]string{values, common} {
		for name, value := range known {
			text = strings.ReplaceAll(text, "${"+name+"}", value)
		}
	}
	d.write(file, text)
	return d.path(file)
}

// logged stops the server, so that nothing is left in its buffers, and returns the requests below /api in its access
// log, as status and method.
func (d *daemon) logged() []string {
	d.t.Helper()
	d.stop()
	data, err := os.ReadFile(d.path(accessLog))
	require.NoError(d.t, err)
	var requests []string
	for line := range strings.Lines(string(data)) {
		if request, path, _ := strings.Cut(line, " /"); strings.HasPrefix(path, "api/") {
			requests = append(requests, request)
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
