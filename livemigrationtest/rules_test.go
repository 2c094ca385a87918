package livemigrationtest_test

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go/livemigrationtest"
)

func TestPaths(t *testing.T) {
	t.Parallel()
	srv := newOpenServer(t)
	group, org := v2Prefix+"/groups/"+string(srv.ProjectID())+"/liveMigrations", v2Prefix+"/orgs/"+string(srv.OrgID())+"/liveMigrations"
	none := strings.Repeat("f", 24)
	for _, tt := range []struct {
		method, path string
		status       int
		code         string
	}{
		{"GET", "/", 404, "RESOURCE_NOT_FOUND"},
		{"GET", "/api/atlas/v3/orgs", 404, "RESOURCE_NOT_FOUND"},
		{"GET", group + "/" + none + "/", 404, "RESOURCE_NOT_FOUND"},
		{"GET", group + "/" + none, 404, "RESOURCE_NOT_FOUND"},
		{"GET", group + "/validate/" + none, 404, "RESOURCE_NOT_FOUND"},
		{"GET", group + "/x", 400, "INVALID_ATTRIBUTE"},
		{"PATCH", group, 405, "METHOD_NOT_ALLOWED"},
		{"GET", group + "/validate", 400, "INVALID_ATTRIBUTE"},
		{"GET", strings.Replace(group, string(srv.ProjectID()), none, 1) + "/" + none, 404, "GROUP_NOT_FOUND"},
		{"GET", strings.Replace(group, string(srv.ProjectID()), "x", 1) + "/" + none, 404, "INVALID_GROUP_ID"},
		{"GET", strings.Replace(org, string(srv.OrgID()), none, 1) + "/availableProjects", 404, "ORG_NOT_FOUND"},
		{"GET", strings.Replace(org, string(srv.OrgID()), strings.ToUpper(string(srv.OrgID())), 1) + "/availableProjects", 404, "INVALID_ORG_ID"},
	} {
		res := send(t, srv, request{method: tt.method, path: tt.path, header: map[string]string{"Accept": media2023}})
		assertError(t, res, tt.status, tt.code)
		assert.Equal(t, tt.status == 405, res.header.Get("Allow") != "", tt.path)
	}
}

func TestMediaTypes(t *testing.T) {
	t.Parallel()
	srv := newOpenServer(t)
	for _, tt := range []struct {
		prefix, accept, content string
		want                    int
		response                string // the version of the response; a status of its own has none
	}{
		{v2Prefix, media2024, media2024, 201, media2024},
		{v2Prefix, media2024 + "; q=1", "application/json", 201, media2024},
		{v2Prefix, "text/html, " + media2024, media2024 + "; charset=utf-8", 201, media2024},
		{v2Prefix, "application/vnd.atlas.2099-01-01+json", media2024, 201, media2024},
		{v2Prefix, media2024, "application/vnd.atlas.2025-01-01+json", 201, media2024},
		{v2Prefix, media2023, media2024, 415, ""},
		{v2Prefix, media2024, media2023, 415, ""},
		{v2Prefix, media2024, "", 415, ""},
		{v2Prefix, "", media2024, 400, ""},
		{v2Prefix, "application/vnd.atlas.2022-01-01+json", media2024, 400, ""},
		{v2Prefix, "application/vnd.atlas.x+json", media2024, 400, ""},
		{v2Prefix, "application/json", media2024, 406, ""},
		{v1Prefix, "application/json", "application/json; charset=utf-8", 201, mediaV1},
		{v1Prefix, "", "application/json", 201, mediaV1},
		{v1Prefix, "application/json", media2024, 415, ""},
	} {
		r := endpoint(srv, livemigrationtest.CreateMigration, tt.prefix, "").with("Accept", tt.accept).with("Content-Type", tt.content)
		res := send(t, srv, r)
		assert.Equal(t, tt.want, res.status, "%+v: %s", tt, res.body)
		if tt.response != "" {
			assert.Contains(t, res.header.Get("Content-Type"), tt.response)
			assert.Empty(t, res.header.Get("Deprecation"))
		}
	}
	res := send(t, srv, changed2023(endpoint(srv, livemigrationtest.CreateMigration, v2Prefix, "")))
	assert.Equal(t, 201, res.status)
	assert.Equal(t, "Mon, 5 Aug 2024 00:00:00 GMT", res.header.Get("Deprecation"), "as Atlas writes it")
	assert.Equal(t, "Thu, 1 Jul 2027 00:00:00 GMT", res.header.Get("Sunset"))
}

