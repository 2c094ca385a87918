package livemigrationtest_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go/livemigrationtest"
)

// A read costs the same however many jobs there are.
func BenchmarkGetMigration(b *testing.B) {
	for _, jobs := range []int{1, 10_000} {
		b.Run(fmt.Sprintf("%d jobs", jobs), func(b *testing.B) {
			srv := livemigrationtest.NewServer(livemigrationtest.WithInProcess(), livemigrationtest.WithoutAuthentication())
			defer srv.Close()
			startMigrations(b, srv, jobs)
			last := srv.Migrations()[jobs-1].ID
			req := endpoint(srv, livemigrationtest.GetMigration, v2Prefix, string(last)).build(b, srv.URL())
			transport := srv.Transport()
			for b.Loop() {
				res, err := transport.RoundTrip(req)
				require.NoError(b, err)
				require.Equal(b, http.StatusOK, res.StatusCode)
			}
		})
	}
}

func startMigrations(tb testing.TB, srv *livemigrationtest.Server, count int) {
	tb.Helper()
	for range count {
		res, err := srv.Transport().RoundTrip(createRequest(srv).build(tb, srv.URL()))
		require.NoError(tb, err)
		require.Equal(tb, http.StatusCreated, res.StatusCode)
	}
}
