// Command fleet watches fleets of migrations on virtual time, with and without pacing, and writes docs/scale.md.
//
// Run it from anywhere in the repository with
//
//	go run -C test/benchmarks ./cmd/fleet
package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"

	"github.com/livemigration/livemigration-go/test/benchmarks"
)

func main() {
	document := flag.String("document", "../../docs/scale.md", "the document whose table is rewritten")
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
	return os.WriteFile(document, []byte(rewritten), 0o644)
}
