package livemigrationtest_test

import (
	"net/http"
	"net/http/httptest"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go"
	"github.com/livemigration/livemigration-go/livemigrationtest"
)

// Every endpoint by the client, in both versions and over every kind of connection.
func TestClient(t *testing.T) {
	t.Parallel()
	for name, opt := range map[string]livemigrationtest.Option{
		"socket": nil, "TLS": livemigrationtest.WithTLS(), "in process": livemigrationtest.WithInProcess(),
	} {
		for _, version := range []livemigration.APIVersion{livemigration.APIv2, livemigration.APIv1} {
			t.Run(name+" "+version.String(), func(t *testing.T) {
				t.Parallel()
				srv := newServer(t, opt)
				wholeMigration(t, srv, newClient(t, srv, livemigration.WithAPIVersion(version)))
			})
		}
	}
}

func wholeMigration(t *testing.T, srv *livemigrationtest.Server, client *livemigration.Client) {
	t.Helper()
	ctx, project := t.Context(), srv.ProjectID()
	token, err := client.LinkTokens.Create(ctx, srv.OrgID(), livemigration.LinkTokenRequest{AccessListIPs: []string{"192.0.2.1"}})
	require.NoError(t, err)
	assert.NotEmpty(t, token.Token.Reveal())
	projects, err := client.AvailableProjects.List(ctx, srv.OrgID())
	require.NoError(t, err)
	require.Len(t, projects, 2)
	assert.True(t, projects[0].Deployments[1].Sharded)
	assert.Equal(t, srv.SampleRequest().Source.ProjectID, projects[0].ProjectID)

	validation, err := client.Validations.Create(ctx, project, srv.SampleRequest())
	require.NoError(t, err)
	srv.Advance(srv.Timings().Validation)
	validation, err = client.Validations.Get(ctx, project, validation.ID)
	require.NoError(t, err)
	assert.Equal(t, []livemigration.Validation{*validation}, srv.Validations())

	migration, err := client.Migrations.Create(ctx, project, srv.SampleRequest())
	require.NoError(t, err)
	srv.Advance(srv.Timings().Scheduling + srv.Timings().InitialSync)
	migration, err = client.Migrations.Get(ctx, project, migration.ID)
	require.NoError(t, err)
	assert.Equal(t, *migration, srv.Migrations()[0].Migration)
	require.NoError(t, client.Migrations.Cutover(ctx, project, migration.ID))
	require.ErrorIs(t, client.Migrations.Cutover(ctx, project, migration.ID), livemigration.ErrConflict)
	srv.Advance(srv.Timings().Finishing)
	migration, err = client.Migrations.Get(ctx, project, migration.ID)
	require.NoError(t, err)
	assert.Equal(t, livemigration.MigrationComplete, migration.Status)
	require.NoError(t, client.LinkTokens.Delete(ctx, srv.OrgID()))
}

func TestShardedRequest(t *testing.T) {
	t.Parallel()
	srv := newServer(t, livemigrationtest.WithInProcess())
	req := srv.SampleRequest()
	req.Sharding = &livemigration.Sharding{Entries: []livemigration.ShardEntry{{
		Database: "d", Collection: "c", ShardCollection: livemigration.ShardKeys{Key: []livemigration.ShardKeyField{
			{Field: "zone", Order: livemigration.Ascending}, {Field: "account", Order: livemigration.Hashed},
		}},
	}}}
	_, err := newClient(t, srv).Migrations.Create(t.Context(), srv.ProjectID(), req)
	require.NoError(t, err)
	assert.Contains(t, srv.Recorded()[1].Body.Reveal(), `[{"zone":1},{"account":"hashed"}]`)
}

func TestWrongKey(t *testing.T) {
	t.Parallel()
	srv := newServer(t, livemigrationtest.WithInProcess())
	public, _ := srv.APIKey()
	client, err := livemigration.NewClient(livemigration.APIKey(public, "wrong"),
		livemigration.WithBaseURL(srv.URL()), livemigration.WithHTTPClient(srv.HTTPClient()))
	require.NoError(t, err)
	_, err = client.AvailableProjects.List(t.Context(), srv.OrgID())
	require.ErrorIs(t, err, livemigration.ErrUnauthorized)
	assert.Equal(t, []int{401, 401}, statuses(srv))
}

// The caller's options win.
func TestNewClientOptions(t *testing.T) {
	t.Parallel()
	srv, other := newServer(t, livemigrationtest.WithInProcess()), newServer(t, livemigrationtest.WithInProcess())
	client := newClient(t, srv, livemigration.WithHTTPClient(other.HTTPClient()))
	_, err := client.AvailableProjects.List(t.Context(), srv.OrgID())
	require.ErrorIs(t, err, livemigration.ErrUnauthorized, "a key of the one is none of the other")
	assert.Empty(t, srv.Recorded())
	assert.NotEmpty(t, other.Recorded())
}

func TestURL(t *testing.T) {
	t.Parallel()
	assert.Equal(t, "https://atlas.test", newServer(t, livemigrationtest.WithInProcess(), livemigrationtest.WithTLS()).URL())
	plain, secure := newServer(t), newServer(t, livemigrationtest.WithTLS())
	assert.Regexp(t, `^http://127\.0\.0\.1:\d+$`, plain.URL())
	assert.Regexp(t, `^https://127\.0\.0\.1:\d+$`, secure.URL())
	assert.Equal(t, plain.URL(), plain.URL())
}

func TestTLSIsNotTrustedByOthers(t *testing.T) {
	t.Parallel()
	srv := newServer(t, livemigrationtest.WithTLS())
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	req := request{method: http.MethodGet, path: "/"}.build(t, srv.URL())
	_, err := transport.RoundTrip(req)
	require.ErrorContains(t, err, "certificate")
	assert.Empty(t, srv.Recorded())
}

