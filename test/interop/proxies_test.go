package interop

import (
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// proxy is a program as a reverse proxy with TLS, HTTP/2 in front and HTTP/1.1 to the backend.
type proxy struct {
	start func(t *testing.T, backend string) *daemon
	// reload ends requests in progress, most after a second.
	reload func(*daemon)
	// graceful lets requests in progress end.
	graceful func(*daemon)
}

var proxies = map[string]proxy{
	"HAProxy":  {startHAProxy, reloadBy(syscall.SIGUSR2), reloadBy(syscall.SIGUSR2)},
	"nginx":    {startNginx, reloadBy(syscall.SIGHUP), reloadBy(syscall.SIGHUP)},
	"Caddy":    {startCaddy, (*daemon).restart, reloadCaddy},
	"Apache":   {startApacheProxy, reloadBy(syscall.SIGHUP), reloadBy(syscall.SIGUSR1)},
	"lighttpd": {startLighttpdProxy, reloadBy(syscall.SIGUSR1), reloadBy(syscall.SIGUSR1)},
}

func reloadBy(signal syscall.Signal) func(*daemon) { return func(d *daemon) { d.reload(signal) } }

func startHAProxy(t *testing.T, backend string) *daemon {
	program := requireProgram(t, "haproxy")
	return startProxy(t, backend, func(d *daemon) []string {
		return []string{program, "-W", "-db", "-f", d.fillIn("haproxy.cfg", nil)}
	})
}

func startNginx(t *testing.T, backend string) *daemon {
	program := requireProgram(t, "nginx")
	user := ""
	if os.Getuid() == 0 {
		user = "user root;" // the directory for large bodies is the test's
	}
	return startProxy(t, backend, func(d *daemon) []string {
		file := d.fillIn("nginx.conf", map[string]string{"USER": user})
		return []string{program, "-p", d.dir, "-e", d.path(errorLog), "-c", file}
	})
}

func startCaddy(t *testing.T, backend string) *daemon {
	program := requireProgram(t, "caddy")
	return startProxy(t, backend, func(d *daemon) []string {
		d.env = []string{"HOME=" + d.dir, "XDG_DATA_HOME=" + d.dir, "XDG_CONFIG_HOME=" + d.dir}
		return []string{program, "run", "--adapter", "caddyfile", "--config", d.fillIn("Caddyfile", nil)}
	})
}

func reloadCaddy(d *daemon) {
	d.t.Helper()
	command := d.newConfiguration()
	arguments := append([]string{"reload", "--address", "unix//" + d.path("admin")}, command[2:]...)
	reload := exec.Command(command[0], arguments...)
	reload.Env = append(os.Environ(), d.env...)
	output, err := reload.CombinedOutput()
	require.NoError(d.t, err, string(output))
	require.True(d.t, d.ready(), "the server has ended")
}

func startApacheProxy(t *testing.T, backend string) *daemon {
	return startProxy(t, backend, apache(t, `
SSLEngine on
SSLCertificateFile ${CERT}
SSLSessionCache none
Protocols h2 http/1.1
Header always set Mark "${MARK}"
`, "ssl", "http2", "headers"))
}

func startLighttpdProxy(t *testing.T, backend string) *daemon {
	if _, err := os.Stat("/usr/lib/lighttpd/mod_openssl.so"); err != nil {
		missing(t, "lighttpd's mod_openssl.so is not installed")
	}
	return startProxy(t, backend, lighttpd(t, `
ssl.engine = "enable"
ssl.pemfile = "${CERT}"
server.feature-flags = ("server.graceful-shutdown-timeout" => 1, "server.graceful-restart-bg" => "enable")
setenv.set-response-header = ("Mark" => "${MARK}")
`, "mod_openssl", "mod_setenv"))
}

func startProxy(t *testing.T, backend string, configure func(*daemon) []string) *daemon {
	t.Helper()
	d := (&daemon{scheme: "https", backend: backend, configure: configure}).start(t)
	res, err := d.probe()
	require.NoError(t, err)
	require.Equal(t, "HTTP/2.0", res.Proto)
	return d
}

// apache returns what configures an Apache httpd, with more modules than those of a proxy.
func apache(t *testing.T, directives string, more ...string) func(*daemon) []string {
	t.Helper()
	program, dir := requireProgram(t, "apache2", "httpd"), requireApacheModules(t)
	var modules strings.Builder
	for _, name := range append(more, "mpm_event", "unixd", "log_config", "authz_core", "proxy", "proxy_http") {
		modules.WriteString("<IfModule !" + name + "_module>\nLoadModule " + name + "_module " + dir + "/mod_" + name + ".so\n</IfModule>\n")
	}
	if os.Getuid() == 0 {
		// Apache does not serve as root. These are the numbers of the user nobody.
		modules.WriteString("User #65534\nGroup #65534\n")
	}
	return func(d *daemon) []string {
		file := d.fillIn("apache.conf", map[string]string{"MODULES": modules.String(), "DIRECTIVES": directives})
		return []string{program, "-d", d.dir, "-f", file, "-D", "FOREGROUND"}
	}
}

// requireApacheModules returns where the distribution keeps the modules.
func requireApacheModules(t *testing.T) string {
	t.Helper()
	places := []string{"/usr/lib/apache2/modules", "/usr/lib64/httpd/modules", "/usr/lib/httpd/modules"}
	for _, dir := range places {
		if _, err := os.Stat(dir + "/mod_auth_digest.so"); err == nil {
			return dir
		}
	}
	missing(t, "Apache's mod_auth_digest.so is in none of "+strings.Join(places, ", "))
	return ""
}

// lighttpd returns what configures a lighttpd, with more modules than those of a proxy.
func lighttpd(t *testing.T, directives string, more ...string) func(*daemon) []string {
	t.Helper()
	program := requireProgram(t, "lighttpd")
	values := map[string]string{"MODULES": `"` + strings.Join(more, `", "`) + `"`, "DIRECTIVES": directives}
	return func(d *daemon) []string { return []string{program, "-D", "-f", d.fillIn("lighttpd.conf", values)} }
}
