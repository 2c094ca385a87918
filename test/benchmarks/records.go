package benchmarks

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
)

// Records is what a fleet of 10,000 records costs, by store ("memory" or "directory") and unit, such as "heap-MB".
type Records map[[2]string]float64

// MeasureRecords runs the benchmark of package durable, on a directory in memory where there is one. It has to run in the
// directory of this module.
func MeasureRecords() (Records, error) {
	benchmark := exec.Command("go", "test", "-C", "../..", "-run", "^$", "-bench", "^BenchmarkFleet$", "-benchtime", "1x", "./durable")
	if info, err := os.Stat("/dev/shm"); err == nil && info.IsDir() {
		benchmark.Env = append(os.Environ(), "TMPDIR=/dev/shm")
	}
	output, err := benchmark.CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("the benchmark of package durable: %w\n%s", err, output)
	}
	return parseRecords(string(output)), nil
}

// parseRecords reads the lines "BenchmarkFleet/STORE-2 1 VALUE UNIT VALUE UNIT …".
func parseRecords(output string) Records {
	all := make(Records)
	for line := range strings.Lines(output) {
		name, ok := strings.CutPrefix(line, "BenchmarkFleet/")
		fields := strings.Fields(name)
		if !ok || len(fields) < 2 {
			continue
		}
		store, _, _ := strings.Cut(fields[0], "-")
		for i := 2; i+1 < len(fields); i += 2 {
			if value, err := strconv.ParseFloat(fields[i], 64); err == nil {
				all[[2]string{store, fields[i+1]}] = value
			}
		}
	}
	return all
}

func recordCost(store, unit string) func(Report) float64 {
	return func(r Report) float64 { return r.Records[[2]string{store, unit}] }
}
