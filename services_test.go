package livemigration_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go"
	"github.com/livemigration/livemigration-go/livemigrationtest"
)

// atlas is an in-memory Atlas, a client of it, and what the operations need.
type atlas struct {
	*livemigrationtest.Server
	client     *livemigration.Client
	validation livemigration.ValidationID
	migration  livemigration.MigrationID // ready for cutover
}

// newAtlas starts an Atlas that holds a link-token, a validation, and a migration that is ready for cutover.
func newAtlas(t *testing.T, serverOpts []livemigrationtest.Option, opts ...livemigration.Option) *atlas {
	t.Helper()
	srv := livemigrationtest.NewServer(serverOpts...)
	t.Cleanup(srv.Close)
	client, err := srv.NewClient(opts...)
	require.NoError(t, err)
	t.Cleanup(client.CloseIdleConnections)
	a := &atlas{Server: srv, client: client}
	seed, err := srv.NewClient()
	require.NoError(t, err)
	defer seed.CloseIdleConnections()
	_, err = seed.LinkTokens.Create(t.Context(), srv.OrgID(), livemigration.LinkTokenRequest{})
	require.NoError(t, err)
	validation, err := seed.Validations.Create(t.Context(), srv.ProjectID(), srv.SampleRequest())
	require.NoError(t, err)
	migration, err := seed.Migrations.Create(t.Context(), srv.ProjectID(), srv.SampleRequest())
	require.NoError(t, err)
	timings := srv.Timings()
	srv.Advance(timings.Scheduling + timings.InitialSync)
	a.validation, a.migration = validation.ID, migration.ID
	srv.ResetRequests()
	return a
}

// endMigrations ends what keeps a link-token from being deleted.
func (a *atlas) endMigrations() {
	a.Advance(a.Timings().Finishing) // what has been cut over completes
	for _, m := range a.Migrations() {
		if !m.Status.Final() {
			_ = a.FailMigration(m.ID)
		}
	}
}

// authenticated counts the requests that carried accepted credentials, with a response or without.
func (a *atlas) authenticated() int {
	n := 0
	for _, r := range a.Recorded() {
		if r.Authenticated {
			n++
		}
	}
	return n
}

// jobs counts what creations leave behind.
func (a *atlas) jobs() int { return len(a.Migrations()) + len(a.Validations()) + a.LinkTokenCount() }

var accessList = livemigration.LinkTokenRequest{AccessListIPs: []string{"192.0.2.10", "198.51.100.0/24"}}

// operationCase is one endpoint as a user calls it.
type operationCase struct {
	operation livemigrationtest.Operation
	method    string
	path      string // below the prefix, with the names of the ids
	date      string // of the media type in v2
	body      bool
	call      func(context.Context, *atlas, ...livemigration.CallOption) (any, error)
}

