package benchmarks

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"time"

	"github.com/livemigration/livemigration-go"
	"github.com/livemigration/livemigration-go/livemigrationtest"
)

// The servers.
const (
	serverAtlas   = "atlas"   // livemigrationtest, as strict as Atlas
	serverMinimal = "minimal" // checks HTTP Digest and does nothing else
	serverProcess = "process" // the minimal one, called without sockets: for counts of allocations
)

// parallelCallers is also how many idle connections every client keeps.
const parallelCallers = 64

// site is one server, with what a client has to know about it.
type site struct {
	url                     string
	username, password      string
	org, project, migration string // ids
	counter                 *counter
	// rejectNext makes the server reject the next authenticated request with 429.
	rejectNext func()

	requests atomic.Int64
	handler  http.Handler
	listener *httptest.Server // nil in process
	roots    *x509.CertPool   // with TLS
	closers  []func()
}

type siteOptions struct {
	tls      bool
	latency  time.Duration
	projects bool // there are source projects to be listed
}

func newSite(server string, opts siteOptions) (*site, error) {
	s := &site{}
	var projects []livemigration.AvailableProject
	if opts.projects {
		projects = availableProjects()
	}
	if server == serverAtlas {
		if err := s.useAtlas(projects); err != nil {
			return nil, err
		}
	} else {
		s.useMinimal(projects)
	}
	serve := s.handler
	s.handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.requests.Add(1)
		time.Sleep(opts.latency) // at once when there is none
		serve.ServeHTTP(w, r)
	})
	if server == serverProcess {
		s.url = "http://127.0.0.1"
		return s, nil
	}
	s.listen(opts.tls)
	return s, nil
}

func (s *site) listen(secure bool) {
	s.listener = httptest.NewUnstartedServer(s.handler)
	s.listener.Config.ErrorLog = nil
	if secure {
		s.listener.StartTLS()
		s.roots = x509.NewCertPool()
		s.roots.AddCert(s.listener.Certificate())
	} else {
		s.listener.Start()
	}
	s.url = s.listener.URL
	s.closers = append(s.closers, s.listener.Close)
}

func (s *site) close() {
	for i := len(s.closers) - 1; i >= 0; i-- {
		s.closers[i]()
	}
}

func (s *site) useMinimal(projects []livemigration.AvailableProject) {
	m := newMinimal(projects)
	s.handler, s.rejectNext = m, func() { m.rejects.Store(1) }
	s.username, s.password = minimalUsername, minimalPassword
	s.org, s.project, s.migration = minimalOrg, minimalProject, minimalMigration
	s.counter = &counter{verifier: m.verifier, username: s.username}
}

func (s *site) useAtlas(projects []livemigration.AvailableProject) error {
	srv := livemigrationtest.NewServer(livemigrationtest.WithSourceProjects(projects...), livemigrationtest.WithInProcess())
	s.closers = append(s.closers, srv.Close)
	s.handler = srv.Handler()
	s.rejectNext = func() {
		srv.Inject(livemigrationtest.GetMigration, livemigrationtest.Status(http.StatusTooManyRequests), 1)
	}
	public, private := srv.APIKey()
	s.username, s.password = public, private.Reveal()
	s.org, s.project = string(srv.OrgID()), string(srv.ProjectID())

	client, err := srv.NewClient(livemigration.WithAPIVersion(livemigration.APIv1))
	if err != nil {
		return err
	}
	ctx := context.Background()
	// Without a link-token there are no source projects.
	if _, err := client.LinkTokens.Create(ctx, srv.OrgID(), livemigration.LinkTokenRequest{AccessListIPs: []string{"192.0.2.0/24"}}); err != nil {
		return err
	}
	created, err := client.Migrations.Create(ctx, srv.ProjectID(), usualRequest())
	if err != nil {
		return err
	}
	s.migration = string(created.ID)
	return s.drawNonce()
}

// drawNonce gets the nonce for the headers that are made beforehand.
func (s *site) drawNonce() error {
	response := httptest.NewRecorder()
	s.handler.ServeHTTP(response, httptest.NewRequest(http.MethodGet, s.readPath("v2"), nil))
	_, after, _ := strings.Cut(response.Header().Get("WWW-Authenticate"), ` nonce="`)
	nonce, _, ok := strings.Cut(after, `"`)
	if !ok {
		return fmt.Errorf("no nonce in the response with status %d", response.Code)
	}
	s.counter = &counter{verifier: newVerifier(nonce, s.username, s.password), username: s.username}
	return nil
}

func (s *site) createPath(version string) string {
	return "/api/atlas/" + version + "/groups/" + s.project + "/liveMigrations"
}

func (s *site) readPath(version string) string { return s.createPath(version) + "/" + s.migration }

func (s *site) listPath(version string) string {
	return "/api/atlas/" + version + "/orgs/" + s.org + "/liveMigrations/availableProjects"
}

// transport returns a new one. Those of all clients are alike.
func (s *site) transport() transport {
	if s.listener == nil {
		return &processTransport{s.handler}
	}
	return &http.Transport{
		MaxIdleConns: parallelCallers, MaxIdleConnsPerHost: parallelCallers, IdleConnTimeout: time.Minute,
		TLSClientConfig: &tls.Config{RootCAs: s.roots},
	}
}

type transport interface {
	http.RoundTripper
	CloseIdleConnections()
}

// processTransport calls a handler in the caller's goroutine.
type processTransport struct{ handler http.Handler }

func (t *processTransport) CloseIdleConnections() {}

func (t *processTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := req.Context().Err(); err != nil {
		return nil, err
	}
	arrived := *req
	arrived.RequestURI = req.URL.RequestURI()
	if arrived.Body == nil {
		arrived.Body = http.NoBody
	}
	defer arrived.Body.Close()
	response := &processResponse{header: make(http.Header, 4)}
	t.handler.ServeHTTP(response, &arrived)
	return &http.Response{
		StatusCode: response.status, Header: response.header, Request: req, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Body: response, ContentLength: int64(response.body.Len()),
	}, nil
}

// processResponse is written by a handler, and then read as the response's body.
type processResponse struct {
	status int
	header http.Header
	body   bytes.Buffer
}

func (a *processResponse) Header() http.Header         { return a.header }
func (a *processResponse) WriteHeader(status int)      { a.status = status }
func (a *processResponse) Write(p []byte) (int, error) { return a.body.Write(p) }
func (a *processResponse) Read(p []byte) (int, error)  { return a.body.Read(p) }
func (a *processResponse) Close() error                { return nil }

var _ io.ReadCloser = (*processResponse)(nil)
