package interop

import (
	"context"
	"encoding/json"
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.mongodb.org/atlas/mongodbatlas"

	"github.com/livemigration/livemigration-go"
	"github.com/livemigration/livemigration-go/livemigrationtest"
)

// migrationCase is one migration in the words of both clients.
type migrationCase struct {
	official *mongodbatlas.LiveMigration
	ours     livemigration.MigrationRequest
}

const sourceProject = "5c7e8f901a2b3c4d5e6f7a01"

func migrationCases(srv *livemigrationtest.Server) map[string]migrationCase {
	yes, no := true, false
	project, hosts := srv.ProjectID(), []string{"vm001.example.com"}
	officialDestination := &mongodbatlas.Destination{GroupID: string(project), ClusterName: "Cluster0"}
	ourDestination := livemigration.Destination{ProjectID: project, ClusterName: "Cluster0"}
	return map[string]migrationCase{
		"user and password": {
			&mongodbatlas.LiveMigration{
				Source: &mongodbatlas.Source{
					GroupID: sourceProject, ClusterName: "orders", Username: "user", Password: `p"<&>\é` + "\u2028",
					SSL: &no, ManagedAuthentication: &no,
				},
				Destination: officialDestination, MigrationHosts: hosts, DropEnabled: &no,
			},
			livemigration.MigrationRequest{
				Source: livemigration.Source{
					ProjectID: sourceProject, ClusterName: "orders", Username: "user", Password: `p"<&>\é` + "\u2028",
				},
				Destination: ourDestination, MigrationHosts: hosts,
			},
		},
		"TLS with a CA, data dropped": {
			&mongodbatlas.LiveMigration{
				Source: &mongodbatlas.Source{
					GroupID: sourceProject, ClusterName: "orders", Username: "user", Password: "password",
					SSL: &yes, CACertificatePath: "/etc/ssl/ca.pem", ManagedAuthentication: &no,
				},
				Destination: officialDestination, MigrationHosts: hosts, DropEnabled: &yes,
			},
			livemigration.MigrationRequest{
				Source: livemigration.Source{
					ProjectID: sourceProject, ClusterName: "orders", Username: "user", Password: "password",
					SSL: true, CACertificatePath: "/etc/ssl/ca.pem",
				},
				Destination: ourDestination, MigrationHosts: hosts, DropDestinationData: true,
			},
		},
		"managed authentication": {
			&mongodbatlas.LiveMigration{
				Source: &mongodbatlas.Source{
					GroupID: sourceProject, ClusterName: "orders", SSL: &no, ManagedAuthentication: &yes,
				},
				Destination: officialDestination, MigrationHosts: hosts, DropEnabled: &no,
			},
			livemigration.MigrationRequest{
				Source: livemigration.Source{ProjectID: sourceProject, ClusterName: "orders", ManagedAuthentication: true},
				// Intended difference in the call, not on the wire: ours fills in an empty destination project.
				Destination: livemigration.Destination{ClusterName: "Cluster0"}, MigrationHosts: hosts,
			},
		},
	}
}

// pair is one operation by both clients. Only what arrives counts here. TestOfficialClient is about the responses that
// the official client cannot read.
type pair struct {
	operation livemigrationtest.Operation
	official  func(context.Context, mongodbatlas.LiveMigrationService)
	ours      func(context.Context, *livemigration.Client)
}

func pairs(srv *livemigrationtest.Server, migration migrationCase) []pair {
	org, project := srv.OrgID(), srv.ProjectID()
	const validationID, migrationID = "5f1a2b3c4d5e6f7081920b0a", "5f1a2b3c4d5e6f7081920b0b"
	addresses := []string{"192.0.2.10", "198.51.100.0/24"}
	return []pair{
		{
			livemigrationtest.CreateLinkToken,
			func(ctx context.Context, c mongodbatlas.LiveMigrationService) {
				_, _, _ = c.CreateLinkToken(ctx, string(org), &mongodbatlas.TokenCreateRequest{AccessListIPs: addresses})
			},
			func(ctx context.Context, c *livemigration.Client) {
				_, _ = c.LinkTokens.Create(ctx, org, livemigration.LinkTokenRequest{AccessListIPs: addresses})
			},
		},
		{
			livemigrationtest.CreateValidation,
			func(ctx context.Context, c mongodbatlas.LiveMigrationService) {
				_, _, _ = c.CreateValidation(ctx, string(project), migration.official)
			},
			func(ctx context.Context, c *livemigration.Client) {
				_, _ = c.Validations.Create(ctx, project, migration.ours)
			},
		},
		{
			livemigrationtest.GetValidation,
			func(ctx context.Context, c mongodbatlas.LiveMigrationService) {
				_, _, _ = c.GetValidationStatus(ctx, string(project), validationID)
			},
			func(ctx context.Context, c *livemigration.Client) {
				_, _ = c.Validations.Get(ctx, project, validationID)
			},
		},
		{
			livemigrationtest.CreateMigration,
			func(ctx context.Context, c mongodbatlas.LiveMigrationService) {
				_, _, _ = c.Create(ctx, string(project), migration.official)
			},
			func(ctx context.Context, c *livemigration.Client) {
				_, _ = c.Migrations.Create(ctx, project, migration.ours)
			},
		},
		{
			livemigrationtest.GetMigration,
			func(ctx context.Context, c mongodbatlas.LiveMigrationService) {
				_, _, _ = c.Get(ctx, string(project), migrationID)
			},
			func(ctx context.Context, c *livemigration.Client) { _, _ = c.Migrations.Get(ctx, project, migrationID) },
		},
		{
			livemigrationtest.Cutover,
			func(ctx context.Context, c mongodbatlas.LiveMigrationService) {
				_, _, _ = c.Start(ctx, string(project), migrationID)
			},
			func(ctx context.Context, c *livemigration.Client) {
				_ = c.Migrations.Cutover(ctx, project, migrationID)
			},
		},
		{
			livemigrationtest.DeleteLinkToken,
			func(ctx context.Context, c mongodbatlas.LiveMigrationService) {
				_, _ = c.DeleteLinkToken(ctx, string(org))
			},
			func(ctx context.Context, c *livemigration.Client) { _ = c.LinkTokens.Delete(ctx, org) },
		},
	}
}

