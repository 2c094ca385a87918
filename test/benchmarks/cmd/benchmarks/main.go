// Command benchmarks measures the library beside its peers, and writes docs/performance.md and the raw results beside it.
//
// Run it from anywhere in the repository with
//
//	go run -C test/benchmarks ./cmd/benchmarks
//
// With -check it measures only what the budgets are about, writes nothing, and fails when one is broken.
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/livemigration/livemigration-go/test/benchmarks"
)

func main() {
	rounds := flag.Int("rounds", 12, "interleaved rounds of every measurement")
	check := flag.Bool("check", false, "only check the budgets")
	only := flag.String("only", "", "measure only one part, and print its tables: calls, scale or footprint")
	match := flag.String("match", "", "with -only calls: a regular expression for benchmark/server, such as ^Read/minimal$")
	docs := flag.String("docs", "../../docs", "the directory of performance.md")
	flag.Parse()
	selected, err := regexp.Compile(*match)
	if err == nil {
		err = run(*rounds, *check, *only, selected, *docs)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "benchmarks:", err)
		os.Exit(1)
	}
}

func run(rounds int, check bool, only string, match *regexp.Regexp, docs string) error {
	switch {
	case rounds < 1:
		return errors.New("-rounds must be at least 1")
	case check:
		return checkBudgets(rounds)
	case only != "calls" && match.String() != "":
		return errors.New("-match goes with -only calls")
	}
	results, err := measure(rounds, only, match)
	if err != nil {
		return err
	}
	tables := benchmarks.Tables(results)
	if only != "" {
		return print(tables, sectionsOf[only])
	}
	if err := write(results, tables, docs); err != nil {
		return err
	}
	return print(tables, []string{"machine", "budgets", "time", "counts", "scale", "footprint"})
}

// sectionsOf are the tables that a part fills.
var sectionsOf = map[string][]string{"calls": {"time", "counts"}, "scale": {"scale"}, "footprint": {"footprint"}}

func print(tables map[string]string, sections []string) error {
	for _, name := range sections {
		if _, err := fmt.Printf("\n%s\n\n%s", name, tables[name]); err != nil {
			return err
		}
	}
	return nil
}

func progress(what string) { fmt.Fprintln(os.Stderr, "measuring:", what) }

func measure(rounds int, only string, match *regexp.Regexp) (benchmarks.Results, error) {
	selected := func(name, server string) bool { return match.MatchString(name + "/" + server) }
	parts := map[string]func() (benchmarks.Results, error){
		"calls":     func() (benchmarks.Results, error) { return benchmarks.Measure(rounds, selected, progress) },
		"scale":     scale,
		"footprint": func() (benchmarks.Results, error) { return benchmarks.Footprint(rounds, progress) },
	}
	if only != "" {
		part, ok := parts[only]
		if !ok {
			return nil, fmt.Errorf("-only %s: there is no such part", only)
		}
		return part()
	}
	var all benchmarks.Results
	for _, name := range []string{"calls", "scale", "footprint"} {
		found, err := parts[name]()
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	return all, nil
}

// scale is measured in a test, because virtual time is.
func scale() (benchmarks.Results, error) {
	progress("watches on virtual time")
	test := exec.Command("go", "test", "-count=1", "-run", "^TestScale$", "-v", ".")
	out, err := test.CombinedOutput()
	results, parseErr := benchmarks.Parse(bytes.NewReader(out))
	if err != nil {
		return results, fmt.Errorf("TestScale: %w\n%s", err, out)
	}
	return results, parseErr
}

func write(results benchmarks.Results, tables map[string]string, docs string) error {
	var raw bytes.Buffer
	raw.WriteString(benchmarks.Head())
	if err := results.Write(&raw); err != nil {
		return err
	}
	name := filepath.Join(docs, "performance.md")
	document, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	rewritten, err := benchmarks.Rewrite(string(document), tables)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if err := os.WriteFile(filepath.Join(docs, "performance-raw.txt"), raw.Bytes(), 0o644); err != nil {
		return err
	}
	return os.WriteFile(name, []byte(rewritten), 0o644)
}

// checkBudgets measures up to three times: a busy machine breaks a budget of time once, a slow library each time.
func checkBudgets(rounds int) error {
	fixed, scaleErr := scale()
	progress("sizes of programs")
	sizes, err := benchmarks.Sizes()
	if err != nil {
		return err
	}
	fixed = append(fixed, sizes...)
	const tries = 3
	for try := 1; ; try++ {
		calls, err := benchmarks.Measure(rounds, benchmarks.InCheck, progress)
		if err != nil {
			return err
		}
		lines, times, counts := benchmarks.Check(append(calls, fixed...))
		fmt.Println(strings.Join(lines, "\n"))
		switch {
		case times+counts == 0:
			return scaleErr
		case counts > 0 || try == tries:
			return errors.Join(fmt.Errorf("budgets broken: %d", times+counts), scaleErr)
		}
	}
}
