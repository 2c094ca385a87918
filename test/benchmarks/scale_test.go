package benchmarks

import (
	"context"
	"errors"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/livemigration/livemigration-go"
)

// maxGrowth is how much more a watch among ten thousand may cost than one among a hundred.
const maxGrowth = 1.25

// TestScale watches many migrations with one client on virtual time, and prints what a watch costs once polling has
// slowed down to its longest interval. The bare peer polls as often with a loop of its own.
func TestScale(t *testing.T) {
	sizes := []int{10, 100, 1_000, 10_000}
	if testing.Short() {
		sizes = sizes[:3]
	}
	var all Results
	measure := func(n int, name string, connect connectWatch) Sample {
		sample := Sample{"Scale", "watches" + strconv.Itoa(n), name, n, nil}
		synctest.Test(t, func(t *testing.T) { sample.Values = measureWatches(t, n, connect) })
		return sample
	}
	for _, n := range append([]int{1}, sizes...) { // the first one is a warm-up
		bare, ours := measure(n, peerBare, bareWatch), measure(n, peerOurs, oursWatch)
		if n > 1 {
			all = append(all, bare, ours)
		}
	}
	if err := all.Write(os.Stdout); err != nil {
		t.Fatal(err)
	}
	for _, n := range sizes[1:] { // with ten watches the client's own memory still counts
		checkScale(t, all, "watches"+strconv.Itoa(n))
	}
}

func checkScale(t *testing.T, all Results, place string) {
	t.Helper()
	cost := func(place, unit string) float64 { return all.median("Scale", place, peerOurs, unit) }
	if got := cost(place, unitHeap); got > maxHeapPerWatch {
		t.Errorf("%s: %.0f bytes of heap a watch, more than %d", place, got, maxHeapPerWatch)
	}
	if got := cost(place, unitGoroutines); got > maxGoroutinesPerWatch {
		t.Errorf("%s: %.2f goroutines a watch, more than %d", place, got, maxGoroutinesPerWatch)
	}
	if got := cost(place, unitRate); got > 1.1 {
		t.Errorf("%s: %.2f requests a minute and watch, with an interval of one minute", place, got)
	}
	if got, few := cost(place, unitHeap), cost("watches100", unitHeap); got > maxGrowth*few {
		t.Errorf("%s: %.0f bytes of heap a watch, but %.0f among a hundred", place, got, few)
	}
}

// connectWatch returns a function that watches the site's migration until the context ends.
type connectWatch func(*testing.T, *site) func(context.Context) error

// measureWatches returns what each of n watches costs.
func measureWatches(t *testing.T, n int, connect connectWatch) map[string]float64 {
	s, err := newSite(serverProcess, siteOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	watch := connect(t, s) // has made its first call
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	before := takeStock()
	var watches sync.WaitGroup
	for range n {
		watches.Go(func() {
			if err := watch(ctx); !errors.Is(err, context.Canceled) {
				t.Errorf("a watch ended with %v", err)
			}
		})
	}
	const slowDown, observed = 5*time.Minute + 30*time.Second, 5 * time.Minute
	time.Sleep(slowDown)
	requests := s.requests.Load()
	time.Sleep(observed)
	synctest.Wait()
	requests = s.requests.Load() - requests
	during := takeStock()
	cancel()
	watches.Wait() // and synctest waits for every goroutine that they have started
	each := func(total int) float64 { return float64(total) / float64(n) }
	return map[string]float64{
		unitHeap:       each(during.heap - before.heap),
		unitStack:      each(during.stack - before.stack),
		unitGoroutines: each(during.goroutines - before.goroutines),
		unitRate:       each(int(requests)) / observed.Minutes(),
	}
}

type stock struct{ heap, stack, goroutines int }

// takeStock looks after two collections: the first one also ends what has finalizers, and shrinks stacks.
func takeStock() stock {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return stock{int(m.HeapAlloc), int(m.StackInuse), runtime.NumGoroutine()}
}

func oursWatch(t *testing.T, s *site) func(context.Context) error {
	c, err := livemigration.NewClient(livemigration.APIKey(s.username, s.password),
		livemigration.WithBaseURL(s.url), livemigration.WithHTTPClient(&http.Client{Transport: s.transport()}))
	if err != nil {
		t.Fatal(err)
	}
	project, id := livemigration.ProjectID(s.project), livemigration.MigrationID(s.migration)
	if _, err := c.Migrations.Get(t.Context(), project, id); err != nil {
		t.Fatal(err)
	}
	return func(ctx context.Context) error {
		for _, err := range c.Migrations.Watch(ctx, project, id) {
			if err != nil {
				return err
			}
		}
		return errors.New("the migration has ended")
	}
}

// bareWatch is a loop without jitter, outages or retries.
func bareWatch(t *testing.T, s *site) func(context.Context) error {
	c, err := connectBare(s, s.transport())
	if err != nil {
		t.Fatal(err)
	}
	if err := c.read(t.Context()); err != nil {
		t.Fatal(err)
	}
	return func(ctx context.Context) error {
		for {
			if err := c.read(ctx); err != nil {
				return err
			}
			timer := time.NewTimer(time.Minute)
			select {
			case <-ctx.Done():
				timer.Stop()
				return ctx.Err()
			case <-timer.C:
			}
		}
	}
}
