package benchmarks

import (
	"fmt"
	"math"
)

// Report is all that the budgets are about.
type Report struct {
	Calls Results
	Sizes Sizes
	// Functions that a first Migrations.Create enters.
	WithKey, WithToken int
	Records            Records
}

// budget is what something may cost.
type budget struct {
	what  string
	limit float64
	unit  string
	// must: the check fails above the limit. The rest is only printed: times, which depend on the load, and goals that are
	// still ahead.
	must     bool
	measured func(Report) float64
}

func perCall(w work, peer string, unit func(sample) float64) func(Report) float64 {
	return func(r Report) float64 { return r.Calls.median(w, peer, unit) }
}

func timeOver(w work, other string) func(Report) float64 {
	return func(r Report) float64 { return r.Calls.ratio(w, peerOurs, other) }
}

var budgets = []budget{
	{"requests per read", 1, "", true, perCall(read, peerOurs, requests)},
	{"requests per read, 64 callers at once", 1, "", true, perCall(parallel, peerOurs, requests)},
	{"requests per creation, API key", 2, "", true, perCall(create, peerOurs, requests)},
	{"requests per creation, token", 1, "", true, perCall(create, peerToken, requests)},
	{"time per read at 20 ms latency ÷ bare", 1.02, "×", false, timeOver(distant, peerBare)},
	{"time per read on loopback ÷ icholy", 1.15, "×", false, timeOver(read, peerIcholy)},
	{"allocations per read, without sockets", 75, "", false, perCall(process, peerOurs, allocations)},
	{"functions that a first Migrations.Create enters, API key", 90, "", false, func(r Report) float64 { return float64(r.WithKey) }},
	{"functions that a first Migrations.Create enters, token", 65, "", false, func(r Report) float64 { return float64(r.WithToken) }},
	{"binary growth over the packages that the interface requires", 0.6, " MB", true, func(r Report) float64 { return r.Sizes.growth() }},
	{"10,000 records: heap", 60, " MB", true, recordCost("directory", "heap-MB")},
	{"10,000 records: time to the first poll", 3, " s", false, recordCost("directory", "s-to-first-poll")},
	{"10,000 records: time to add all, in memory", 2, " s", false, recordCost("memory", "s-to-add")},
	{"10,000 records: time to add all, in a directory on tmpfs", 10, " s", false, recordCost("directory", "s-to-add")},
}

// met reports whether a measurement keeps to the budget. What has not been measured does not.
func (b *budget) met(got float64) bool { return got > 0 && got <= b.limit }

// Check judges a report by all budgets. It returns a line for each, and how many are exceeded that must not be.
func Check(r Report) (lines []string, failed int) {
	for i := range budgets {
		b := &budgets[i]
		got, verdict := b.measured(r), "ok      "
		switch {
		case b.met(got):
		case b.must:
			verdict = "EXCEEDED"
			failed++
		default:
			verdict = "above   "
		}
		lines = append(lines, fmt.Sprintf("%s  %s: %s (budget %s)", verdict, b.what, number(got, b.unit), number(b.limit, b.unit)))
	}
	return lines, failed
}

// number formats with as many digits as a reader can use; what has not been measured is a dash.
func number(v float64, unit string) string {
	switch {
	case math.IsNaN(v):
		return "–"
	case v == math.Trunc(v) && math.Abs(v) < 1000:
		return fmt.Sprintf("%.0f%s", v, unit)
	case math.Abs(v) < 10:
		return fmt.Sprintf("%.2f%s", v, unit)
	case math.Abs(v) < 100:
		return fmt.Sprintf("%.1f%s", v, unit)
	default:
		return fmt.Sprintf("%.0f%s", v, unit)
	}
}
