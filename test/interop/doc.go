// Package interop tests the library against programs that other people wrote: its client against the Digest
// authentication of lighttpd and Apache httpd, and the in-memory Atlas with curl and the official client of API v1.0.
//
// It is a module of its own, so that what it needs is no dependency of the library. The tests start and stop the
// programs themselves. A test is skipped where its program is not installed, and fails instead where the environment
// has CI=true.
package interop
