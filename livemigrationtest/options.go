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
	projectCount int                                // of Atlas
	ownProjects  bool                               // projects replaces the default ones
	projects     []livemigration.AvailableProject   // of the first source organization
	moreOrgs     [][]livemigration.AvailableProject // of the others
	autoConnect  bool
	oneAtATime   bool
	orgLimit     RateLimit
	projectLimit RateLimit

	algorithm  Algorithm
	documented bool // the challenge in the form that the documentation prints
	quirks     bool // the responses of v1.0 too
	nodes      int
	nonceLife  time.Duration
	tokenLife  time.Duration
	tokenSkew  time.Duration
}

func newConfig(opts []Option) config {
	cfg := config{algorithm: MD5, autoConnect: true, nodes: 1, projectCount: 1, tokenLife: time.Hour}
	for _, opt := range opts {
		if opt != nil {
			opt(&cfg)
		}
	}
	cfg.timings = cfg.timings.withDefaults()
	return cfg
}

// InProcess makes [Server.NewClient] and [Server.HTTPClient] use [Server.Transport], and [Server.URL] return
// https://atlas.test. The server then never opens a listener: for testing/synctest, and for speed.
func InProcess() Option { return func(c *config) { c.inProcess = true } }

// WithSpeed makes the job clock run x times as fast as time.Now, so also on the virtual time of a testing/synctest
// bubble. The default is 0: jobs stand still and only [Server.Advance] moves them. Both add up. A negative x counts
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

// WithProjects sets how many Atlas projects there are. The default is 1, and n below that counts as 1.
func WithProjects(n int) Option { return func(c *config) { c.projectCount = max(n, 1) } }

// WithSourceProjects replaces the projects of the source organization. Without arguments it has none.
func WithSourceProjects(projects ...livemigration.AvailableProject) Option {
	return func(c *config) { c.ownProjects, c.projects = true, cloneProjects(projects) }
}

// WithSourceOrganization adds a source organization with these projects to the one that there is, once for each time
// that it is given.
func WithSourceOrganization(projects ...livemigration.AvailableProject) Option {
	return func(c *config) { c.moreOrgs = append(c.moreOrgs, cloneProjects(projects)) }
}

// AutoConnect says whether the source organizations connect by themselves as soon as a link-token has been created. The
// default is true: for programs that have to do with Atlas only. With false a source organization is connected through
// the source side: see [Server.SourceURL].
func AutoConnect(on bool) Option { return func(c *config) { c.autoConnect = on } }

// OneAtATime makes the server reject a migration, with 409, for which there is no room: a migration host serves one
// migration at a time, and so does a source organization. The default is that both serve any number of them, so that
// tests need no more than one host.
func OneAtATime() Option { return func(c *config) { c.oneAtATime = true } }

// WithTLS makes the listeners speak HTTPS with a certificate that [Server.HTTPClient] trusts.
func WithTLS() Option { return func(c *config) { c.tls = true } }

// WithoutAuthentication makes the server take requests from everybody, with the rights of an Organization Owner: for
// use behind a proxy that authenticates. Every request counts as authenticated then, but for those to the endpoints of
// OAuth, which check client credentials all the same.
func WithoutAuthentication() Option { return func(c *config) { c.open = true } }
