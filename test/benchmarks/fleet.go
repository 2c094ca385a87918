package benchmarks

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Fleet is a run of many migrations at once. One client creates them and watches each. It cuts each over some time after
// it is ready, and watches it until it is complete.
type Fleet struct {
	Watches, Projects int
	PerMinute         int // requests that Atlas allows in each project; 0: its published limits
	Pacing            bool

	// The results.
	Requests, Rejected int
	Failed             int // watches that ended in an error
	Lost               int // watches that did not see their migration ready, or complete
	Took               time.Duration
	Ready, Complete    []time.Duration // how late each state was seen
	Minutes            []int           // the requests of each minute, those that were rejected included
}

// These begin the lines of a result in the output of TestFleet.
const (
	fleetMark   = "fleet-row: "
	minutesMark = "fleet-minutes: "
)

// row is the result as a row of a table.
func (f *Fleet) row() string {
	pacing := "yes"
	if !f.Pacing {
		pacing = "**no**"
	}
	return fmt.Sprintf("| %d | %d | %s | %s | %d | %d (%.2f %%) | %d | %d | %s / %s / %s | %s |",
		f.Watches, f.Projects, f.allowed(), pacing, f.Requests, f.Rejected, 100*f.rejectedShare(), f.Lost, f.Failed,
		quantile(f.Complete, 0.5), quantile(f.Complete, 0.99), quantile(f.Complete, 1), quantile(f.Ready, 1))
}

// publishedRefill is how many requests come back in a minute in each project by the published limits.
const publishedRefill = 500

func (f *Fleet) allowed() string {
	if f.PerMinute == 0 {
		return fmt.Sprintf("%d, at once 1200 (published)", publishedRefill)
	}
	return fmt.Sprint(f.PerMinute)
}

// perMinute is how many requests a project allows in the long run.
func (f *Fleet) perMinute() int { return cmp.Or(f.PerMinute, publishedRefill) }

func (f *Fleet) rejectedShare() float64 { return float64(f.Rejected) / float64(max(1, f.Requests)) }

const fleetHead = `| watches | projects | allowed a minute and project | pacing | requests | rejected with 429 | lost updates | failed watches | complete seen late: median / 99 % / worst | ready seen late: worst |
| ---: | ---: | ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: |
`

// FleetTable finds the results in the output of TestFleet.
func FleetTable(output string) string {
	var b strings.Builder
	b.WriteString(fleetHead)
	for line := range strings.Lines(output) {
		if _, row, ok := strings.Cut(line, fleetMark); ok {
			b.WriteString(strings.TrimRight(row, "\n") + "\n")
		}
	}
	return b.String()
}

// minutes is the result as a line that PlotPolls reads.
func (f *Fleet) minutes() string {
	return fmt.Sprintf("%d %d %t %s", f.Watches, f.perMinute()*f.Projects, f.Pacing, strings.Trim(fmt.Sprint(f.Minutes), "[]"))
}

func quantile(d []time.Duration, q float64) time.Duration {
	if len(d) == 0 {
		return 0
	}
	d = slices.Sorted(slices.Values(d))
	return d[int(q*float64(len(d)-1))].Round(time.Second)
}
