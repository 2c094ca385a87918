package livemigrationtest_test

import (
	"fmt"
	"math"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go/livemigrationtest"
)

func TestNoRateLimit(t *testing.T) {
	t.Parallel()
	for _, capacity := range []int{0, -1} {
		srv := newOpenServer(t, livemigrationtest.WithRateLimit(livemigrationtest.Bucket{Capacity: capacity}))
		res := send(t, srv, endpoint(srv, livemigrationtest.ListAvailableProjects, v2Prefix, ""))
		assert.Equal(t, http.StatusOK, res.status)
		assert.Empty(t, res.header.Values("RateLimit-Limit"))
		assert.Empty(t, res.header.Values("RateLimit-Remaining"))
	}
}

func TestRateLimit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv := newOpenServer(t, livemigrationtest.WithRateLimit(
			livemigrationtest.Bucket{Capacity: 3, Refill: 2, Per: 10 * time.Second}))
		get := endpoint(srv, livemigrationtest.GetMigration, v2Prefix, "0123456789abcdef01234567")
		list := endpoint(srv, livemigrationtest.ListAvailableProjects, v2Prefix, "")
		remaining := func(r request) string {
			res := send(t, srv, r)
			require.NotEqual(t, 429, res.status)
			assert.Equal(t, "3", res.header.Get("RateLimit-Limit"))
			assert.Empty(t, res.header.Get("Retry-After"))
			return res.header.Get("RateLimit-Remaining")
		}
		for _, want := range []string{"2", "1", "0"} {
			assert.Equal(t, want, remaining(get))
		}
		res := send(t, srv, get)
		body := assertError(t, res, 429, "RATE_LIMITED_TOKEN_BUCKET")
		assert.Equal(t, []any{get.path, 10.0, 3.0, 2.0, 10.0}, body["parameters"])
		assert.Equal(t, "10", res.header.Get("Retry-After"))
		assert.Equal(t, "3", res.header.Get("RateLimit-Limit"))
		assert.Equal(t, "0", res.header.Get("RateLimit-Remaining"))

		assert.Equal(t, "2", remaining(list), "the organization has a bucket of its own")
		for _, op := range []livemigrationtest.Operation{
			livemigrationtest.CreateMigration, livemigrationtest.CreateValidation, livemigrationtest.GetValidation,
		} {
			res = send(t, srv, endpoint(srv, op, v1Prefix, "0123456789abcdef01234567"))
			assert.Equal(t, 429, res.status, "%s is of the same project", op)
		}
		assert.Empty(t, srv.Migrations())

		time.Sleep(7500 * time.Millisecond)
		assert.Equal(t, "3", send(t, srv, get).header.Get("Retry-After"), "rounded up")
		srv.Advance(7500 * time.Millisecond)
		assert.Equal(t, "1", remaining(get))
		assert.Equal(t, "0", remaining(get))
		assert.Equal(t, "5", send(t, srv, get).header.Get("Retry-After"), "refills keep their beat")
		time.Sleep(1000 * time.Hour)
		assert.Equal(t, "2", remaining(get), "no more than the capacity")
	})
}

func TestRateLimitDefaults(t *testing.T) {
	t.Parallel()
	srv := newOpenServer(t, livemigrationtest.WithRateLimit(livemigrationtest.Bucket{Capacity: 2}))
	r := endpoint(srv, livemigrationtest.ListAvailableProjects, v2Prefix, "")
	for range 2 {
		assert.Equal(t, http.StatusOK, send(t, srv, r).status)
	}
	res := send(t, srv, r)
	parameters, _ := res.object(t)["parameters"].([]any)
	require.Len(t, parameters, 5)
	assert.Equal(t, []any{2.0, 2.0, 60.0}, parameters[2:])
}

// However much comes back at a time, a bucket gets full and no more than that.
func TestRefillBeyondCapacity(t *testing.T) {
	t.Parallel()
	for _, refill := range []int{2, 3, 4, 1 << 30, math.MaxInt} {
		t.Run(fmt.Sprint(refill), func(t *testing.T) {
			t.Parallel()
			srv := newOpenServer(t, livemigrationtest.WithRateLimit(
				livemigrationtest.Bucket{Capacity: 3, Refill: refill, Per: time.Second}))
			r := endpoint(srv, livemigrationtest.ListAvailableProjects, v2Prefix, "")
			for _, periods := range []time.Duration{2, 3, 1000, math.MaxInt64 / time.Second / 4} {
				for _, want := range []string{"2", "1", "0"} {
					assert.Equal(t, want, send(t, srv, r).header.Get("RateLimit-Remaining"))
				}
				assert.Equal(t, http.StatusTooManyRequests, send(t, srv, r).status)
				srv.Advance(periods * time.Second)
			}
		})
	}
}

// Who waits as long as Retry-After says never comes too early, also not by what a float64 would lose of a long time.
func TestRetryAfterRoundsUp(t *testing.T) {
	t.Parallel()
	const months = 1 << 24 * time.Second
	for wait, want := range map[time.Duration]string{
		1: "1", time.Second: "1", time.Second + 1: "2", 1500 * time.Millisecond: "2", months: "16777216", months + 1: "16777217",
	} {
		t.Run(wait.String(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				srv := newOpenServer(t, livemigrationtest.WithRateLimit(livemigrationtest.Bucket{Capacity: 1, Per: wait}))
				r := endpoint(srv, livemigrationtest.ListAvailableProjects, v2Prefix, "")
				send(t, srv, r)
				res := send(t, srv, r)
				require.Equal(t, http.StatusTooManyRequests, res.status)
				assert.Equal(t, want, res.header.Get("Retry-After"))
			})
		})
	}
}

// A client that comes too often waits as long as Retry-After says, and then gets through.
func TestClientAgainstRateLimit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv := newServer(t, livemigrationtest.WithInProcess(), livemigrationtest.WithRateLimit(
			livemigrationtest.Bucket{Capacity: 1, Per: 5 * time.Second}))
		client, begin := newClient(t, srv), time.Now()
		for range 3 {
			_, err := client.AvailableProjects.List(t.Context(), srv.OrgID())
			require.NoError(t, err)
		}
		assert.GreaterOrEqual(t, time.Since(begin), 10*time.Second)
	})
}

func TestPublishedRateLimits(t *testing.T) {
	t.Parallel()
	srv := newOpenServer(t, livemigrationtest.WithPublishedRateLimits())
	for _, tt := range []struct {
		op                        livemigrationtest.Operation
		capacity, refill, seconds int
	}{
		{livemigrationtest.ListAvailableProjects, 500, 250, 60}, {livemigrationtest.GetMigration, 1200, 500, 60},
	} {
		r := endpoint(srv, tt.op, v2Prefix, "0123456789abcdef01234567")
		for left := tt.capacity - 1; left >= 0; left-- {
			res := send(t, srv, r)
			require.Equal(t, fmt.Sprint(tt.capacity), res.header.Get("RateLimit-Limit"))
			require.Equal(t, fmt.Sprint(left), res.header.Get("RateLimit-Remaining"))
		}
		body := assertError(t, send(t, srv, r), 429, "RATE_LIMITED_TOKEN_BUCKET")
		parameters, _ := body["parameters"].([]any)
		require.Len(t, parameters, 5)
		assert.Equal(t, []any{float64(tt.capacity), float64(tt.refill), float64(tt.seconds)}, parameters[2:])
	}
	srv.Advance(time.Minute)
	r := endpoint(srv, livemigrationtest.ListAvailableProjects, v2Prefix, "")
	assert.Equal(t, "249", send(t, srv, r).header.Get("RateLimit-Remaining"))
}

// What is no call of an organization or project that exists costs nothing.
func TestRateLimitOfNobody(t *testing.T) {
	t.Parallel()
	srv := newOpenServer(t, livemigrationtest.WithPublishedRateLimits())
	r := endpoint(srv, livemigrationtest.ListAvailableProjects, v2Prefix, "")
	unknown := r
	unknown.path = strings.Replace(r.path, string(srv.OrgID()), strings.Repeat("f", 24), 1)
	assert.Empty(t, send(t, srv, unknown).header.Get("RateLimit-Limit"))
	assert.Equal(t, "499", send(t, srv, r).header.Get("RateLimit-Remaining"))
}
