package livemigration_test

import (
	"context"
	"errors"
	"strings"
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
	for _, version := range []livemigration.APIVersion{livemigration.APIv2, livemigration.APIv1} {
		srv := inProcess()
		client := accountClient(t, srv, livemigration.WithAPIVersion(version), livemigration.WithUserAgent("my-tool/1"))
		ctx := t.Context()
		var callers sync.WaitGroup
		for range 40 {
			callers.Go(func() {
				_, err := client.Validations.Create(ctx, srv.ProjectID(), srv.SampleRequest())
				assert.NoError(t, err)
			})
		}
		callers.Wait()
		_, err := client.LinkTokens.Create(ctx, srv.OrgID(), livemigration.LinkTokenRequest{AccessListIPs: []string{"192.0.2.1"}})
		require.NoError(t, err)
		projects, err := client.AvailableProjects.List(ctx, srv.OrgID())
		require.NoError(t, err)
		assert.NotEmpty(t, projects)
		m, err := client.Migrations.Create(ctx, srv.ProjectID(), srv.SampleRequest())
		require.NoError(t, err)
		_, err = client.Migrations.Get(ctx, srv.ProjectID(), m.ID)
		require.NoError(t, err)
		require.NoError(t, srv.FailMigration(m.ID)) // while it runs, the link-token stays
		require.NoError(t, client.LinkTokens.Delete(ctx, srv.OrgID()))
		assert.Equal(t, 1, count(srv, livemigrationtest.IssueToken))
		assert.Equal(t, 1+40+5, len(srv.Recorded()), "nothing is sent twice")
		for _, r := range srv.Recorded() {
			assert.Contains(t, r.Header.Get("User-Agent"), "my-tool/1 livemigration-go/", r)
		}
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
	require.ErrorIs(t, err, livemigration.ErrForbidden)
}

// A request for a token is retried for every operation, since the operation itself has not been sent.
func TestFailedTokenRequests(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		fault   livemigrationtest.Fault
		retried bool
		is      error
		text    string
	}{
		"500":           {livemigrationtest.Status(500), true, livemigration.ErrServer, "POST /api/oauth/token: 500"},
		"502 page":      {livemigrationtest.RawStatus(502, "text/html", "<html>bad"), true, livemigration.ErrServer, "POST /api/oauth/token: 502"},
		"429":           {livemigrationtest.Status(429).WithRetryAfter(time.Second), true, livemigration.ErrRateLimited, "POST /api/oauth/token: 429"},
		"400":           {livemigrationtest.Status(400), false, livemigration.ErrBadRequest, "POST /api/oauth/token: 400 invalid_request"},
		"403":           {livemigrationtest.Status(403), false, livemigration.ErrForbidden, "POST /api/oauth/token: 403"},
		"redirect":      {livemigrationtest.Redirect("https://evil.example/token"), false, nil, "redirect to evil.example rejected"},
		"reset before":  {livemigrationtest.ResetBeforeRequest(), true, nil, "POST https://atlas.test/api/oauth/token: "},
		"reset after":   {livemigrationtest.ResetAfterRequest(), true, nil, "POST https://atlas.test/api/oauth/token: "},
		"truncated":     {livemigrationtest.TruncatedBody(), true, nil, "POST https://atlas.test/api/oauth/token: "},
		"a page":        {livemigrationtest.NonJSONBody(), true, nil, "POST https://atlas.test/api/oauth/token: "},
		"no token":      {livemigrationtest.RawStatus(200, "application/json", `{"token_type":"Bearer"}`), true, nil, "POST https://atlas.test/api/oauth/token: "},
		"another type":  {livemigrationtest.RawStatus(200, "application/json", `{"access_token":"x","token_type":"mac"}`), true, nil, "it is not a bearer token"},
		"an error, 200": {livemigrationtest.RawStatus(200, "application/json", `{"error":"invalid_client"}`), true, nil, "invalid_client"},
		"hangs":         {livemigrationtest.SlowBody(time.Hour), true, nil, "POST https://atlas.test/api/oauth/token: no complete response within 30s"},
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

func TestATokenThatDies(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		opts []livemigrationtest.Option
		do   func(*livemigrationtest.Server)
	}{
		"short-lived":            {[]livemigrationtest.Option{livemigrationtest.WithTokenLifetime(30 * time.Second)}, nil},
		"earlier than it claims": {[]livemigrationtest.Option{livemigrationtest.WithTokenLifetime(10 * time.Minute), livemigrationtest.WithTokenSkew(4 * time.Minute)}, nil},
		"later than it claims":   {[]livemigrationtest.Option{livemigrationtest.WithTokenLifetime(10 * time.Minute), livemigrationtest.WithTokenSkew(-time.Hour)}, nil},
		"as soon as it is there": {[]livemigrationtest.Option{livemigrationtest.WithTokenLifetime(time.Second)}, nil},
		"revoked now and then":   {nil, (*livemigrationtest.Server).ExpireTokens},
		"revoked, and none for 60s": {nil, func(s *livemigrationtest.Server) {
			s.ExpireTokens()
			s.Inject(livemigrationtest.IssueToken, livemigrationtest.Status(503), 5)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				srv := inProcess(append(tc.opts, livemigrationtest.WithSpeed(1))...)
				client := accountClient(t, srv)
				m, err := client.Migrations.Create(t.Context(), srv.ProjectID(), srv.SampleRequest())
				require.NoError(t, err)
				if tc.do != nil {
					stop := make(chan struct{})
					defer close(stop)
					go func() {
						for {
							select {
							case <-stop:
								return
							case <-time.After(17 * time.Minute):
								tc.do(srv)
							}
						}
					}()
				}
				_, err = client.Migrations.WaitReadyForCutover(t.Context(), srv.ProjectID(), m.ID)
				require.NoError(t, err)
				require.NoError(t, client.Migrations.Cutover(t.Context(), srv.ProjectID(), m.ID))
				_, err = client.Migrations.WaitComplete(t.Context(), srv.ProjectID(), m.ID)
				require.NoError(t, err)
				assert.Len(t, srv.Migrations(), 1)
				rejected := count(srv, livemigrationtest.GetMigration, 401)
				tokens := count(srv, livemigrationtest.IssueToken, 200)
				if strings.HasPrefix(name, "short") || strings.HasPrefix(name, "later") {
					assert.Zero(t, rejected, "a token is renewed before it expires")
				}
				assert.LessOrEqual(t, rejected, tokens, "a 401 costs one token and one retry")
			})
		})
	}
}

func TestClose(t *testing.T) {
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
