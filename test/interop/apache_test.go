package interop

import (
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"os"
	"strings"
	"testing"
)

// apacheModules are where distributions keep the modules.
var apacheModules = []string{"/usr/lib/apache2/modules", "/usr/lib64/httpd/modules", "/usr/lib/httpd/modules"}

// startApache starts an Apache httpd that asks for Digest credentials. The directives say how it checks them.
func startApache(t *testing.T, backend, directives string, env ...string) *daemon {
	t.Helper()
	program, modules := requireProgram(t, "apache2", "httpd"), requireApacheModules(t)
	return startDaemon(t, func(d *daemon) []string {
		d.write("users", htdigest(d.realm))
		d.write("apache.conf", apacheConfiguration(d, modules, backend, directives))
		return []string{program, "-d", d.dir, "-f", d.path("apache.conf"), "-D", "FOREGROUND"}
	}, env...)
}

func requireApacheModules(t *testing.T) string {
	t.Helper()
	for _, dir := range apacheModules {
		if _, err := os.Stat(dir + "/mod_auth_digest.so"); err == nil {
			return dir
		}
	}
	missing(t, "Apache's mod_auth_digest.so is in none of "+strings.Join(apacheModules, ", "))
	return ""
}

// By default there is memory for a dozen clients whose nonce counts are checked.
func apacheConfiguration(d *daemon, modules, backend, directives string) string {
	var c strings.Builder
	for _, module := range []string{
		"mpm_event", "unixd", "log_config", "authn_core", "authn_file", "authz_core", "authz_user", "auth_digest", "proxy",
		"proxy_http",
	} {
		fmt.Fprintf(&c, "<IfModule !%[1]s_module>\nLoadModule %[1]s_module %[2]s/mod_%[1]s.so\n</IfModule>\n", module, modules)
	}
	if os.Getuid() == 0 {
		// Apache does not serve as root. These are the numbers of the user nobody.
		c.WriteString("User #65534\nGroup #65534\n")
	}
	fmt.Fprintf(&c, `
ServerName interop.test
Listen %s
DefaultRuntimeDir %s
PidFile %s
ErrorLog %s
LogLevel info
LogFormat "%%>s %%r" requests
CustomLog %s requests
StartServers 2
AuthDigestShmemSize 1048576
<Location "/">
AuthType Digest
AuthName %q
AuthUserFile %s
%s
Require valid-user
</Location>
ProxyPass "/" "http://%s/"
`, d.address, d.dir, d.path("pid"), d.path(errorLog), d.path(accessLog), d.realm, d.path("users"), directives, backend)
	return c.String()
}

func md5Hex(s string) string {
	sum := md5.Sum([]byte(s))
	return hex.EncodeToString(sum[:])
}
