// Command fleet watches fleets of migrations on virtual time, with and without pacing, and writes docs/scale.md and
// docs/figures/polls.svg.
//
// Run it from anywhere in the repository with
//
//	go run -C test/benchmarks ./cmd/fleet
package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/livemigration/livemigration-go/test/benchmarks"
)

func main() {
	document := flag.String("document", "../../docs/scale.md", "the document whose table is rewritten, beside the folder of figures")
	flag.Parse()
	if err := run(*document); err != nil {
		fmt.Fprintln(os.Stderr, "fleet:", err)
		os.Exit(1)
	}
}

// run measures in a test, because virtual time is there.
func run(document string) error {
	test := exec.Command("go", "test", "-count=1", "-timeout=30m", "-run", "^TestFleet$", "-v", ".", "-fleet")
	out, err := test.CombinedOutput()
	if err != nil {
		return fmt.Errorf("TestFleet: %w\n%s", err, out)
	}
	table := benchmarks.FleetTable(string(out))
	fmt.Print(table)
	text, err := os.ReadFile(document)
	if err != nil {
		return err
	}
	rewritten, err := benchmarks.Rewrite(string(text), map[string]string{"fleets": table})
	if err != nil {
		return fmt.Errorf("%s: %w", document, err)
	}
	if err := os.WriteFile(document, []byte(rewritten), 0o644); err != nil {
		return err
	}
	var image bytes.Buffer
	if err := benchmarks.PlotPolls(&image, string(out)); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(filepath.Dir(document), "figures", "polls.svg"), image.Bytes(), 0o644)
}
