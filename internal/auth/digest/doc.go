// Package digest is the client side of HTTP Digest access authentication: RFC 7616, and the older RFC 2069 form that
// servers ask for when they offer no quality of protection.
//
// [Transport] is an [net/http.RoundTripper] that authenticates every request to one origin. It asks for a challenge
// once, and uses its nonce for as long as the server accepts it: in the steady state a call is one request, and concurrent
// callers share the nonce with distinct, growing counts. A nonce that has expired costs the call that finds out one
// request more.
//
// A request that may change something on the server is never written before its credentials are. Its challenge is
// obtained by a GET without a body to the same URL, so a connection that breaks while the credentials are still being
// negotiated cannot have carried anything out. [auth.IsNegotiation] tells those requests apart.
//
// Strings are hashed as the UTF-8 they are in Go. Challenges of other schemes are skipped, and Basic is never used.
// No error of this package contains a user name, a password, or anything a server sent.
//
// The package knows nothing of Atlas, of what a request is for, or of retries for other reasons than its nonces.
package digest
