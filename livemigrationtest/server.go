package livemigrationtest

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"time"

	"github.com/livemigration/livemigration-go"
)

const (
	// inProcessURL is the address of a server that has none. Nothing but its Transport can reach it.
	inProcessURL = "https://atlas.test"
	// closedURL is the address of a server that was closed before it had one. Nothing that is used today
	// listens on port 1.
	closedURL = "http://127.0.0.1:1"
)

// Server is an Atlas in memory: one organization with its projects, and the source projects that can be migrated to
// them. It is safe for concurrent use. Make one with [NewServer].
type Server struct {
	config         config
	clock          *clock
	keys           keyring
	accounts       keyring
	digest         *digestAuth
	tokens         *tokens
	owner          credential // an API key
	account        credential // a service account
	sourcePassword livemigration.Secret
	projects       []livemigration.ProjectID // of Atlas
	routes         []*route
	oauthRoutes    []*route
	requestIDs     ids
	state          state
	limiter        *limiter
	deprecations   deprecations
	faults         faultQueue
	recorder       recorder

	done      chan struct{} // closed by Close
	closeOnce sync.Once

	mu       sync.Mutex
	listener *httptest.Server // nil until it is needed
}

// NewServer makes a server. Close it at the end. For a testing/synctest bubble, make it inside of the bubble.
func NewServer(opts ...Option) *Server {
	cfg := newConfig(opts)
	s := &Server{
		config: cfg, clock: newClock(cfg.speed), routes: newRoutes(), oauthRoutes: newOAuthRoutes(),
		done: make(chan struct{}), projects: newProjectIDs(cfg.projectCount),
		sourcePassword: livemigration.Secret(randomHex(12)),
	}
	s.owner = s.keys.create(OrgOwner, newPublicKey, newPrivateKey)
	s.account = s.accounts.create(OrgOwner, newClientID, newClientSecret)
	s.tokens = &tokens{clock: s.clock, lifetime: cfg.tokenLife, skew: cfg.tokenSkew}
	s.digest = &digestAuth{
		keys: &s.keys, clock: s.clock, algorithm: cfg.algorithm, documented: cfg.documented, lifetime: cfg.nonceLife,
	}
	s.limiter = newLimiter(cfg.rateLimit, s.clock)
	s.state.timings, s.state.projects = cfg.timings, newWireProjects(cfg.projects)
	return s
}

// URL returns the server's address without a path, such as http://127.0.0.1:41257. The first call opens a listener on
// a free port of the loopback interface, and panics, as net/http/httptest does, when there is none. With [InProcess]
// there is never a listener, and the address is https://atlas.test.
func (s *Server) URL() string {
	if s.config.inProcess {
		return inProcessURL
	}
	if listener := s.listen(); listener != nil {
		return listener.URL
	}
	return closedURL
}

// listen returns the listener, which it starts if need be; nil when the server was closed before.
func (s *Server) listen() *httptest.Server {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listener != nil || s.closed() {
		return s.listener
	}
	s.listener = httptest.NewUnstartedServer(s.Handler())
	s.listener.Config.ErrorLog = log.New(io.Discard, "", 0)
	if s.config.tls {
		s.listener.StartTLS()
	} else {
		s.listener.Start()
	}
	return s.listener
}

// HTTPClient returns an HTTP client that reaches the server and, [WithTLS], trusts its certificate. It has no
// credentials.
func (s *Server) HTTPClient() *http.Client {
	if s.config.inProcess {
		return &http.Client{Transport: s.Transport()}
	}
	if listener := s.listen(); listener != nil {
		return &http.Client{Transport: listener.Client().Transport}
	}
	return &http.Client{Transport: s.Transport()} // refuses, as the server is closed
}

// NewClient returns a client of the server with the key of [Server.Credentials]. The options come after those that
// make it one, and so can replace them.
func (s *Server) NewClient(opts ...livemigration.Option) (*livemigration.Client, error) {
	all := []livemigration.Option{livemigration.WithBaseURL(s.URL()), livemigration.WithHTTPClient(s.HTTPClient())}
	return livemigration.NewClient(s.Credentials(), append(all, opts...)...)
}

// OrgID returns the id of the Atlas organization.
func (s *Server) OrgID() livemigration.OrgID { return orgID }

// ProjectID returns the id of the Atlas project to which migrations go, the first one when there are several.
func (s *Server) ProjectID() livemigration.ProjectID { return s.projects[0] }

// ProjectIDs returns the ids of all Atlas projects, of which there are as many as [WithProjects] says.
func (s *Server) ProjectIDs() []livemigration.ProjectID { return slices.Clone(s.projects) }

// Credentials returns those of an Organization Owner. It is the key of [Server.APIKey].
func (s *Server) Credentials() livemigration.Credentials {
	return livemigration.APIKey(s.owner.name, s.owner.secret.Reveal())
}

// CredentialsFor makes a new API key with the role.
func (s *Server) CredentialsFor(role Role) livemigration.Credentials {
	key := s.keys.create(role, newPublicKey, newPrivateKey)
	return livemigration.APIKey(key.name, key.secret.Reveal())
}

// ServiceAccountCredentials returns those of the service account of [Server.ServiceAccount], an Organization Owner.
func (s *Server) ServiceAccountCredentials() livemigration.Credentials {
	id, secret := s.ServiceAccount()
	return livemigration.ServiceAccount(id, secret.Reveal())
}

// ServiceAccountCredentialsFor makes a new service account with the role.
func (s *Server) ServiceAccountCredentialsFor(role Role) livemigration.Credentials {
	id, secret := s.NewServiceAccount(role)
	return livemigration.ServiceAccount(id, secret.Reveal())
}

// APIKey returns the API key of an Organization Owner, for curl and other clients: the public key is the user name of
// HTTP Digest, the private key the password.
func (s *Server) APIKey() (publicKey string, privateKey livemigration.Secret) {
	return s.owner.name, s.owner.secret
}

// Timings returns how long the phases of a job last, defaults filled in.
func (s *Server) Timings() Timings { return s.config.timings }

// Advance moves the server's time by d, without waiting. A negative d counts as 0.
func (s *Server) Advance(d time.Duration) { s.clock.advance(d) }

// ExpireNonces makes every nonce of HTTP Digest expire now: the next request that uses one is answered with 401 and
// stale=true, and a client is to repeat it with the nonce that comes along.
func (s *Server) ExpireNonces() { s.digest.expire() }

// Close ends all waits and shuts the server down. Requests in progress are cut off, later ones refused. What the server
// has recorded stays. Close may be called more than once.
func (s *Server) Close() {
	s.closeOnce.Do(func() {
		close(s.done)
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.listener != nil {
			s.listener.CloseClientConnections()
			s.listener.Close()
		}
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

// String names the server. It does not show its keys, secrets and tokens, which a Server prints in no form.
func (s *Server) String() string { return "livemigrationtest.Server" }

// Format writes what String returns for every verb.
func (s *Server) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }
