package livemigrationtest_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go"
	"github.com/livemigration/livemigration-go/livemigrationtest"
)

func projectNames(t *testing.T, client *livemigration.Client, srv *livemigrationtest.Server) (names []string) {
	t.Helper()
	projects, err := client.AvailableProjects.List(t.Context(), srv.OrgID())
	require.NoError(t, err)
	for _, p := range projects {
		names = append(names, p.Name)
	}
	return names
}

// The life of a link, with both kinds of credentials of the source side.
func TestSourceSide(t *testing.T) {
	t.Parallel()
	for name, credentials := range map[string]func(*livemigrationtest.Server) livemigration.Credentials{
		"API key":         (*livemigrationtest.Server).SourceCredentials,
		"service account": (*livemigrationtest.Server).SourceServiceAccountCredentials,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := newServer(t, livemigrationtest.WithAutoConnect(false))
			client, ctx := newClient(t, srv), t.Context()
			source, err := livemigration.NewSourceClient(credentials(srv),
				livemigration.WithBaseURL(srv.SourceURL()), livemigration.WithHTTPClient(srv.HTTPClient()))
			require.NoError(t, err)
			org := srv.SourceOrgID()
			link, err := client.LinkTokens.Create(ctx, srv.OrgID(), livemigration.LinkTokenRequest{})
			require.NoError(t, err)
			require.Empty(t, projectNames(t, client, srv))
			_, err = source.MigrationLink.Create(ctx, org, "wrong")
			require.ErrorContains(t, err, "linkToken")
			require.Error(t, source.MigrationLink.Delete(ctx, org), "there is none")
			state, err := source.MigrationLink.Status(ctx, org)
			require.NoError(t, err)
			assert.Equal(t, livemigration.MigrationLinkNotSynced, state.Status)
			state, err = source.MigrationLink.Create(ctx, org, link.Token)
			require.NoError(t, err)
			assert.Equal(t, livemigration.MigrationLinkSynced, state.Status)
			assert.Equal(t, []string{"Production", "Staging"}, projectNames(t, client, srv))

			_, err = client.Migrations.Create(ctx, srv.ProjectID(), srv.SampleRequest())
			require.NoError(t, err)
			require.ErrorContains(t, client.LinkTokens.Delete(ctx, srv.OrgID()), string(srv.ProjectID()))
			require.NoError(t, source.MigrationLink.Delete(ctx, org))
			assert.Equal(t, []string{"FAILED"}, states(srv), "the synchronization has ended")
			assert.Empty(t, projectNames(t, client, srv))
			require.NoError(t, client.LinkTokens.Delete(ctx, srv.OrgID()))
			assert.Zero(t, srv.LinkTokenCount())
		})
	}
}

func TestSourceOrganizations(t *testing.T) {
	t.Parallel()
	project := func(name, id string) livemigration.AvailableProject {
		return livemigration.AvailableProject{Name: name, ProjectID: livemigration.ProjectID(id)}
	}
	srv := newServer(t, livemigrationtest.WithInProcess(), livemigrationtest.WithAutoConnect(false),
		livemigrationtest.WithSourceProjects(project("a", "5c7e8f901a2b3c4d5e6f7a0a")),
		livemigrationtest.WithSourceOrganization(project("b", "5c7e8f901a2b3c4d5e6f7a0b")))
	orgs := srv.SourceOrgIDs()
	require.Len(t, orgs, 2)
	client, ctx := newClient(t, srv), t.Context()
	source, err := srv.NewSourceClient()
	require.NoError(t, err)
	var tokens []livemigration.Secret
	for range 2 {
		link, err := client.LinkTokens.Create(ctx, srv.OrgID(), livemigration.LinkTokenRequest{})
		require.NoError(t, err)
		tokens = append(tokens, link.Token)
	}
	_, err = source.MigrationLink.Create(ctx, orgs[1], tokens[0])
	require.NoError(t, err)
	assert.Equal(t, []string{"b"}, projectNames(t, client, srv))
	_, err = source.MigrationLink.Create(ctx, orgs[0], tokens[0])
	require.ErrorContains(t, err, "another organization")
	_, err = source.MigrationLink.Create(ctx, orgs[0], tokens[1])
	require.NoError(t, err)
	assert.Equal(t, []string{"a", "b"}, projectNames(t, client, srv))
}

func TestAutoConnect(t *testing.T) {
	t.Parallel()
	srv := newServer(t, livemigrationtest.WithInProcess())
	client := newClient(t, srv)
	assert.Empty(t, projectNames(t, client, srv))
	_, err := client.LinkTokens.Create(t.Context(), srv.OrgID(), livemigration.LinkTokenRequest{})
	require.NoError(t, err)
	assert.Len(t, projectNames(t, client, srv), 2)
	require.NoError(t, client.LinkTokens.Delete(t.Context(), srv.OrgID()))
	assert.Empty(t, projectNames(t, client, srv))
}

// Atlas and the source side know neither each other's credentials nor each other's paths.
func TestSidesAreApart(t *testing.T) {
	t.Parallel()
	srv := newServer(t, livemigrationtest.WithInProcess())
	_, err := srv.NewClient(livemigration.WithBaseURL(srv.SourceURL()))
	require.NoError(t, err)
	client := newClient(t, srv, livemigration.WithBaseURL(srv.SourceURL()))
	_, err = client.AvailableProjects.List(t.Context(), srv.OrgID())
	require.ErrorIs(t, err, livemigration.ErrUnauthorized)

	open := newOpenServer(t)
	path := "/api/public/v1.0/orgs/" + string(open.SourceOrgID()) + "/liveExport/migrationLink/status"
	assert.Equal(t, 404, send(t, open, request{method: http.MethodGet, path: path}).status)
	res := read(t, open.HTTPClient(), request{method: http.MethodGet, path: path}.build(t, open.SourceURL()))
	assert.JSONEq(t, `{"status":"NOT_SYNCED"}`, res.body)
	assert.Empty(t, res.header.Get("RateLimit-Limit"))
	assert.Equal(t, []int{404, 200}, statuses(open))
}
