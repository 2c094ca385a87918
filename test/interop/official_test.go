package interop

import (
	"net/http"
	"strings"
	"testing"

	"github.com/mongodb-forks/digest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.mongodb.org/atlas/mongodbatlas"

	"github.com/livemigration/livemigration-go"
	"github.com/livemigration/livemigration-go/livemigrationtest"
)

const sourceProject = "5c7e8f901a2b3c4d5e6f7a01"

// newOfficialClient returns the official client of API v1.0 for a server at the URL.
func newOfficialClient(t *testing.T, srv *livemigrationtest.Server, url string) mongodbatlas.LiveMigrationService {
	t.Helper()
	wire := &http.Transport{}
	t.Cleanup(wire.CloseIdleConnections)
	public, private := srv.APIKey()
	authenticated, err := digest.NewTransportWithHTTPTransport(public, private.Reveal(), wire).Client()
	require.NoError(t, err)
	client, err := mongodbatlas.New(authenticated, mongodbatlas.SetBaseURL(url+"/"))
	require.NoError(t, err)
	return client.LiveMigration
}

func officialRequest(srv *livemigrationtest.Server) *mongodbatlas.LiveMigration {
	return &mongodbatlas.LiveMigration{
		Source: &mongodbatlas.Source{
			GroupID: sourceProject, ClusterName: "orders", Username: "user", Password: `p"<&>é`,
			SSL: new(bool), ManagedAuthentication: new(bool),
		},
		Destination:    &mongodbatlas.Destination{GroupID: string(srv.ProjectID()), ClusterName: "Cluster0"},
		MigrationHosts: []string{"vm001.example.com"},
		DropEnabled:    new(bool),
	}
}

// TestOfficialClient takes the official client through the seven operations that it has.
//
// That client cannot read two forms that the documentation of v1.0 shows: a link-token in an array, and a single
// migration host as a string. The in-memory Atlas sends them when asked to. It has carried out the request all the same,
// so the test continues with the ids that the server knows.
func TestOfficialClient(t *testing.T) {
	t.Parallel()
	const (
		token = "json: cannot unmarshal array into Go struct field LinkToken.linkToken of type string"
		host  = "json: cannot unmarshal string into Go struct field LiveMigration.migrationHosts of type []string"
	)
	documented := []livemigrationtest.Option{livemigrationtest.WithDocumentedResponses()}
	tests := map[string]struct {
		opts              []livemigrationtest.Option
		tokenErr, hostErr string // of the client
	}{
		"documented responses": {documented, token, host},
		"plain responses":      {nil, "", ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := livemigrationtest.NewServer(tt.opts...)
			t.Cleanup(srv.Close)
			official := newOfficialClient(t, srv, srv.URL())
			ctx, org, project := t.Context(), string(srv.OrgID()), string(srv.ProjectID())

			// step checks one call: how it ended, and that it cost the two requests that this client spends on each.
			step := func(op livemigrationtest.Operation, status int, res *mongodbatlas.Response, err error, wantErr string) {
				t.Helper()
				if wantErr == "" {
					require.NoError(t, err, op)
				} else {
					require.EqualError(t, err, wantErr, op)
				}
				assert.Equal(t, status, res.StatusCode, op)
				arrived := srv.Recorded()
				if assert.Len(t, arrived, 2, op) {
					assert.False(t, arrived[0].Authenticated)
					assert.Equal(t, op, arrived[1].Operation)
				}
				srv.ResetRequests()
			}

			addresses := &mongodbatlas.TokenCreateRequest{AccessListIPs: []string{"192.0.2.0/24"}}
			linkToken, res, err := official.CreateLinkToken(ctx, org, addresses)
			step(livemigrationtest.CreateLinkToken, http.StatusCreated, res, err, tt.tokenErr)
			if tt.tokenErr == "" {
				assert.NotEmpty(t, linkToken.LinkToken)
			}
			assert.Equal(t, 1, srv.LinkTokenCount())

			validation, res, err := official.CreateValidation(ctx, project, officialRequest(srv))
			step(livemigrationtest.CreateValidation, http.StatusCreated, res, err, "")
			assert.Equal(t, "PENDING", validation.Status)
			srv.Advance(srv.Timings().Validation)
			validation, res, err = official.GetValidationStatus(ctx, project, validation.ID)
			step(livemigrationtest.GetValidation, http.StatusOK, res, err, "")
			assert.Equal(t, mongodbatlas.Validation{
				ID: string(srv.Validations()[0].ID), GroupID: project, SourceGroupID: sourceProject, Status: "SUCCESS",
			}, *validation)

			_, res, err = official.Create(ctx, project, officialRequest(srv))
			step(livemigrationtest.CreateMigration, http.StatusCreated, res, err, tt.hostErr)
			require.Len(t, srv.Migrations(), 1)
			id := string(srv.Migrations()[0].ID)
			srv.Advance(srv.Timings().Scheduling + srv.Timings().InitialSync)
			migration, res, err := official.Get(ctx, project, id)
			step(livemigrationtest.GetMigration, http.StatusOK, res, err, tt.hostErr)
			if tt.hostErr == "" {
				assert.Equal(t, []string{"vm001.example.com"}, migration.MigrationHosts)
				assert.True(t, *migration.ReadyForCutover)
			}

			validation, res, err = official.Start(ctx, project, id)
			step(livemigrationtest.Cutover, http.StatusOK, res, err, "")
			assert.Equal(t, id, validation.ID)
			srv.Advance(srv.Timings().Finishing)
			assert.Equal(t, livemigration.MigrationComplete, srv.Migrations()[0].Status)

			res, err = official.DeleteLinkToken(ctx, org)
			step(livemigrationtest.DeleteLinkToken, http.StatusNoContent, res, err, "")
			assert.Zero(t, srv.LinkTokenCount())
		})
	}
}

