package interop

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// What lighttpd has compiled in: a nonce is valid for ten minutes. In the last of them responses announce the next one.
const (
	lighttpdLifetime  = 10 * time.Minute
	lighttpdNextNonce = 9 * time.Minute
)

// startLighttpd starts a lighttpd that asks for Digest credentials with the algorithms, which are separated by "|".
//
// The option nonce-secret is not set: with it lighttpd 1.4.69 rejects its own nonces, also from curl. Without it only the
// time in a nonce counts, so nonces stay valid after a restart and expire by the clock.
func startLighttpd(t *testing.T, backend, algorithms string, env ...string) *daemon {
	t.Helper()
	program := requireProgram(t, "lighttpd")
	return startDaemon(t, func(d *daemon) []string {
		d.write("users", htdigest(d.realm))
		d.write("lighttpd.conf", lighttpdConfiguration(d, backend, algorithms))
		return []string{program, "-D", "-f", d.path("lighttpd.conf")}
	}, env...)
}

func lighttpdConfiguration(d *daemon, backend, algorithms string) string {
	host, port, _ := net.SplitHostPort(d.address)
	backendHost, backendPort, _ := net.SplitHostPort(backend)
	return fmt.Sprintf(`
server.modules = ("mod_auth", "mod_authn_file", "mod_proxy", "mod_accesslog")
server.bind = %q
server.port = %s
server.document-root = %q
server.errorlog = %q
accesslog.filename = %q
accesslog.format = "%%s %%r"
auth.backend = "htdigest"
auth.backend.htdigest.userfile = %q
auth.require = ("/" => ("method" => "digest", "algorithm" => %q, "realm" => %q, "require" => "valid-user"))
proxy.server = ("/" => (("host" => %q, "port" => %s)))
`, host, port, d.dir, d.path(errorLog), d.path(accessLog), d.path("users"), algorithms, d.realm, backendHost, backendPort)
}

// htdigest is a file of users for both servers. Apache does not read its second line, which is lighttpd's for SHA-256.
func htdigest(realm string) string {
	user := publicKey + ":" + realm
	long := sha256.Sum256([]byte(user + ":" + privateKey))
	return fmt.Sprintf("%s:%s\n%s:%s\n", user, md5Hex(user+":"+privateKey), user, hex.EncodeToString(long[:]))
}

// clock is the clock of a server that libfaketime runs ahead of the true one.
type clock struct {
	t       *testing.T
	library string
	file    string
	ahead   time.Duration
}

// newClock returns a clock that shows the true time until it is advanced.
func newClock(t *testing.T) *clock {
	t.Helper()
	libraries, err := filepath.Glob("/usr/lib/*/faketime/libfaketimeMT.so.1")
	require.NoError(t, err)
	if len(libraries) == 0 {
		missing(t, "libfaketime is not installed")
	}
	c := &clock{t: t, library: libraries[0], file: filepath.Join(t.TempDir(), "clock")}
	c.set()
	return c
}

// env makes a program use the clock. The library is the one for programs with threads.
func (c *clock) env() []string {
	return []string{"LD_PRELOAD=" + c.library, "FAKETIME_TIMESTAMP_FILE=" + c.file, "FAKETIME_NO_CACHE=1"}
}

func (c *clock) set() {
	c.t.Helper()
	require.NoError(c.t, os.WriteFile(c.file, fmt.Appendf(nil, "+%d\n", int(c.ahead.Seconds())), 0o644))
}

// advance moves the clock, and waits until a response of the server shows the new time.
func (c *clock) advance(by time.Duration, d *daemon) {
	c.t.Helper()
	c.ahead += by
	c.set()
	require.Eventually(c.t, func() bool {
		res, err := d.probe()
		if err != nil {
			return false
		}
		date, err := http.ParseTime(res.Header.Get("Date"))
		return err == nil && time.Until(date) > c.ahead-10*time.Second
	}, startTimeout, pollInterval, "the server's clock does not move")
}