var operationCases = []operationCase{
	{livemigrationtest.CreateLinkToken, "POST", "/orgs/{org}/liveMigrations/linkTokens", "2023-01-01", true,
		func(ctx context.Context, a *atlas, opts ...livemigration.CallOption) (any, error) {
			return a.client.LinkTokens.Create(ctx, a.OrgID(), accessList, opts...)
		}},
	{livemigrationtest.ListAvailableProjects, "GET", "/orgs/{org}/liveMigrations/availableProjects", "2023-01-01", false,
		func(ctx context.Context, a *atlas, opts ...livemigration.CallOption) (any, error) {
			return a.client.AvailableProjects.List(ctx, a.OrgID(), opts...)
		}},
	{livemigrationtest.CreateValidation, "POST", "/groups/{project}/liveMigrations/validate", "2024-05-30", true,
		func(ctx context.Context, a *atlas, opts ...livemigration.CallOption) (any, error) {
			return a.client.Validations.Create(ctx, a.ProjectID(), a.SampleRequest(), opts...)
		}},
	{livemigrationtest.GetValidation, "GET", "/groups/{project}/liveMigrations/validate/{validation}", "2023-01-01", false,
		func(ctx context.Context, a *atlas, opts ...livemigration.CallOption) (any, error) {
			return a.client.Validations.Get(ctx, a.ProjectID(), a.validation, opts...)
		}},
	{livemigrationtest.CreateMigration, "POST", "/groups/{project}/liveMigrations", "2024-05-30", true,
		func(ctx context.Context, a *atlas, opts ...livemigration.CallOption) (any, error) {
			return a.client.Migrations.Create(ctx, a.ProjectID(), a.SampleRequest(), opts...)
		}},
	{livemigrationtest.GetMigration, "GET", "/groups/{project}/liveMigrations/{migration}", "2023-01-01", false,
		func(ctx context.Context, a *atlas, opts ...livemigration.CallOption) (any, error) {
			return a.client.Migrations.Get(ctx, a.ProjectID(), a.migration, opts...)
		}},
	{livemigrationtest.Cutover, "PUT", "/groups/{project}/liveMigrations/{migration}/cutover", "2023-01-01", false,
		func(ctx context.Context, a *atlas, opts ...livemigration.CallOption) (any, error) {
			return nil, a.client.Migrations.Cutover(ctx, a.ProjectID(), a.migration, opts...)
		}},
	{livemigrationtest.DeleteLinkToken, "DELETE", "/orgs/{org}/liveMigrations/linkTokens", "2023-01-01", false,
		func(ctx context.Context, a *atlas, opts ...livemigration.CallOption) (any, error) {
			a.endMigrations()
			return nil, a.client.LinkTokens.Delete(ctx, a.OrgID(), opts...)
		}},
}

func (a *atlas) expand(path string) string {
	return strings.NewReplacer("{org}", string(a.OrgID()), "{project}", string(a.ProjectID()),
		"{validation}", string(a.validation), "{migration}", string(a.migration)).Replace(path)
}

func TestEveryEndpointInBothVersions(t *testing.T) {
	t.Parallel()
	for _, version := range []livemigration.APIVersion{livemigration.APIv2, livemigration.APIv1} {
		for name, opts := range map[string][]livemigration.CallOption{
			"plain": nil, "pretty": {livemigration.WithPretty()}, "enveloped": {livemigration.WithEnvelope()}, "as documented": nil,
		} {
			t.Run(version.String()+"/"+name, func(t *testing.T) {
				t.Parallel()
				server := []livemigrationtest.Option{livemigrationtest.WithInProcess()}
				if name == "as documented" {
					server = append(server, livemigrationtest.WithDocumentedResponses(), livemigrationtest.WithDocumentedChallenge())
				}
				a := newAtlas(t, server, livemigration.WithAPIVersion(version))
				results := map[livemigrationtest.Operation]any{}
				for _, tc := range operationCases {
					var resp livemigration.Response
					result, err := tc.call(t.Context(), a, append(opts, livemigration.WithHeader("X-Trace", "7"), livemigration.CaptureResponse(&resp))...)
					require.NoError(t, err, string(tc.operation))
					results[tc.operation] = result
					assert.Equal(t, 1, resp.Attempts)
					assert.Equal(t, 2, resp.StatusCode/100)
					assert.NotEmpty(t, resp.Header.Get("X-MongoDB-Service-Version"))
				}
				checkResults(t, a, results)
				checkRequests(t, a, version)
			})
		}
	}
}

