// Package interop tests the library against programs that other people wrote: its client through HAProxy, nginx, Caddy,
// Apache httpd and lighttpd as reverse proxies, and against the Digest authentication of the last two; the in-memory Atlas
// with curl and the official client of API v1.0.
//
// It is a module of its own, so that what it needs is no dependency of the library. The tests start and stop the programs
// themselves. A test is skipped where its program is not installed, and fails instead where the environment has CI=true.
package interop
