package interop

import (
	"context"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"github.com/livemigration/livemigration-go"
	"github.com/livemigration/livemigration-go/livemigrationtest"
)

// backend is the server behind a proxy. It serves many lanes, which it tells apart by their User-Agent.
type backend struct {
	server *httptest.Server
	lanes  sync.Map
	next   atomic.Int64
}

func newBackend(t *testing.T) *backend {
	t.Helper()
	b := new(backend)
	b.server = httptest.NewServer(b)
	t.Cleanup(b.server.Close)
	return b
}

func (b *backend) address() string { return strings.TrimPrefix(b.server.URL, "http://") }

func (b *backend) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name, _, _ := strings.Cut(r.UserAgent(), " ")
	if l, ok := b.lanes.Load(name); ok {
		l.(*lane).ServeHTTP(w, r)
		return
	}
	http.NotFound(w, r) // a probe
}

// lane is a client, an in-memory Atlas, and what happens to its responses.
type lane struct {
	atlas   *livemigrationtest.Server
	client  *livemigration.Client
	source  *livemigration.SourceClient
	token   livemigration.Secret // a link-token
	method  string               // of the requests whose successful responses get the fate
	fate    fate
	arrived chan struct{} // gets an element for each of them
	release chan struct{} // closed when held responses may go out
	count   atomic.Int64
}

// fate reports whether the response may go out.
type fate func(l *lane, w http.ResponseWriter, r *http.Request) bool

// kind is a creation, and the program that makes it.
type kind struct {
	credential, setup, creation string
}

func (k kind) String() string { return k.credential + "/" + k.setup + "/" + k.creation }

// kinds are all combinations.
var kinds = func() (all []kind) {
	for _, credential := range []string{"key", "token"} {
		for setup := range setups {
			for creation := range creations {
				all = append(all, kind{credential, setup, creation})
			}
		}
	}
	return all
}()

// setups are the ways in which programs use the library.
var setups = map[string]struct {
	transport func() *http.Transport // nil: the client's own
	cold      bool                   // it makes the call as its first one
}{
	"default transport":              {nil, false},
	"user's transport":               {http2, false},
	"user's transport, HTTP/1.1":     {http1, false},
	"user's transport, a first call": {http2, true},
}

func http2() *http.Transport { return &http.Transport{ForceAttemptHTTP2: true} }

func http1() *http.Transport {
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetHTTP1(true)
	return transport
}

// newLane returns a lane whose creations get the fate.
func (b *backend) newLane(t *testing.T, url string, k kind, f fate) *lane {
	t.Helper()
	l := &lane{method: http.MethodPost, fate: f, arrived: make(chan struct{}, 100), release: make(chan struct{})}
	options := []livemigrationtest.Option{livemigrationtest.WithInProcess(), livemigrationtest.WithAutoConnect(false)}
	if k.credential == "token" {
		options = append(options, livemigrationtest.WithoutAuthentication())
	}
	l.atlas = livemigrationtest.NewServer(options...)
	t.Cleanup(l.atlas.Close)
	ours, theirs := l.atlas.Credentials(), l.atlas.SourceCredentials()
	if k.credential == "token" {
		ours = livemigration.TokenSource(oauth2.StaticTokenSource(&oauth2.Token{AccessToken: "token-of-a-test"}))
		theirs = ours
	}
	direct, err := livemigration.NewClient(ours, livemigration.WithBaseURL(l.atlas.URL()), livemigration.WithHTTPClient(l.atlas.HTTPClient()))
	require.NoError(t, err)
	linkToken, err := direct.LinkTokens.Create(t.Context(), l.atlas.OrgID(), linkTokenRequest)
	require.NoError(t, err)
	l.token = linkToken.Token

	name, setup := fmt.Sprintf("lane/%d", b.next.Add(1)), setups[k.setup]
	b.lanes.Store(name, l)
	t.Cleanup(func() { b.lanes.Delete(name) })
	opts := []livemigration.Option{
		livemigration.WithBaseURL(url), livemigration.WithUserAgent(name),
		livemigration.WithRetryPolicy(livemigration.RetryPolicy{MaxAttempts: 3, MaxBackoff: 10 * time.Millisecond}),
	}
	if setup.transport != nil {
		opts = append(opts, livemigration.WithHTTPClient(&http.Client{Transport: setup.transport()}))
	}
	l.client, err = livemigration.NewClient(ours, opts...)
	require.NoError(t, err)
	t.Cleanup(l.client.CloseIdleConnections)
	l.source, err = livemigration.NewSourceClient(theirs, opts...)
	require.NoError(t, err)
	t.Cleanup(l.source.CloseIdleConnections)
	if !setup.cold {
		_, err = l.client.AvailableProjects.List(t.Context(), l.atlas.OrgID())
		require.NoError(t, err)
		_, err = l.source.MigrationLink.Status(t.Context(), l.atlas.SourceOrgID())
		require.NoError(t, err)
	}
	return l
}

func (l *lane) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	handler := l.atlas.Handler()
	if strings.HasPrefix(r.URL.Path, "/api/public/") {
		handler = l.atlas.SourceHandler()
	}
	response := httptest.NewRecorder()
	handler.ServeHTTP(response, r)
	if r.Method == l.method && response.Code/100 == 2 {
		l.count.Add(1)
		l.arrived <- struct{}{}
		if !l.fate(l, w, r) {
			return
		}
	}
	maps.Copy(w.Header(), response.Header())
	w.WriteHeader(response.Code)
	_, _ = w.Write(response.Body.Bytes()) // the connection may have been closed
}

// closed closes the connection before the first byte of the response.
func closed(_ *lane, w http.ResponseWriter, _ *http.Request) bool {
	if connection, _, err := http.NewResponseController(w).Hijack(); err == nil {
		connection.Close()
	}
	return false
}

// reset is like closed, with a TCP reset.
func reset(_ *lane, w http.ResponseWriter, _ *http.Request) bool {
	if connection, _, err := http.NewResponseController(w).Hijack(); err == nil {
		_ = connection.(*net.TCPConn).SetLinger(0)
		connection.Close()
	}
	return false
}

// held keeps a response until the lane is released or the proxy has closed the connection.
func held(l *lane, _ http.ResponseWriter, r *http.Request) bool {
	select {
	case <-l.release:
		return true
	case <-r.Context().Done():
		return false
	}
}

// heldOnce is held for the first response. The others go out at once.
func heldOnce(l *lane, w http.ResponseWriter, r *http.Request) bool {
	return l.count.Load() > 1 || held(l, w, r)
}

var linkTokenRequest = livemigration.LinkTokenRequest{AccessListIPs: []string{"192.0.2.0/24"}}

// creations are the calls that must not be made twice.
var creations = map[string]func(context.Context, *lane) error{
	"Migrations.Create": func(ctx context.Context, l *lane) error {
		_, err := l.client.Migrations.Create(ctx, l.atlas.ProjectID(), l.atlas.SampleRequest())
		return err
	},
	"LinkTokens.Create": func(ctx context.Context, l *lane) error {
		_, err := l.client.LinkTokens.Create(ctx, l.atlas.OrgID(), linkTokenRequest)
		return err
	},
	"MigrationLink.Create": func(ctx context.Context, l *lane) error {
		_, err := l.source.MigrationLink.Create(ctx, l.atlas.SourceOrgID(), l.token)
		return err
	},
}