func TestMalformedBodies(t *testing.T) {
	t.Parallel()
	srv := newOpenServer(t)
	for name, tt := range map[string]struct {
		body   string
		status int
		code   string
	}{
		"none":             {"", 400, "INVALID_JSON"},
		"half":             {`{"accessListIps":["192.0.2.1"]`, 400, "INVALID_JSON"},
		"two values":       {`{"accessListIps":["192.0.2.1"]}{}`, 400, "INVALID_JSON"},
		"not UTF-8":        {"{\"accessListIps\":[\"\xff\"]}", 400, "INVALID_JSON"},
		"an array":         {`[]`, 400, "INVALID_JSON"},
		"null":             {`null`, 400, "INVALID_JSON"},
		"an address twice": {`{"accessListIps":["192.0.2.1","192.0.2.1"]}`, 400, "INVALID_ATTRIBUTE"},
		"no address":       {`{"accessListIps":["host"]}`, 400, "INVALID_ATTRIBUTE"},
		"null addresses":   {`{"accessListIps":null}`, 400, "INVALID_ATTRIBUTE"},
		"too large":        {`{"accessListIps":["` + strings.Repeat("x", 1<<20) + `"]}`, 413, "REQUEST_ENTITY_TOO_LARGE"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := endpoint(srv, livemigrationtest.CreateLinkToken, v2Prefix, "")
			r.body = tt.body
			res := send(t, srv, r)
			assertError(t, res, tt.status, tt.code)
			assert.NotContains(t, res.body, "192.0.2.1", "no error shows the body")
		})
	}
	r := endpoint(srv, livemigrationtest.ListAvailableProjects, v2Prefix, "")
	r.body = "{}"
	assertError(t, send(t, srv, r), 400, "VALIDATION_ERROR")
	r = endpoint(srv, livemigrationtest.CreateLinkToken, v1Prefix, "")
	r.body = `{"accessListIps":[]}`
	assertError(t, send(t, srv, r), 400, "INVALID_ATTRIBUTE")
}

func TestEnvelopeAndPretty(t *testing.T) {
	t.Parallel()
	srv := newOpenServer(t)
	id := create(t, srv, livemigrationtest.CreateMigration)
	srv.Advance(2 * time.Hour)
	r := endpoint(srv, livemigrationtest.GetMigration, v2Prefix, id)
	r.path += "?pretty=true&envelope=true"
	assert.Contains(t, send(t, srv, r).body, "{\n  \"status\": 200,\n  \"content\": {\n    \"_id\": \""+id+`"`)
	r = endpoint(srv, livemigrationtest.Cutover, v2Prefix, id)
	r.path += "?envelope=true"
	res := send(t, srv, r)
	assert.Equal(t, http.StatusAccepted, res.status)
	assert.JSONEq(t, `{"status":202,"content":null}`, res.body)
	res = send(t, srv, r)
	assert.Equal(t, http.StatusConflict, res.status)
	assert.Contains(t, res.body, `{"status":409,"content":{`)
}

// In v1.0 a cutover responds with a validation; the documentation has further differences.
func TestVersion1(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		opts         []livemigrationtest.Option
		token, hosts string
		status       int // of a link-token in v2
	}{
		"as Atlas": {nil, `{"linkToken":"`, `"migrationHosts":["vm001.example.com"]`, 201},
		"documented": {
			[]livemigrationtest.Option{livemigrationtest.WithDocumentedResponses()}, `{"linkToken":["`,
			`"migrationHosts":"vm001.example.com"`, 200,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := newOpenServer(t, tt.opts...)
			assert.Contains(t, send(t, srv, endpoint(srv, livemigrationtest.CreateLinkToken, v1Prefix, "")).body, tt.token)
			assert.Equal(t, tt.status, send(t, srv, endpoint(srv, livemigrationtest.CreateLinkToken, v2Prefix, "")).status)
			res := send(t, srv, endpoint(srv, livemigrationtest.CreateMigration, v1Prefix, ""))
			assert.Contains(t, res.body, tt.hosts)
			id, _ := res.object(t)["_id"].(string)
			srv.Advance(2 * time.Hour)
			res = send(t, srv, endpoint(srv, livemigrationtest.Cutover, v1Prefix, id))
			assert.Equal(t, 200, res.status)
			want := `{"_id":"` + id + `","groupId":"` + string(srv.ProjectID()) + `","sourceGroupId":"` + sourceProject + `","status":"PENDING"}`
			assert.JSONEq(t, want, res.body)
		})
	}
}

