package durable

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go"
	"github.com/livemigration/livemigration-go/livemigrationtest"
)

// estate is plans of which sixty share a host.
func estate(n int) []Plan {
	plans := make([]Plan, n)
	for i := range plans {
		plans[i] = somePlan(fmt.Sprintf("m-%05d", i))
		plans[i].Request.MigrationHosts = []string{fmt.Sprintf("vm%02d.example.com", i%60)}
	}
	return plans
}

// running is a record whose migration runs and was last seen at that time, with a history.
func running(plan Plan, seen time.Time) Record {
	r := NewRecord(plan, seen.Add(-time.Hour))
	r.State, r.MigrationID = StateReplicating, jobA
	r.Migration = &livemigration.Migration{ID: jobA, Status: livemigration.MigrationWorking, MigrationHosts: plan.Request.MigrationHosts}
	r.SeenAt, r.NextCheckAt = seen, seen
	for i := range 20 {
		r.event(seen, fmt.Sprintf("REPLICATING: migration %s, event %d", jobA, i))
	}
	return r
}

// counting is a store that counts its calls.
type counting struct {
	*Memory
	mu    sync.Mutex
	calls map[string]int
}

func (s *counting) count(call string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls[call]++
}

func (s *counting) List(ctx context.Context) ([]Record, error) {
	s.count("list")
	return s.Memory.List(ctx)
}

func (s *counting) Load(ctx context.Context, name string) (Record, error) {
	s.count("load")
	return s.Memory.Load(ctx, name)
}

func (s *counting) Save(ctx context.Context, r Record) (Record, error) {
	s.count("save")
	return s.Memory.Save(ctx, r)
}

// Add reads the store once and writes each record once. A run reads it once, and polls without a write.
func TestAFleetCostsTheStoreLittle(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		const n = 500
		store := &counting{NewMemory(), sync.Mutex{}, make(map[string]int)}
		require.NoError(t, fleetOn(t, store).Add(t.Context(), estate(n)...))
		assert.Equal(t, map[string]int{"list": 1, "save": n}, store.calls)
		require.NoError(t, fleetOn(t, store).Add(t.Context(), estate(n)...))
		assert.Equal(t, map[string]int{"list": 2, "save": n}, store.calls)

		polled := &counting{NewMemory(), sync.Mutex{}, make(map[string]int)}
		for _, plan := range estate(n) {
			_, err := polled.Memory.Save(t.Context(), running(plan, time.Now()))
			require.NoError(t, err)
		}
		var polls atomic.Int32
		w.onRequest(func(req *http.Request) (*http.Response, error) {
			polls.Add(1)
			return responding(200, "")(req)
		})
		stop, _ := inBackground(t, fleetOn(t, polled), w.client)
		time.Sleep(20 * time.Second)
		require.ErrorIs(t, stop(), context.Canceled)
		assert.Equal(t, 1, polled.calls["list"])
		assert.Zero(t, polled.calls["load"])
		assert.Positive(t, polls.Load())
	})
}

// Polls that hang leave a quarter of the room to what changes something, and the longest due are polled first.
func TestPollsDelayNoChange(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		const n = 200
		now := time.Now()
		var late []string
		for i := range n {
			plan := w.plan(fmt.Sprintf("m-%04d", i))
			seen := now.Add(-time.Hour - time.Duration(i*7919%n)*time.Second)
			w.put(t, plan, func(r *Record) {
				*r = running(plan, seen)
				r.MigrationID = livemigration.MigrationID(fmt.Sprintf("6560f2a4%016x", i))
			})
			if i*7919%n >= n-poolPoll {
				late = append(late, fmt.Sprintf("%016x", i))
			}
		}
		for _, plan := range []Plan{w.plan("a"), w.plan("b")} {
			w.put(t, plan, func(r *Record) { r.State = StateValidated })
		}
		var polled []string
		var mu sync.Mutex
		w.onRequest(func(req *http.Request) (*http.Response, error) {
			if req.Method != http.MethodGet {
				return nil, nil
			}
			mu.Lock()
			polled = append(polled, strings.TrimPrefix(req.URL.Path[strings.LastIndex(req.URL.Path, "/")+1:], "6560f2a4"))
			mu.Unlock()
			<-req.Context().Done()
			return nil, req.Context().Err()
		})
		stop, _ := inBackground(t, w.fleet(t, WithLimit(1000)), w.client)
		time.Sleep(5 * time.Second)
		mu.Lock()
		begun := slices.Sorted(slices.Values(polled))
		mu.Unlock()
		assert.Len(t, w.Migrations(), 2)
		assert.Equal(t, slices.Sorted(slices.Values(late)), begun)
		require.ErrorIs(t, stop(), context.Canceled)
	})
}

