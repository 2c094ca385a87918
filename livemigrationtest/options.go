package livemigrationtest

import (
	"time"

	"github.com/livemigration/livemigration-go"
)

// Option changes what [NewServer] makes. Options may be given in any order; of two that set the same thing the later
// one counts.
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
	orgLimit     Bucket
	projectLimit Bucket

	algorithm  Algorithm
	documented bool // the challenge in the form that the documentation prints
	// withRequestIDs: responses name their request
	withRequestIDs bool
	quirks         bool // the responses of v1.0 too
	nodes          int
	nonceLife      time.Duration
	tokenLife      time.Duration
	tokenSkew      time.Duration
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

// InProcess makes the server work without a listener, for testing/synctest and for speed. [Server.NewClient] and
// [Server.HTTPClient] use [Server.Transport], and [Server.URL] returns https://atlas.test.
func WithInProcess() Option { return func(c *config) { c.inProcess = true } }

// WithSpeed makes the job clock run x times as fast as time.Now, also on the virtual time of a testing/synctest bubble.
// [Server.Advance] adds to that. Default: 0, jobs stand still and only Advance moves them. A negative x counts as 0.
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

// WithProjects sets how many Atlas projects there are. Default: 1; n below that counts as 1.
func WithProjects(n int) Option { return func(c *config) { c.projectCount = max(n, 1) } }

// WithSourceProjects replaces the projects of the source organization. Without arguments it has none.
func WithSourceProjects(projects ...livemigration.AvailableProject) Option {
	return func(c *config) { c.ownProjects, c.projects = true, cloneProjects(projects) }
}

// WithSourceOrganization adds a source organization with these projects. It may be given several times.
func WithSourceOrganization(projects ...livemigration.AvailableProject) Option {
	return func(c *config) { c.moreOrgs = append(c.moreOrgs, cloneProjects(projects)) }
}

// AutoConnect sets whether the source organizations connect by themselves as soon as a link-token has been created.
// Default: true, for programs that use Atlas only. With false a source organization is connected through the source
// side, see [Server.SourceURL].
func WithAutoConnect(on bool) Option { return func(c *config) { c.autoConnect = on } }

// OneAtATime makes the server reject a migration with 409 while its migration host or its source organization serves
// another one, as in reality. Default: both serve any number, so that tests need no more than one host.
func WithOneAtATime() Option { return func(c *config) { c.oneAtATime = true } }

// WithTLS makes the listeners speak HTTPS with a certificate that [Server.HTTPClient] trusts.
func WithTLS() Option { return func(c *config) { c.tls = true } }

// WithoutAuthentication makes the server accept requests from everybody, with the rights of an Organization Owner. It
// is for use behind a proxy that authenticates. The endpoints of OAuth still check client credentials.
func WithoutAuthentication() Option { return func(c *config) { c.open = true } }
