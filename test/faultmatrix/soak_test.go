package faultmatrix_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go"
	"github.com/livemigration/livemigration-go/livemigrationtest"
)

// heap is the memory in use after a forced collection, without what the server keeps of past requests and nonces and
// the client of idle connections.
func heap(srv *livemigrationtest.Server, client *livemigration.Client) uint64 {
	srv.ResetRequests()
	srv.ExpireNonces()
	client.CloseIdleConnections()
	runtime.GC()
	runtime.GC() // finalizers of the first one free what the second one takes
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}

// withinTenth fails when memory has grown by more than a tenth. Less than 128 KiB is noise of the runtime.
func withinTenth(t *testing.T, before, after uint64) {
	t.Helper()
	t.Logf("heap: %d KiB after the first tenth, %d KiB at the end", before>>10, after>>10)
	assert.LessOrEqual(t, after, before+max(before/10, 128<<10))
}

// passing are faults that another attempt may not meet.
var passing = []livemigrationtest.Fault{
	livemigrationtest.Status(500), livemigrationtest.Status(503), livemigrationtest.Status(429),
	livemigrationtest.RawStatus(502, "text/html", "<h1>Bad Gateway</h1>"), livemigrationtest.RawStatus(504, "", ""),
	livemigrationtest.ResetBeforeRequest(), livemigrationtest.ResetAfterRequest(),
	livemigrationtest.TruncatedBody(), livemigrationtest.NonJSONBody(), livemigrationtest.WrongMediaType(),
}

// TestSoak makes 20,000 calls from 50 goroutines, of which every tenth meets a fault. Each ends in its right result.
func TestSoak(t *testing.T) {
	const callers, calls, tenth = 50, 20_000, 2_000
	ctx := t.Context()
	srv := livemigrationtest.NewServer()
	defer srv.Close()
	client, err := srv.NewClient(livemigration.WithoutPacing(), livemigration.WithRetryPolicy(livemigration.RetryPolicy{MaxAttempts: 12, BaseBackoff: time.Millisecond, MaxBackoff: 4 * time.Millisecond}))
	require.NoError(t, err)
	defer client.CloseIdleConnections()
	migration, err := client.Migrations.Create(ctx, srv.ProjectID(), srv.SampleRequest())
	require.NoError(t, err)

	var done, faults atomic.Int64
	var before uint64
	batch := func(n int) {
		var next atomic.Int64
		var wg sync.WaitGroup
		for caller := range callers {
			random := rand.New(rand.NewPCG(1, uint64(caller)))
			wg.Go(func() {
				for next.Add(1) <= int64(n) {
					if random.IntN(10) == 0 {
						faults.Add(1)
						srv.Inject(livemigrationtest.GetMigration, passing[random.IntN(len(passing))], 1)
					}
					got, err := client.Migrations.Get(ctx, srv.ProjectID(), migration.ID)
					if err != nil || got.ID != migration.ID {
						t.Errorf("lost: %v %v", got, err)
						return
					}
					done.Add(1)
				}
			})
		}
		wg.Wait()
	}
	batch(tenth)
	before = heap(srv, client)
	batch(calls - tenth)
	withinTenth(t, before, heap(srv, client))
	assert.EqualValues(t, calls, done.Load())
	t.Logf("%d calls, %d faults", done.Load(), faults.Load())
}

// TestWatchesThroughOutages watches 1,000 migrations for a virtual hour and more, in which Atlas is twice out of reach
// for ten minutes, and cuts each over.
func TestWatchesThroughOutages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const watches = 1_000
		srv := livemigrationtest.NewServer(livemigrationtest.WithInProcess(), livemigrationtest.WithSpeed(1))
		defer srv.Close()
		start := time.Now()
		down := func() bool {
			minute := int(time.Since(start).Minutes())
			return minute >= 15 && minute < 25 || minute >= 40 && minute < 50
		}
		var failed atomic.Int64
		client, err := srv.NewClient(livemigration.WithHTTPClient(&http.Client{Transport: transportFunc(func(req *http.Request) (*http.Response, error) {
			if down() {
				failed.Add(1)
				return nil, syscall.ECONNREFUSED
			}
			return srv.Transport().RoundTrip(req)
		})}))
		require.NoError(t, err)
		var ids []livemigration.MigrationID
		for range watches {
			m, err := client.Migrations.Create(t.Context(), srv.ProjectID(), srv.SampleRequest())
			require.NoError(t, err)
			ids = append(ids, m.ID)
		}
		stop := make(chan struct{})
		defer close(stop)
		go func() {
			for {
				select {
				case <-stop:
					return
				case <-time.After(5 * time.Minute):
					srv.ExpireNonces()
				}
			}
		}()
		var complete atomic.Int64
		var wg sync.WaitGroup
		for _, id := range ids {
			wg.Go(func() {
				err := migrate(t.Context(), client, srv.ProjectID(), id)
				if err != nil {
					t.Errorf("lost: %v", err)
					return
				}
				complete.Add(1)
			})
		}
		time.Sleep(6 * time.Minute)
		before := heap(srv, client)
		time.Sleep(54 * time.Minute)
		withinTenth(t, before, heap(srv, client))
		wg.Wait()
		assert.EqualValues(t, watches, complete.Load())
		assert.Positive(t, failed.Load())
		t.Logf("%d watches complete after %s, %d requests failed", complete.Load(), time.Since(start).Round(time.Minute), failed.Load())
	})
}

func migrate(ctx context.Context, client *livemigration.Client, project livemigration.ProjectID, id livemigration.MigrationID) error {
	if _, err := client.Migrations.WaitReadyForCutover(ctx, project, id); err != nil {
		return err
	}
	if err := client.Migrations.Cutover(ctx, project, id); err != nil {
		return err
	}
	m, err := client.Migrations.WaitComplete(ctx, project, id)
	if err == nil && m.Status != livemigration.MigrationComplete {
		return errors.New("ended as " + string(m.Status))
	}
	return err
}

type transportFunc func(*http.Request) (*http.Response, error)

func (f transportFunc) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }
