// Command benchmarks measures the library beside its peers, and rewrites the tables of docs/performance.md and
// docs/scale.md. It takes some minutes. Run it from anywhere in the repository with
//
//	go run -C test/benchmarks ./cmd/benchmarks
//
// With -check it measures only what the budgets are about, writes nothing, and fails when one is exceeded that neither
// depends on the load nor is still a goal. With -functions
// it prints the functions that a first Migrations.Create enters.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/livemigration/livemigration-go/test/benchmarks"
)

func main() {
	rounds := flag.Int("rounds", 12, "interleaved rounds of every measurement")
	check := flag.Bool("check", false, "only check the budgets")
	functions := flag.Bool("functions", false, "only print the functions that a first Migrations.Create enters")
	docs := flag.String("docs", "../../docs", "the directory of performance.md and scale.md")
	flag.Parse()
	var err error
	switch {
	case *rounds < 1:
		err = errors.New("-rounds must be at least 1")
	case *functions:
		_, err = countFunctions(true)
	case *check:
		err = checkBudgets(*rounds)
	default:
		err = write(*rounds, *docs)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "benchmarks:", err)
		os.Exit(1)
	}
}

func progress(what string) { fmt.Fprintln(os.Stderr, "measuring:", what) }

// countFunctions measures what is the same in every run.
func countFunctions(print bool) (r benchmarks.Report, err error) {
	for _, one := range []struct {
		credentials string
		count       *int
	}{{"key", &r.WithKey}, {"token", &r.WithToken}} {
		names, err := benchmarks.Functions(one.credentials)
		if err != nil {
			return r, err
		}
		*one.count = len(names)
		if print {
			fmt.Printf("%d functions with the credentials %q\n%s\n\n", len(names), one.credentials, strings.Join(names, "\n"))
		}
	}
	return r, nil
}

func measure(rounds int) (r benchmarks.Report, err error) {
	progress("functions, and sizes of programs")
	if r, err = countFunctions(false); err != nil {
		return r, err
	}
	if r.Sizes, err = benchmarks.MeasureSizes(); err != nil {
		return r, err
	}
	if r.Calls, err = benchmarks.Measure(rounds, progress); err != nil {
		return r, err
	}
	progress("10,000 records")
	r.Records, err = benchmarks.MeasureRecords()
	return r, err
}

func checkBudgets(rounds int) error {
	r, err := measure(rounds)
	if err != nil {
		return err
	}
	lines, failed := benchmarks.Check(r)
	fmt.Println(strings.Join(lines, "\n"))
	if failed > 0 {
		return fmt.Errorf("budgets exceeded: %d", failed)
	}
	return nil
}

func write(rounds int, docs string) error {
	r, err := measure(rounds)
	if err != nil {
		return err
	}
	progress("watches on virtual time") // in tests, because virtual time is there
	test := exec.Command("go", "test", "-count=1", "-timeout=30m", "-run", "^(TestScale|TestFleet)$", "-v", ".", "-fleet")
	output, err := test.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w\n%s", err, output)
	}
	tables := benchmarks.Tables(r)
	tables["scale"] = benchmarks.Rows(string(output), "scale")
	fleets := map[string]string{"fleets": benchmarks.Rows(string(output), "fleets")}
	return errors.Join(
		benchmarks.Rewrite(filepath.Join(docs, "performance.md"), tables),
		benchmarks.Rewrite(filepath.Join(docs, "scale.md"), fleets))
}
