package livemigrationtest

import (
	"time"

	"github.com/livemigration/livemigration-go"
)

// Option changes what [NewServer] builds. Options work in any order; of two that set the same thing the later wins.
type Option func(*config)

type config struct {
	inProcess    bool
	tls          bool
	open         bool // no authentication
	speed        float64
	timings      Timings
	projects     []livemigration.AvailableProject
	projectCount int // of Atlas
	algorithm    Algorithm
	documented   bool // the challenge in the form that the documentation prints
	quirks       bool // the answers of v1.0 too
	nonceLife    time.Duration
	tokenLife    time.Duration
	tokenSkew    time.Duration
	rateLimit    RateLimit
}

func newConfig(opts []Option) config {
	cfg := config{algorithm: MD5, projects: defaultProjects(), projectCount: 1, tokenLife: time.Hour}
	for _, opt := range opts {
		if opt != nil {
			opt(&cfg)
		}
	}
	cfg.timings = cfg.timings.withDefaults()
	return cfg
}

// Timings says how long the phases of a job last on the server's job clock. A zero field means the default, a negative
// one a phase that takes no time.
type Timings struct {
	// Validation is the time from PENDING to SUCCESS or FAILED. Default: 1 minute.
	Validation time.Duration
	// Scheduling is the time that a migration is NEW. Default: 1 minute.
	Scheduling time.Duration
	// InitialSync is the time from then until a migration is ready for cutover. Default: 1 hour.
	InitialSync time.Duration
	// Finishing is the time from the cutover to COMPLETE. Default: 5 minutes.
	Finishing time.Duration
	// CutoverWindow is the time that a migration stays ready for cutover before it is EXPIRED. Default: 120 hours.
	CutoverWindow time.Duration
}

func (t Timings) withDefaults() Timings {
	return Timings{
		Validation:    orDefault(t.Validation, time.Minute),
		Scheduling:    orDefault(t.Scheduling, time.Minute),
		InitialSync:   orDefault(t.InitialSync, time.Hour),
		Finishing:     orDefault(t.Finishing, 5*time.Minute),
		CutoverWindow: orDefault(t.CutoverWindow, 120*time.Hour),
	}
}

func orDefault(d, otherwise time.Duration) time.Duration {
	if d == 0 {
		return otherwise
	}
	return max(d, 0)
}

// WithTimings changes how long jobs take.
func WithTimings(timings Timings) Option { return func(c *config) { c.timings = timings } }

// WithSpeed makes the job clock run x times as fast as time.Now, so also on the virtual time of a testing/synctest
// bubble. The default is 0: jobs stand still and only [Server.Advance] moves them. Both add up. A negative x counts
// as 0.
func WithSpeed(x float64) Option { return func(c *config) { c.speed = max(x, 0) } }

// InProcess makes [Server.NewClient] and [Server.HTTPClient] use [Server.Transport], and [Server.URL] answer
// https://atlas.test. The server then never opens a listener: for testing/synctest, and for speed.
func InProcess() Option { return func(c *config) { c.inProcess = true } }

// WithTLS makes the listener speak HTTPS with a certificate that [Server.HTTPClient] trusts.
func WithTLS() Option { return func(c *config) { c.tls = true } }

// WithoutAuthentication makes the server answer whoever asks, with the rights of an Organization Owner: for use behind
// a proxy that authenticates. Every request counts as authenticated then, but for those to the endpoints of OAuth, which
// check client credentials all the same.
func WithoutAuthentication() Option { return func(c *config) { c.open = true } }

// WithProjects sets how many Atlas projects there are. The default is 1, and n below that counts as 1.
func WithProjects(n int) Option { return func(c *config) { c.projectCount = max(n, 1) } }

// WithSourceProjects replaces the source projects that are listed once a link-token exists. Without arguments there
// are none.
func WithSourceProjects(projects ...livemigration.AvailableProject) Option {
	return func(c *config) { c.projects = cloneProjects(projects) }
}

// Algorithm is a hash function of HTTP Digest by the name that a challenge gives it.
type Algorithm string

// The algorithms that the server can check.
const (
	MD5       Algorithm = "MD5"
	SHA256    Algorithm = "SHA-256"
	SHA512256 Algorithm = "SHA-512-256"
)

// WithAlgorithm sets the algorithm of HTTP Digest. The default is [MD5], as on Atlas. Any other value than the
// constants is announced as it is and no answer to it accepted, which shows what a client makes of a challenge that it
// cannot meet.
func WithAlgorithm(algorithm Algorithm) Option { return func(c *config) { c.algorithm = algorithm } }

// WithDocumentedChallenge makes the server send the challenge that the Atlas documentation prints, in which op="auth"
// stands in the place of qop="auth". A client takes that for a challenge without qop and answers in the form of
// RFC 2069, which the server then requires.
func WithDocumentedChallenge() Option { return func(c *config) { c.documented = true } }

// WithDocumentedAnswers makes the server answer in v1.0 in the forms that its documentation shows in two places: a
// link-token is an array of one string, and migrationHosts one string if there is one host. By default both are as in
// v2. A client has to cope with either.
func WithDocumentedAnswers() Option { return func(c *config) { c.quirks = true } }

// WithNonceLifetime makes nonces expire that long after they were issued, on the job clock that [Server.Advance] and
// [WithSpeed] move. The default, 0, is that they do not; [Server.ExpireNonces] ends them at a time of your choice.
func WithNonceLifetime(d time.Duration) Option { return func(c *config) { c.nonceLife = d } }

// WithTokenLifetime sets how long access tokens live, which their answer announces in whole seconds, rounded down. The
// default is 1 hour. With 0, or less, they are dead when they arrive. They live on the time of those who use them: as
// time.Now runs, plus what [Server.Advance] adds. [WithSpeed] does not change that.
func WithTokenLifetime(d time.Duration) Option { return func(c *config) { c.tokenLife = max(d, 0) } }

// WithTokenSkew makes access tokens die d earlier than the server announces, or later when d is negative: what clients
// see whose clock differs from that of Atlas.
func WithTokenSkew(d time.Duration) Option { return func(c *config) { c.tokenSkew = d } }

// WithRateLimit sets the rate limit. The default is none.
func WithRateLimit(limit RateLimit) Option { return func(c *config) { c.rateLimit = limit } }
