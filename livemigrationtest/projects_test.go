package livemigrationtest_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go"
	"github.com/livemigration/livemigration-go/livemigrationtest"
)

func TestProjectIDs(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]int{-1: 1, 0: 1, 1: 1, 2: 2, 1000: 1000} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			srv := newServer(t, livemigrationtest.WithProjects(n))
			all := srv.ProjectIDs()
			require.Len(t, all, want)
			first := srv.ProjectID()
			assert.Equal(t, first, all[0])
			seen := make(map[livemigration.ProjectID]bool)
			for _, id := range all {
				require.NoError(t, id.Validate())
				require.NotEqual(t, string(srv.OrgID()), string(id))
				require.False(t, seen[id])
				seen[id] = true
			}
			all[0] = "changed"
			assert.Equal(t, first, srv.ProjectIDs()[0], "a copy")
		})
	}
	assert.Len(t, newServer(t).ProjectIDs(), 1, "by default")
}

// inProject moves a request to another project, in its path and its body.
func inProject(srv *livemigrationtest.Server, r request, project livemigration.ProjectID) request {
	own := string(srv.ProjectID())
	r.path, r.body = strings.ReplaceAll(r.path, own, string(project)), strings.ReplaceAll(r.body, own, string(project))
	return r
}

// To every other project a job does not exist.
func TestJobsOfAnotherProject(t *testing.T) {
	t.Parallel()
	tests := map[livemigrationtest.Operation]livemigrationtest.Operation{
		livemigrationtest.GetValidation: livemigrationtest.CreateValidation,
		livemigrationtest.GetMigration:  livemigrationtest.CreateMigration,
		livemigrationtest.Cutover:       livemigrationtest.CreateMigration,
	}
	for op, start := range tests {
		for _, version := range bothVersions {
			t.Run(string(op)+" "+version, func(t *testing.T) {
				t.Parallel()
				srv := newOpenServer(t, livemigrationtest.WithProjects(2))
				other := srv.ProjectIDs()[1]
				res := send(t, srv, inProject(srv, endpoint(srv, start, version, ""), other))
				require.Less(t, res.status, 300, res.body)
				job, _ := res.object(t)["_id"].(string)
				srv.Advance(2 * time.Hour)

				r := endpoint(srv, op, version, job)
				body := assertError(t, send(t, srv, r), http.StatusNotFound, "RESOURCE_NOT_FOUND")
				unknown := strings.Replace(job, job[:1], "f", 1)
				of := assertError(t, send(t, srv, endpoint(srv, op, version, unknown)), http.StatusNotFound, "RESOURCE_NOT_FOUND")
				assert.Equal(t, strings.ReplaceAll(fmt.Sprint(of), unknown, job), fmt.Sprint(body), "as if there were none")

				res = send(t, srv, inProject(srv, r, other))
				require.Less(t, res.status, 300, res.body)
				if res.body != "" && op != livemigrationtest.GetMigration { // whose response names no project
					assert.Equal(t, string(other), res.object(t)["groupId"])
				}
			})
		}
	}
}

func TestProjectOfRequest(t *testing.T) {
	t.Parallel()
	for _, op := range []livemigrationtest.Operation{livemigrationtest.CreateMigration, livemigrationtest.CreateValidation} {
		t.Run(string(op), func(t *testing.T) {
			t.Parallel()
			srv := newOpenServer(t, livemigrationtest.WithProjects(2))
			all := srv.ProjectIDs()
			r := inProject(srv, endpoint(srv, op, v2Prefix, ""), all[1])
			r.body = strings.ReplaceAll(r.body, string(all[1]), string(all[0]))
			res := send(t, srv, r)
			assertError(t, res, http.StatusBadRequest, "VALIDATION_ERROR")
			assert.Equal(t, []string{"destination.groupId"}, res.fields(t))
			r = inProject(srv, endpoint(srv, op, v2Prefix, ""), "ffffffffffffffffffffffff")
			assertError(t, send(t, srv, r), http.StatusNotFound, "GROUP_NOT_FOUND")
			assert.Empty(t, srv.Migrations())
			assert.Empty(t, srv.Validations())
		})
	}
}

// The client in each of several projects.
func TestClientInProjects(t *testing.T) {
	t.Parallel()
	srv := newServer(t, livemigrationtest.WithInProcess(), livemigrationtest.WithProjects(3))
	client := newClient(t, srv)
	for i, project := range srv.ProjectIDs() {
		req := srv.SampleRequest()
		req.Destination.ProjectID = project
		validation, err := client.Validations.Create(t.Context(), project, req)
		require.NoError(t, err)
		assert.Equal(t, project, validation.ProjectID)
		assert.Equal(t, project, srv.Validations()[i].ProjectID)
		migration, err := client.Migrations.Create(t.Context(), project, req)
		require.NoError(t, err)
		for _, asked := range srv.ProjectIDs() {
			_, err = client.Migrations.Get(t.Context(), asked, migration.ID)
			if asked == project {
				require.NoError(t, err)
			} else {
				require.ErrorIs(t, err, livemigration.ErrNotFound)
			}
		}
	}
}

// Each project has its own bucket.
func TestRateLimitOfProjects(t *testing.T) {
	t.Parallel()
	srv := newOpenServer(t, livemigrationtest.WithProjects(2),
		livemigrationtest.WithRateLimit(livemigrationtest.Bucket{Capacity: 1}))
	for _, project := range srv.ProjectIDs() {
		r := inProject(srv, createRequest(srv), project)
		assert.Equal(t, http.StatusCreated, send(t, srv, r).status)
		assert.Equal(t, http.StatusTooManyRequests, send(t, srv, r).status)
	}
}

func TestAvailableProjects(t *testing.T) {
	t.Parallel()
	for _, version := range bothVersions {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			srv := newOpenServer(t)
			list := func() string {
				return send(t, srv, endpoint(srv, livemigrationtest.ListAvailableProjects, version, "")).body
			}
			assert.Equal(t, "[]", list())
			send(t, srv, endpoint(srv, livemigrationtest.CreateLinkToken, version, ""))
			assert.Equal(t, 1, srv.LinkTokenCount())
			var projects []map[string]any
			require.NoError(t, json.Unmarshal([]byte(list()), &projects))
			require.NotEmpty(t, projects)
			assert.ElementsMatch(t, []string{"name", "projectId", "migrationHosts", "deployments"}, keys(projects[0]))
			deployments, _ := projects[0]["deployments"].([]any)
			require.NotEmpty(t, deployments)
			deployment, _ := deployments[0].(map[string]any)
			assert.ElementsMatch(t, []string{
				"clusterId", "name", "mongoDBVersion", "featureCompatibilityVersion", "agentVersion", "managed", "sharded",
				"shardsSize", "tlsEnabled", "dbSizeBytes", "oplogSizeMB",
			}, keys(deployment))
			send(t, srv, endpoint(srv, livemigrationtest.CreateLinkToken, version, ""))
			assert.Equal(t, 2, srv.LinkTokenCount())
			assert.Equal(t, 204, send(t, srv, endpoint(srv, livemigrationtest.DeleteLinkToken, version, "")).status)
			assert.Equal(t, 0, srv.LinkTokenCount())
			assert.Equal(t, "[]", list())
			res := send(t, srv, endpoint(srv, livemigrationtest.DeleteLinkToken, version, ""))
			assert.Equal(t, http.StatusNotFound, res.status)
			assert.Contains(t, res.body, `"errorCode":"UNEXPECTED_ERROR","parameters":null`)
		})
	}
}

func keys(m map[string]any) []string {
	var out []string
	for k := range m {
		out = append(out, k)
	}
	return out
}

// Whoever mixes up two servers notices.
func TestIDsDifferBetweenServers(t *testing.T) {
	t.Parallel()
	ids := func(srv *livemigrationtest.Server) []string {
		out := []string{
			string(srv.OrgID()), string(srv.ProjectID()), string(srv.SourceOrgID()), string(srv.SampleRequest().Source.ProjectID),
			create(t, srv, livemigrationtest.CreateMigration), create(t, srv, livemigrationtest.CreateValidation),
		}
		for _, id := range out {
			require.NoError(t, livemigration.MigrationID(id).Validate())
		}
		return out
	}
	a, b := ids(newOpenServer(t)), ids(newOpenServer(t))
	seen := make(map[string]bool)
	for _, id := range append(a, b...) {
		assert.False(t, seen[id], id)
		seen[id] = true
	}
}

// While a migration runs, the link stays.
func TestDeleteLinkTokenWhileMigrating(t *testing.T) {
	t.Parallel()
	srv := newOpenServer(t, livemigrationtest.WithProjects(3))
	projects := srv.ProjectIDs()
	remove := endpoint(srv, livemigrationtest.DeleteLinkToken, v2Prefix, "")
	send(t, srv, endpoint(srv, livemigrationtest.CreateLinkToken, v2Prefix, ""))
	for _, project := range []livemigration.ProjectID{projects[2], projects[0], projects[2]} {
		require.Equal(t, http.StatusCreated, send(t, srv, inProject(srv, createRequest(srv), project)).status)
	}
	expect := func(list string) {
		body := assertError(t, send(t, srv, remove), 409, "CANNOT_DELETE_ORG_ACTIVE_LIVE_MIGRATION_ATLAS_ORG_LINK")
		assert.Equal(t, "Cannot delete organization link while there is active migration in following project ids: "+list, body["detail"])
		assert.Equal(t, 1, srv.LinkTokenCount())
	}
	expect(string(projects[0] + ", " + projects[2]))
	all := srv.Migrations()
	require.NoError(t, srv.FailMigration(all[0].ID))
	srv.Advance(2 * time.Hour)
	require.NoError(t, srv.ExpireMigration(all[1].ID))
	expect(string(projects[2]))
	require.Equal(t, http.StatusAccepted, send(t, srv, inProject(srv, endpoint(srv, livemigrationtest.Cutover, v2Prefix, string(all[2].ID)), projects[2])).status)
	expect(string(projects[2]))
	srv.Advance(srv.Timings().Finishing)
	assert.Equal(t, http.StatusNoContent, send(t, srv, remove).status)
}
