package livemigration_test

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go"
	"github.com/livemigration/livemigration-go/livemigrationtest"
)

const rejectedStatus = http.StatusTooManyRequests

// paced runs a test on virtual time, with a client of an in-process Atlas.
func paced(t *testing.T, limit int, opts []livemigration.Option, test func(*testing.T, *livemigrationtest.Server, *livemigration.Client)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		srv := inProcess(livemigrationtest.WithSpeed(1), livemigrationtest.WithProjects(2),
			livemigrationtest.WithRateLimit(livemigrationtest.Bucket{Capacity: limit}))
		defer srv.Close()
		client, err := srv.NewClient(opts...)
		require.NoError(t, err)
		test(t, srv, client)
	})
}

func create(t *testing.T, srv *livemigrationtest.Server, client *livemigration.Client) livemigration.MigrationID {
	t.Helper()
	m, err := client.Migrations.Create(t.Context(), srv.ProjectID(), srv.SampleRequest())
	require.NoError(t, err)
	return m.ID
}

func TestManyWatchesKeepWithinTheRateLimit(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		opts  []livemigration.Option
		check func(*testing.T, int)
	}{
		"with pacing":    {nil, func(t *testing.T, rejected int) { assert.LessOrEqual(t, rejected, 2, "one in ten thousand is fine") }},
		"without pacing": {[]livemigration.Option{livemigration.WithoutPacing()}, func(t *testing.T, rejected int) { assert.Greater(t, rejected, 100) }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			paced(t, 100, tc.opts, func(t *testing.T, srv *livemigrationtest.Server, client *livemigration.Client) {
				var all sync.WaitGroup
				for range 80 {
					id := create(t, srv, client)
					all.Go(func() {
						_, err := client.Migrations.WaitReadyForCutover(t.Context(), srv.ProjectID(), id)
						assert.NoError(t, err)
					})
				}
				all.Wait()
				tc.check(t, count(srv, livemigrationtest.GetMigration, rejectedStatus))
			})
		})
	}
}

func TestA429HoldsItsOwnBucketOnly(t *testing.T) {
	t.Parallel()
	for _, status := range []int{429, 503} {
		t.Run(strconv.Itoa(status), func(t *testing.T) {
			t.Parallel()
			checkHold(t, livemigrationtest.Status(status).WithRetryAfter(20*time.Second))
		})
	}
}

func checkHold(t *testing.T, rejection livemigrationtest.Fault) {
	t.Helper()
	paced(t, 0, nil, func(t *testing.T, srv *livemigrationtest.Server, client *livemigration.Client) {
		ctx, start := t.Context(), time.Now()
		id := create(t, srv, client)
		srv.Inject(livemigrationtest.GetMigration, rejection, 1)
		var first sync.WaitGroup
		first.Go(func() {
			_, err := client.Migrations.Get(ctx, srv.ProjectID(), id)
			assert.NoError(t, err)
		})
		synctest.Wait()

		_, err := client.AvailableProjects.List(ctx, srv.OrgID())
		require.NoError(t, err)
		request := srv.SampleRequest()
		request.Destination.ProjectID = "" // the method's
		_, err = client.Migrations.Create(ctx, srv.ProjectIDs()[1], request)
		require.NoError(t, err)
		assert.Zero(t, time.Since(start), "the organization and other projects go on")
		short, cancel := context.WithTimeout(ctx, 10*time.Second)
		defer cancel()
		var resp livemigration.Response
		_, err = client.Migrations.Create(short, srv.ProjectID(), srv.SampleRequest(), livemigration.CaptureResponse(&resp))
		assert.Zero(t, resp.Attempts, "another kind of call in the same project waits too")
		var late *livemigration.PacingError
		require.ErrorAs(t, err, &late)
		require.ErrorIs(t, err, livemigration.ErrRateLimited)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.InDelta(t, 20*time.Second, late.Wait, float64(2*time.Second))
		assert.Equal(t, [...]any{"Migrations.Create", "POST", "/groups/" + string(srv.ProjectID()) + "/liveMigrations", 0}, [...]any{late.Operation, late.Method, late.Path, late.Attempts})
		assert.Regexp(t, `not sent: rate limited for another (20|21)s, past the context's deadline$`, err.Error())
		assert.Zero(t, time.Since(start), "what cannot be in time fails at once")
		_, err = client.Migrations.Get(ctx, srv.ProjectID(), id)
		require.NoError(t, err)
		assert.GreaterOrEqual(t, time.Since(start), 20*time.Second, "the same project waits")
		first.Wait()
		assert.Len(t, srv.Migrations(), 2)
	})
}

