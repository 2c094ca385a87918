package benchmarks

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"math"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

// The units, as benchstat knows those that it knows.
const (
	unitTime     = "ns/op"
	unitBytes    = "B/op"
	unitAllocs   = "allocs/op"
	unitRequests = "requests/op"

	unitHeap       = "heap-B/watch"
	unitStack      = "stack-B/watch"
	unitGoroutines = "goroutines/watch"
	unitRate       = "requests/min/watch"

	unitBinary   = "binary-B"
	unitStripped = "stripped-B"
	unitBuild    = "build-sec"
	unitCPU      = "build-cpu-sec"
	unitMemory   = "peak-B"
)

// Sample is what one peer did in one round.
type Sample struct {
	Benchmark, Place, Peer string
	N                      int
	Values                 map[string]float64 // by unit
}

// Results are samples in the order in which they were taken.
type Results []Sample

// Write writes results in the format of Go's benchmarks.
func (r Results) Write(w io.Writer) error {
	var b strings.Builder
	for _, s := range r {
		fmt.Fprintf(&b, "Benchmark%s/place=%s/peer=%s-%d\t%d", s.Benchmark, s.Place, s.Peer, runtime.GOMAXPROCS(0), s.N)
		for _, unit := range slices.Sorted(maps.Keys(s.Values)) {
			fmt.Fprintf(&b, "\t%s %s", strconv.FormatFloat(s.Values[unit], 'f', -1, 64), unit)
		}
		b.WriteByte('\n')
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// Parse reads what Write has written, and passes over other lines.
func Parse(r io.Reader) (Results, error) {
	var all Results
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		if s, ok := parseSample(lines.Text()); ok {
			all = append(all, s)
		}
	}
	return all, lines.Err()
}

func parseSample(line string) (s Sample, ok bool) {
	fields := strings.Fields(line)
	if len(fields) < 4 || !strings.HasPrefix(fields[0], "Benchmark") {
		return s, false
	}
	name, _, _ := strings.Cut(strings.TrimPrefix(fields[0], "Benchmark"), "-")
	parts := strings.Split(name, "/")
	if len(parts) != 3 {
		return s, false
	}
	s = Sample{Benchmark: parts[0], Values: make(map[string]float64)}
	s.Place, s.Peer = strings.TrimPrefix(parts[1], "place="), strings.TrimPrefix(parts[2], "peer=")
	n, err := strconv.Atoi(fields[1])
	s.N = n
	for i := 2; err == nil && i+1 < len(fields); i += 2 {
		s.Values[fields[i+1]], err = strconv.ParseFloat(fields[i], 64)
	}
	return s, err == nil
}

// series are one peer's values, one a round in which it was measured.
func (r Results) series(benchmark, place, peer, unit string) []float64 {
	var values []float64
	for _, s := range r {
		if value, ok := s.Values[unit]; ok && s.Benchmark == benchmark && s.Place == place && s.Peer == peer {
			values = append(values, value)
		}
	}
	return values
}

// median is NaN when there is no such sample.
func (r Results) median(benchmark, place, peer, unit string) float64 {
	return median(r.series(benchmark, place, peer, unit))
}

// ratio is the median over the rounds of how much more peer took than other.
func (r Results) ratio(benchmark, place, peer, other, unit string) float64 {
	a, b := r.series(benchmark, place, peer, unit), r.series(benchmark, place, other, unit)
	ratios := make([]float64, min(len(a), len(b)))
	for i := range ratios {
		ratios[i] = a[i] / b[i]
	}
	return median(ratios)
}

func median(values []float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}
