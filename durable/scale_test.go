package durable

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go"
	"github.com/livemigration/livemigration-go/livemigrationtest"
)

// scaled is what a fleet of so many records costs.
type scaled struct {
	heap  uint64        // bytes, beside what there was before
	first time.Duration // from the start to the first look
	tasks int           // goroutines, beside those that there were before
}

// firstLook tells when the first request is made, and makes none.
type firstLook struct{ seen chan struct{} }

func (f *firstLook) RoundTrip(req *http.Request) (*http.Response, error) {
	select {
	case f.seen <- struct{}{}:
	default:
	}
	<-req.Context().Done()
	return nil, req.Context().Err()
}

// writeEstate writes records with twenty events each, most of which wait: n-10 that are PLANNED, and ten whose jobs run.
func writeEstate(tb testing.TB, path string, n int) {
	tb.Helper()
	for i := range n {
		r := recordIn(StatePlanned)
		if i%(n/10) == 0 {
			r = recordIn(StateReplicating)
		}
		r.Plan = planFor(fmt.Sprintf("m-%05d", i))
		r.Plan.Request.MigrationHosts = []string{fmt.Sprintf("vm%02d.example.com", i%60)}
		r.Events = nil
		for e := range 20 {
			r.Events = append(r.Events, Event{t0.Add(time.Duration(e) * time.Hour), fmt.Sprintf("REPLICATING: migration %s, event %d", migrationID, e)})
		}
		text, err := r.MarshalJSON()
		require.NoError(tb, err)
		require.NoError(tb, os.WriteFile(filepath.Join(path, r.Plan.Name+suffix), text, 0o600))
	}
}

// heapInUse is what is left after a collection.
func heapInUse() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// measure runs a fleet on the directory until its first look.
func measure(tb testing.TB, path string) scaled {
	tb.Helper()
	look := &firstLook{make(chan struct{}, 1)}
	server := livemigrationtest.NewServer(livemigrationtest.WithInProcess())
	defer server.Close()
	client, err := server.NewClient(livemigration.WithTransportWrapper(func(http.RoundTripper) http.RoundTripper { return look }))
	require.NoError(tb, err)
	before, tasks, begun := heapInUse(), runtime.NumGoroutine(), time.Now()
	dir, err := OpenDir(path)
	require.NoError(tb, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- NewFleet(client, dir).Run(ctx) }()
	<-look.seen
	first := time.Since(begun)
	heap := heapInUse() - before
	tasks = runtime.NumGoroutine() - tasks
	cancel()
	require.ErrorIs(tb, <-ended, context.Canceled)
	return scaled{heap, first, tasks}
}

func TestFleetIsSmall(t *testing.T) {
	const n, heapEach, firstEach = 1000, 6 << 10, 3 * time.Millisecond // 60 MB and 30 s, of which CI takes its part
	path := t.TempDir()
	writeEstate(t, path, n)
	got := measure(t, path)
	require.Less(t, got.heap, uint64(n*heapEach))
	require.Less(t, got.first, n*firstEach)
	require.LessOrEqual(t, got.tasks, 20+5, "one for each of the ten that are started and the ten that run")
}

func BenchmarkFleet(b *testing.B) {
	for _, n := range []int{100, 1000, 10000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			path := b.TempDir()
			writeEstate(b, path, n)
			for b.Loop() {
				got := measure(b, path)
				b.ReportMetric(float64(got.heap)/1e6, "heap-MB")
				b.ReportMetric(got.first.Seconds(), "s-to-first-look")
			}
		})
	}
}

func BenchmarkDirSave(b *testing.B) {
	dir, err := OpenDir(b.TempDir())
	require.NoError(b, err)
	r, err := dir.Save(b.Context(), NewRecord(planFor("a"), t0))
	require.NoError(b, err)
	for b.Loop() {
		r, err = dir.Save(b.Context(), r)
		require.NoError(b, err)
	}
}

func BenchmarkDirChanged(b *testing.B) {
	path, old := b.TempDir(), time.Now().Add(-time.Hour)
	writeEstate(b, path, 10000)
	dir, err := OpenDir(path)
	require.NoError(b, err)
	files, err := dir.files()
	require.NoError(b, err)
	for _, file := range files {
		require.NoError(b, os.Chtimes(filepath.Join(path, file), old, old))
	}
	known := func(string) int64 { return 7 }
	for b.Loop() {
		changed, err := dir.Changed(b.Context(), known)
		require.NoError(b, err)
		require.Empty(b, changed)
	}
}
