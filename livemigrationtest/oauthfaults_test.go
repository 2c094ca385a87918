package livemigrationtest_test

import (
	"io"
	"net/http"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go/livemigrationtest"
)

func TestOAuthRecords(t *testing.T) {
	t.Parallel()
	overBoth(t, func(t *testing.T, srv *livemigrationtest.Server) {
		own := ownAccount(srv)
		token := own.token(t, srv)
		send(t, srv, own.ask(revokePath, "token="+token))
		send(t, srv, own.ask(tokenPath, grant).with("Authorization", ""))
		all := srv.Recorded()
		require.Len(t, all, 3)
		for i, want := range []struct {
			op            livemigrationtest.Operation
			path, body    string
			status        int
			authenticated bool
		}{
			{livemigrationtest.IssueToken, tokenPath, grant, 200, true},
			{livemigrationtest.RevokeToken, revokePath, "token=" + token, 200, true},
			{livemigrationtest.IssueToken, tokenPath, grant, 401, false},
		} {
			assert.Equal(t, want.op, all[i].Operation)
			assert.Equal(t, want.path, all[i].Path)
			assert.Equal(t, want.body, all[i].Body.Reveal())
			assert.Equal(t, want.status, all[i].StatusCode)
			assert.Equal(t, want.authenticated, all[i].Authenticated)
			assert.NotContains(t, all[i].Header.Get("Authorization"), "Basic")
		}
		assert.Equal(t, "ServiceAccounts.IssueToken: POST /api/oauth/token: 200", all[0].String())
	})
}

func TestOAuthFaults(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		fault  livemigrationtest.Fault
		status int
		code   string // of OAuth; empty: the response is none of its errors
		body   string // regular expression
		issued bool
	}{
		"400":              {livemigrationtest.Status(400), 400, "invalid_request", "", false},
		"401":              {livemigrationtest.Status(401), 401, "invalid_client", "", false},
		"401 of a kind":    {livemigrationtest.Status(401).WithCode("gone").WithDetail("Gone."), 401, "gone", `"error_description":"Gone\."`, false},
		"403":              {livemigrationtest.Status(403), 403, "invalid_request", "", false},
		"499":              {livemigrationtest.Status(499), 499, "invalid_request", "", false},
		"400 all the same": {livemigrationtest.Status(400).Processed(), 400, "invalid_request", "", true},
		"429":              {livemigrationtest.Status(429).WithRetryAfter(time.Second), 429, "", `"errorCode":"RATE_LIMITED"`, false},
		"500":              {livemigrationtest.Status(500), 500, "", `"errorCode":"UNEXPECTED_ERROR"`, false},
		"503 carried out":  {livemigrationtest.Status(503).Processed(), 503, "", `"errorCode":"UNEXPECTED_ERROR"`, true},
		"gateway":          {livemigrationtest.RawStatus(502, "text/html", "<h1>502</h1>"), 502, "", "^<h1>502</h1>$", false},
		"redirect":         {livemigrationtest.Redirect("https://example.com/"), 307, "", "^$", false},
		"not JSON":         {livemigrationtest.NonJSONBody(), 200, "", "^<!DOCTYPE html>", true},
		"oversized":        {livemigrationtest.OversizedBody(1000), 200, "", "^.{1000}$", true},
		"wrong type":       {livemigrationtest.WrongMediaType(), 200, "", `^\{"access_token"`, true},
		"slow":             {livemigrationtest.SlowBody(time.Hour), 200, "", `^\{"access_token"`, true},
		"stalled":          {livemigrationtest.StalledBody(time.Hour), 200, "", `^\{"access_token"`, true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				srv := newServer(t, livemigrationtest.WithInProcess(), livemigrationtest.WithTokenLifetime(10*time.Hour))
				srv.Inject(livemigrationtest.IssueToken, tt.fault, 1)
				client := srv.HTTPClient()
				client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
				res := read(t, client, ownAccount(srv).ask(tokenPath, grant).build(t, srv.URL()))
				if tt.code != "" {
					assertOAuthError(t, res, tt.status, tt.code)
				}
				assert.Equal(t, tt.status, res.status)
				assert.Regexp(t, tt.body, res.body)
				assert.Equal(t, tt.issued, srv.LiveTokenCount() == 1, "issued")
				assert.Zero(t, srv.PendingFaultCount())
				ownAccount(srv).token(t, srv)
			})
		})
	}
}

func TestOAuthFaultsOnTheConnection(t *testing.T) {
	t.Parallel()
	overBothAuthenticated(t, func(t *testing.T, srv *livemigrationtest.Server) {
		own := ownAccount(srv)
		for i, tt := range []struct {
			fault livemigrationtest.Fault
			err   error
			live  int
		}{
			{livemigrationtest.ResetBeforeRequest(), syscall.ECONNRESET, 0},
			{livemigrationtest.ResetAfterRequest(), syscall.ECONNRESET, 1},
			{livemigrationtest.TruncatedBody(), io.ErrUnexpectedEOF, 2},
		} {
			srv.Inject(livemigrationtest.IssueToken, tt.fault, 1)
			_, _, err := sendBroken(t, srv, own.ask(tokenPath, grant))
			require.ErrorIs(t, err, tt.err, "fault %d", i)
			assert.Equal(t, tt.live, srv.LiveTokenCount(), "fault %d", i)
		}
		token := own.token(t, srv)
		srv.Inject(livemigrationtest.RevokeToken, livemigrationtest.ResetAfterRequest(), 1)
		_, _, err := sendBroken(t, srv, own.ask(revokePath, "token="+token))
		require.ErrorIs(t, err, syscall.ECONNRESET)
		assert.Equal(t, 2, srv.LiveTokenCount(), "carried out")
	})
}

// A fault of these endpoints strikes none but them, and none of the others strikes here.
func TestOAuthFaultsMatch(t *testing.T) {
	t.Parallel()
	srv := newServer(t, livemigrationtest.WithInProcess())
	own := ownAccount(srv)
	srv.Inject(livemigrationtest.AnyOperation, livemigrationtest.Status(500), 1)
	srv.Inject(livemigrationtest.Handshake, livemigrationtest.Status(501), 1)
	srv.Inject(livemigrationtest.IssueToken, livemigrationtest.Status(502).After(1), 1)
	srv.Inject(livemigrationtest.RevokeToken, livemigrationtest.Status(503), 1)
	issue, revoke := own.ask(tokenPath, grant), own.ask(revokePath, "token=x")
	get := issue
	get.method = http.MethodGet
	list := endpoint(srv, livemigrationtest.ListAvailableProjects, v2Prefix, "")
	for i, step := range []struct {
		request request
		want    int
	}{
		{issue.with("Authorization", ""), 401},
		{issue.with("Authorization", basic(own.id, "wrong")), 401},
		{get, 405},
		{issue, 200},
		{issue, 502},
		{issue, 200},
		{revoke, 503},
		{revoke, 200},
		{list, 501},
	} {
		assert.Equal(t, step.want, send(t, srv, step.request).status, "step %d", i)
	}
	res := send(t, srv, bearer(list, own.token(t, srv)))
	assert.Equal(t, http.StatusInternalServerError, res.status, "a token is credentials")
	assert.Zero(t, srv.PendingFaultCount())
}

func TestDeprecatedOAuth(t *testing.T) {
	t.Parallel()
	srv := newServer(t, livemigrationtest.WithInProcess())
	srv.Deprecate(livemigrationtest.IssueToken, time.Unix(1, 0), time.Time{})
	assertDeprecation(t, send(t, srv, ownAccount(srv).ask(tokenPath, grant)), "@1", "")
	assertDeprecation(t, send(t, srv, ownAccount(srv).ask(revokePath, "token=x")), "", "")
}
