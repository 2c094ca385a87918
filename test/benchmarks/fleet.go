package benchmarks

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Fleet is a run of many migrations at once. One client creates them and watches each. It cuts each over some time after
// it is ready, and watches it until it is complete.
type Fleet struct {
	Watches, Projects int
	PerMinute         int // requests that Atlas allows in each project
	Pacing            bool

	// The results.
	Requests, Rejected int
	Failed             int // watches that ended in an error
	Lost               int // watches that did not see their migration ready, or complete
	Took               time.Duration
	Ready, Complete    []time.Duration // how late each state was seen
}

// fleetMark begins the line of a result in the output of TestFleet.
const fleetMark = "fleet-row: "

// row is the result as a row of a table.
func (f *Fleet) row() string {
	pacing := "yes"
	if !f.Pacing {
		pacing = "**no**"
	}
	return fmt.Sprintf("| %d | %d | %d | %s | %d | %d (%.2f %%) | %d | %d | %s / %s / %s | %s |",
		f.Watches, f.Projects, f.PerMinute, pacing, f.Requests, f.Rejected, 100*f.rejectedShare(), f.Lost, f.Failed,
		quantile(f.Complete, 0.5), quantile(f.Complete, 0.99), quantile(f.Complete, 1), quantile(f.Ready, 1))
}

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

func quantile(d []time.Duration, q float64) time.Duration {
	if len(d) == 0 {
		return 0
	}
	d = slices.Sorted(slices.Values(d))
	return d[int(q*float64(len(d)-1))].Round(time.Second)
}
