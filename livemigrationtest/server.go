package livemigrationtest

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/livemigration/livemigration-go"
)

// Server is an in-memory Atlas: one organization with its projects, and the source side whose projects can be migrated
// to them. It is safe for concurrent use. Create one with [NewServer].
type Server struct {
	ClusterScript // of every cluster

	config   config
	clock    *clock
	atlas    *site
	source   *site
	password livemigration.Secret // of the sample request
	state    *state
	limiter  limiter
	faults   faultQueue
	recorder recorder
	memory   *http.Transport

	mu       sync.Mutex // guards what follows, and the addresses of the sites
	network  *http.Transport
	identity []tls.Certificate
	roots    *x509.CertPool

	open  context.Context // until Close
	close context.CancelFunc
}

// NewServer returns a server. Close it at the end. For a testing/synctest bubble, call it inside the bubble.
func NewServer(opts ...Option) *Server {
	cfg, ids := newConfig(opts), newIDs()
	s := &Server{
		config: cfg, clock: newClock(cfg.speed), password: livemigration.Secret(randomHex(12)),
		state: newState(cfg, ids),
	}
	s.open, s.close = context.WithCancel(context.Background())
	s.ClusterScript = s.ForCluster("")
	s.atlas, s.source = s.newAtlas(ids), s.newSource()
	s.memory = s.newMemoryTransport()
	return s
}

// NewClient returns a client of the server, with the API key of [Server.APIKey]. The options come after its own, and
// can replace them.
func (s *Server) NewClient(opts ...livemigration.Option) (*livemigration.Client, error) {
	return livemigration.NewClient(s.Credentials(), s.clientOptions(s.URL(), opts)...)
}

// NewSourceClient returns a client of the source side, with the API key of [Server.SourceAPIKey]. The options come
// after its own, and can replace them.
func (s *Server) NewSourceClient(opts ...livemigration.Option) (*livemigration.SourceClient, error) {
	return livemigration.NewSourceClient(s.SourceCredentials(), s.clientOptions(s.SourceURL(), opts)...)
}

func (s *Server) clientOptions(url string, opts []livemigration.Option) []livemigration.Option {
	return append([]livemigration.Option{livemigration.WithBaseURL(url), livemigration.WithHTTPClient(s.HTTPClient())}, opts...)
}

// OrgID returns the ID of the Atlas organization. Every server has other IDs.
func (s *Server) OrgID() livemigration.OrgID { return livemigration.OrgID(s.atlas.scopes[scopeOrg][0]) }

// ProjectID returns the ID of the Atlas project to which migrations go, the first one if there are several.
func (s *Server) ProjectID() livemigration.ProjectID { return s.ProjectIDs()[0] }

// ProjectIDs returns the IDs of all Atlas projects, see [WithProjects].
func (s *Server) ProjectIDs() []livemigration.ProjectID {
	return convert[livemigration.ProjectID](s.atlas.scopes[scopeProject])
}

// SourceOrgID returns the ID of the source organization, the first one if there are several. Atlas does not know it.
func (s *Server) SourceOrgID() livemigration.OrgID { return s.SourceOrgIDs()[0] }

// SourceOrgIDs returns the IDs of all source organizations: the first one, then those of [WithSourceOrganization].
func (s *Server) SourceOrgIDs() []livemigration.OrgID {
	return convert[livemigration.OrgID](s.source.scopes[scopeOrg])
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
	s.atlas.digest.forget()
	s.source.digest.forget()
}

// ExpireTokens makes every access token invalid now. The next request with one gets a 401, and a client should get a
// new token and retry.
func (s *Server) ExpireTokens() {
	s.atlas.tokens.expire()
	s.source.tokens.expire()
}

// LiveTokenCount returns how many access tokens would be accepted now.
func (s *Server) LiveTokenCount() int { return s.atlas.tokens.count() + s.source.tokens.count() }

// Close ends all waits and shuts the server down. Requests in progress are cut off, later ones fail. What the server
// has recorded stays. Close may be called more than once.
func (s *Server) Close() {
	s.close()
	_ = s.atlas.server.Close()
	_ = s.source.server.Close()
	s.memory.CloseIdleConnections()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.network != nil {
		s.network.CloseIdleConnections()
	}
}

func (s *Server) closed() bool { return s.open.Err() != nil }

// wait returns whether the time has passed; false if the request or the server has ended before.
func (s *Server) wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	case <-s.open.Done():
		return false
	}
}

// SampleRequest returns a valid request, in both versions of the API, with a made-up password. It migrates the first
// cluster of the first source project that has a cluster and a migration host to [Server.ProjectID]. If there is no such
// project, it names a cluster that the source side does not have.
func (s *Server) SampleRequest() livemigration.MigrationRequest {
	project, cluster := s.state.sample, s.state.sample.Deployments[0]
	source := livemigration.Source{
		ProjectID: project.ProjectID, ClusterName: cluster.Name,
		Username: "migration", Password: s.password, SSL: cluster.TLSEnabled,
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

// Format writes the server's type for every verb, and none of its keys, secrets and tokens.
func (s *Server) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "livemigrationtest.Server") }