// Waiting for a turn is no outage, however long the queue is, even after a failure.
func TestAFailureInALongQueueIsOutlived(t *testing.T) {
	t.Parallel()
	paced(t, 60, nil, func(t *testing.T, srv *livemigrationtest.Server, client *livemigration.Client) {
		id := create(t, srv, client)
		var all sync.WaitGroup
		for range 250 {
			all.Go(func() {
				_, err := client.Migrations.WaitReadyForCutover(t.Context(), srv.ProjectID(), id, livemigration.WithMaxOutage(2*time.Minute))
				assert.NoError(t, err)
			})
		}
		time.Sleep(20 * time.Minute)
		srv.Inject(livemigrationtest.GetMigration, livemigrationtest.Status(502), 5)
		all.Wait()
		assert.Zero(t, srv.PendingFaultCount())
		assert.LessOrEqual(t, count(srv, livemigrationtest.GetMigration, rejectedStatus), 2, "one in ten thousand is fine")
	})
}

func TestCancellingAQueuedWaitReturnsAtOnce(t *testing.T) {
	t.Parallel()
	paced(t, 0, nil, func(t *testing.T, srv *livemigrationtest.Server, client *livemigration.Client) {
		id := create(t, srv, client)
		srv.Inject(livemigrationtest.GetMigration, livemigrationtest.Status(429).WithRetryAfter(time.Minute), 1)
		ctx, cancel := context.WithCancelCause(t.Context())
		cause := errors.New("enough")
		var all sync.WaitGroup
		for range 3 {
			all.Go(func() {
				_, err := client.Migrations.WaitComplete(ctx, srv.ProjectID(), id)
				assert.ErrorIs(t, err, context.Canceled)
				assert.ErrorIs(t, err, cause)
			})
			synctest.Wait()
		}
		all.Go(func() { // not even a create request is in doubt if it has waited for its turn
			_, err := client.Migrations.Create(ctx, srv.ProjectID(), srv.SampleRequest())
			assert.ErrorIs(t, err, context.Canceled)
			assert.NotErrorIs(t, err, livemigration.ErrOutcomeUnknown)
		})
		synctest.Wait()
		start := time.Now()
		cancel(cause)
		all.Wait()
		assert.Zero(t, time.Since(start))
		assert.Len(t, srv.Migrations(), 1)
	})
}

func TestARateLimitSetByHand(t *testing.T) {
	t.Parallel()
	for _, opts := range [][]livemigration.Option{
		{livemigration.WithRateLimit(60, 5)}, {livemigration.WithoutPacing(), livemigration.WithRateLimit(60, 5)},
	} {
		paced(t, 0, opts, func(t *testing.T, srv *livemigrationtest.Server, client *livemigration.Client) {
			start := time.Now()
			for range 15 {
				_, err := client.AvailableProjects.List(t.Context(), srv.OrgID())
				require.NoError(t, err)
			}
			assert.Equal(t, 10*time.Second, time.Since(start).Round(time.Millisecond))
		})
	}
	for _, tc := range [][2]int{{0, 1}, {1, 0}, {-1, -1}} {
		_, err := livemigration.NewClient(livemigration.APIKey("a", "b"), livemigration.WithRateLimit(tc[0], tc[1]))
		require.ErrorContains(t, err, "WithRateLimit: perMinute and burst must be positive")
	}
}
