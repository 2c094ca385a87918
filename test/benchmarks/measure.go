package benchmarks

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// sliceTime is for how long a peer works in each round.
	sliceTime = 100 * time.Millisecond
	minCalls  = 5
	maxCalls  = 10_000
)

// Measure runs the benchmarks that want selects, by name and server, in as many rounds. In each round the peers take
// turns, so that a machine whose speed drifts treats all of them alike.
func Measure(rounds int, want func(name, server string) bool, progress func(string)) (Results, error) {
	var all Results
	for i := range benchmarks {
		b := &benchmarks[i]
		for _, server := range b.servers {
			if !want(b.name, server) {
				continue
			}
			progress(b.name + " on " + server)
			found, err := b.measure(server, rounds)
			if err != nil {
				return nil, fmt.Errorf("%s on %s: %w", b.name, server, err)
			}
			all = append(all, found...)
		}
	}
	return all, nil
}

func (b *benchmark) measure(server string, rounds int) (Results, error) {
	var all Results
	calls := make(map[string]int) // of each peer in each round
	for range rounds {
		for _, p := range peers {
			values, err := b.slice(server, p, calls)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", p.name, err)
			}
			if values != nil {
				all = append(all, Sample{b.name, server, p.name, calls[p.name], values})
			}
		}
	}
	return all, nil
}

// slice is one peer's part of a round, nil when it cannot do the work. Each peer gets a new server: a used one would have
// grown with the jobs of the peers before.
func (b *benchmark) slice(server string, p peer, calls map[string]int) (map[string]float64, error) {
	s, err := newSite(server, b.siteOptions)
	if err != nil {
		return nil, err
	}
	defer s.close()
	l, err := b.open(s, p)
	if l == nil || err != nil {
		return nil, err
	}
	defer l.close()
	if calls[p.name] == 0 {
		if calls[p.name], err = l.calibrate(); err != nil {
			return nil, err
		}
	}
	return l.run(calls[p.name])
}

// warmUp makes connections, nonces and caches.
func (l *lane) warmUp() error { return l.makeCalls(minCalls * l.callers) }

// calibrate returns how many calls fill a slice.
func (l *lane) calibrate() (int, error) {
	if err := l.warmUp(); err != nil {
		return 0, err
	}
	start := time.Now()
	if err := l.warmUp(); err != nil {
		return 0, err
	}
	each := time.Since(start) / time.Duration(minCalls*l.callers)
	return min(max(int(sliceTime/max(each, 1)), minCalls), maxCalls), nil
}

// run measures n calls after a warm-up.
func (l *lane) run(n int) (map[string]float64, error) {
	if err := l.warmUp(); err != nil {
		return nil, err
	}
	if l.client.prepare != nil {
		l.client.prepare(n)
	}
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	requests := l.site.requests.Load()
	start := time.Now()
	err := l.makeCalls(n)
	elapsed := time.Since(start)
	requests = l.site.requests.Load() - requests
	runtime.ReadMemStats(&after)
	if err != nil {
		return nil, err
	}
	each := func(total uint64) float64 { return float64(total) / float64(n) }
	return map[string]float64{
		unitTime:     each(uint64(elapsed)),
		unitBytes:    each(after.TotalAlloc - before.TotalAlloc),
		unitAllocs:   each(after.Mallocs - before.Mallocs),
		unitRequests: each(uint64(requests)),
	}, nil
}

// makeCalls makes n calls, as many at once as the lane has callers.
func (l *lane) makeCalls(n int) error {
	ctx := context.Background()
	if l.callers == 1 {
		for range n {
			if err := l.work(ctx); err != nil {
				return err
			}
		}
		return nil
	}
	var left atomic.Int64
	left.Store(int64(n))
	var callers sync.WaitGroup
	failures := make(chan error, l.callers)
	for range l.callers {
		callers.Go(func() {
			for left.Add(-1) >= 0 {
				if err := l.work(ctx); err != nil {
					failures <- err
					return
				}
			}
		})
	}
	callers.Wait()
	close(failures)
	return <-failures // nil when there is none
}
