// Command mutation changes the library at random, one place at a time, and reports which changes no test notices.
//
//	go run -C test/mutation . -n 300 -seed 1
//
// A change that does not compile is not counted. The tests of the package run first, then those of the root package,
// which tests everything below internal too.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

type settings struct {
	root    string
	timeout time.Duration
}

func main() {
	n := flag.Int("n", 300, "how many changes to test")
	seed := flag.Uint64("seed", 1, "of the choice of changes")
	jobs := flag.Int("jobs", 2, "how many changes to test at the same time")
	only := flag.String("only", "", "a part of the paths of the files to change")
	timeout := flag.Duration("timeout", 3*time.Minute, "after which a test has noticed a change by hanging")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	root, err := filepath.Abs("../..")
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutation:", err)
		os.Exit(2)
	}
	if err := run(ctx, settings{root, *timeout}, *n, *seed, *jobs, *only); err != nil {
		fmt.Fprintln(os.Stderr, "mutation:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, s settings, n int, seed uint64, jobs int, only string) error {
	all, err := s.mutants()
	if err != nil {
		return err
	}
	all = slices.DeleteFunc(all, func(m mutant) bool { return !strings.Contains(m.file, only) })
	random := rand.New(rand.NewPCG(seed, 0))
	random.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	var (
		mu               sync.Mutex
		next             int
		killed, survived int
		workers          sync.WaitGroup
	)
	take := func() (m mutant, ok bool) {
		mu.Lock()
		defer mu.Unlock()
		if ctx.Err() != nil || next == len(all) || killed+survived >= n {
			return m, false
		}
		next++
		return all[next-1], true
	}
	for range jobs {
		workers.Go(func() {
			for m, ok := take(); ok; m, ok = take() {
				verdict := s.test(ctx, m)
				mu.Lock()
				switch {
				case ctx.Err() != nil || killed+survived >= n:
				case verdict == dead:
					killed++
				case verdict == alive:
					survived++
					fmt.Printf("survived: %s\n", m)
				}
				mu.Unlock()
			}
		})
	}
	workers.Wait()
	if killed+survived == 0 {
		return errors.New("no change was tested")
	}
	fmt.Printf("%d changes of %d possible ones, seed %d: %d noticed (%.1f %%), %d not\n",
		killed+survived, len(all), seed, killed, 100*float64(killed)/float64(killed+survived), survived)
	return ctx.Err()
}

type verdict int

const (
	invalid verdict = iota // it does not compile
	dead
	alive
)

// test runs the tests with a change laid over its file.
func (s settings) test(ctx context.Context, m mutant) verdict {
	dir, err := os.MkdirTemp("", "mutation")
	if err != nil {
		return invalid
	}
	defer os.RemoveAll(dir)
	changed, overlay := filepath.Join(dir, "changed.go"), filepath.Join(dir, "overlay.json")
	replace, err := json.Marshal(map[string]any{"Replace": map[string]string{filepath.Join(s.root, m.file): changed}})
	if err != nil || os.WriteFile(changed, m.source, 0o600) != nil || os.WriteFile(overlay, replace, 0o600) != nil {
		return invalid
	}
	if s.command(ctx, "build", "-overlay", overlay, "./...") != nil {
		return invalid
	}
	own := "./" + filepath.Dir(m.file)
	packages := []string{own}
	if strings.HasPrefix(m.file, "internal/") {
		packages = append(packages, ".")
	}
	for _, p := range packages {
		if s.command(ctx, "test", "-vet=off", "-failfast", "-timeout", s.timeout.String(), "-overlay", overlay, p) != nil {
			return dead
		}
	}
	return alive
}

func (s settings) command(ctx context.Context, args ...string) error {
	command := exec.CommandContext(ctx, "go", args...)
	command.Dir = s.root
	return command.Run()
}
