package livemigrationtest

import "time"

// WithTokenLifetime sets how long access tokens are valid. Their response announces it in whole seconds, rounded down.
// Their time is that of time.Now, plus what [Server.Advance] adds; [WithSpeed] does not change it. Default: 1 hour.
// With 0 or less they are invalid when they arrive.
func WithTokenLifetime(d time.Duration) Option { return func(c *config) { c.tokenLife = max(d, 0) } }

// WithTokenSkew makes access tokens end d earlier than the server announces, or later when d is negative, as for
// clients whose clock differs from that of Atlas.
func WithTokenSkew(d time.Duration) Option { return func(c *config) { c.tokenSkew = d } }

// WithNonceLifetime sets how long nonces are valid, on the job clock that [Server.Advance] and [WithSpeed] move.
// Default: 0, for ever. [Server.ExpireNonces] ends them at a time of your choice.
func WithNonceLifetime(d time.Duration) Option { return func(c *config) { c.nonceLife = d } }

// WithNodes makes the server several nodes behind one address. Each accepts only the nonces that it has issued itself.
// Requests go to the nodes in turn, two to each. A nonce of another node, or an expired one, gets a 401 without stale,
// as a wrong key does, with a nonce of the node that rejects it. Default: 1; n below that counts as 1.
func WithNodes(n int) Option { return func(c *config) { c.nodes = max(n, 1) } }

// Algorithm is a hash function of HTTP Digest, by its name in a challenge.
type Algorithm string

// The algorithms that the server can check.
const (
	MD5       Algorithm = "MD5"
	SHA256    Algorithm = "SHA-256"
	SHA512256 Algorithm = "SHA-512-256"
)

// WithAlgorithm sets the algorithm of HTTP Digest. Default: MD5, as in Atlas. Another value than the constants is
// announced, and no credentials are accepted: that shows what a client does with a challenge that it cannot use.
func WithAlgorithm(algorithm Algorithm) Option { return func(c *config) { c.algorithm = algorithm } }

// WithDocumentedChallenge makes the server send the challenge that the documentation of Atlas prints, with op="auth"
// instead of qop="auth". A client takes that for a challenge without qop, and sends credentials in the form of RFC
// 2069. The server then requires that form.
func WithDocumentedChallenge() Option { return func(c *config) { c.documented = true } }

// WithRequestIDs makes each response have the header X-Request-Id, which a client reports to the support of Atlas. No
// recording of Atlas has it.
func WithRequestIDs() Option { return func(c *config) { c.withRequestIDs = true } }

// WithDocumentedResponses makes responses look as in the documentation, where Atlas itself sends something else. In v2
// creating a link-token has the status 200. In v1.0 a link-token is an array of one string, and migrationHosts one
// string if there is one host. A client has to read both forms.
func WithDocumentedResponses() Option { return func(c *config) { c.quirks = true } }
