package livemigrationtest_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go/livemigrationtest"
)

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
