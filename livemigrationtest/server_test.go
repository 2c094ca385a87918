package livemigrationtest_test

import (
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"runtime"
	"strings"
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
		"socket": nil, "TLS": livemigrationtest.WithTLS(), "in process": livemigrationtest.InProcess(),
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
	assert.Equal(t, srv.Request().Source.ProjectID, projects[0].ProjectID)

	validation, err := client.Validations.Create(ctx, project, srv.Request())
	require.NoError(t, err)
	srv.Advance(srv.Timings().Validation)
	validation, err = client.Validations.Get(ctx, project, validation.ID)
	require.NoError(t, err)
	assert.Equal(t, []livemigration.Validation{*validation}, srv.Validations())

	migration, err := client.Migrations.Create(ctx, project, srv.Request())
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
	srv := newServer(t, livemigrationtest.InProcess())
	req := srv.Request()
	req.Sharding = &livemigration.Sharding{Entries: []livemigration.ShardEntry{{
		Database: "d", Collection: "c", ShardCollection: livemigration.ShardKeys{Key: []livemigration.ShardKeyField{
			{Field: "zone", Order: livemigration.Ascending}, {Field: "account", Order: livemigration.Hashed},
		}},
	}}}
	_, err := newClient(t, srv).Migrations.Create(t.Context(), srv.ProjectID(), req)
	require.NoError(t, err)
	assert.Contains(t, srv.Requests()[1].Body.Reveal(), `[{"zone":1},{"account":"hashed"}]`)
}

func TestWrongKey(t *testing.T) {
	t.Parallel()
	srv := newServer(t, livemigrationtest.InProcess())
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
	srv, other := newServer(t, livemigrationtest.InProcess()), newServer(t, livemigrationtest.InProcess())
	client := newClient(t, srv, livemigration.WithHTTPClient(other.HTTPClient()))
	_, err := client.AvailableProjects.List(t.Context(), srv.OrgID())
	require.ErrorIs(t, err, livemigration.ErrUnauthorized, "a key of the one is none of the other")
	assert.Empty(t, srv.Requests())
	assert.NotEmpty(t, other.Requests())
}

func TestURL(t *testing.T) {
	t.Parallel()
	assert.Equal(t, "https://atlas.test", newServer(t, livemigrationtest.InProcess(), livemigrationtest.WithTLS()).URL())
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
	assert.Empty(t, srv.Requests())
}

func TestClose(t *testing.T) {
	t.Parallel()
	overBoth(t, func(t *testing.T, srv *livemigrationtest.Server) {
		send(t, srv, createRequest(srv))
		client, req := srv.HTTPClient(), createRequest(srv).build(t, srv.URL())
		srv.Close()
		srv.Close()
		_, err := client.Do(req)
		require.Error(t, err)
		assert.Len(t, srv.Requests(), 1)
		assert.Len(t, srv.Migrations(), 1)
	})
}

func TestCloseBeforeListening(t *testing.T) {
	t.Parallel()
	srv := livemigrationtest.NewServer()
	srv.Close()
	_, err := newClient(t, srv, livemigration.WithRetryPolicy(livemigration.RetryPolicy{MaxAttempts: 1})).
		AvailableProjects.List(t.Context(), srv.OrgID())
	require.ErrorIs(t, err, syscall.ECONNREFUSED)
	conn, err := net.DialTimeout("tcp", strings.TrimPrefix(srv.URL(), "http://"), time.Second)
	if err == nil {
		_ = conn.Close()
	}
	require.Error(t, err)
}

func TestHandler(t *testing.T) {
	t.Parallel()
	srv := newServer(t, livemigrationtest.InProcess())
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
	srv := newServer(t, livemigrationtest.InProcess(), livemigrationtest.WithSourceProjects(empty, seed))
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

	req := srv.Request()
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
		req := srv.Request()
		assert.NoError(t, req.Validate(version))
	}
	assert.NotEmpty(t, srv.Request().Source.Password.Reveal())
	assert.Equal(t, srv.ProjectID(), srv.Request().Destination.ProjectID)
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
					_, _, _ = srv.Requests(), srv.Migrations(), srv.Validations()
					srv.ExpireNonces()
				}
			})
		}
		wg.Wait()
		assert.Zero(t, srv.PendingFaults())
		assert.Len(t, srv.Requests(), 3*workers*rounds)
		seen := make(map[livemigration.MigrationID]bool)
		for _, m := range srv.Migrations() {
			assert.False(t, seen[m.ID])
			seen[m.ID] = true
		}
		assert.Len(t, seen, workers*rounds)
	})
}

