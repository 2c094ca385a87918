// Command crash runs the tests of this module and prints the section about crashes with their figures, writes it into a
// document, or checks that a document holds it. It takes about a minute.
//
//	go run -C test/crash ./cmd/crash -write ../../docs/internals/reliability.md
//	go run -C test/crash ./cmd/crash -check ../../docs/internals/reliability.md
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/livemigration/livemigration-go/test/crash"
)

const testedPackage = "github.com/livemigration/livemigration-go/test/crash"

func main() {
	write := flag.String("write", "", "the `file` to write the section into")
	check := flag.String("check", "", "the `file` whose section is to be compared")
	flag.Parse()
	if err := run(context.Background(), *write, *check); err != nil {
		fmt.Fprintln(os.Stderr, "crash:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, write, check string) error {
	if write != "" && check != "" {
		return errors.New("-write and -check exclude each other")
	}
	figures, err := measure(ctx)
	if err != nil {
		return err
	}
	section, err := crash.Section(figures)
	if err != nil {
		return err
	}
	path := write + check
	if path == "" {
		fmt.Print(section)
		return nil
	}
	document, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if check != "" {
		if err := crash.Check(string(document), section); err != nil {
			return fmt.Errorf("%s: %w\nWrite it anew with -write", check, err)
		}
		return nil
	}
	updated, err := crash.Update(string(document), section)
	if err != nil {
		return fmt.Errorf("%s: %w", write, err)
	}
	return os.WriteFile(write, []byte(updated), 0o644)
}

// measure runs the tests, and returns the figures that they report.
func measure(ctx context.Context) (map[string]crash.Figures, error) {
	dir, err := os.MkdirTemp("", "crash")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	path := filepath.Join(dir, "figures.json")
	tests := exec.CommandContext(ctx, "go", "test", "-count=1", "-timeout=10m", testedPackage, "-figures", path)
	if out, err := tests.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("the tests fail: %w\n%s", err, out)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var figures map[string]crash.Figures
	if err := json.Unmarshal(data, &figures); err != nil {
		return nil, fmt.Errorf("read the figures: %w", err)
	}
	return figures, nil
}
