package benchmarks

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// sliceTime is for how long a peer works in each round.
const sliceTime = 100 * time.Millisecond

// parallelCallers is also how many idle connections every client keeps.
const parallelCallers = 64

// work is one kind of work, done by every peer.
type work struct {
	title     string
	inProcess bool // without sockets, for allocations
	latency   time.Duration
	callers   int // at once
	call      func(*client) call
}

func reads(c *client) call   { return c.read }
func creates(c *client) call { return c.create }

var (
	read      = work{"read one migration", false, 0, 1, reads}
	process   = work{"read, without sockets", true, 0, 1, reads}
	distant   = work{"read, 20 ms latency", false, 20 * time.Millisecond, 1, reads}
	parallel  = work{"read, 64 callers at once", false, 0, parallelCallers, reads}
	create    = work{"create one migration", false, 0, 1, creates}
	workloads = []work{read, process, distant, parallel, create}
)

// sample is what one peer did in one round, for each call.
type sample struct{ nanoseconds, requests, allocations, bytes float64 }

// Results are samples by title of the work and by peer, one a round.
type Results map[[2]string][]sample

// Measure measures all work in as many rounds. In each round the peers take turns, so that a machine whose speed drifts
// treats all of them alike.
func Measure(rounds int, progress func(string)) (Results, error) {
	all := make(Results)
	for i := range workloads {
		progress(workloads[i].title)
		if err := workloads[i].measure(rounds, all); err != nil {
			return nil, fmt.Errorf("%s: %w", workloads[i].title, err)
		}
	}
	return all, nil
}

func (w *work) measure(rounds int, into Results) error {
	s := &server{latency: w.latency}
	url, transport, stop := s.start(w.inProcess)
	defer stop()
	calls := make(map[string]call)
	for _, peer := range peers {
		t := transport()
		defer (&http.Client{Transport: t}).CloseIdleConnections()
		c, err := connect(peer, url, t)
		if err != nil {
			return fmt.Errorf("%s: %w", peer, err)
		}
		calls[peer] = w.call(c)
	}
	for range rounds {
		for _, peer := range peers {
			result, err := w.slice(s, calls[peer])
			if err != nil {
				return fmt.Errorf("%s: %w", peer, err)
			}
			into[[2]string{w.title, peer}] = append(into[[2]string{w.title, peer}], result)
		}
	}
	return nil
}

// slice is one peer's part of a round, after a warm-up that makes connections, nonces and caches.
func (w *work) slice(s *server, c call) (sample, error) {
	if _, err := w.makeCalls(c, sliceTime/10); err != nil {
		return sample{}, err
	}
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	requests, start := s.requests.Load(), time.Now()
	n, err := w.makeCalls(c, sliceTime)
	elapsed := time.Since(start)
	requests = s.requests.Load() - requests
	runtime.ReadMemStats(&after)
	return sample{
		float64(elapsed) / n, float64(requests) / n,
		float64(after.Mallocs-before.Mallocs) / n, float64(after.TotalAlloc-before.TotalAlloc) / n,
	}, err
}

// makeCalls makes calls until the time has passed, and returns how many.
func (w *work) makeCalls(c call, last time.Duration) (float64, error) {
	end := time.Now().Add(last)
	var n atomic.Int64
	errs := make([]error, w.callers)
	var callers sync.WaitGroup
	for i := range w.callers {
		callers.Go(func() {
			for errs[i] == nil && (time.Now().Before(end) || n.Load() < 5) {
				errs[i] = c(context.Background())
				n.Add(1)
			}
		})
	}
	callers.Wait()
	return float64(n.Load()), errors.Join(errs...)
}

func nanoseconds(s sample) float64 { return s.nanoseconds }
func requests(s sample) float64    { return s.requests }
func allocations(s sample) float64 { return s.allocations }
func kibibytes(s sample) float64   { return s.bytes / 1024 }

// median is NaN for what has not been measured.
func (r Results) median(w work, peer string, unit func(sample) float64) float64 {
	var values []float64
	for _, s := range r[[2]string{w.title, peer}] {
		values = append(values, unit(s))
	}
	return median(values)
}

// ratio is the median over the rounds of how much more time a peer took than another one.
func (r Results) ratio(w work, peer, other string) float64 {
	a, b := r[[2]string{w.title, peer}], r[[2]string{w.title, other}]
	ratios := make([]float64, min(len(a), len(b)))
	for i := range ratios {
		ratios[i] = a[i].nanoseconds / b[i].nanoseconds
	}
	return median(ratios)
}

func median(values []float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	slices.Sort(values)
	return (values[(len(values)-1)/2] + values[len(values)/2]) / 2
}
