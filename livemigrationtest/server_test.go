package livemigrationtest_test

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go"
	"github.com/livemigration/livemigration-go/livemigrationtest"
)

func TestClients(t *testing.T) {
	t.Parallel()
	for name, opts := range map[string][]livemigrationtest.Option{
		"TCP": nil, "TLS": {livemigrationtest.WithTLS()}, "HTTP/2": {livemigrationtest.WithHTTP2()},
		"in process": {livemigrationtest.WithInProcess()}, "documented": {livemigrationtest.WithDocumentedChallenge()},
	} {
		for _, version := range []livemigration.APIVersion{livemigration.APIv2, livemigration.APIv1} {
			t.Run(fmt.Sprint(name, version), func(t *testing.T) {
				t.Parallel()
				srv := newServer(t, opts...)
				client := newClient(t, srv, livemigration.WithAPIVersion(version))
				var all sync.WaitGroup
				for range 10 {
					all.Go(func() {
						m, err := client.Migrations.Create(t.Context(), srv.ProjectID(), srv.SampleRequest())
						if !assert.NoError(t, err) {
							return
						}
						_, err = client.Migrations.Get(t.Context(), srv.ProjectID(), m.ID)
						assert.NoError(t, err)
					})
				}
				all.Wait()
				assert.Len(t, srv.Migrations(), 10)
			})
		}
	}
}

func TestURLs(t *testing.T) {
	t.Parallel()
	assert.Regexp(t, `^http://127\.0\.0\.1:\d+$`, newServer(t).URL())
	assert.Regexp(t, `^https://127\.0\.0\.1:\d+$`, newServer(t, livemigrationtest.WithTLS()).URL())
	srv := newServer(t, livemigrationtest.WithInProcess())
	assert.Equal(t, []string{"https://atlas.test", "https://source.test"}, []string{srv.URL(), srv.SourceURL()})
	assert.NotEqual(t, srv.OrgID(), newServer(t).OrgID(), "every server has other IDs")
}

func TestTLSIsNotTrustedByOthers(t *testing.T) {
	t.Parallel()
	srv := newServer(t, livemigrationtest.WithTLS())
	_, err := new(http.Client).Do(request{method: http.MethodGet}.build(t, srv.URL()))
	assert.ErrorContains(t, err, "certificate")
}

func TestHTTP2(t *testing.T) {
	t.Parallel()
	for name, opts := range map[string][]livemigrationtest.Option{"TCP": nil, "in process": {livemigrationtest.WithInProcess()}} {
		srv := newServer(t, append(opts, livemigrationtest.WithHTTP2())...)
		res, err := srv.HTTPClient().Do(request{method: http.MethodGet}.build(t, srv.URL()))
		require.NoError(t, err)
		assert.Equal(t, "HTTP/2.0", res.Proto, name)
		require.NoError(t, res.Body.Close())
	}
}

func TestClose(t *testing.T) {
	t.Parallel()
	srv := livemigrationtest.NewServer(livemigrationtest.WithInProcess())
	r := endpoint(srv, livemigrationtest.ListAvailableProjects, v2Prefix, "")
	send(t, srv, r)
	srv.Close()
	srv.Close()
	_, err := srv.HTTPClient().Do(r.build(t, srv.URL()))
	require.ErrorIs(t, err, syscall.ECONNREFUSED)
	assert.Len(t, srv.Recorded(), 1)
	_, err = http.DefaultClient.Do(r.build(t, closedServer().URL()))
	require.Error(t, err)
}

func closedServer() *livemigrationtest.Server {
	srv := livemigrationtest.NewServer()
	srv.Close()
	return srv
}

// The server behind a listener or recorder of the user's.
func TestHandlers(t *testing.T) {
	t.Parallel()
	srv := newServer(t, livemigrationtest.WithoutAuthentication())
	own := httptest.NewServer(srv.Handler())
	defer own.Close()
	req := endpoint(srv, livemigrationtest.ListAvailableProjects, v2Prefix, "").build(t, own.URL)
	assert.Equal(t, 200, read(t, own.Client(), req).status)
	srv.Inject(livemigrationtest.ListAvailableProjects, livemigrationtest.ResetAfterRequest(), 10)
	_, err := own.Client().Do(req)
	require.ErrorIs(t, err, syscall.ECONNRESET)
	assert.PanicsWithError(t, http.ErrAbortHandler.Error(), func() { srv.Handler().ServeHTTP(httptest.NewRecorder(), req) })
	recorder := httptest.NewRecorder()
	srv.SourceHandler().ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, "/", nil))
	assert.Equal(t, 404, recorder.Code)
}