// TestSameRequests sends the same with both clients. The intended differences:
//
//   - User-Agent: each names itself.
//   - What comes before the credentials: the official client sends the whole request, database password included, to
//     whoever asks for credentials. Ours sends a GET without a body, and only for its first call, since one nonce
//     serves many requests.
//   - The official client ends a body with a line feed. It is JSON all the same.
//   - Ours sends destination.hostnameSchemaType in v1.0 too, because the service requires it. The official client does not
//     know it.
//   - Not on the wire: where the official client leaves out a field that the caller has left nil, although Atlas
//     requires it (ssl, managedAuthentication, dropEnabled), ours has no nil and sends false.
func TestSameRequests(t *testing.T) {
	t.Parallel()
	srv := livemigrationtest.NewServer()
	t.Cleanup(srv.Close)
	official := newOfficialClient(t, srv, srv.URL())
	client, err := srv.NewClient(livemigration.WithAPIVersion(livemigration.APIv1))
	require.NoError(t, err)
	t.Cleanup(client.CloseIdleConnections)
	// arrived makes a call while there is a link-token, and returns what arrived of it. The link-token also is the call
	// for which our client gets its nonce.
	arrived := func(t *testing.T, call func()) []livemigrationtest.Request {
		addresses := livemigration.LinkTokenRequest{AccessListIPs: []string{"192.0.2.1"}}
		_, err := client.LinkTokens.Create(t.Context(), srv.OrgID(), addresses)
		require.NoError(t, err)
		srv.ResetRequests()
		call()
		return srv.Recorded()
	}
	for name, migration := range migrationCases(srv) {
		for _, pair := range pairs(srv, migration) {
			t.Run(name+"/"+string(pair.operation), func(t *testing.T) {
				theirs := arrived(t, func() { pair.official(t.Context(), official) })
				ours := arrived(t, func() { pair.ours(t.Context(), client) })
				require.Len(t, theirs, 2)
				require.Len(t, ours, 1)
				assert.Equal(t, pair.operation, ours[0].Operation)
				compare(t, theirs[1], ours[0])
				assert.False(t, theirs[0].Authenticated)
				assert.Equal(t, theirs[1].Body.Reveal(), theirs[0].Body.Reveal(), "sent to whoever asks for credentials")
			})
		}
	}
}

// compare compares two requests in all but what TestSameRequests lists.
func compare(t *testing.T, theirs, ours livemigrationtest.Request) {
	t.Helper()
	assert.True(t, theirs.Authenticated)
	assert.True(t, ours.Authenticated)
	assert.Equal(t, theirs.Method, ours.Method)
	assert.Equal(t, theirs.Host, ours.Host)
	assert.Equal(t, theirs.Path, ours.Path)
	assert.Equal(t, theirs.Query, ours.Query)
	sameJSON(t, []byte(theirs.Body.Reveal()), withoutSchemaType(t, ours))
	wanted, got := theirs.Header.Clone(), ours.Header.Clone()
	for _, header := range []http.Header{wanted, got} {
		assert.NotEmpty(t, header.Get("User-Agent"))
		header.Del("User-Agent")
		header.Del("Content-Length") // which counts the line feed
	}
	assert.Equal(t, wanted, got)
	assert.Equal(t, theirs.StatusCode, ours.StatusCode)
}

// withoutSchemaType is a body without the hostnameSchemaType that every migration of ours has.
func withoutSchemaType(t *testing.T, ours livemigrationtest.Request) []byte {
	t.Helper()
	body := []byte(ours.Body.Reveal())
	if ours.Operation != livemigrationtest.CreateMigration && ours.Operation != livemigrationtest.CreateValidation {
		return body
	}
	var request map[string]any
	require.NoError(t, json.Unmarshal(body, &request))
	destination, _ := request["destination"].(map[string]any)
	assert.Equal(t, "PUBLIC", destination["hostnameSchemaType"])
	delete(destination, "hostnameSchemaType")
	body, err := json.Marshal(request)
	require.NoError(t, err)
	return body
}

// TestFirstRequest makes each operation with a client that has no nonce yet: neither the method nor the body goes out
// before the server has asked for credentials.
func TestFirstRequest(t *testing.T) {
	t.Parallel()
	srv := livemigrationtest.NewServer()
	t.Cleanup(srv.Close)
	for name, migration := range migrationCases(srv) {
		for _, pair := range pairs(srv, migration) {
			t.Run(name+"/"+string(pair.operation), func(t *testing.T) {
				client, err := srv.NewClient(livemigration.WithAPIVersion(livemigration.APIv1))
				require.NoError(t, err)
				t.Cleanup(client.CloseIdleConnections)
				srv.ResetRequests()
				pair.ours(t.Context(), client)
				arrived := srv.Recorded()
				require.Len(t, arrived, 2)
				assert.Equal(t, http.MethodGet, arrived[0].Method)
				assert.Empty(t, arrived[0].Body.Reveal())
				assert.Empty(t, arrived[0].Header.Values("Authorization"))
			})
		}
	}
}
