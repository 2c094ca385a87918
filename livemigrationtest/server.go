package livemigrationtest

import (
	"context"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/livemigration/livemigration-go"
)

// Server is an in-memory Atlas: one organization with its projects, and the source side whose projects can be migrated
// to them. It is safe for concurrent use. Make one with [NewServer].
type Server struct {
	config         config
	clock          *clock
	atlas          *site
	source         *site
	accounts       keyring // of Atlas
	account        credential
	tokens         *tokens
	oauthRoutes    []*route
	sourcePassword livemigration.Secret
	requestIDs     *ids
	state          *state
	limiter        *limiter
	deprecations   deprecations
	faults         faultQueue
	recorder       recorder

	done      chan struct{} // closed by Close
	closeOnce sync.Once
}

// NewServer makes a server. Close it at the end. For a testing/synctest bubble, make it inside the bubble.
func NewServer(opts ...Option) *Server {
	cfg, drawn := newConfig(opts), newIDs()
	s := &Server{
		config: cfg, clock: newClock(cfg.speed), oauthRoutes: newOAuthRoutes(), done: make(chan struct{}),
		sourcePassword: livemigration.Secret(randomHex(12)), requestIDs: newIDs(),
		state: newState(cfg, drawn),
	}
	s.atlas, s.source = s.newAtlas(cfg, drawn), s.newSource(cfg)
	s.account = s.accounts.create(OrgOwner, newClientID, newClientSecret)
	s.tokens = &tokens{clock: s.clock, lifetime: cfg.tokenLife, skew: cfg.tokenSkew}
	s.limiter = newLimiter(cfg, s.clock)
	return s
}

// NewClient returns a client of the server, with the key of [Server.Credentials]. The options come after its own, and
// can replace them.
func (s *Server) NewClient(opts ...livemigration.Option) (*livemigration.Client, error) {
	all := []livemigration.Option{livemigration.WithBaseURL(s.URL()), livemigration.WithHTTPClient(s.HTTPClient())}
	return livemigration.NewClient(s.Credentials(), append(all, opts...)...)
}

// OrgID returns the id of the Atlas organization. Every server has other ids.
func (s *Server) OrgID() livemigration.OrgID { return livemigration.OrgID(s.atlas.scopes[scopeOrg][0]) }

// ProjectID returns the id of the Atlas project to which migrations go, the first one when there are several.
func (s *Server) ProjectID() livemigration.ProjectID { return s.ProjectIDs()[0] }

// ProjectIDs returns the ids of all Atlas projects, see [WithProjects].
func (s *Server) ProjectIDs() []livemigration.ProjectID {
	return convert[livemigration.ProjectID](s.atlas.scopes[scopeProject])
}

func convert[T ~string](texts []string) []T {
	out := make([]T, 0, len(texts))
	for _, text := range texts {
		out = append(out, T(text))
	}
	return out
}

// Timings returns how long the phases of a job last, defaults filled in.
func (s *Server) Timings() Timings { return s.config.timings }

// Advance moves the server's time by d, without waiting. A negative d counts as 0.
func (s *Server) Advance(d time.Duration) { s.clock.advance(d) }

// ExpireNonces makes every nonce of HTTP Digest expire now, on both sides. The next request with one gets a 401 with
// stale=true, and a client should retry it with the new nonce.
func (s *Server) ExpireNonces() {
	s.atlas.digest.expire()
	s.source.digest.expire()
}

// Close ends all waits and shuts the server down. Requests in progress are cut off, later ones fail. What the server
// has recorded stays. Close may be called more than once.
func (s *Server) Close() {
	s.closeOnce.Do(func() {
		close(s.done)
		s.atlas.close()
		s.source.close()
	})
}

func (s *Server) closed() bool {
	select {
	case <-s.done:
		return true
	default:
		return false
	}
}

// wait returns whether the time has passed; false when the request or the server has ended before.
func (s *Server) wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	case <-s.done:
		return false
	}
}

// Request returns a valid request, in both versions of the API, with a made-up password. It migrates the first cluster
// of the first source project that has a cluster and a migration host to [Server.ProjectID]. If there is no such
// project, it names a cluster that the source side does not have.
func (s *Server) SampleRequest() livemigration.MigrationRequest {
	project := s.state.firstMigratable()
	cluster := project.Deployments[0]
	source := livemigration.Source{
		ProjectID: project.ProjectID, ClusterName: cluster.Name,
		Username: "migration", Password: s.sourcePassword, SSL: cluster.TLSEnabled,
	}
	if source.SSL {
		source.CACertificatePath = "/etc/mongodb/ca.pem"
	}
	return livemigration.MigrationRequest{
		Source: source,
		Destination: livemigration.Destination{
			ProjectID: s.ProjectID(), ClusterName: "Cluster0", HostnameSchemaType: livemigration.HostnamePublic,
		},
		MigrationHosts: slices.Clone(project.MigrationHosts[:1]),
	}
}

// String names the server. A Server prints its keys, secrets and tokens in no form.
func (s *Server) String() string { return "livemigrationtest.Server" }

// Format writes what String returns for every verb.
func (s *Server) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }
