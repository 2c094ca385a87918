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
		livemigrationtest.CreateLinkToken:       {200, 201},
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
		for _, name := range []string{"X-MongoDB-Service-Version", "X-Java-Method", "X-Request-Id"} {
			assert.NotEmpty(t, res.header.Get(name), name)
		}
		if status == 204 || status == 202 {
			assert.Empty(t, res.body)
			assert.Empty(t, res.header.Get("Content-Type"))
			return
		}
		assert.Equal(t, r.header["Accept"], res.header.Get("Content-Type"))
		assert.True(t, json.Valid([]byte(res.body)))
	})
}

func TestMediaTypesV2(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		accept, contentType string // empty: none; = : the right one
		status              int
		code                string
	}{
		"right":                        {"=", "=", 0, ""},
		"no Accept":                    {"", "=", 400, "INVALID_VERSION_DATE"},
		"no date":                      {"application/vnd.atlas+json", "=", 400, "INVALID_VERSION_DATE"},
		"impossible date":              {"application/vnd.atlas.2023-13-01+json", "=", 400, "INVALID_VERSION_DATE"},
		"no date but a word":           {"application/vnd.atlas.preview+json", "=", 400, "INVALID_VERSION_DATE"},
		"unknown date":                 {"application/vnd.atlas.2022-01-01+json", "=", 400, "INVALID_VERSION_DATE"},
		"later date":                   {"application/vnd.atlas.2025-03-12+json", "=", 400, "INVALID_VERSION_DATE"},
		"anything":                     {"*/*", "=", 406, "NOT_ACCEPTABLE"},
		"plain JSON":                   {"application/json", "=", 406, "NOT_ACCEPTABLE"},
		"CSV":                          {"application/vnd.atlas.2023-01-01+csv", "=", 406, "NOT_ACCEPTABLE"},
		"malformed":                    {"json please", "=", 406, "NOT_ACCEPTABLE"},
		"among others":                 {"text/html, =;q=0.5", "=", 0, ""},
		"no Content-Type":              {"=", "", 415, "UNSUPPORTED_MEDIA_TYPE"},
		"Content-Type JSON":            {"=", "application/json", 415, "UNSUPPORTED_MEDIA_TYPE"},
		"Content-Type of another date": {"=", "application/vnd.atlas.2022-01-01+json", 415, "UNSUPPORTED_MEDIA_TYPE"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, op := range allOperations {
				srv := newOpenServer(t)
				r := prepare(t, srv, op, v2Prefix)
				right := r.header["Accept"]
				r = r.with("Accept", strings.ReplaceAll(tt.accept, "=;", right+";"))
				if tt.accept == "=" {
					r = r.with("Accept", right)
				}
				if r.body != "" && tt.contentType != "=" {
					r = r.with("Content-Type", tt.contentType)
				}
				res := send(t, srv, r)
				if tt.status == 0 || r.body == "" && tt.status == 415 {
					assert.Less(t, res.status, 300, "%s: %s", op, res.body)
					continue
				}
				assertError(t, res, tt.status, tt.code)
			}
		})
	}
}

func TestVersionGone(t *testing.T) {
	t.Parallel()
	for _, op := range []livemigrationtest.Operation{livemigrationtest.CreateMigration, livemigrationtest.CreateValidation} {
		t.Run(string(op), func(t *testing.T) {
			t.Parallel()
			srv := newOpenServer(t)
			r := endpoint(srv, op, v2Prefix, "").with("Accept", media2023).with("Content-Type", media2023)
			body := assertError(t, send(t, srv, r), 410, "VERSION_GONE")
			assert.Equal(t, []any{"2023-01-01", strings.TrimPrefix(r.path, "/")}, body["parameters"])
		})
	}
}

func TestMediaTypesV1(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		accept, contentType string
		status              int
	}{
		"right":               {mediaV1, mediaV1, 201},
		"anything":            {"*/*", mediaV1, 201},
		"no Accept":           {"", mediaV1, 201},
		"any application":     {"text/html, application/*;q=0.1", mediaV1, 201},
		"of v2":               {media2023, mediaV1, 406},
		"HTML":                {"text/html", mediaV1, 406},
		"no Content-Type":     {mediaV1, "", 415},
		"Content-Type of v2":  {mediaV1, media2023, 415},
		"Content-Type a form": {mediaV1, "application/x-www-form-urlencoded", 415},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := newOpenServer(t)
			r := endpoint(srv, livemigrationtest.CreateLinkToken, v1Prefix, "")
			res := send(t, srv, r.with("Accept", tt.accept).with("Content-Type", tt.contentType))
			assert.Equal(t, tt.status, res.status, res.body)
		})
	}
}

// assertError checks the whole form of an error.
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
	assert.NotEmpty(t, res.header.Get("X-Request-Id"))
	return body
}

