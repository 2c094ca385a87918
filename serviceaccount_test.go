package livemigration_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go"
	"github.com/livemigration/livemigration-go/livemigrationtest"
)

// accountClient returns a client of a service account of an in-process Atlas.
func accountClient(t *testing.T, srv *livemigrationtest.Server, opts ...livemigration.Option) *livemigration.Client {
	t.Helper()
	t.Cleanup(srv.Close)
	return newClient(t, srv.ServiceAccountCredentials(), append([]livemigration.Option{
		livemigration.WithBaseURL(srv.URL()), livemigration.WithHTTPClient(srv.HTTPClient()),
	}, opts...)...)
}

// count is how many requests of an operation have arrived and had a response with one of the statuses, if there are any.
func count(srv *livemigrationtest.Server, op livemigrationtest.Operation, statuses ...int) (n int) {
	for _, r := range srv.Recorded() {
		matches := len(statuses) == 0
		for _, status := range statuses {
			matches = matches || r.StatusCode == status
		}
		if r.Operation == op && matches {
			n++
		}
	}
	return n
}

func inProcess(opts ...livemigrationtest.Option) *livemigrationtest.Server {
	return livemigrationtest.NewServer(append([]livemigrationtest.Option{livemigrationtest.WithInProcess()}, opts...)...)
}

func TestAServiceAccountMakesAllCallsWithOneToken(t *testing.T) {
	t.Parallel()
	srv := inProcess()
	client := accountClient(t, srv, livemigration.WithUserAgent("my-tool/1"))
	var callers sync.WaitGroup
	for range 40 {
		callers.Go(func() {
			_, err := client.Validations.Create(t.Context(), srv.ProjectID(), srv.SampleRequest())
			assert.NoError(t, err)
		})
	}
	callers.Wait()
	create(t, srv, client)
	_, err := client.AvailableProjects.List(t.Context(), srv.OrgID())
	require.NoError(t, err)
	assert.Equal(t, 1, count(srv, livemigrationtest.IssueToken))
	assert.Len(t, srv.Recorded(), 1+40+2, "nothing is sent twice")
	for _, r := range srv.Recorded() {
		assert.Contains(t, r.Header.Get("User-Agent"), "my-tool/1 livemigration-go/", r)
	}
}

func TestWrongServiceAccounts(t *testing.T) {
	t.Parallel()
	srv := inProcess()
	defer srv.Close()
	id, _ := srv.ServiceAccount()
	client := newClient(t, livemigration.ServiceAccount(id, "wr0ng"), livemigration.WithBaseURL(srv.URL()), livemigration.WithHTTPClient(srv.HTTPClient()))
	_, err := client.Migrations.Create(t.Context(), srv.ProjectID(), srv.SampleRequest())
	var api *livemigration.APIError
	require.ErrorAs(t, err, &api)
	require.ErrorIs(t, err, livemigration.ErrUnauthorized)
	assert.Equal(t, [...]string{"POST", "/api/oauth/token", "invalid_client"}, [...]string{api.Method, api.Path, api.Code})
	assert.NotEmpty(t, api.Detail)
	assert.Equal(t, 1, api.Attempts)
	assert.Len(t, srv.Recorded(), 1, "wrong credentials are not tried again, and nothing else is sent")

	for _, tc := range [][2]string{{"", "s"}, {"i", ""}, {"i d", "s"}, {"i", "s\n"}, {"i:d", "s"}} {
		_, err := livemigration.NewClient(livemigration.ServiceAccount(tc[0], livemigration.Secret(tc[1])))
		require.ErrorContains(t, err, "client ", tc)
	}

	member := newClient(t, srv.ServiceAccountCredentialsFor(livemigrationtest.OrgMember), livemigration.WithBaseURL(srv.URL()), livemigration.WithHTTPClient(srv.HTTPClient()))
	_, err = member.AvailableProjects.List(t.Context(), srv.OrgID())
	require.ErrorIs(t, err, livemigration.ErrUnauthorized)
	require.ErrorContains(t, err, "role")
}

// A request for a token is retried for every operation, because the operation itself has not been sent.
func TestFailedTokenRequests(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		fault   livemigrationtest.Fault
		retried bool
		is      error
		text    string
	}{
		"500":         {livemigrationtest.Status(500), true, livemigration.ErrServer, "POST /api/oauth/token: 500"},
		"429":         {livemigrationtest.Status(429).WithRetryAfter(time.Second), true, livemigration.ErrRateLimited, "POST /api/oauth/token: 429"},
		"403":         {livemigrationtest.Status(403), false, livemigration.ErrForbidden, "POST /api/oauth/token: 403"},
		"redirect":    {livemigrationtest.Redirect("https://evil.example/token"), false, nil, "redirect to evil.example rejected"},
		"reset after": {livemigrationtest.ResetAfterRequest(), true, nil, "POST https://atlas.test/api/oauth/token: "},
		"no token":    {livemigrationtest.RawStatus(200, "application/json", `{"token_type":"Bearer"}`), true, nil, "POST https://atlas.test/api/oauth/token: "},
		"hangs":       {livemigrationtest.SlowBody(time.Hour), true, nil, "response within 27s"},
	} {
		for _, op := range []string{"create", "get"} {
			t.Run(name+"/"+op, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					srv := inProcess()
					client := accountClient(t, srv)
					call := func() error {
						_, err := client.Migrations.Create(t.Context(), srv.ProjectID(), srv.SampleRequest())
						return err
					}
					if op == "get" {
						call = func() error {
							_, err := client.AvailableProjects.List(t.Context(), srv.OrgID())
							return err
						}
					}
					srv.Inject(livemigrationtest.IssueToken, tc.fault, 1)
					err := call()
					if tc.retried {
						require.NoError(t, err)
						assert.LessOrEqual(t, len(srv.Migrations()), 1)
						srv.ExpireTokens()
						srv.Inject(livemigrationtest.IssueToken, tc.fault, 5)
						err = call()
					}
					require.ErrorContains(t, err, tc.text)
					assert.NotErrorIs(t, err, livemigration.ErrOutcomeUnknown)
					assert.NotErrorIs(t, err, context.DeadlineExceeded)
					if tc.is != nil {
						require.ErrorIs(t, err, tc.is)
					}
					var api *livemigration.APIError
					if errors.As(err, &api) && tc.retried {
						assert.Equal(t, 5, api.Attempts)
						assert.Positive(t, api.Duration)
					}
					assert.Zero(t, srv.PendingFaultCount())
				})
			})
		}
	}
}

