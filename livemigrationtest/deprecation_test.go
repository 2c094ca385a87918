package livemigrationtest_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go/livemigrationtest"
)

func assertDeprecation(t *testing.T, res result, deprecation, sunset string) {
	t.Helper()
	assert.Equal(t, deprecation, res.header.Get("Deprecation"))
	assert.Equal(t, sunset, res.header.Get("Sunset"))
}

func TestDeprecate(t *testing.T) {
	t.Parallel()
	east := time.FixedZone("east", 5*60*60)
	deprecated, sunset := time.Date(2025, 5, 30, 4, 5, 6, 7, east), time.Date(2026, 11, 1, 2, 0, 0, 0, east)
	const at, end = "@1748559906", "Sat, 31 Oct 2026 21:00:00 GMT"
	tests := map[string]struct {
		deprecated, sunset         time.Time
		wantDeprecated, wantSunset string
	}{
		"both":       {deprecated, sunset, at, end},
		"deprecated": {deprecated, time.Time{}, at, ""},
		"sunset":     {time.Time{}, sunset, "", end},
		"neither":    {time.Time{}, time.Time{}, "", ""},
		"the epoch":  {time.Unix(0, 0), time.Time{}, "@0", ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			forEachOperation(t, func(t *testing.T, srv *livemigrationtest.Server, op livemigrationtest.Operation, version string) {
				r := prepare(t, srv, op, version)
				srv.Deprecate(op, tt.deprecated, tt.sunset)
				res := send(t, srv, r)
				require.Less(t, res.status, 300, "it works: %s", res.body)
				assertDeprecation(t, res, tt.wantDeprecated, tt.wantSunset)
			})
		})
	}
}

func TestDeprecationOfOneOperation(t *testing.T) {
	t.Parallel()
	srv := newOpenServer(t)
	get := endpoint(srv, livemigrationtest.GetMigration, v2Prefix, "0123456789abcdef01234567")
	assertDeprecation(t, send(t, srv, get), "", "")
	srv.Deprecate(livemigrationtest.GetMigration, time.Unix(1, 0), time.Time{})
	res := send(t, srv, get)
	assert.Equal(t, http.StatusNotFound, res.status)
	assertDeprecation(t, res, "@1", "")
	assertDeprecation(t, send(t, srv, endpoint(srv, livemigrationtest.ListAvailableProjects, v2Prefix, "")), "", "")
	srv.Inject(livemigrationtest.GetMigration, livemigrationtest.RawStatus(502, "", ""), 1)
	assertDeprecation(t, send(t, srv, get), "", "") // not from Atlas

	srv.Deprecate(livemigrationtest.GetMigration, time.Unix(2, 0), time.Unix(3, 0))
	assertDeprecation(t, send(t, srv, get), "@2", "Thu, 01 Jan 1970 00:00:03 GMT")
	srv.Deprecate(livemigrationtest.GetMigration, time.Time{}, time.Time{})
	assertDeprecation(t, send(t, srv, get), "", "")
}
