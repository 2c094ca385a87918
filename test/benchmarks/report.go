package benchmarks

import (
	"fmt"
	"math"
	"os"
	"os/exec"
	"runtime"
	"strings"
)

// Tables renders results for docs/performance.md, by the names of its sections.
func Tables(r Results) map[string]string {
	return map[string]string{
		"machine":   machine(),
		"budgets":   budgetTable(r),
		"time":      timeTable(r),
		"counts":    countTable(r),
		"scale":     scaleTable(r),
		"footprint": footprintTable(r),
	}
}

// Rewrite replaces what stands between <!-- begin NAME --> and <!-- end NAME --> in a document.
func Rewrite(document string, tables map[string]string) (string, error) {
	for name, table := range tables {
		begin, end := "<!-- begin "+name+" -->\n", "<!-- end "+name+" -->"
		before, rest, ok := strings.Cut(document, begin)
		_, after, ok2 := strings.Cut(rest, end)
		if !ok || !ok2 {
			return "", fmt.Errorf("the document has no section %q", name)
		}
		document = before + begin + "\n" + table + "\n" + end + after
	}
	return document, nil
}

// table is in Markdown. The first column is text, the others are numbers.
type table struct{ strings.Builder }

func newTable(heads ...string) *table {
	t := &table{}
	t.row(heads...)
	t.WriteString("| ---" + strings.Repeat(" | ---:", len(heads)-1) + " |\n")
	return t
}

func (t *table) row(cells ...string) { t.WriteString("| " + strings.Join(cells, " | ") + " |\n") }

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

func budgetTable(r Results) string {
	t := newTable("what", "budget", "measured", "")
	for i := range budgets {
		b := &budgets[i]
		verdict, got := "**exceeded**", b.measured(r)
		switch {
		case math.IsNaN(got):
			verdict = "not measured"
		case b.met(got, 0):
			verdict = "met"
		case b.met(got, b.margin):
			verdict = "within the margin of " + number(b.margin, b.unit)
		case b.allowed(r, got):
			verdict = "as plain HTTP Digest on this machine, " + number(b.floor(r), b.unit)
		}
		t.row(b.what, number(b.limit, b.unit), number(got, b.unit), verdict)
	}
	return t.String()
}

// eachPlace calls f for each benchmark and server of which there are results.
func eachPlace(r Results, f func(b *benchmark, place string)) {
	for i := range benchmarks {
		for _, place := range benchmarks[i].servers {
			if len(r.series(benchmarks[i].name, place, peerOurs, unitTime)) > 0 {
				f(&benchmarks[i], place)
			}
		}
	}
}

func timeTable(r Results) string {
	t := newTable("what", "server", "bare, µs", "ours ÷ bare", "icholy ÷ bare", "official ÷ bare", "ours ÷ icholy", "ours ÷ official")
	eachPlace(r, func(b *benchmark, place string) {
		if place == serverProcess {
			return // without a network a body of any size costs nothing
		}
		ratio := func(peer, other string) string { return number(r.ratio(b.name, place, peer, other, unitTime), "") }
		t.row(b.title, place, number(r.median(b.name, place, peerBare, unitTime)/1000, ""),
			ratio(peerOurs, peerBare), ratio(peerIcholy, peerBare), ratio(peerOfficial, peerBare),
			ratio(peerOurs, peerIcholy), ratio(peerOurs, peerOfficial))
	})
	return t.String()
}

func countTable(r Results) string {
	heads := []string{"what", "server"}
	for _, p := range peers {
		heads = append(heads, p.name)
	}
	t := newTable(heads...)
	eachPlace(r, func(b *benchmark, place string) {
		cells := []string{b.title, place}
		for _, p := range peers {
			value := func(unit string, scale float64) string {
				return number(r.median(b.name, place, p.name, unit)/scale, "")
			}
			cell := value(unitRequests, 1) + " · " + value(unitAllocs, 1) + " · " + value(unitBytes, kibi)
			if len(r.series(b.name, place, p.name, unitTime)) == 0 {
				cell = "–"
			}
			cells = append(cells, cell)
		}
		t.row(cells...)
	})
	return t.String()
}

func scaleTable(r Results) string {
	t := newTable("watches", "heap a watch, KiB", "stack a watch, KiB", "goroutines a watch", "requests a minute, all watches",
		"bare loop: heap, KiB", "stack, KiB")
	for _, n := range []int{10, 100, 1_000, 10_000} {
		value := func(peer, unit string) float64 { return r.median("Scale", fmt.Sprintf("watches%d", n), peer, unit) }
		t.row(fmt.Sprint(n), number(value(peerOurs, unitHeap)/kibi, ""), number(value(peerOurs, unitStack)/kibi, ""),
			number(value(peerOurs, unitGoroutines), ""), fmt.Sprintf("%.0f", value(peerOurs, unitRate)*float64(n)),
			number(value(peerBare, unitHeap)/kibi, ""), number(value(peerBare, unitStack)/kibi, ""))
	}
	return t.String()
}

func footprintTable(r Results) string {
	t := newTable("program", "binary, MB", "over bare", "stripped, MB", "over bare", "build, s", "CPU, s", "largest process, MB")
	for _, program := range programs {
		value := func(peer, unit string) float64 { return r.median("Footprint", "build", peer, unit) }
		over := func(unit string) string {
			return fmt.Sprintf("%+.2f", (value(program, unit)-value(peerBare, unit))/mega)
		}
		t.row(program, number(value(program, unitBinary)/mega, ""), over(unitBinary),
			number(value(program, unitStripped)/mega, ""), over(unitStripped),
			number(value(program, unitBuild), ""), number(value(program, unitCPU), ""), number(value(program, unitMemory)/mega, ""))
	}
	return t.String()
}

func machine() string {
	var b strings.Builder
	fmt.Fprintf(&b, "- Machine: %d × %s, %s/%s", runtime.NumCPU(), processor(), runtime.GOOS, runtime.GOARCH)
	if kernel, err := exec.Command("uname", "-r").Output(); err == nil {
		fmt.Fprintf(&b, ", kernel %s", strings.TrimSpace(string(kernel)))
	}
	fmt.Fprintf(&b, "\n- Go: %s, GOMAXPROCS %d\n", runtime.Version(), runtime.GOMAXPROCS(0))
	return b.String()
}

func processor() string {
	info, _ := os.ReadFile("/proc/cpuinfo") // exists on Linux only
	for line := range strings.Lines(string(info)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "unnamed processor"
}

// Head is what stands before raw results, for benchstat.
func Head() string {
	return fmt.Sprintf("goos: %s\ngoarch: %s\npkg: github.com/livemigration/livemigration-go/test/benchmarks\ncpu: %s\n",
		runtime.GOOS, runtime.GOARCH, processor())
}