// Each attempt asks for a token anew, even where it has less time than a token usually gets.
func TestATokenRequestThatHangsInAShortAttempt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv := inProcess()
		client := accountClient(t, srv, livemigration.WithAttemptTimeout(time.Second))
		srv.Inject(livemigrationtest.IssueToken, livemigrationtest.StalledBody(time.Hour), 1)
		_, err := client.AvailableProjects.List(t.Context(), srv.OrgID())
		require.NoError(t, err)
		assert.Equal(t, 2, count(srv, livemigrationtest.IssueToken))
	})
}

func TestATokenThatDies(t *testing.T) {
	t.Parallel()
	for name, lifetime := range map[string]time.Duration{"soon": 30 * time.Second, "revoked, and none for a minute": time.Hour} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				srv := inProcess(livemigrationtest.WithTokenLifetime(lifetime), livemigrationtest.WithSpeed(1))
				client := accountClient(t, srv)
				id := create(t, srv, client)
				var revoke *time.Timer
				revoke = time.AfterFunc(17*time.Minute, func() {
					if lifetime == time.Hour {
						srv.ExpireTokens()
						srv.Inject(livemigrationtest.IssueToken, livemigrationtest.Status(503), 5)
						revoke.Reset(17 * time.Minute)
					}
				})
				_, err := client.Migrations.WaitReadyForCutover(t.Context(), srv.ProjectID(), id)
				require.NoError(t, err)
				srv.ExpireTokens()
				require.NoError(t, client.Migrations.Cutover(t.Context(), srv.ProjectID(), id))
				srv.ExpireTokens()
				_, err = client.LinkTokens.Create(t.Context(), srv.OrgID(), livemigration.LinkTokenRequest{})
				require.NoError(t, err, "a create request that is rejected for its token has not taken effect")
				_, err = client.Migrations.WaitComplete(t.Context(), srv.ProjectID(), id)
				require.NoError(t, err)
				revoke.Stop()
				assert.Equal(t, 1, srv.LinkTokenCount())
				rejected, tokens := count(srv, livemigrationtest.GetMigration, 401), count(srv, livemigrationtest.IssueToken, 200)
				assert.LessOrEqual(t, rejected, tokens, "a 401 costs one token and one retry")
				assert.Equal(t, lifetime == time.Hour, rejected > 0, "a token is renewed before it expires")
			})
		})
	}
}

func TestRevokeToken(t *testing.T) {
	t.Parallel()
	srv := inProcess()
	client := accountClient(t, srv)
	ctx := t.Context()
	require.NoError(t, client.RevokeToken(ctx), "there is nothing to revoke yet")
	assert.Empty(t, srv.Recorded())
	list := func() {
		_, err := client.AvailableProjects.List(ctx, srv.OrgID())
		require.NoError(t, err)
	}
	list()
	require.Equal(t, 1, srv.LiveTokenCount())

	srv.Inject(livemigrationtest.RevokeToken, livemigrationtest.Status(503), 1)
	var api *livemigration.APIError
	require.ErrorAs(t, client.RevokeToken(ctx), &api)
	assert.Equal(t, [...]any{"POST", "/api/oauth/revoke", 503, 1}, [...]any{api.Method, api.Path, api.StatusCode, api.Attempts})
	srv.Inject(livemigrationtest.RevokeToken, livemigrationtest.ResetBeforeRequest(), 1)
	var failed *livemigration.CallError
	require.ErrorAs(t, client.RevokeToken(ctx), &failed)
	assert.Equal(t, "/api/oauth/revoke", failed.Path)
	assert.Equal(t, 1, srv.LiveTokenCount())

	require.NoError(t, client.RevokeToken(ctx))
	assert.Zero(t, srv.LiveTokenCount())
	require.NoError(t, client.RevokeToken(ctx))
	list() // the client remains usable
	assert.Equal(t, 2, count(srv, livemigrationtest.IssueToken))
	assert.Equal(t, 3, count(srv, livemigrationtest.RevokeToken))

	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	require.ErrorIs(t, client.RevokeToken(cancelled), context.Canceled)
	var none context.Context
	require.ErrorIs(t, client.RevokeToken(none), livemigration.ErrInvalidRequest)
	key, err := srv.NewClient()
	require.NoError(t, err)
	require.NoError(t, key.RevokeToken(ctx), "an API key has nothing to revoke")
}