func TestRateLimits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv := newOpenServer(t, livemigrationtest.WithProjects(2), livemigrationtest.WithRateLimit(
			livemigrationtest.Bucket{Capacity: 3, Refill: 2, Per: 10 * time.Second}))
		r := endpoint(srv, livemigrationtest.ListAvailableProjects, v2Prefix, "")
		ask := func(want int, remaining string) result {
			t.Helper()
			res := send(t, srv, r)
			assert.Equal(t, want, res.status)
			assert.Equal(t, "3", res.header.Get("RateLimit-Limit"))
			assert.Equal(t, remaining, res.header.Get("RateLimit-Remaining"))
			return res
		}
		ask(200, "2")
		time.Sleep(4500 * time.Millisecond)
		ask(200, "1")
		ask(200, "0")
		res := ask(429, "0")
		assertError(t, res, 429, "RATE_LIMITED_TOKEN_BUCKET")
		assert.Equal(t, "6", res.header.Get("Retry-After"), "rounded up")
		assert.Equal(t, []any{r.path, 6.0, 3.0, 2.0, 10.0}, res.object(t)["parameters"])
		for _, project := range srv.ProjectIDs() {
			r := endpoint(srv, livemigrationtest.GetMigration, v2Prefix, strings.Repeat("f", 24))
			r.path = strings.Replace(r.path, string(srv.ProjectID()), string(project), 1)
			assert.Equal(t, "2", send(t, srv, r).header.Get("RateLimit-Remaining"), "each project has its own bucket")
		}
		time.Sleep(5500 * time.Millisecond)
		ask(200, "1")
		srv.Advance(time.Hour)
		ask(200, "2")
	})
}

// Responses have the headers even if no limit is enforced; a client must not slow down for them.
func TestRateLimitHeaders(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		opts []livemigrationtest.Option
		left [2]int // after two requests
	}{
		"none enforced": {nil, [2]int{499, 499}},
		"published":     {[]livemigrationtest.Option{livemigrationtest.WithPublishedRateLimits()}, [2]int{499, 498}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := newOpenServer(t, tt.opts...)
			for _, left := range tt.left {
				h := send(t, srv, endpoint(srv, livemigrationtest.DeleteLinkToken, v2Prefix, "")).header
				assert.Equal(t, "500", h.Get("RateLimit-Limit"))
				assert.Equal(t, strconv.Itoa(left), h.Get("RateLimit-Remaining"))
			}
			assert.Equal(t, "1200", send(t, srv, createRequest(srv)).header.Get("RateLimit-Limit"))
		})
	}
}

func TestUpgrade(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv := newOpenServer(t, livemigrationtest.WithUpgrade(time.Minute))
		for _, op := range []livemigrationtest.Operation{
			livemigrationtest.CreateMigration, livemigrationtest.CreateLinkToken, livemigrationtest.DeleteLinkToken,
		} {
			assertError(t, send(t, srv, endpoint(srv, op, v2Prefix, "")), 405, "WRITES_NOT_ALLOWED_DURING_APP_UPGRADES")
		}
		assert.Equal(t, 200, send(t, srv, endpoint(srv, livemigrationtest.ListAvailableProjects, v2Prefix, "")).status)
		assert.Empty(t, srv.Migrations())
		time.Sleep(time.Minute)
		assert.Equal(t, 201, send(t, srv, createRequest(srv)).status)
	})
}

func TestJobsBelongToTheirProject(t *testing.T) {
	t.Parallel()
	srv := newOpenServer(t, livemigrationtest.WithProjects(2))
	require.Len(t, srv.ProjectIDs(), 2)
	for creates, ops := range map[livemigrationtest.Operation][]livemigrationtest.Operation{
		livemigrationtest.CreateMigration:  {livemigrationtest.GetMigration, livemigrationtest.Cutover},
		livemigrationtest.CreateValidation: {livemigrationtest.GetValidation},
	} {
		id := create(t, srv, creates)
		for _, op := range ops {
			r := endpoint(srv, op, v2Prefix, id)
			r.path = strings.Replace(r.path, string(srv.ProjectID()), string(srv.ProjectIDs()[1]), 1)
			assertError(t, send(t, srv, r), 404, "RESOURCE_NOT_FOUND")
		}
	}
}
