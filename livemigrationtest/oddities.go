package livemigrationtest

import "time"

// WithTokenLifetime sets how long access tokens live, which their response announces in whole seconds, rounded down.
// The default is 1 hour. With 0, or less, they are dead when they arrive. They live on the time of those who use them:
// as time.Now runs, plus what [Server.Advance] adds. [WithSpeed] does not change that.
func WithTokenLifetime(d time.Duration) Option { return func(c *config) { c.tokenLife = max(d, 0) } }

// WithTokenSkew makes access tokens die d earlier than the server announces, or later when d is negative: what clients
// see whose clock differs from that of Atlas.
func WithTokenSkew(d time.Duration) Option { return func(c *config) { c.tokenSkew = d } }

// WithNonceLifetime makes nonces expire that long after they were issued, on the job clock that [Server.Advance] and
// [WithSpeed] move. The default, 0, is that they do not; [Server.ExpireNonces] ends them at a time of your choice.
func WithNonceLifetime(d time.Duration) Option { return func(c *config) { c.nonceLife = d } }

// WithNodes makes the server several nodes behind one address, of which each accepts only the nonces that it has issued
// itself. Requests go to the nodes in turn, two to each. A nonce of another node, or an expired one, gets a 401 that
// does not say stale, as that for a wrong key, with a nonce of the node that rejects it. The default is 1, and n below
// that counts as 1.
func WithNodes(n int) Option { return func(c *config) { c.nodes = max(n, 1) } }

// Algorithm is a hash function of HTTP Digest by the name that a challenge gives it.
type Algorithm string

// The algorithms that the server can check.
const (
	MD5       Algorithm = "MD5"
	SHA256    Algorithm = "SHA-256"
	SHA512256 Algorithm = "SHA-512-256"
)

// WithAlgorithm sets the algorithm of HTTP Digest. The default is [MD5], as on Atlas. Any other value than the
// constants is announced as it is and no credentials for it accepted, which shows what a client makes of a challenge
// that it cannot meet.
func WithAlgorithm(algorithm Algorithm) Option { return func(c *config) { c.algorithm = algorithm } }

// WithDocumentedChallenge makes the server send the challenge that the Atlas documentation prints, in which op="auth"
// stands in the place of qop="auth". A client takes that for a challenge without qop and sends credentials in the form
// of RFC 2069, which the server then requires.
func WithDocumentedChallenge() Option { return func(c *config) { c.documented = true } }

// WithDocumentedAnswers makes responses look as the documentation shows them where Atlas itself sends something else.
// In v2 creating a link-token has the status 200. In v1.0 a link-token is an array of one string, and migrationHosts
// one string if there is one host. A client has to cope with either.
func WithDocumentedAnswers() Option { return func(c *config) { c.quirks = true } }