func TestIDs(t *testing.T) {
	t.Parallel()
	const unknown = "ffffffffffffffffffffffff"
	malformed := map[string]string{
		"short": "abc", "long": unknown + "f", "upper case": "FFFFFFFFFFFFFFFFFFFFFFFF", "not hexadecimal": "gggggggggggggggggggggggg",
		"escaped": "%66fffffffffffffffffffffff", "empty": "",
	}
	forEachOperation(t, func(t *testing.T, srv *livemigrationtest.Server, op livemigrationtest.Operation, version string) {
		r := prepare(t, srv, op, version)
		segments := strings.Split(r.path, "/")
		kind, scope := segments[4], segments[5]
		replace := func(old, id string) request {
			r := r
			r.path = strings.Replace(r.path, old, id, 1)
			return r
		}
		name, code := "orgId", "RESOURCE_NOT_FOUND"
		if kind == "groups" {
			name, code = "groupId", "GROUP_NOT_FOUND"
		}
		for what, id := range malformed {
			res := send(t, srv, replace(scope, id))
			assertError(t, res, 400, "INVALID_ATTRIBUTE")
			assert.Equal(t, []string{name}, res.fields(t), what)
		}
		assertError(t, send(t, srv, replace(scope, unknown)), 404, code)

		job := jobOf(segments)
		if job == "" {
			return
		}
		name = "liveMigrationId"
		if op == livemigrationtest.GetValidation {
			name = "validationId"
		}
		for what, id := range malformed {
			res := send(t, srv, replace(job, id))
			assertError(t, res, 400, "INVALID_ATTRIBUTE")
			assert.Equal(t, []string{name}, res.fields(t), what)
		}
		body := assertError(t, send(t, srv, replace(job, unknown)), 404, "RESOURCE_NOT_FOUND")
		assert.Equal(t, []any{unknown}, body["parameters"])
	})
}

// jobOf finds the second id of a path.
func jobOf(segments []string) string {
	for _, s := range segments[6:] {
		if len(s) == 24 {
			return s
		}
	}
	return ""
}

func TestRoutes(t *testing.T) {
	t.Parallel()
	srv := newOpenServer(t)
	org := "/orgs/" + string(srv.OrgID()) + "/liveMigrations"
	group := "/groups/" + string(srv.ProjectID()) + "/liveMigrations"
	tests := []struct {
		method, path string
		status       int
		allow        string
	}{
		{"GET", "/", 404, ""},
		{"GET", "/api/atlas/v2", 404, ""},
		{"GET", "/api/atlas/v3" + org + "/availableProjects", 404, ""},
		{"GET", "/api/public/v1.0" + org + "/availableProjects", 404, ""},
		{"GET", v2Prefix + org + "/availableProjects/", 404, ""},
		{"GET", v2Prefix + org + "/availableprojects", 404, ""},
		{"GET", v2Prefix + "/" + org + "/availableProjects", 404, ""},
		{"GET", v2Prefix + org, 404, ""},
		{"GET", v2Prefix + group + "/0123456789abcdef01234567/more", 404, ""},
		{"GET", v2Prefix + org + "/linkTokens", 405, "DELETE, POST"},
		{"HEAD", v2Prefix + org + "/availableProjects", 405, "GET"},
		{"POST", v2Prefix + org + "/availableProjects", 405, "GET"},
		{"GET", v2Prefix + group, 405, "POST"},
		{"GET", v2Prefix + group + "/validate", 405, "POST"},
		{"DELETE", v2Prefix + group + "/validate/0123456789abcdef01234567", 405, "GET"},
		{"DELETE", v1Prefix + group + "/0123456789abcdef01234567", 405, "GET"},
		{"POST", v1Prefix + group + "/0123456789abcdef01234567/cutover", 405, "PUT"},
	}
	for _, tt := range tests {
		t.Run(tt.method+" "+tt.path, func(t *testing.T) {
			t.Parallel()
			res := send(t, srv, request{method: tt.method, path: tt.path, header: map[string]string{"Accept": media2023}})
			require.Equal(t, tt.status, res.status)
			assert.Equal(t, tt.allow, res.header.Get("Allow"))
			if tt.method == http.MethodHead {
				assert.Empty(t, res.body)
				return
			}
			code := map[int]string{404: "RESOURCE_NOT_FOUND", 405: "METHOD_NOT_ALLOWED"}[tt.status]
			assertError(t, res, tt.status, code)
		})
	}
}

