package benchmarks

import (
	"fmt"
	"math"
)

// budget is what something may cost.
type budget struct {
	what string
	// limit is what the project promises.
	limit float64
	// margin is what noise may add before the check fails.
	margin   float64
	unit     string
	measured func(Results) float64
	// floor is what a client costs on this machine that does nothing but authenticate. The check allows it where it is
	// above the limit. nil: there is none.
	floor func(Results) float64
}

func perCall(name, place, unit string) func(Results) float64 {
	return func(r Results) float64 { return r.median(name, place, peerOurs, unit) }
}

func overBare(name, place, peer string) func(Results) float64 {
	return func(r Results) float64 { return r.ratio(name, place, peer, peerBare, unitTime) }
}

const (
	mega = 1e6
	kibi = 1 << 10
)

// What a watch may cost.
const (
	maxHeapPerWatch       = 2 * kibi
	maxGoroutinesPerWatch = 1
)

// growth is what the library adds to another program, in millions.
func growth(over, unit string) func(Results) float64 {
	return func(r Results) float64 {
		return (r.median("Footprint", "build", peerOurs, unit) - r.median("Footprint", "build", over, unit)) / mega
	}
}

func perWatch(unit string, scale float64) func(Results) float64 {
	return func(r Results) float64 {
		worst := math.NaN()
		for _, place := range []string{"watches100", "watches1000", "watches10000"} {
			if v := r.median("Scale", place, peerOurs, unit) / scale; !(v <= worst) && !math.IsNaN(v) {
				worst = v
			}
		}
		return worst
	}
}

var budgets = []budget{
	{what: "requests per call, steady state", limit: 1,
		measured: perCall("Read", serverMinimal, unitRequests)},
	{what: "requests per call, steady state, in-memory Atlas", limit: 1,
		measured: perCall("Read", serverAtlas, unitRequests)},
	{what: "requests per call, 64 callers", limit: 1,
		measured: perCall("Parallel", serverMinimal, unitRequests)},
	{what: "allocations per read, minimal handler in process", limit: 70,
		measured: perCall("Read", serverProcess, unitAllocs)},
	{what: "time at 20 ms latency ÷ bare", limit: 1.02, margin: 0.03, unit: "×",
		measured: overBare("Latency", serverMinimal, peerOurs)},
	{what: "time on loopback, minimal handler ÷ bare", limit: 1.15, margin: 0.12, unit: "×",
		measured: overBare("Read", serverMinimal, peerOurs), floor: overBare("Read", serverMinimal, peerIcholy)},
	{what: "create with 500 sharding entries ÷ bare, in-memory Atlas", limit: 1.6, margin: 0.16, unit: "×",
		measured: overBare("CreateSharded", serverAtlas, peerOurs)},
	{what: "heap per watch", limit: maxHeapPerWatch / kibi, unit: " KiB", measured: perWatch(unitHeap, kibi)},
	{what: "goroutines per watch", limit: maxGoroutinesPerWatch, measured: perWatch(unitGoroutines, 1)},
	{what: "binary growth over the packages that the interface requires", limit: 0.72, unit: " MB", margin: 0.02,
		measured: growth(programRequired, unitBinary)},
	{what: "the same, without symbols and debugging data", limit: 0.5, unit: " MB", margin: 0.02,
		measured: growth(programRequired, unitStripped)},
}

// met says whether a measurement keeps to the budget, give or take the margin. What has not been measured does not.
func (b *budget) met(got, margin float64) bool { return got <= b.limit+margin }

// allowed says whether the check passes.
func (b *budget) allowed(r Results, got float64) bool {
	return b.met(got, b.margin) || b.floor != nil && got <= b.floor(r)+b.margin
}

// Check judges results by all budgets. It returns a line for each, and how many are broken: those of times, which another
// measurement may meet, and those of counts.
func Check(r Results) (lines []string, times, counts int) {
	for i := range budgets {
		b := &budgets[i]
		got, verdict := b.measured(r), "ok    "
		if !b.allowed(r, got) {
			verdict = "BROKEN"
			if b.unit == "×" {
				times++
			} else {
				counts++
			}
		}
		lines = append(lines, fmt.Sprintf("%s  %s: %.2f%s (budget %.4g, margin %.2g)", verdict, b.what, got, b.unit, b.limit, b.margin))
	}
	return lines, times, counts
}

// InCheck selects what the check has to measure.
func InCheck(name, server string) bool {
	switch name {
	case "Read":
		return true
	case "CreateSharded":
		return server == serverAtlas
	case "Latency", "Parallel":
		return server == serverMinimal
	default:
		return false
	}
}