// A run of an estate is small: no more than 6 KB a record, and 64 actions at a time.
func TestAFleetIsSmall(t *testing.T) {
	const n = 2000
	store := NewMemory()
	for _, plan := range estate(n) {
		_, err := store.Save(t.Context(), running(plan, time.Now()))
		require.NoError(t, err)
	}
	got := measureRun(t, store)
	assert.Less(t, got.heap, uint64(n*6<<10))
	assert.LessOrEqual(t, got.goroutines, 2*poolSize+20)
}

type cost struct {
	heap       uint64 // bytes, beside what there was before
	first      time.Duration
	goroutines int
}

func heapInUse() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// measureRun runs a fleet until its first poll, which is never answered.
func measureRun(tb testing.TB, store Store) cost {
	tb.Helper()
	server := livemigrationtest.NewServer(livemigrationtest.WithInProcess())
	defer server.Close()
	seen := make(chan struct{}, 1)
	client, err := server.NewClient(livemigration.WithTransportWrapper(func(http.RoundTripper) http.RoundTripper {
		return roundTrip(func(req *http.Request) (*http.Response, error) {
			select {
			case seen <- struct{}{}:
			default:
			}
			<-req.Context().Done()
			return nil, req.Context().Err()
		})
	}))
	require.NoError(tb, err)
	heap, goroutines, begun := heapInUse(), runtime.NumGoroutine(), time.Now()
	fleet, err := NewFleet(store)
	require.NoError(tb, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- fleet.Run(ctx, client) }()
	<-seen
	got := cost{first: time.Since(begun), goroutines: runtime.NumGoroutine() - goroutines}
	got.heap = heapInUse() - heap
	cancel()
	require.ErrorIs(tb, <-ended, context.Canceled)
	return got
}

// BenchmarkFleet is the cost of 10,000 records: Add of all, the time to the first poll, and the heap of the run. The budgets
// are 2 s in memory and 10 s in a directory, 3 s, and 60 MB. TMPDIR says where the directory is.
func BenchmarkFleet(b *testing.B) {
	const n = 10_000
	for _, kind := range []string{"memory", "directory"} {
		b.Run(kind, func(b *testing.B) {
			for b.Loop() {
				store := Store(NewMemory())
				if kind == "directory" {
					path, err := os.MkdirTemp(os.TempDir(), "fleet")
					require.NoError(b, err)
					defer func() { _ = os.RemoveAll(path) }()
					store, err = OpenDir(path)
					require.NoError(b, err)
				}
				fleet, err := NewFleet(store)
				require.NoError(b, err)
				begun := time.Now()
				require.NoError(b, fleet.Add(b.Context(), estate(n)...))
				b.ReportMetric(time.Since(begun).Seconds(), "s-to-add")
				records, err := store.List(b.Context())
				require.NoError(b, err)
				for i, r := range records {
					if i%50 == 0 {
						polled := running(r.Plan, time.Now())
						polled.Revision = r.Revision
						_, err := store.Save(b.Context(), polled)
						require.NoError(b, err)
					}
				}
				records = nil
				got := measureRun(b, store)
				b.ReportMetric(got.first.Seconds(), "s-to-first-poll")
				b.ReportMetric(float64(got.heap)/1e6, "heap-MB")
			}
		})
	}
}

// BenchmarkPick is what a second of a fleet of 10,000 records costs in which nothing is due: 10 that run, and the others wait.
func BenchmarkPick(b *testing.B) {
	fleet, err := NewFleet(NewMemory(), WithLimit(10))
	require.NoError(b, err)
	r := newRun(b.Context(), fleet, nil, true)
	for i, plan := range estate(10_000) {
		record := NewRecord(plan, time.Now())
		if i < 10 {
			record = running(plan, time.Now().Add(30*time.Minute))
		}
		r.take(record)
	}
	b.ReportAllocs()
	for b.Loop() {
		r.pick(b.Context())
	}
}