func TestEnvelope(t *testing.T) {
	t.Parallel()
	forEachOperation(t, func(t *testing.T, srv *livemigrationtest.Server, op livemigrationtest.Operation, version string) {
		plain := send(t, srv, prepare(t, srv, op, version))

		srv = newOpenServer(t)
		r := prepare(t, srv, op, version)
		r.path += "?envelope=true"
		res := send(t, srv, r)
		var body struct {
			Status  int
			Content json.RawMessage
		}
		require.NoError(t, json.Unmarshal([]byte(res.body), &body), res.body)
		assert.Equal(t, plain.status, body.Status)
		assert.Equal(t, r.header["Accept"], res.header.Get("Content-Type"))
		switch {
		case plain.status == http.StatusNoContent:
			assert.Equal(t, http.StatusOK, res.status)
			assert.Equal(t, "null", string(body.Content))
		case plain.body == "":
			assert.Equal(t, plain.status, res.status)
			assert.Equal(t, "null", string(body.Content))
		default:
			assert.Equal(t, plain.status, res.status)
			if op != livemigrationtest.CreateLinkToken { // two of them are never the same
				assert.JSONEq(t, plain.body, string(body.Content))
			}
		}
	})
}

func TestEnvelopeOfError(t *testing.T) {
	t.Parallel()
	srv := newOpenServer(t)
	r := endpoint(srv, livemigrationtest.GetMigration, v2Prefix, "0123456789abcdef01234567")
	r.path += "?envelope=true"
	res := send(t, srv, r)
	assert.Equal(t, http.StatusNotFound, res.status)
	body := res.object(t)
	assert.EqualValues(t, 404, body["status"])
	content, _ := body["content"].(map[string]any)
	assert.Equal(t, "RESOURCE_NOT_FOUND", content["errorCode"])
}

func TestPretty(t *testing.T) {
	t.Parallel()
	srv := newOpenServer(t)
	r := prepare(t, srv, livemigrationtest.GetMigration, v2Prefix)
	plain := send(t, srv, r)
	assert.NotContains(t, plain.body, "\n")
	r.path += "?pretty=true&unknown=1"
	pretty := send(t, srv, r)
	assert.Contains(t, pretty.body, "{\n  \"_id\"")
	assert.JSONEq(t, plain.body, pretty.body)
}

func TestQueryFlags(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"pretty", "envelope"} {
		for value, ok := range map[string]bool{
			"=true": true, "=false": true, "=": false, "": false, "=1": false, "=True": false, "=true&" + name + "=no": false,
		} {
			t.Run(name+value, func(t *testing.T) {
				t.Parallel()
				srv := newOpenServer(t)
				r := endpoint(srv, livemigrationtest.ListAvailableProjects, v2Prefix, "")
				r.path += "?" + name + value
				res := send(t, srv, r)
				if ok {
					assert.Equal(t, http.StatusOK, res.status)
					return
				}
				assert.Equal(t, http.StatusBadRequest, res.status)
				assert.Regexp(t, `"field": ?"`+name+`"`, res.body)
			})
		}
	}
}

// The bodies as they stand in each version.
func TestAnswers(t *testing.T) {
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
	assert.Equal(t, strings.Replace(wantValidation, validation, migration, 1),
		ask(livemigrationtest.Cutover, v1Prefix, migration))
}

func TestDocumentedAnswers(t *testing.T) {
	t.Parallel()
	srv := newOpenServer(t, livemigrationtest.WithDocumentedAnswers())
	for version, want := range map[string][2]string{
		v1Prefix: {`^\{"linkToken":\["[A-Z2-7]{52}"\]\}$`, `"migrationHosts":"vm001.example.com"`},
		v2Prefix: {`^\{"linkToken":"[A-Z2-7]{52}"\}$`, `"migrationHosts":["vm001.example.com"]`},
	} {
		assert.Regexp(t, want[0], send(t, srv, endpoint(srv, livemigrationtest.CreateLinkToken, version, "")).body)
		assert.Contains(t, send(t, srv, endpoint(srv, livemigrationtest.CreateMigration, version, "")).body, want[1])
	}
}

func TestSeveralHostsInV1(t *testing.T) {
	t.Parallel()
	srv := newOpenServer(t, livemigrationtest.WithDocumentedAnswers())
	r := endpoint(srv, livemigrationtest.CreateMigration, v1Prefix, "")
	r.body = strings.Replace(r.body, `["vm001.example.com"]`, `["a.example.com","b.example.com"]`, 1)
	res := send(t, srv, r)
	require.Equal(t, http.StatusCreated, res.status)
	assert.Contains(t, res.body, `"migrationHosts":["a.example.com","b.example.com"]`)
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
			assert.Equal(t, 1, srv.LinkTokens())
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
			assert.Equal(t, 2, srv.LinkTokens())
			assert.Equal(t, 204, send(t, srv, endpoint(srv, livemigrationtest.DeleteLinkToken, version, "")).status)
			assert.Equal(t, 0, srv.LinkTokens())
			assert.Equal(t, "[]", list())
			assertError(t, send(t, srv, endpoint(srv, livemigrationtest.DeleteLinkToken, version, "")), 404, "RESOURCE_NOT_FOUND")
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
