package livemigrationtest_test

import (
	"fmt"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go"
	"github.com/livemigration/livemigration-go/livemigrationtest"
)

// fromCluster makes the request one for another source cluster, toCluster one for another destination.
func fromCluster(r request, name string) request {
	r.body = strings.Replace(r.body, `"orders"`, `"`+name+`"`, 1)
	return r
}

func toCluster(r request, name string) request {
	r.body = strings.Replace(r.body, `"Cluster0"`, `"`+name+`"`, 1)
	return r
}

func TestFaultsForCluster(t *testing.T) {
	t.Parallel()
	srv := newOpenServer(t)
	create := createRequest(srv)
	srv.ForCluster("b").Inject(livemigrationtest.CreateMigration, livemigrationtest.Status(503), 1)
	srv.ForCluster("b").Inject(livemigrationtest.CreateMigration, livemigrationtest.Status(504).Processed(), 1)
	srv.Inject(livemigrationtest.CreateMigration, livemigrationtest.Status(502), 1)
	for i, want := range []struct {
		request request
		status  int
	}{
		{fromCluster(create, "a"), 502}, {fromCluster(create, "a"), 201}, {fromCluster(create, "b"), 503},
		{toCluster(create, "b"), 504}, {fromCluster(create, "b"), 201},
	} {
		assert.Equal(t, want.status, send(t, srv, want.request).status, "request %d", i)
	}
	assert.Len(t, srv.Migrations(), 3)
	assert.Zero(t, srv.PendingFaultCount())

	srv.ForCluster("b").Inject(livemigrationtest.CreateMigration, livemigrationtest.Status(503), 0)
	srv.ForCluster("b").Inject(livemigrationtest.CreateMigration, livemigrationtest.Fault{}, 1)
	assert.Zero(t, srv.PendingFaultCount())
	srv.ForCluster("").Inject(livemigrationtest.ListAvailableProjects, livemigrationtest.Status(503), 1)
	assert.Equal(t, 503, send(t, srv, endpoint(srv, livemigrationtest.ListAvailableProjects, v2Prefix, "")).status)
}

// The requests about a job are of the clusters of the job.
func TestFaultsForClusterOfJob(t *testing.T) {
	t.Parallel()
	tests := map[livemigrationtest.Operation]livemigrationtest.Operation{
		livemigrationtest.GetMigration:  livemigrationtest.CreateMigration,
		livemigrationtest.Cutover:       livemigrationtest.CreateMigration,
		livemigrationtest.GetValidation: livemigrationtest.CreateValidation,
	}
	for op, create := range tests {
		t.Run(string(op), func(t *testing.T) {
			t.Parallel()
			srv := newOpenServer(t)
			job := func(cluster string) string {
				id, _ := send(t, srv, toCluster(endpoint(srv, create, v2Prefix, ""), cluster)).object(t)["_id"].(string)
				return id
			}
			a, b := job("a"), job("b")
			srv.Advance(2 * time.Hour)
			srv.ForCluster("b").Inject(livemigrationtest.AnyOperation, livemigrationtest.Status(503), 1)
			status := func(id string) int { return send(t, srv, endpoint(srv, op, v2Prefix, id)).status }
			assert.Equal(t, http.StatusNotFound, status("0123456789abcdef01234567"))
			assert.Equal(t, 200, send(t, srv, endpoint(srv, livemigrationtest.ListAvailableProjects, v2Prefix, "")).status)
			assert.Less(t, status(a), 300)
			assert.Equal(t, 503, status(b))
			assert.Less(t, status(b), 300)
		})
	}
}

// Which cluster a creation is for stands in its body, so the connection is reset after that.
func TestResetForCluster(t *testing.T) {
	t.Parallel()
	overBoth(t, func(t *testing.T, srv *livemigrationtest.Server) {
		srv.ForCluster("b").Inject(livemigrationtest.CreateMigration, livemigrationtest.ResetBeforeRequest(), 1)
		require.Equal(t, http.StatusCreated, send(t, srv, createRequest(srv)).status)
		_, _, err := sendBroken(t, srv, toCluster(createRequest(srv), "b"))
		require.ErrorIs(t, err, syscall.ECONNRESET)
		assert.Len(t, srv.Migrations(), 1, "not carried out")
		assert.Equal(t, []int{201, 0}, statuses(srv))
	})
}

func TestFaultForClusterOfBadBody(t *testing.T) {
	t.Parallel()
	srv := newOpenServer(t)
	srv.ForCluster("b").Inject(livemigrationtest.CreateMigration, livemigrationtest.Status(503), 1)
	r := createRequest(srv)
	r.body = "{"
	assertError(t, send(t, srv, r), 400, "INVALID_JSON")
	assert.Equal(t, 1, srv.PendingFaultCount())
}

func TestFailuresForCluster(t *testing.T) {
	t.Parallel()
	srv := newOpenServer(t)
	srv.ForCluster("b").FailNextMigration()
	srv.ForCluster("c").HoldNextMigration(time.Minute)
	srv.ForCluster("b").FailNextValidation("b cannot")
	srv.FailNextValidation("whichever it is")
	for _, cluster := range []string{"a", "b", "c", "b"} {
		require.Equal(t, 201, send(t, srv, fromCluster(createRequest(srv), cluster)).status)
		validate := endpoint(srv, livemigrationtest.CreateValidation, v2Prefix, "")
		require.Equal(t, 200, send(t, srv, fromCluster(validate, cluster)).status)
	}
	srv.Advance(2 * time.Hour)
	var got []look
	for _, m := range srv.Migrations() {
		got = append(got, looks(m))
	}
	assert.Equal(t, []look{isReady, isFailed, lagging(time.Minute), isReady}, got)
	var messages []string
	for _, v := range srv.Validations() {
		messages = append(messages, v.ErrorMessage)
	}
	assert.Equal(t, []string{"whichever it is", "b cannot", "", ""}, messages)
}

func TestOneAtATime(t *testing.T) {
	t.Parallel()
	project := func(name, id string) livemigration.AvailableProject {
		return livemigration.AvailableProject{Name: name, ProjectID: livemigration.ProjectID(strings.Repeat(id, 24))}
	}
	opts := []livemigrationtest.Option{
		livemigrationtest.WithSourceProjects(project("a", "a"), project("b", "b")),
		livemigrationtest.WithSourceOrganization(project("c", "c")),
	}
	from := func(r request, project, host string) request {
		r.body = strings.NewReplacer(sourceProject, strings.Repeat(project, 24), "vm001.example.com", host).Replace(r.body)
		return r
	}
	tests := []struct {
		project, host string
		status        int
		names         string // in the detail of the error
	}{
		{"a", "vm1", 201, ""},
		{"c", "vm1", 409, "migration host vm1"},
		{"a", "vm2", 409, "source organization"},
		{"b", "vm2", 409, "source organization"},
		{"c", "vm2", 201, ""},
		{"d", "vm3", 201, ""},
		{"d", "vm4", 409, "source project dddddddddddddddddddddddd"},
		{"e", "vm4", 201, ""},
	}
	strict, free := newOpenServer(t, append(opts, livemigrationtest.WithOneAtATime())...), newOpenServer(t, opts...)
	for _, tt := range tests {
		what := fmt.Sprint(tt.project, " on ", tt.host)
		res := send(t, strict, from(createRequest(strict), tt.project, tt.host))
		require.Equal(t, tt.status, res.status, what)
		if tt.status == 409 {
			assert.Contains(t, assertError(t, res, 409, "CONFLICT")["detail"], tt.names, what)
		}
		assert.Equal(t, 201, send(t, free, from(createRequest(free), tt.project, tt.host)).status, "by default")
		validate := endpoint(strict, livemigrationtest.CreateValidation, v2Prefix, "")
		assert.Equal(t, 200, send(t, strict, from(validate, tt.project, tt.host)).status, "a validation takes no room")
	}
	assert.Len(t, strict.Migrations(), 4)
	require.NoError(t, strict.FailMigration(strict.Migrations()[0].ID))
	assert.Equal(t, 201, send(t, strict, from(createRequest(strict), "b", "vm1")).status, "once the other has ended")
}