// Concurrent callers of one client share a nonce; none of their counts is refused.
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
	assert.Len(t, srv.Requests(), 18)
}

func findCurl(t *testing.T) string {
	t.Helper()
	curl, err := exec.LookPath("curl")
	if errors.Is(err, exec.ErrNotFound) {
		t.Skip("curl is not installed")
	}
	require.NoError(t, err)
	return curl
}

func TestCurl(t *testing.T) {
	t.Parallel()
	curl := findCurl(t)
	for name, opt := range map[string]livemigrationtest.Option{
		"MD5": nil, "SHA-256": livemigrationtest.WithAlgorithm(livemigrationtest.SHA256), "documented": livemigrationtest.WithDocumentedChallenge(),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := newServer(t, opt)
			public, private := srv.APIKey()
			for _, op := range []livemigrationtest.Operation{livemigrationtest.ListAvailableProjects, livemigrationtest.CreateMigration} {
				r := endpoint(srv, op, v2Prefix, "")
				args := []string{
					"--silent", "--show-error", "--noproxy", "*", "--digest", "--user", public + ":" + private.Reveal(),
					"--request", r.method, "--write-out", "\n%{http_code}",
				}
				for key, value := range r.header {
					args = append(args, "--header", key+": "+value)
				}
				if r.body != "" {
					args = append(args, "--data", r.body)
				}
				out, err := exec.CommandContext(t.Context(), curl, append(args, srv.URL()+r.path+"?pretty=true")...).CombinedOutput()
				require.NoError(t, err, string(out))
				assert.Regexp(t, `\n20[01]$`, string(out))
			}
			assert.Len(t, srv.Migrations(), 1)
		})
	}
}

func TestCloseEndsStalledUpload(t *testing.T) {
	t.Parallel()
	srv := newServer(t, livemigrationtest.WithoutAuthentication())
	conn, err := net.Dial("tcp", strings.TrimPrefix(srv.URL(), "http://"))
	require.NoError(t, err)
	defer func() { assert.NoError(t, conn.Close()) }()
	_, err = conn.Write([]byte("POST /stalled HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"))
	require.NoError(t, err)
	require.Eventually(t, func() bool { return len(srv.Requests()) == 1 }, 10*time.Second, time.Millisecond)
	srv.Close() // would wait for the rest of the body
}

// Not parallel, so that no other test starts goroutines meanwhile.
func TestCloseLeavesNoGoroutine(t *testing.T) {
	before := runtime.NumGoroutine()
	for _, opt := range []livemigrationtest.Option{nil, livemigrationtest.WithTLS(), livemigrationtest.InProcess()} {
		srv := livemigrationtest.NewServer(opt, livemigrationtest.WithoutAuthentication())
		srv.Inject(livemigrationtest.CreateValidation, livemigrationtest.SlowBody(time.Hour), 1)
		client, slow := srv.HTTPClient(), endpoint(srv, livemigrationtest.CreateValidation, v2Prefix, "").build(t, srv.URL())
		done := make(chan error)
		go func() {
			_, err := client.Do(slow)
			done <- err
		}()
		for _, fault := range []livemigrationtest.Fault{
			{}, livemigrationtest.ResetBeforeRequest(), livemigrationtest.ResetAfterRequest(), livemigrationtest.TruncatedBody(),
		} {
			srv.Inject(livemigrationtest.CreateMigration, fault, 1)
			_, _, _ = sendBroken(t, srv, createRequest(srv))
		}
		require.Eventually(t, func() bool { return len(srv.Validations()) == 1 }, 10*time.Second, time.Millisecond)
		srv.Close()
		require.Error(t, <-done)
	}
	assert.Eventually(t, func() bool { return runtime.NumGoroutine() <= before+1 }, 10*time.Second, time.Millisecond,
		"but for the one that asks")
}
