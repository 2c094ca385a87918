package livemigration_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go"
	"github.com/livemigration/livemigration-go/livemigrationtest"
)

// quick keeps tests on real sockets from waiting.
var quick = livemigration.WithRetryPolicy(livemigration.RetryPolicy{MaxAttempts: 4, BaseBackoff: time.Millisecond, MaxBackoff: 2 * time.Millisecond})

// listen serves each connection with handle until the test ends, and counts them.
func listen(t *testing.T, handle func(net.Conn)) (address string, connections *atomic.Int32) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	connections = new(atomic.Int32)
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			connections.Add(1)
			wg.Go(func() {
				defer conn.Close()
				handle(conn)
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		wg.Wait()
	})
	return l.Addr().String(), connections
}

func reset(conn net.Conn) {
	_ = conn.(*net.TCPConn).SetLinger(0)
	_ = conn.Close()
}

func newClient(t *testing.T, credentials livemigration.Credentials, opts ...livemigration.Option) *livemigration.Client {
	t.Helper()
	client, err := livemigration.NewClient(credentials, opts...)
	require.NoError(t, err)
	t.Cleanup(client.CloseIdleConnections)
	return client
}

const (
	projectID = livemigration.ProjectID("e01c9427f054fe80745f3f6c")
	jobID     = "5f2a1c2e3d4b5a6c7d8e9f01"
)

func request() livemigration.MigrationRequest {
	return livemigration.MigrationRequest{
		Source:         livemigration.Source{ProjectID: "9b43a5b329223c3a1591a678", ClusterName: "a", Username: "u", Password: "hunter2"},
		Destination:    livemigration.Destination{ClusterName: "b"},
		MigrationHosts: []string{"vm001.example.com"},
	}
}

// With real connections, for the operation that must not take effect twice: every way of not reaching Atlas with
// credentials is retried, and is no unknown outcome.
func TestUnsentRequestsAreRetried(t *testing.T) {
	t.Parallel()
	keys := livemigration.APIKey("public", "private")
	create := func(t *testing.T, client *livemigration.Client) (int, error) {
		t.Helper()
		var resp livemigration.Response
		_, err := client.Migrations.Create(t.Context(), projectID, request(), livemigration.CaptureResponse(&resp))
		require.Error(t, err)
		assert.NotErrorIs(t, err, livemigration.ErrOutcomeUnknown)
		assert.NotContains(t, err.Error(), "hunter2")
		return resp.Attempts, err
	}
	t.Run("rejected dial", func(t *testing.T) {
		t.Parallel()
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		require.NoError(t, l.Close())
		for _, credentials := range []livemigration.Credentials{keys, bearer("t0k3n")} {
			attempts, err := create(t, newClient(t, credentials, quick, livemigration.WithBaseURL("http://"+l.Addr().String())))
			require.ErrorIs(t, err, syscall.ECONNREFUSED)
			assert.Equal(t, 4, attempts)
			assert.ErrorContains(t, err, "livemigration: Migrations.Create: POST /groups/"+string(projectID)+"/liveMigrations: dial tcp ")
		}
	})
	t.Run("failing TLS handshake", func(t *testing.T) {
		t.Parallel()
		for name, handle := range map[string]func(net.Conn){
			"reset":    reset,
			"not TLS":  func(c net.Conn) { _, _ = io.WriteString(c, "220 mail.example.com ESMTP\r\n") },
			"an alert": func(c net.Conn) { _, _ = c.Write([]byte{21, 3, 3, 0, 2, 2, 40}) },
		} {
			address, connections := listen(t, handle)
			attempts, _ := create(t, newClient(t, bearer("t0k3n"), quick, livemigration.WithBaseURL("https://"+address)))
			assert.Equal(t, 4, attempts, name)
			assert.EqualValues(t, 4, connections.Load(), name)
		}
	})
	t.Run("reset during the Digest handshake", func(t *testing.T) {
		t.Parallel()
		var mu sync.Mutex
		var bodies string
		address, _ := listen(t, func(c net.Conn) {
			if req, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
				data, _ := io.ReadAll(req.Body)
				mu.Lock()
				bodies += string(data)
				mu.Unlock()
			}
			reset(c)
		})
		attempts, err := create(t, newClient(t, keys, quick, livemigration.WithBaseURL("http://"+address)))
		assert.Equal(t, 4, attempts)
		assert.True(t, errors.Is(err, syscall.ECONNRESET) || errors.Is(err, io.EOF), err.Error())
		mu.Lock()
		defer mu.Unlock()
		assert.Empty(t, bodies, "no body leaves before the server has asked for credentials")
	})
}

func TestAProxyThatCannotBeChosenIsNoUnknownOutcome(t *testing.T) {
	t.Parallel()
	a := newAtlas(t, nil)
	failing := false
	transport := &http.Transport{Proxy: func(*http.Request) (*url.URL, error) {
		if failing {
			return nil, errors.New("no proxy configuration")
		}
		return nil, nil
	}}
	client := newClient(t, a.Credentials(), quick, livemigration.WithBaseURL(a.URL()), livemigration.WithHTTPClient(&http.Client{Transport: transport}))
	_, err := client.Migrations.Get(t.Context(), a.ProjectID(), a.migration) // from now on there is a nonce
	require.NoError(t, err)
	failing = true
	for _, client := range []*livemigration.Client{client, newClient(t, bearer("t0k3n"), quick, livemigration.WithBaseURL(a.URL()), livemigration.WithHTTPClient(&http.Client{Transport: transport}))} {
		var resp livemigration.Response
		_, err = client.Migrations.Create(t.Context(), a.ProjectID(), a.SampleRequest(), livemigration.CaptureResponse(&resp))
		require.ErrorContains(t, err, "no proxy configuration")
		assert.NotErrorIs(t, err, livemigration.ErrOutcomeUnknown)
		assert.Equal(t, 4, resp.Attempts)
	}
}