// TestOfficialClientIsRejected shows that the server rejects bad requests of that client, and that the client
// understands the error.
func TestOfficialClientIsRejected(t *testing.T) {
	t.Parallel()
	srv := livemigrationtest.NewServer()
	t.Cleanup(srv.Close)
	official, ctx, project := newOfficialClient(t, srv, srv.URL()), t.Context(), string(srv.ProjectID())
	request := officialRequest(srv)
	request.DropEnabled = nil // required, but this client leaves out what is nil
	_, _, err := official.Create(ctx, project, request)
	var rejection *mongodbatlas.ErrorResponse
	require.ErrorAs(t, err, &rejection)
	assert.Equal(t, http.StatusBadRequest, rejection.HTTPCode)
	assert.NotEmpty(t, rejection.ErrorCode)
	assert.NotEmpty(t, rejection.Detail)

	_, _, err = official.Get(ctx, project, "5f1a2b3c4d5e6f7081920bff")
	require.ErrorAs(t, err, &rejection)
	assert.Equal(t, http.StatusNotFound, rejection.HTTPCode)
	assert.Equal(t, "RESOURCE_NOT_FOUND", rejection.ErrorCode)
	assert.Empty(t, srv.Migrations())
}

// TestOfficialClientAndDocumentedChallenge sends the challenge as the documentation prints it, with op="auth". That
// client gives up. Ours does not.
func TestOfficialClientAndDocumentedChallenge(t *testing.T) {
	t.Parallel()
	srv := livemigrationtest.NewServer(livemigrationtest.WithDocumentedChallenge())
	t.Cleanup(srv.Close)
	_, err := newOfficialClient(t, srv, srv.URL()).DeleteLinkToken(t.Context(), string(srv.OrgID()))
	require.ErrorIs(t, err, digest.ErrBadChallenge)
	client, err := srv.NewClient(livemigration.WithAPIVersion(livemigration.APIv1))
	require.NoError(t, err)
	t.Cleanup(client.CloseIdleConnections)
	require.ErrorIs(t, client.LinkTokens.Delete(t.Context(), srv.OrgID()), livemigration.ErrNotFound)
}

// TestSameRequests creates migrations with both clients and compares what arrives. Intended differences: each names itself
// as the User-Agent; the official client ends a body with a line feed; it does not know hostnameSchemaType, which Atlas
// requires in v1.0 too; ours uses a connection once for what creates something. The official client sends the whole request, with the database password, to any server that
// asks for credentials. Ours asks for the challenge without a body.
func TestSameRequests(t *testing.T) {
	t.Parallel()
	srv := livemigrationtest.NewServer()
	t.Cleanup(srv.Close)
	official := newOfficialClient(t, srv, srv.URL())
	client, err := srv.NewClient(livemigration.WithAPIVersion(livemigration.APIv1))
	require.NoError(t, err)
	t.Cleanup(client.CloseIdleConnections)
	yes := true
	tests := map[string]func(*mongodbatlas.LiveMigration, *livemigration.MigrationRequest){
		"user and password": func(*mongodbatlas.LiveMigration, *livemigration.MigrationRequest) {},
		"TLS with a CA, data dropped": func(theirs *mongodbatlas.LiveMigration, ours *livemigration.MigrationRequest) {
			theirs.Source.SSL, theirs.Source.CACertificatePath, theirs.DropEnabled = &yes, "/etc/ssl/ca.pem", &yes
			ours.Source.SSL, ours.Source.CACertificatePath, ours.DropDestinationData = true, "/etc/ssl/ca.pem", true
		},
		"managed authentication": func(theirs *mongodbatlas.LiveMigration, ours *livemigration.MigrationRequest) {
			theirs.Source.Username, theirs.Source.Password, theirs.Source.ManagedAuthentication = "", "", &yes
			ours.Source.Username, ours.Source.Password, ours.Source.ManagedAuthentication = "", "", true
		},
	}
	for name, change := range tests {
		t.Run(name, func(t *testing.T) {
			theirs, ours := officialRequest(srv), livemigration.MigrationRequest{
				Source: livemigration.Source{
					ProjectID: sourceProject, ClusterName: "orders", Username: "user", Password: `p"<&>é`,
				},
				Destination: livemigration.Destination{ClusterName: "Cluster0"}, MigrationHosts: []string{"vm001.example.com"},
			}
			change(theirs, &ours)
			srv.ResetRequests()
			_, _, err := official.Create(t.Context(), string(srv.ProjectID()), theirs)
			require.NoError(t, err)
			_, err = client.Migrations.Create(t.Context(), srv.ProjectID(), ours)
			require.NoError(t, err)
			arrived := srv.Recorded()
			require.Len(t, arrived, 4)
			assert.Equal(t, arrived[1].Body.Reveal(), arrived[0].Body.Reveal(), "sent to any server that asks for credentials")
			assert.Empty(t, arrived[2].Body.Reveal())
			their, our := arrived[1], arrived[3]
			assert.Equal(t, their.Method+" "+their.Host+their.Path, our.Method+" "+our.Host+our.Path)
			assert.Equal(t, their.Query, our.Query)
			assert.JSONEq(t, their.Body.Reveal(), strings.Replace(our.Body.Reveal(), `,"hostnameSchemaType":"PUBLIC"`, "", 1))
			for _, header := range []http.Header{their.Header, our.Header} {
				assert.NotEmpty(t, header.Get("User-Agent"))
				header.Del("User-Agent")
				header.Del("Content-Length") // which counts the line feed
				header.Del("Connection")
			}
			assert.Equal(t, their.Header, our.Header)
		})
	}
}
