package livemigrationtest_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go"
	"github.com/livemigration/livemigration-go/livemigrationtest"
)

// Both sides by their clients, over every kind of connection.
func TestSourceClient(t *testing.T) {
	t.Parallel()
	for name, opt := range map[string]livemigrationtest.Option{
		"socket": nil, "TLS": livemigrationtest.WithTLS(), "in process": livemigrationtest.WithInProcess(),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := newServer(t, opt, livemigrationtest.WithAutoConnect(false))
			client, ctx, org := newClient(t, srv), t.Context(), srv.SourceOrgID()
			source, err := srv.NewSourceClient()
			require.NoError(t, err)
			created, err := client.LinkTokens.Create(ctx, srv.OrgID(), livemigration.LinkTokenRequest{})
			require.NoError(t, err)

			_, err = source.MigrationLink.Create(ctx, org, "wrong")
			require.ErrorIs(t, err, livemigration.ErrBadRequest)
			_, err = source.MigrationLink.Create(ctx, srv.OrgID(), created.Token)
			require.ErrorIs(t, err, livemigration.ErrNotFound)
			link, err := source.MigrationLink.Status(ctx, org)
			require.NoError(t, err)
			assert.Equal(t, livemigration.MigrationLinkNotSynced, link.Status)

			link, err = source.MigrationLink.Create(ctx, org, created.Token)
			require.NoError(t, err)
			assert.Equal(t, livemigration.MigrationLinkSynced, link.Status)
			projects, err := client.AvailableProjects.List(ctx, srv.OrgID())
			require.NoError(t, err)
			assert.Len(t, projects, 2)

			require.NoError(t, source.MigrationLink.Delete(ctx, org))
			require.ErrorIs(t, source.MigrationLink.Delete(ctx, org), livemigration.ErrNotFound)
			for op, want := range map[livemigrationtest.Operation]int{
				livemigrationtest.CreateMigrationLink: 3, livemigrationtest.GetMigrationLinkStatus: 1,
				livemigrationtest.DeleteMigrationLink: 2, livemigrationtest.Handshake: 2,
			} {
				assert.Equal(t, want, srv.RequestCount(op), op)
			}
		})
	}
}

// The caller's options win.
func TestSourceClientOptions(t *testing.T) {
	t.Parallel()
	srv, other := newServer(t, livemigrationtest.WithInProcess()), newServer(t, livemigrationtest.WithInProcess())
	source, err := srv.NewSourceClient(livemigration.WithHTTPClient(other.HTTPClient()))
	require.NoError(t, err)
	_, err = source.MigrationLink.Status(t.Context(), srv.SourceOrgID())
	require.ErrorIs(t, err, livemigration.ErrUnauthorized)
	assert.Empty(t, srv.Recorded())
}

func TestSourceRoles(t *testing.T) {
	t.Parallel()
	srv := newServer(t, livemigrationtest.WithInProcess())
	for role, want := range map[livemigrationtest.Role]error{
		livemigrationtest.OrgOwner: nil, livemigrationtest.OrgMember: livemigration.ErrForbidden,
		livemigrationtest.NoRole: livemigration.ErrForbidden,
	} {
		source, err := livemigration.NewSourceClient(srv.SourceCredentialsFor(role),
			livemigration.WithBaseURL(srv.SourceURL()), livemigration.WithHTTPClient(srv.HTTPClient()))
		require.NoError(t, err)
		_, err = source.MigrationLink.Status(t.Context(), srv.SourceOrgID())
		require.ErrorIs(t, err, want, role)
	}
}

// Behind several nodes good keys are accepted all the same.
func TestClientOfNodes(t *testing.T) {
	t.Parallel()
	srv := newServer(t, livemigrationtest.WithInProcess(), livemigrationtest.WithNodes(2))
	client := newClient(t, srv)
	for range 20 {
		_, err := client.AvailableProjects.List(t.Context(), srv.OrgID())
		require.NoError(t, err)
	}
	assert.Greater(t, srv.RequestCount(livemigrationtest.ListAvailableProjects), 20, "some have met another node")
}

// What is wrong with a field is said once.
func TestMessageOfABadRequest(t *testing.T) {
	t.Parallel()
	srv := livemigrationtest.NewServer()
	t.Cleanup(srv.Close)
	source, err := srv.NewSourceClient()
	require.NoError(t, err)
	_, err = source.MigrationLink.Create(t.Context(), srv.SourceOrgID(), "not one of Atlas")
	require.ErrorIs(t, err, livemigration.ErrBadRequest)
	assert.Equal(t, 1, strings.Count(err.Error(), "linkToken is not a link-token of Atlas"), err.Error())
}