// Not parallel: the client takes its proxy from the default transport.
func TestProxiesThatDoNotConnect(t *testing.T) {
	for name, tc := range map[string]struct {
		status   string
		attempts int
	}{
		"credentials are asked for once": {"407 Proxy Authentication Required", 1},
		"a failure for now is retried":   {"503 Service Unavailable", 4},
	} {
		t.Run(name, func(t *testing.T) {
			address, connections := listen(t, func(c net.Conn) {
				_, _ = http.ReadRequest(bufio.NewReader(c))
				_, _ = io.WriteString(c, "HTTP/1.1 "+tc.status+"\r\nContent-Length: 0\r\n\r\n")
			})
			standard := http.DefaultTransport
			proxied := standard.(*http.Transport).Clone()
			proxied.Proxy = http.ProxyURL(&url.URL{Scheme: "http", Host: address})
			http.DefaultTransport = proxied
			client, err := livemigration.NewClient(bearer("t0k3n"), quick, livemigration.WithBaseURL("https://atlas.invalid"))
			http.DefaultTransport = standard
			require.NoError(t, err)
			_, err = client.Migrations.Create(t.Context(), projectID, request())
			require.ErrorContains(t, err, "the proxy rejected the connection: "+tc.status)
			assert.NotErrorIs(t, err, livemigration.ErrOutcomeUnknown)
			assert.EqualValues(t, tc.attempts, connections.Load())
		})
	}
}

// A transport of the user's may make requests of its own in the same trace, before each request.
func TestATransportWithRequestsOfItsOwn(t *testing.T) {
	t.Parallel()
	a := newAtlas(t, nil)
	side := httptest.NewServer(http.NotFoundHandler())
	defer side.Close()
	base := a.HTTPClient().Transport
	wrapper := roundTripper(func(req *http.Request) (*http.Response, error) {
		if check, err := http.NewRequestWithContext(req.Context(), http.MethodGet, side.URL, nil); err == nil {
			if resp, err := base.RoundTrip(check); err == nil {
				_ = resp.Body.Close()
			}
		}
		return base.RoundTrip(req)
	})
	client := newClient(t, a.Credentials(), quick, livemigration.WithBaseURL(a.URL()), livemigration.WithHTTPClient(&http.Client{Transport: wrapper}))
	for range 3 {
		_, err := client.Migrations.Get(t.Context(), a.ProjectID(), a.migration)
		require.NoError(t, err)
		a.ExpireNonces()
	}
	_, err := client.Migrations.Create(t.Context(), a.ProjectID(), a.SampleRequest())
	require.NoError(t, err)
}

func TestATransportWithoutAResponseIsAnError(t *testing.T) {
	t.Parallel()
	broken := roundTripper(func(*http.Request) (*http.Response, error) { return nil, nil })
	for _, credentials := range []livemigration.Credentials{bearer("t0k3n"), livemigration.APIKey("public", "private")} {
		client := newClient(t, credentials, quick, livemigration.WithHTTPClient(&http.Client{Transport: broken}))
		_, err := client.Migrations.Get(t.Context(), projectID, jobID)
		require.Error(t, err)
	}
}

func TestATimeoutOfTheTransportIsNoDeadlineOfTheCaller(t *testing.T) {
	t.Parallel()
	address, _ := listen(t, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
	transport := &http.Transport{ResponseHeaderTimeout: time.Millisecond}
	client := newClient(t, bearer("t0k3n"), quick, livemigration.WithBaseURL("http://"+address), livemigration.WithHTTPClient(&http.Client{Transport: transport}))
	_, err := client.Migrations.Get(t.Context(), projectID, jobID)
	require.ErrorContains(t, err, "timeout awaiting response headers")
	assert.NotErrorIs(t, err, context.DeadlineExceeded)
	_, err = client.Migrations.WaitComplete(t.Context(), projectID, jobID, livemigration.WithMaxOutage(0))
	require.ErrorContains(t, err, "timeout awaiting response headers")
}

// A transport of the user's may make requests of its own with the context of a request, and so with its trace.
func TestOtherRequestsInTheSameTraceDoNotMakeACreateRequestUnsent(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	a := newAtlas(t, nil)
	reporting := roundTripper(func(req *http.Request) (*http.Response, error) {
		resp, err := a.HTTPClient().Transport.RoundTrip(req)
		if err != nil {
			report, _ := http.NewRequestWithContext(req.Context(), http.MethodPost, "http://"+l.Addr().String(), nil)
			if resp, err := http.DefaultClient.Do(report); err == nil {
				_ = resp.Body.Close()
			}
		}
		return resp, err
	})
	client := newClient(t, a.Credentials(), quick, livemigration.WithBaseURL(a.URL()), livemigration.WithHTTPClient(&http.Client{Transport: reporting}))
	a.Inject(livemigrationtest.CreateMigration, livemigrationtest.ResetAfterRequest(), 1)
	_, err = client.Migrations.Create(t.Context(), a.ProjectID(), a.SampleRequest())
	require.ErrorIs(t, err, livemigration.ErrOutcomeUnknown)
	assert.Len(t, a.Migrations(), 2)
}
