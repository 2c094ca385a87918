package benchmarks

import (
	"bytes"
	"os"
	"strings"
	"testing"
)

func TestPlots(t *testing.T) {
	table, err := os.ReadFile("../../docs/scale.md")
	if err != nil {
		t.Fatal(err)
	}
	raw, err := os.Open("../../docs/performance-raw.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	results, err := Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	const growth = "BenchmarkFleet/100-2 1 5 ns/op 0.4 heap-MB 0.003 s-to-first-look\nBenchmarkFleet/1000-2 1 42 ns/op 4.2 heap-MB 0.039 s-to-first-look\n"
	const polls = minutesMark + "10 5 true 5 5 5\n" + minutesMark + "10 5 false 10 9\n" + minutesMark + "9 5 true 4 4\n"
	var image bytes.Buffer
	for name, draw := range map[string]func() error{
		"ratios": func() error { return PlotRatios(&image, results) },
		"fleets": func() error { return PlotFleets(&image, string(table)) },
		"polls":  func() error { return PlotPolls(&image, polls) },
		"growth": func() error { return PlotGrowth(&image, growth) },
	} {
		image.Reset()
		if err := draw(); err != nil || !strings.Contains(image.String(), "<svg") {
			t.Errorf("%s: %v, %d bytes", name, err, image.Len())
		}
	}
	if PlotFleets(&image, "no table") == nil || PlotPolls(&image, minutesMark+"9 5 true 4 4\n") == nil || PlotGrowth(&image, "no benchmark") == nil {
		t.Error("a plot of nothing is no error")
	}
}