func TestSourceProjects(t *testing.T) {
	t.Parallel()
	projects := []livemigration.AvailableProject{
		{Name: "empty", ProjectID: "5c7e8f901a2b3c4d5e6f7a0a"},
		{
			Name: "one", ProjectID: "5c7e8f901a2b3c4d5e6f7a0b", MigrationHosts: []string{"host"},
			Deployments: []livemigration.Deployment{{Name: "cluster"}},
		},
	}
	srv := newServer(t, livemigrationtest.WithInProcess(), livemigrationtest.WithSourceProjects(projects...))
	projects[1].Deployments[0].Name = "changed"
	r := srv.SampleRequest()
	assert.Equal(t, "cluster", r.Source.ClusterName)
	assert.Equal(t, []string{"host"}, r.MigrationHosts)
	none := newServer(t, livemigrationtest.WithInProcess(), livemigrationtest.WithSourceProjects())
	_, err := newClient(t, none).Migrations.Create(t.Context(), none.ProjectID(), none.SampleRequest())
	require.NoError(t, err)
}

func TestRecorded(t *testing.T) {
	t.Parallel()
	srv := newServer(t, livemigrationtest.WithInProcess())
	client := newClient(t, srv)
	_, err := client.Migrations.Create(t.Context(), srv.ProjectID(), srv.SampleRequest())
	require.NoError(t, err)
	all := srv.Recorded()
	require.Len(t, all, 2)
	assert.Equal(t, livemigrationtest.Handshake, all[0].Operation)
	assert.False(t, all[0].Authenticated)
	assert.Equal(t, []int{401, 201}, statuses(srv))
	created := srv.Recorded(livemigrationtest.CreateMigration)[0]
	assert.True(t, created.Authenticated)
	assert.Equal(t, "atlas.test", created.Host)
	assert.Equal(t, "[REDACTED]", created.Header.Get("Authorization"))
	assert.Contains(t, created.Body.Reveal(), srv.SampleRequest().Source.Password.Reveal())
	assert.Equal(t, 1, srv.RequestCount(livemigrationtest.CreateMigration))
	assert.Equal(t, 1, srv.RequestCount(livemigrationtest.AnyOperation))
	assert.Len(t, srv.Recorded(livemigrationtest.AnyOperation), 1)

	send(t, srv, request{method: http.MethodGet, path: "/x?a=b&a=c"})
	assert.Equal(t, []string{"b", "c"}, srv.Recorded()[2].Query["a"])
	srv.ResetRequests()
	assert.Empty(t, srv.Recorded())
	assert.Zero(t, srv.RequestCount(livemigrationtest.AnyOperation))
}

func TestRecordedIsBounded(t *testing.T) {
	t.Parallel()
	srv := newOpenServer(t)
	handler, req := srv.Handler(), httptest.NewRequest(http.MethodGet, "/", nil)
	for range 25_000 {
		handler.ServeHTTP(httptest.NewRecorder(), req)
	}
	assert.Len(t, srv.Recorded(), 10_000)
	assert.Equal(t, 25_000, srv.RequestCount(livemigrationtest.AnyOperation))
}

func TestNothingSecretPrints(t *testing.T) {
	t.Parallel()
	srv := newServer(t, livemigrationtest.WithInProcess())
	_, err := newClient(t, srv).Migrations.Create(t.Context(), srv.ProjectID(), srv.SampleRequest())
	require.NoError(t, err)
	_, private := srv.APIKey()
	_, secret := srv.ServiceAccount()
	var text strings.Builder
	slog.New(slog.NewJSONHandler(&text, nil)).Info("x", "server", srv, "requests", srv.Recorded(), "jobs", srv.Migrations())
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		fmt.Fprintf(&text, verb+verb+verb, srv, srv.Recorded(), srv.Migrations())
	}
	for _, s := range []livemigration.Secret{private, secret, srv.SampleRequest().Source.Password} {
		assert.NotContains(t, text.String(), s.Reveal())
	}
}