func checkResults(t *testing.T, a *atlas, results map[livemigrationtest.Operation]any) {
	t.Helper()
	assert.NotEmpty(t, results[livemigrationtest.CreateLinkToken].(*livemigration.LinkToken).Token.Reveal())
	projects := results[livemigrationtest.ListAvailableProjects].([]livemigration.AvailableProject)
	require.NotEmpty(t, projects)
	assert.NotEmpty(t, projects[0].MigrationHosts)
	require.NotEmpty(t, projects[0].Deployments)
	assert.NotZero(t, projects[0].Deployments[0].DBSizeBytes)
	created := results[livemigrationtest.CreateValidation].(*livemigration.Validation)
	assert.NoError(t, created.ID.Validate())
	read := results[livemigrationtest.GetValidation].(*livemigration.Validation)
	assert.Equal(t, a.validation, read.ID)
	assert.Equal(t, livemigration.ValidationSuccess, read.Status)
	assert.Equal(t, a.ProjectID(), read.ProjectID)
	assert.Equal(t, a.SampleRequest().Source.ProjectID, read.SourceProjectID)
	started := results[livemigrationtest.CreateMigration].(*livemigration.Migration)
	assert.NoError(t, started.ID.Validate())
	assert.NotEqual(t, a.migration, started.ID)
	migration := results[livemigrationtest.GetMigration].(*livemigration.Migration)
	assert.Equal(t, a.migration, migration.ID)
	assert.True(t, migration.ReadyForCutover)
	assert.Equal(t, a.SampleRequest().MigrationHosts, migration.MigrationHosts)
	assert.Zero(t, a.LinkTokenCount())
	a.Advance(a.Timings().Finishing)
	assert.Equal(t, livemigration.MigrationComplete, a.Migrations()[0].Status)
}

func checkRequests(t *testing.T, a *atlas, version livemigration.APIVersion) {
	t.Helper()
	var requests []livemigrationtest.Request
	for _, r := range a.Recorded() {
		if r.Authenticated {
			requests = append(requests, r)
		}
	}
	require.Len(t, requests, len(operationCases))
	for i, tc := range operationCases {
		r := requests[i]
		assert.Equal(t, tc.operation, r.Operation)
		assert.Equal(t, tc.method, r.Method)
		assert.Equal(t, "/api/atlas/"+version.String()+a.expand(tc.path), r.Path)
		assert.Equal(t, "7", r.Header.Get("X-Trace"))
		mediaType := "application/vnd.atlas." + tc.date + "+json"
		if version == livemigration.APIv1 {
			mediaType = "application/json"
		}
		assert.Equal(t, mediaType, r.Header.Get("Accept"))
		if tc.body {
			assert.Equal(t, mediaType, r.Header.Get("Content-Type"))
			assert.True(t, json.Valid([]byte(r.Body.Reveal())))
		} else {
			assert.Empty(t, r.Header.Get("Content-Type"))
			assert.Empty(t, r.Body.Reveal())
		}
	}
}

func TestRolesAndKeys(t *testing.T) {
	t.Parallel()
	a := newAtlas(t, []livemigrationtest.Option{livemigrationtest.WithInProcess()})
	hc := a.HTTPClient()
	const advice = "(check the credentials; they can also be rejected because of a missing role or the IP access list)"
	for name, tc := range map[string]struct {
		credentials livemigration.Credentials
		read, list  string // what is in the error, empty for success
	}{
		"owner":      {a.CredentialsFor(livemigrationtest.OrgOwner), "", ""},
		"member":     {a.CredentialsFor(livemigrationtest.OrgMember), "", "401 NOT_ORG_OWNER: "},
		"no role":    {a.CredentialsFor(livemigrationtest.NoRole), "401 USER_CANNOT_ACCESS_GROUP: ", "401 "},
		"wrong keys": {livemigration.APIKey("public", "private"), "401 ", "401 "},
		"no token":   {bearer("made-up"), "401 ", "401 "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := newClient(t, tc.credentials, livemigration.WithBaseURL(a.URL()), livemigration.WithHTTPClient(hc))
			_, read := client.Migrations.Get(t.Context(), a.ProjectID(), a.migration)
			_, list := client.AvailableProjects.List(t.Context(), a.OrgID())
			for want, err := range map[string]error{"read " + tc.read: read, "list " + tc.list: list} {
				if want = want[len("read "):]; want == "" {
					require.NoError(t, err)
					continue
				}
				require.ErrorIs(t, err, livemigration.ErrUnauthorized)
				require.ErrorContains(t, err, want)
				require.ErrorContains(t, err, advice)
			}
		})
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }
