package livemigrationtest_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go"
	"github.com/livemigration/livemigration-go/livemigrationtest"
)

// linkEndpoint returns a valid request for an endpoint of the source side.
func linkEndpoint(org livemigration.OrgID, op livemigrationtest.Operation, token string) request {
	r := request{
		method: http.MethodGet, path: "/api/public/v1.0/orgs/" + string(org) + "/liveExport/migrationLink",
		header: map[string]string{"Accept": mediaV1},
	}
	switch op {
	case livemigrationtest.CreateMigrationLink:
		r.method, r.body, r.header["Content-Type"] = http.MethodPost, `{"linkToken":"`+token+`"}`, mediaV1
	case livemigrationtest.GetMigrationLinkStatus:
		r.path += "/status"
	case livemigrationtest.DeleteMigrationLink:
		r.method = http.MethodDelete
	}
	return r
}

// sendToSource sends a request to the source side.
func sendToSource(t *testing.T, srv *livemigrationtest.Server, r request) result {
	t.Helper()
	return read(t, srv.HTTPClient(), r.build(t, srv.SourceURL()))
}

func newLinkToken(t *testing.T, srv *livemigrationtest.Server) string {
	t.Helper()
	res := send(t, srv, endpoint(srv, livemigrationtest.CreateLinkToken, v2Prefix, ""))
	token, _ := res.object(t)["linkToken"].(string)
	require.NotEmpty(t, token)
	return token
}

func connect(t *testing.T, srv *livemigrationtest.Server, org livemigration.OrgID, token string) result {
	t.Helper()
	return sendToSource(t, srv, linkEndpoint(org, livemigrationtest.CreateMigrationLink, token))
}

func disconnect(t *testing.T, srv *livemigrationtest.Server, org livemigration.OrgID) result {
	t.Helper()
	return sendToSource(t, srv, linkEndpoint(org, livemigrationtest.DeleteMigrationLink, ""))
}

func linkStatus(t *testing.T, srv *livemigrationtest.Server, org livemigration.OrgID) any {
	t.Helper()
	res := sendToSource(t, srv, linkEndpoint(org, livemigrationtest.GetMigrationLinkStatus, ""))
	require.Equal(t, http.StatusOK, res.status, res.body)
	return res.object(t)["status"]
}

// available lists the names of the source projects that Atlas lists.
func available(t *testing.T, srv *livemigrationtest.Server) []string {
	t.Helper()
	var projects []struct{ Name string }
	res := send(t, srv, endpoint(srv, livemigrationtest.ListAvailableProjects, v2Prefix, ""))
	require.NoError(t, json.Unmarshal([]byte(res.body), &projects))
	names := []string{}
	for _, p := range projects {
		names = append(names, p.Name)
	}
	return names
}

func TestSourceSide(t *testing.T) {
	t.Parallel()
	overBoth(t, func(t *testing.T, srv *livemigrationtest.Server) {
		org := srv.SourceOrgID()
		assert.NotEqual(t, srv.URL(), srv.SourceURL())
		assert.Equal(t, "NOT_SYNCED", linkStatus(t, srv, org))
		require.Equal(t, http.StatusNotFound, disconnect(t, srv, org).status)
	})
}

func TestConnect(t *testing.T) {
	t.Parallel()
	srv := newOpenServer(t, livemigrationtest.WithAutoConnect(false))
	org := srv.SourceOrgID()
	token := newLinkToken(t, srv)
	assert.Empty(t, available(t, srv), "nobody has connected")
	assert.Equal(t, "NOT_SYNCED", linkStatus(t, srv, org))

	res := connect(t, srv, org, "wrong"+token)
	assertError(t, res, http.StatusBadRequest, "INVALID_ATTRIBUTE")
	assert.Equal(t, []string{"linkToken"}, res.fields(t))
	assert.NotContains(t, res.body, token, "a secret")
	assert.Empty(t, available(t, srv))

	for range 2 {
		res = connect(t, srv, org, token)
		assert.Equal(t, http.StatusCreated, res.status)
		assert.JSONEq(t, `{"status":"SYNCED"}`, res.body)
		assert.Equal(t, "SYNCED", linkStatus(t, srv, org))
		assert.Equal(t, []string{"Production", "Staging"}, available(t, srv))
	}
	res = disconnect(t, srv, org)
	assert.Equal(t, http.StatusNoContent, res.status)
	assert.Empty(t, res.body)
	assert.Equal(t, "NOT_SYNCED", linkStatus(t, srv, org))
	assert.Empty(t, available(t, srv))

	require.Equal(t, http.StatusCreated, connect(t, srv, org, token).status, "it is a link-token still")
	send(t, srv, endpoint(srv, livemigrationtest.DeleteLinkToken, v2Prefix, ""))
	assert.Equal(t, "NOT_SYNCED", linkStatus(t, srv, org), "Atlas has deleted the link")
	assertError(t, connect(t, srv, org, token), http.StatusBadRequest, "INVALID_ATTRIBUTE")
}

// Without a source side in the test, a link-token is enough.
func TestAutoConnect(t *testing.T) {
	t.Parallel()
	srv := newOpenServer(t)
	org, token := srv.SourceOrgID(), newLinkToken(t, srv)
	assert.Equal(t, "SYNCED", linkStatus(t, srv, org))
	assert.Equal(t, []string{"Production", "Staging"}, available(t, srv))
	assert.Equal(t, http.StatusCreated, connect(t, srv, org, token).status)
	assert.Equal(t, http.StatusNoContent, disconnect(t, srv, org).status)
	assert.Empty(t, available(t, srv))
	newLinkToken(t, srv)
	assert.Equal(t, "SYNCED", linkStatus(t, srv, org))
}

func TestSourceOrganizations(t *testing.T) {
	t.Parallel()
	project := func(name, id string) livemigration.AvailableProject {
		return livemigration.AvailableProject{Name: name, ProjectID: livemigration.ProjectID(strings.Repeat(id, 24))}
	}
	srv := newOpenServer(t, livemigrationtest.WithAutoConnect(false), livemigrationtest.WithSourceProjects(project("a", "a")),
		livemigrationtest.WithSourceOrganization(project("b", "b"), project("c", "c")),
		livemigrationtest.WithSourceOrganization())
	orgs := srv.SourceOrgIDs()
	require.Len(t, orgs, 3)
	assert.Equal(t, orgs[0], srv.SourceOrgID())
	first, second := newLinkToken(t, srv), newLinkToken(t, srv)
	require.Equal(t, http.StatusCreated, connect(t, srv, orgs[1], first).status)
	assert.Equal(t, []string{"b", "c"}, available(t, srv))
	assertError(t, connect(t, srv, orgs[0], first), http.StatusBadRequest, "INVALID_ATTRIBUTE")
	require.Equal(t, http.StatusCreated, connect(t, srv, orgs[0], second).status)
	assert.Equal(t, []string{"a", "b", "c"}, available(t, srv))
	require.Equal(t, http.StatusNoContent, disconnect(t, srv, orgs[1]).status)
	assert.Equal(t, []string{"a"}, available(t, srv))
	assert.Equal(t, "NOT_SYNCED", linkStatus(t, srv, orgs[2]))
}

// Whoever disconnects ends what runs.
func TestDisconnectWhileMigrating(t *testing.T) {
	t.Parallel()
	srv := newServer(t, livemigrationtest.WithInProcess())
	client := newClient(t, srv)
	_, err := client.LinkTokens.Create(t.Context(), srv.OrgID(), livemigration.LinkTokenRequest{})
	require.NoError(t, err)
	other := srv.SampleRequest()
	other.Source.ProjectID = "ffffffffffffffffffffffff"
	complete, running, foreign := srv.SampleRequest(), srv.SampleRequest(), other
	for i, req := range []livemigration.MigrationRequest{complete, running, foreign} {
		m, err := client.Migrations.Create(t.Context(), srv.ProjectID(), req)
		require.NoError(t, err)
		srv.Advance(2 * srv.Timings().InitialSync)
		if i == 0 {
			require.NoError(t, client.Migrations.Cutover(t.Context(), srv.ProjectID(), m.ID))
			srv.Advance(srv.Timings().Finishing)
		}
	}
	r := linkEndpoint(srv.SourceOrgID(), livemigrationtest.DeleteMigrationLink, "")
	require.Equal(t, http.StatusNoContent, sendToSource(t, srv, authorizeAtSource(t, srv, r)).status)
	all := srv.Migrations()
	assert.Equal(t, isComplete, looks(all[0]))
	assert.Equal(t, isFailed, looks(all[1]))
	assert.Equal(t, isReady, looks(all[2]), "from a project that the source side does not have")
}

