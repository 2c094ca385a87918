package benchmarks

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
)

// Tables renders a report for docs/internals/performance.md, by the names of its sections.
func Tables(r Report) map[string]string {
	return map[string]string{
		"machine": machine(), "budgets": budgetTable(r), "calls": callTable(r.Calls), "sizes": sizeTable(r.Sizes),
	}
}

// Rows finds the rows that a test has printed for a table: the lines "NAME: | … |" of its output.
func Rows(output, name string) string {
	var rows strings.Builder
	for line := range strings.Lines(output) {
		if _, row, ok := strings.Cut(line, name+": |"); ok {
			rows.WriteString("|" + strings.TrimRight(row, "\n") + "\n")
		}
	}
	return rows.String()
}

// Rewrite replaces what is between <!-- begin NAME --> and <!-- end NAME --> in a file.
func Rewrite(file string, tables map[string]string) error {
	content, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	document := string(content)
	for name, table := range tables {
		begin, end := "<!-- begin "+name+" -->\n", "<!-- end "+name+" -->"
		before, rest, ok := strings.Cut(document, begin)
		_, after, ok2 := strings.Cut(rest, end)
		if !ok || !ok2 {
			return fmt.Errorf("%s has no section %q", file, name)
		}
		document = before + begin + "\n" + table + "\n" + end + after
	}
	return os.WriteFile(file, []byte(document), 0o644)
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

func budgetTable(r Report) string {
	t := newTable("what", "budget", "measured")
	for i := range budgets {
		b := &budgets[i]
		t.row(b.what, number(b.limit, b.unit), number(b.measured(r), b.unit))
	}
	return t.String()
}

func callTable(r Results) string {
	t := newTable("what", "peer", "requests", "µs", "÷ bare", "allocations", "KiB allocated")
	for _, w := range workloads {
		for _, p := range peers {
			t.row(w.title, p, number(r.median(w, p, requests), ""), number(r.median(w, p, nanoseconds)/1000, ""),
				number(r.ratio(w, p, peerBare), ""), number(r.median(w, p, allocations), ""), number(r.median(w, p, kibibytes), ""))
		}
	}
	return t.String()
}

func sizeTable(s Sizes) string {
	t := newTable("program", "binary, MB", "over bare", "stripped, MB", "over bare")
	for _, program := range programs {
		var cells []string
		for i, size := range s[program] {
			cells = append(cells, number(size, ""), fmt.Sprintf("%+.2f", size-s[peerBare][i]))
		}
		t.row(append([]string{program}, cells...)...)
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
