package livemigrationtest

import (
	"time"

	"github.com/livemigration/livemigration-go"
)

// Option changes what [NewServer] returns. Options may be given in any order; of two that set the same thing the later
// one counts.
type Option func(*config)

type config struct {
	inProcess, tls, http2 bool
	open                  bool // no authentication
	speed                 float64
	timings               Timings
	projectCount          int                                // of Atlas
	ownProjects           bool                               // projects replaces the default ones
	projects              []livemigration.AvailableProject   // of the first source organization
	moreOrgs              [][]livemigration.AvailableProject // of the others
	autoConnect           bool
	oneAtATime            bool
	lagGrowth             time.Duration // in an hour
	upgrade               time.Duration
	orgBucket             Bucket
	projectBucket         Bucket

	documentedChallenge, documentedResponses bool
	bareRoleErrors                           bool // a 401 for a missing role has no challenge
	tokenLife                                time.Duration
	tokenSkew                                time.Duration
}

func newConfig(opts []Option) config {
	cfg := config{autoConnect: true, projectCount: 1, tokenLife: time.Hour}
	for _, opt := range opts {
		if opt != nil {
			opt(&cfg)
		}
	}
	cfg.timings = cfg.timings.withDefaults()
	return cfg
}

// WithInProcess makes [Server.NewClient] and [Server.HTTPClient] use [Server.Transport], which needs no port and works
// with testing/synctest. [Server.URL] then returns https://atlas.test.
func WithInProcess() Option { return func(c *config) { c.inProcess = true } }

// WithTLS makes the listeners speak HTTPS, with a certificate that [Server.HTTPClient] trusts.
func WithTLS() Option { return func(c *config) { c.tls = true } }

// WithHTTP2 makes the server speak HTTP/2 in addition to HTTP/1.1. Its listeners speak HTTPS then. In process all
// requests use HTTP/2; inside a testing/synctest bubble that needs Go 1.26.
func WithHTTP2() Option { return func(c *config) { c.tls, c.http2 = true, true } }

// WithSpeed makes the job clock run x times as fast as time.Now, including the virtual time of testing/synctest.
// [Server.Advance] adds to that. Default: 0, so that jobs stand still and only Advance moves them. A negative x counts
// as 0.
func WithSpeed(x float64) Option { return func(c *config) { c.speed = max(x, 0) } }

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

// WithProjects sets how many Atlas projects there are. Default: 1; n below 1 counts as 1.
func WithProjects(n int) Option { return func(c *config) { c.projectCount = max(n, 1) } }

// WithSourceProjects replaces the projects of the source organization. Without arguments it has none.
func WithSourceProjects(projects ...livemigration.AvailableProject) Option {
	return func(c *config) { c.ownProjects, c.projects = true, projects }
}

// WithSourceOrganization adds a source organization with these projects. It may be given several times.
func WithSourceOrganization(projects ...livemigration.AvailableProject) Option {
	return func(c *config) { c.moreOrgs = append(c.moreOrgs, projects) }
}

// WithAutoConnect sets whether the source organizations are connected as soon as a link-token has been created.
// Default: true, for programs that use Atlas only. With false you connect a source organization through the source
// side, see [Server.SourceURL].
func WithAutoConnect(on bool) Option { return func(c *config) { c.autoConnect = on } }

// WithOneAtATime makes the server reject a migration with 409 while its migration host or its source organization
// serves another migration. The conflict passes when that one ends. Default: both serve any number.
func WithOneAtATime() Option { return func(c *config) { c.oneAtATime = true } }

// WithLagGrowth makes the lag of a migration that is ready for cutover grow by d in each hour of the job clock, until
// StopWrites. Default: 0, so that the lag stays at one second.
func WithLagGrowth(d time.Duration) Option { return func(c *config) { c.lagGrowth = max(d, 0) } }

// WithUpgrade makes Atlas be upgraded until d has passed since the start of the server, in the time of [Bucket]. Meanwhile
// every change gets a 405 with the code WRITES_NOT_ALLOWED_DURING_APP_UPGRADES.
func WithUpgrade(d time.Duration) Option { return func(c *config) { c.upgrade = d } }

// WithoutAuthentication makes the server accept requests from everyone, with the rights of an Organization Owner. It
// never sends a challenge, so its clients use a token or a proxy that authenticates. The endpoints of OAuth still check
// client credentials.
func WithoutAuthentication() Option { return func(c *config) { c.open = true } }

// WithoutRoleChallenge leaves the challenge out of a 401 for a missing role. It is not documented whether Atlas sends
// one.
func WithoutRoleChallenge() Option { return func(c *config) { c.bareRoleErrors = true } }

// WithTokenLifetime sets how long access tokens are valid, in the time of [Bucket]. Their response announces it in whole
// seconds, rounded down. Default: 1 hour. With 0 or less they are invalid when they arrive.
func WithTokenLifetime(d time.Duration) Option { return func(c *config) { c.tokenLife = max(d, 0) } }

// WithTokenSkew makes access tokens end d earlier than the server announces, or later when d is negative.
func WithTokenSkew(d time.Duration) Option { return func(c *config) { c.tokenSkew = d } }

// WithDocumentedChallenge makes the server send the challenge that the documentation of Atlas prints, with op="auth"
// instead of qop="auth", and require credentials in the form of RFC 2069, which has no qop.
func WithDocumentedChallenge() Option { return func(c *config) { c.documentedChallenge = true } }

// WithDocumentedResponses makes responses look as in the documentation, where Atlas itself sends something else. In v2
// creating a link-token has the status 200. In v1.0 a link-token is an array of one string, and migrationHosts is one
// string if there is one host.
func WithDocumentedResponses() Option { return func(c *config) { c.documentedResponses = true } }
