package benchmarks

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/livemigration/livemigration-go"
)

// What a watch may cost, alone or among ten thousand.
const (
	maxHeapPerWatch       = 2 << 10
	maxGoroutinesPerWatch = 1
)

// cost is of one watch: bytes, goroutines, and requests a minute.
type cost struct{ heap, stack, goroutines, rate float64 }

// TestScale watches many migrations with one client on virtual time, and prints what a watch costs once polling has
// slowed down to its longest interval. The bare peer polls as often, without jitter, outages or retries.
func TestScale(t *testing.T) {
	sizes := []int{1, 10, 100, 1_000, 10_000} // the first one is a warm-up
	if testing.Short() {
		sizes = sizes[:4]
	}
	fmt.Println("scale: | watches | heap a watch, KiB | stack, KiB | goroutines | requests a minute | bare loop: heap, KiB | stack, KiB |")
	fmt.Println("scale: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
	for _, n := range sizes {
		var bare, ours cost
		synctest.Test(t, func(t *testing.T) { bare = measureWatches(t, n, bareWatch) })
		synctest.Test(t, func(t *testing.T) { ours = measureWatches(t, n, oursWatch) })
		if n > 1 {
			fmt.Printf("scale: | %d | %.2f | %.2f | %.2f | %.2f | %.2f | %.2f |\n",
				n, ours.heap/1024, ours.stack/1024, ours.goroutines, ours.rate, bare.heap/1024, bare.stack/1024)
		}
		if n < 100 {
			continue // the client's own memory still counts
		}
		if ours.heap > maxHeapPerWatch {
			t.Errorf("%d watches: %.0f bytes of heap each, more than %d", n, ours.heap, maxHeapPerWatch)
		}
		if ours.goroutines > maxGoroutinesPerWatch {
			t.Errorf("%d watches: %.2f goroutines each", n, ours.goroutines)
		}
		if ours.rate > 1.1 {
			t.Errorf("%d watches: %.2f requests a minute each, with an interval of one minute", n, ours.rate)
		}
	}
}

// measureWatches returns what each of n watches costs. connect returns one that has made its first call.
func measureWatches(t *testing.T, n int, connect func(*testing.T, http.RoundTripper) call) cost {
	s := new(server)
	watch := connect(t, &processTransport{s})
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
	each := func(total float64) float64 { return total / float64(n) }
	return cost{
		each(during.heap - before.heap), each(during.stack - before.stack),
		each(during.goroutines - before.goroutines), each(float64(requests)) / observed.Minutes(),
	}
}

// takeStock collects garbage twice: the first time also ends what has finalizers, and shrinks stacks.
func takeStock() cost {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return cost{heap: float64(m.HeapAlloc), stack: float64(m.StackInuse), goroutines: float64(runtime.NumGoroutine())}
}

func oursWatch(t *testing.T, transport http.RoundTripper) call {
	c, err := livemigration.NewClient(livemigration.APIKey(publicKey, privateKey),
		livemigration.WithBaseURL("http://127.0.0.1"), livemigration.WithHTTPClient(&http.Client{Transport: transport}))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Migrations.Get(t.Context(), projectID, migrationID); err != nil {
		t.Fatal(err)
	}
	return func(ctx context.Context) error {
		for _, err := range c.Migrations.Watch(ctx, projectID, migrationID) {
			if err != nil {
				return err
			}
		}
		return errors.New("the migration has ended")
	}
}

func bareWatch(t *testing.T, transport http.RoundTripper) call {
	c, err := connect(peerBare, "http://127.0.0.1", transport)
	if err != nil {
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
