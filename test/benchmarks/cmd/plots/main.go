// Command plots draws what the other commands have measured, into docs/figures: the ratios of docs/performance.md, the
// fleets of docs/scale.md, and the growth of package durable, which it measures itself.
//
//	go run -C test/benchmarks ./cmd/plots
package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/livemigration/livemigration-go/test/benchmarks"
)

func main() {
	if err := run("../../docs"); err != nil {
		fmt.Fprintln(os.Stderr, "plots:", err)
		os.Exit(1)
	}
}

func run(docs string) error {
	raw, err := os.ReadFile(filepath.Join(docs, "performance-raw.txt"))
	if err != nil {
		return err
	}
	results, err := benchmarks.Parse(bytes.NewReader(raw))
	if err != nil {
		return err
	}
	table, err := os.ReadFile(filepath.Join(docs, "scale.md"))
	if err != nil {
		return err
	}
	growth, err := exec.Command("go", "test", "-C", "../..", "-run", "^$", "-bench", "^BenchmarkFleet$", "-benchtime", "1x", "./durable").CombinedOutput()
	if err != nil {
		return fmt.Errorf("the benchmark of durable: %w\n%s", err, growth)
	}
	for name, draw := range map[string]func(io.Writer) error{
		"ratios.svg": func(w io.Writer) error { return benchmarks.PlotRatios(w, results) },
		"fleets.svg": func(w io.Writer) error { return benchmarks.PlotFleets(w, string(table)) },
		"growth.svg": func(w io.Writer) error { return benchmarks.PlotGrowth(w, string(growth)) },
	} {
		var image bytes.Buffer
		if err := draw(&image); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if err := os.WriteFile(filepath.Join(docs, "figures", name), image.Bytes(), 0o644); err != nil {
			return err
		}
	}
	return nil
}
