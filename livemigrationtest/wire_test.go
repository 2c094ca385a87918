package livemigrationtest_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go/livemigrationtest"
)

// prepare makes what the operation needs to succeed and returns its request.
func prepare(t *testing.T, srv *livemigrationtest.Server, op livemigrationtest.Operation, version string) request {
	t.Helper()
	job := ""
	switch op {
	case livemigrationtest.DeleteLinkToken:
		send(t, srv, endpoint(srv, livemigrationtest.CreateLinkToken, v2Prefix, ""))
	case livemigrationtest.GetValidation:
		job = create(t, srv, livemigrationtest.CreateValidation)
	case livemigrationtest.GetMigration, livemigrationtest.Cutover:
		job = create(t, srv, livemigrationtest.CreateMigration)
		srv.Advance(srv.Timings().Scheduling + srv.Timings().InitialSync)
	}
	return endpoint(srv, op, version, job)
}

// forEachOperation runs a test for every endpoint in both versions, each with its own server.
func forEachOperation(t *testing.T, test func(t *testing.T, srv *livemigrationtest.Server, op livemigrationtest.Operation, version string)) {
	t.Helper()
	for _, op := range allOperations {
		for _, version := range bothVersions {
			t.Run(string(op)+" "+version, func(t *testing.T) {
				t.Parallel()
				test(t, newOpenServer(t), op, version)
			})
		}
	}
}

func TestSuccess(t *testing.T) {
	t.Parallel()
	type want struct{ v2, v1 int }
	wants := map[livemigrationtest.Operation]want{
		livemigrationtest.CreateLinkToken:       {201, 201},
		livemigrationtest.DeleteLinkToken:       {204, 204},
		livemigrationtest.ListAvailableProjects: {200, 200},
		livemigrationtest.CreateValidation:      {200, 201},
		livemigrationtest.GetValidation:         {200, 200},
		livemigrationtest.CreateMigration:       {201, 201},
		livemigrationtest.GetMigration:          {200, 200},
		livemigrationtest.Cutover:               {202, 200},
	}
	forEachOperation(t, func(t *testing.T, srv *livemigrationtest.Server, op livemigrationtest.Operation, version string) {
		r := prepare(t, srv, op, version)
		res := send(t, srv, r)
		status := wants[op].v2
		if version == v1Prefix {
			status = wants[op].v1
		}
		require.Equal(t, status, res.status, res.body)
		for _, name := range []string{"X-MongoDB-Service-Version", "X-Java-Method"} {
			assert.NotEmpty(t, res.header.Get(name), name)
		}
		assert.Equal(t, responseType(r, res), res.header.Get("Content-Type"))
		if status == 204 || status == 202 {
			assert.Empty(t, res.body)
			return
		}
		assert.True(t, json.Valid([]byte(res.body)))
	})
}

// responseType is the Content-Type that a successful response has to have: in v1.0 none without a body.
func responseType(r request, res result) string {
	switch {
	case r.header["Accept"] != mediaV1:
		return r.header["Accept"] + ";charset=utf-8"
	case res.body == "":
		return ""
	default:
		return mediaV1
	}
}

// assertError checks the whole form of an error other than a 401.
func assertError(t *testing.T, res result, status int, code string) map[string]any {
	t.Helper()
	require.Equal(t, status, res.status, res.body)
	body := res.object(t)
	assert.EqualValues(t, status, body["error"])
	assert.Equal(t, code, body["errorCode"], res.body)
	assert.Equal(t, http.StatusText(status), body["reason"])
	assert.NotEmpty(t, body["detail"])
	assert.IsType(t, []any{}, body["parameters"])
	assert.Equal(t, "application/json", res.header.Get("Content-Type"))
	assert.Equal(t, code, res.header.Get("X-Error-Code"))
	return body
}

// The bodies as they stand in each version.
func TestResponses(t *testing.T) {
	t.Parallel()
	srv := newOpenServer(t)
	ask := func(op livemigrationtest.Operation, version, job string) string {
		res := send(t, srv, endpoint(srv, op, version, job))
		require.Less(t, res.status, 300, res.body)
		return res.body
	}
	validation := create(t, srv, livemigrationtest.CreateValidation)
	migration := create(t, srv, livemigrationtest.CreateMigration)
	srv.Advance(srv.Timings().Scheduling + srv.Timings().InitialSync)

	assert.Regexp(t, `^\{"linkToken":"[A-Z2-7]{52}"\}$`, ask(livemigrationtest.CreateLinkToken, v2Prefix, ""))
	assert.Regexp(t, `^\{"linkToken":"[A-Z2-7]{52}"\}$`, ask(livemigrationtest.CreateLinkToken, v1Prefix, ""))
	wantValidation := `{"_id":"` + validation + `","groupId":"` + string(srv.ProjectID()) +
		`","sourceGroupId":"` + sourceProject + `","status":"SUCCESS"}`
	assert.Equal(t, wantValidation, ask(livemigrationtest.GetValidation, v2Prefix, validation))
	assert.Equal(t, wantValidation, ask(livemigrationtest.GetValidation, v1Prefix, validation))
	for _, version := range bothVersions {
		assert.Equal(t, `{"_id":"`+migration+`","status":"WORKING","readyForCutover":true,`+
			`"migrationHosts":["vm001.example.com"],"lagTimeSeconds":1}`, ask(livemigrationtest.GetMigration, version, migration))
	}
	pending := strings.NewReplacer(validation, migration, "SUCCESS", "PENDING").Replace(wantValidation)
	assert.Equal(t, pending, ask(livemigrationtest.Cutover, v1Prefix, migration))
}

func TestDocumentedResponses(t *testing.T) {
	t.Parallel()
	srv := newOpenServer(t, livemigrationtest.WithDocumentedResponses())
	for version, want := range map[string]struct {
		status       int
		token, hosts string
	}{
		v1Prefix: {201, `^\{"linkToken":\["[A-Z2-7]{52}"\]\}$`, `"migrationHosts":"vm001.example.com"`},
		v2Prefix: {200, `^\{"linkToken":"[A-Z2-7]{52}"\}$`, `"migrationHosts":["vm001.example.com"]`},
	} {
		token := send(t, srv, endpoint(srv, livemigrationtest.CreateLinkToken, version, ""))
		assert.Equal(t, want.status, token.status)
		assert.Regexp(t, want.token, token.body)
		assert.Contains(t, send(t, srv, endpoint(srv, livemigrationtest.CreateMigration, version, "")).body, want.hosts)
	}
}

func TestSeveralHostsInV1(t *testing.T) {
	t.Parallel()
	srv := newOpenServer(t, livemigrationtest.WithDocumentedResponses())
	r := endpoint(srv, livemigrationtest.CreateMigration, v1Prefix, "")
	r.body = strings.Replace(r.body, `["vm001.example.com"]`, `["a.example.com","b.example.com"]`, 1)
	res := send(t, srv, r)
	require.Equal(t, http.StatusCreated, res.status)
	assert.Contains(t, res.body, `"migrationHosts":["a.example.com","b.example.com"]`)
}