// authorizeAtSource adds credentials of the source side to a request, from a fresh challenge.
func authorizeAtSource(t *testing.T, srv *livemigrationtest.Server, r request) request {
	t.Helper()
	public, private := srv.SourceAPIKey()
	d := digester{public, private.Reveal()}
	res := sendToSource(t, srv, r)
	require.Equal(t, http.StatusUnauthorized, res.status)
	return r.with("Authorization", d.sign(d.claim(r.method, r.path, res.header.Get("WWW-Authenticate"), "00000001")))
}

// Neither side takes the keys or the nonces of the other.
func TestSourceCredentials(t *testing.T) {
	t.Parallel()
	srv := newServer(t, livemigrationtest.WithInProcess())
	status := linkEndpoint(srv.SourceOrgID(), livemigrationtest.GetMigrationLinkStatus, "")
	assert.Equal(t, http.StatusOK, sendToSource(t, srv, authorizeAtSource(t, srv, status)).status)
	assert.Equal(t, http.StatusUnauthorized, sendToSource(t, srv, authorize(t, srv, status)).status)
	list := endpoint(srv, livemigrationtest.ListAvailableProjects, v2Prefix, "")
	assert.Equal(t, http.StatusUnauthorized, send(t, srv, list.with("Authorization", authorizeAtSource(t, srv, status).header["Authorization"])).status)
	account := ownAccount(srv)
	token := account.token(t, srv)
	assert.True(t, accepts(t, srv, token))
	assert.Equal(t, http.StatusUnauthorized, sendToSource(t, srv, bearer(status, token)).status)

	srv.ExpireNonces()
	signed := authorizeAtSource(t, srv, status)
	srv.ExpireNonces()
	assert.Contains(t, sendToSource(t, srv, signed).header.Get("WWW-Authenticate"), "stale=true")

	for credentials, want := range map[livemigration.Credentials]error{
		srv.SourceCredentials():                              livemigration.ErrNotFound,
		srv.SourceCredentialsFor(livemigrationtest.OrgOwner): livemigration.ErrNotFound,
		srv.Credentials():                                    livemigration.ErrUnauthorized,
		srv.CredentialsFor(livemigrationtest.OrgOwner):       livemigration.ErrUnauthorized,
	} {
		client, err := livemigration.NewClient(credentials, livemigration.WithBaseURL(srv.SourceURL()),
			livemigration.WithHTTPClient(srv.HTTPClient()))
		require.NoError(t, err)
		_, err = client.AvailableProjects.List(t.Context(), srv.OrgID())
		assert.ErrorIs(t, err, want, "no endpoint of Atlas is on the source side")
	}
}

func TestSourceRules(t *testing.T) {
	t.Parallel()
	srv := newOpenServer(t, livemigrationtest.WithPublishedRateLimits())
	org, unknown := srv.SourceOrgID(), livemigration.OrgID(strings.Repeat("f", 24))
	create := func(body string) request {
		r := linkEndpoint(org, livemigrationtest.CreateMigrationLink, "")
		r.body = body
		return r
	}
	query := linkEndpoint(org, livemigrationtest.GetMigrationLinkStatus, "")
	query.path += "?pretty=maybe"
	elsewhere := linkEndpoint(org, livemigrationtest.DeleteMigrationLink, "")
	elsewhere.path = strings.Replace(elsewhere.path, "/v1.0/", "/v2.0/", 1)
	tests := map[string]struct {
		request request
		status  int
		code    string
	}{
		"unknown organization":  {linkEndpoint(unknown, livemigrationtest.GetMigrationLinkStatus, ""), 404, "RESOURCE_NOT_FOUND"},
		"organization of Atlas": {linkEndpoint(srv.OrgID(), livemigrationtest.DeleteMigrationLink, ""), 404, "RESOURCE_NOT_FOUND"},
		"malformed id":          {linkEndpoint("x", livemigrationtest.GetMigrationLinkStatus, ""), 400, "INVALID_ATTRIBUTE"},
		"no token":              {create(`{}`), 400, "MISSING_ATTRIBUTE"},
		"null for a token":      {create(`{"linkToken":null}`), 400, "MISSING_ATTRIBUTE"},
		"empty token":           {create(`{"linkToken":""}`), 400, "INVALID_ATTRIBUTE"},
		"unknown field":         {create(`{"linkToken":"x","y":1}`), 400, "INVALID_ATTRIBUTE"},
		"not JSON":              {create(`x`), 400, "INVALID_JSON"},
		"media type of Atlas":   {create(`{"linkToken":"x"}`).with("Content-Type", media2023), 415, "UNSUPPORTED_MEDIA_TYPE"},
		"Accept of Atlas":       {create(`{"linkToken":"x"}`).with("Accept", media2023), 406, "NOT_ACCEPTABLE"},
		"malformed query":       {query, 400, "INVALID_ATTRIBUTE"},
		"another version":       {elsewhere, 404, "RESOURCE_NOT_FOUND"},
		"another method":        {request{method: http.MethodPut, path: create("").path}, 405, "METHOD_NOT_ALLOWED"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			res := sendToSource(t, srv, tt.request)
			assertError(t, res, tt.status, tt.code)
			assert.Empty(t, res.header.Get("Ratelimit-Limit"))
		})
	}
}

func TestSourceEnvelope(t *testing.T) {
	t.Parallel()
	srv := newOpenServer(t)
	r := linkEndpoint(srv.SourceOrgID(), livemigrationtest.GetMigrationLinkStatus, "")
	r.path += "?envelope=true"
	assert.JSONEq(t, `{"status":200,"content":{"status":"NOT_SYNCED"}}`, sendToSource(t, srv, r).body)
}

func TestSourceFaultsAndRecords(t *testing.T) {
	t.Parallel()
	srv := newOpenServer(t, livemigrationtest.WithAutoConnect(false))
	token := newLinkToken(t, srv)
	srv.Inject(livemigrationtest.CreateMigrationLink, livemigrationtest.Status(504).Processed(), 1)
	assert.Equal(t, 504, connect(t, srv, srv.SourceOrgID(), token).status)
	assert.Equal(t, "SYNCED", linkStatus(t, srv, srv.SourceOrgID()))
	assert.Equal(t, 1, srv.RequestCount(livemigrationtest.CreateMigrationLink))
	assert.Equal(t, 1, srv.RequestCount(livemigrationtest.GetMigrationLinkStatus))
	made := srv.Recorded(livemigrationtest.OfOperation(livemigrationtest.CreateMigrationLink))
	require.Len(t, made, 1)
	assert.Equal(t, "source.test", made[0].Host)
	assert.NotContains(t, made[0].String(), token)
}

func TestSourceHandler(t *testing.T) {
	t.Parallel()
	srv := newOpenServer(t)
	rec := httptest.NewRecorder()
	r := linkEndpoint(srv.SourceOrgID(), livemigrationtest.GetMigrationLinkStatus, "")
	srv.SourceHandler().ServeHTTP(rec, r.build(t, srv.SourceURL()))
	assert.JSONEq(t, `{"status":"NOT_SYNCED"}`, rec.Body.String())
}

// The source side is closed with the server.
func TestSourceClose(t *testing.T) {
	t.Parallel()
	overBoth(t, func(t *testing.T, srv *livemigrationtest.Server) {
		linkStatus(t, srv, srv.SourceOrgID())
		client := srv.HTTPClient()
		r := linkEndpoint(srv.SourceOrgID(), livemigrationtest.GetMigrationLinkStatus, "").build(t, srv.SourceURL())
		srv.Close()
		_, err := client.Do(r)
		require.Error(t, err)
	})
}
