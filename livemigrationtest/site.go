package livemigrationtest

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"sync"
)

// The addresses of a server that has none. Nothing but its Transport can reach it.
const (
	inProcessURL = "https://atlas.test"
	sourceHost   = "source.test"
)

// closedURL is the address of a server that was closed before it had one. Nothing that is used today listens on port 1.
const closedURL = "http://127.0.0.1:1"

// site is one of the two services that the server plays: Atlas, or the source side. Each has its own address, keys,
// organizations and endpoints.
type site struct {
	inProcessURL string
	routes       []*route
	scopes       map[string][]string // the ids that exist, by the name of the path's parameter
	match        func(method, path string) match
	handler      http.Handler
	digest       *digestAuth
	owner        credential // an API key

	mu       sync.Mutex
	listener *httptest.Server // nil until it is needed
}

func (s *Server) newAtlas(cfg config, drawn *ids) *site {
	projects := make([]string, 0, cfg.projectCount)
	for i := range cfg.projectCount {
		projects = append(projects, drawn.of(idAtlas, firstProject+i))
	}
	return s.newSite(cfg, &site{
		inProcessURL: inProcessURL, routes: newAtlasRoutes(), match: s.matchAtlas,
		scopes: map[string][]string{scopeOrg: {drawn.of(idAtlas, 0)}, scopeProject: projects},
	})
}

func (s *Server) newSource(cfg config) *site {
	return s.newSite(cfg, &site{
		inProcessURL: "https://" + sourceHost, routes: newSourceRoutes(), match: s.matchSource,
		scopes: map[string][]string{scopeOrg: s.state.sourceOrgIDs()},
	})
}

func (s *Server) newSite(cfg config, made *site) *site {
	made.digest = newDigestAuth(cfg, s.clock)
	made.owner = made.digest.keys.create(OrgOwner, newPublicKey, newPrivateKey)
	made.handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.serveHTTP(made, w, r) })
	return made
}

// URL returns the server's address without a path, such as http://127.0.0.1:41257. The first call opens a listener on a
// free port of the loopback interface, and panics when there is none, as net/http/httptest does. With [WithInProcess] there
// is no listener, and the address is https://atlas.test.
func (s *Server) URL() string { return s.urlOf(s.atlas) }

// SourceURL returns the address of the source side, which plays Cloud Manager or Ops Manager. It differs from
// [Server.URL], and has a listener of its own. With [WithInProcess] it is https://source.test.
func (s *Server) SourceURL() string { return s.urlOf(s.source) }

func (s *Server) urlOf(of *site) string {
	if s.config.inProcess {
		return of.inProcessURL
	}
	if listener := s.listen(of); listener != nil {
		return listener.URL
	}
	return closedURL
}

// listen returns the listener, which it starts if need be; nil when the server was closed before.
func (s *Server) listen(of *site) *httptest.Server {
	of.mu.Lock()
	defer of.mu.Unlock()
	if of.listener != nil || s.closed() {
		return of.listener
	}
	of.listener = httptest.NewUnstartedServer(of.handler)
	of.listener.Config.ErrorLog = log.New(io.Discard, "", 0)
	if s.config.tls {
		of.listener.StartTLS()
	} else {
		of.listener.Start()
	}
	return of.listener
}

func (of *site) close() {
	of.mu.Lock()
	defer of.mu.Unlock()
	if of.listener != nil {
		of.listener.CloseClientConnections()
		of.listener.Close()
	}
}

// HTTPClient returns an HTTP client that reaches the server and its source side, and trusts their certificate. It has
// no credentials.
func (s *Server) HTTPClient() *http.Client {
	if s.config.inProcess {
		return &http.Client{Transport: s.Transport()}
	}
	if listener := s.listen(s.atlas); listener != nil {
		return &http.Client{Transport: listener.Client().Transport}
	}
	return &http.Client{Transport: s.Transport()} // fails, as the server is closed
}

// Handler returns the server as an [http.Handler], for a listener of your own. Faults that reset the connection hijack
// it. Where that is impossible (HTTP/2, httptest.ResponseRecorder) they panic with [http.ErrAbortHandler], and the
// server of net/http then cuts the connection.
func (s *Server) Handler() http.Handler { return s.atlas.handler }

// SourceHandler returns the source side as an [http.Handler], see [Server.Handler].
func (s *Server) SourceHandler() http.Handler { return s.source.handler }