func TestHandler(t *testing.T) {
	t.Parallel()
	srv := newServer(t, livemigrationtest.WithInProcess())
	front := httptest.NewServer(srv.Handler())
	defer front.Close()
	client := newClient(t, srv, livemigration.WithBaseURL(front.URL), livemigration.WithHTTPClient(front.Client()))
	wholeMigration(t, srv, client)

	srv.Close()
	_, err := front.Client().Do(createRequest(srv).build(t, front.URL))
	require.ErrorIs(t, err, syscall.ECONNRESET)
}

func TestHandlerInRecorder(t *testing.T) {
	t.Parallel()
	srv := newOpenServer(t)
	r := endpoint(srv, livemigrationtest.ListAvailableProjects, v2Prefix, "")
	rec := httptest.NewRecorder()
	srv.Handler().ServeHTTP(rec, r.build(t, srv.URL()))
	assert.Equal(t, http.StatusOK, rec.Code)
	assert.Equal(t, "[]", rec.Body.String())
}

func TestSourceProjects(t *testing.T) {
	t.Parallel()
	seed := livemigration.AvailableProject{
		Name: "Mine", ProjectID: "aaaaaaaaaaaaaaaaaaaaaaaa", MigrationHosts: []string{"host.example.com"},
		Deployments: []livemigration.Deployment{{ClusterID: "bbbbbbbbbbbbbbbbbbbbbbbb", Name: "mine", OplogSizeMB: 1, DBSizeBytes: 1 << 40}},
	}
	empty := livemigration.AvailableProject{Name: "Empty", ProjectID: "cccccccccccccccccccccccc"}
	srv := newServer(t, livemigrationtest.WithInProcess(), livemigrationtest.WithSourceProjects(empty, seed))
	want := seed
	seed.MigrationHosts[0] = "changed later"
	want.MigrationHosts = []string{"host.example.com"}

	client := newClient(t, srv)
	_, err := client.LinkTokens.Create(t.Context(), srv.OrgID(), livemigration.LinkTokenRequest{})
	require.NoError(t, err)
	projects, err := client.AvailableProjects.List(t.Context(), srv.OrgID())
	require.NoError(t, err)
	empty.MigrationHosts, empty.Deployments = []string{}, []livemigration.Deployment{}
	assert.Equal(t, []livemigration.AvailableProject{empty, want}, projects)

	req := srv.SampleRequest()
	assert.Equal(t, want.ProjectID, req.Source.ProjectID)
	assert.Equal(t, "mine", req.Source.ClusterName)
	assert.Equal(t, want.MigrationHosts, req.MigrationHosts)
	assert.False(t, req.Source.SSL)
	assert.Empty(t, req.Source.CACertificatePath)
}

func TestRequestIsValid(t *testing.T) {
	t.Parallel()
	srv := newServer(t, livemigrationtest.WithSourceProjects())
	for _, version := range []livemigration.APIVersion{livemigration.APIv2, livemigration.APIv1} {
		req := srv.SampleRequest()
		assert.NoError(t, req.Validate(version))
	}
	assert.NotEmpty(t, srv.SampleRequest().Source.Password.Reveal())
	assert.Equal(t, srv.ProjectID(), srv.SampleRequest().Destination.ProjectID)
	assert.NoError(t, srv.OrgID().Validate())
	assert.NoError(t, srv.ProjectID().Validate())
}

func TestTimings(t *testing.T) {
	t.Parallel()
	srv := newServer(t, livemigrationtest.WithTimings(livemigrationtest.Timings{Validation: time.Second, Finishing: -1}), nil)
	assert.Equal(t, livemigrationtest.Timings{
		Validation: time.Second, Scheduling: time.Minute, InitialSync: time.Hour, Finishing: 0, CutoverWindow: 120 * time.Hour,
	}, srv.Timings())
}

func TestConcurrency(t *testing.T) {
	t.Parallel()
	overBoth(t, func(t *testing.T, srv *livemigrationtest.Server) {
		const workers, rounds = 8, 10
		var wg sync.WaitGroup
		for range workers {
			wg.Go(func() {
				for range rounds {
					id := livemigration.MigrationID(create(t, srv, livemigrationtest.CreateMigration))
					assert.NoError(t, srv.HoldMigration(id, time.Second))
					assert.NoError(t, srv.ReleaseMigration(id))
					srv.FailNextValidation("x")
					create(t, srv, livemigrationtest.CreateValidation)
					srv.Advance(time.Millisecond)
					srv.Inject(livemigrationtest.GetMigration, livemigrationtest.Status(500), 1)
					send(t, srv, endpoint(srv, livemigrationtest.GetMigration, v2Prefix, string(id)))
					_, _, _ = srv.Recorded(), srv.Migrations(), srv.Validations()
					srv.ExpireNonces()
				}
			})
		}
		wg.Wait()
		assert.Zero(t, srv.PendingFaultCount())
		assert.Len(t, srv.Recorded(), 3*workers*rounds)
		seen := make(map[livemigration.MigrationID]bool)
		for _, m := range srv.Migrations() {
			assert.False(t, seen[m.ID])
			seen[m.ID] = true
		}
		assert.Len(t, seen, workers*rounds)
	})
}

// Concurrent callers of one client share a nonce; none of their counts is rejected.
func TestConcurrentClient(t *testing.T) {
	t.Parallel()
	srv := newServer(t)
	client := newClient(t, srv)
	_, err := client.AvailableProjects.List(t.Context(), srv.OrgID())
	require.NoError(t, err)
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			_, err := client.AvailableProjects.List(t.Context(), srv.OrgID())
			assert.NoError(t, err)
		})
	}
	wg.Wait()
	assert.Len(t, srv.Recorded(), 18)
}
