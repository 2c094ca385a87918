// Command mutation measures what the tests notice. It changes the client and package durable in one place after the
// other, and runs the tests each time. A mutant that no test notices has survived: a test is missing, or the change
// changes nothing.
//
//	go run -C test/mutation . -n 300 ../..
//
// Nothing is written to the repository: the go command compiles a changed file in place of the original (-overlay). The
// seed decides which places are changed.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
)

func main() {
	n := flag.Int("n", 300, "how many mutants that compile")
	seed := flag.Uint64("seed", 1, "which ones")
	jobs := flag.Int("jobs", 2, "how many at once")
	least := flag.Float64("least", 0, "fail when fewer percent are killed")
	flag.Parse()
	if flag.NArg() != 1 {
		fmt.Fprintln(os.Stderr, "usage: mutation [-n N] [-seed N] [-jobs N] [-least PERCENT] ROOT")
		os.Exit(2)
	}
	if err := run(flag.Arg(0), *n, *seed, *jobs, *least); err != nil {
		fmt.Fprintln(os.Stderr, "mutation:", err)
		os.Exit(1)
	}
}

func run(root string, n int, seed uint64, jobs int, least float64) error {
	root, err := filepath.Abs(root)
	if err != nil {
		return err
	}
	changes, err := find(root)
	if err != nil {
		return err
	}
	rand.New(rand.NewPCG(seed, 0)).Shuffle(len(changes), func(i, j int) { changes[i], changes[j] = changes[j], changes[i] })
	work, err := os.MkdirTemp("", "mutation")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	m := &mutation{root: root, work: work, left: changes, wanted: n}
	var workers sync.WaitGroup
	for range jobs {
		workers.Go(m.tryAll)
	}
	workers.Wait()
	killed := m.count[killed]
	percent := 100 * float64(killed) / float64(max(1, killed+m.count[survived]))
	fmt.Printf("seed %d: %d mutants of %d places, %d killed (%.1f %%), %d survived; %d others did not compile\n",
		seed, killed+m.count[survived], len(changes), killed, percent, m.count[survived], m.count[invalid])
	if m.err == nil && percent < least {
		return fmt.Errorf("%.1f %% is less than %.1f %%", percent, least)
	}
	return m.err
}

// find returns all mutants of the files that are compiled on this system.
func find(root string) ([]change, error) {
	list := exec.Command("go", "list", "-f", "{{$d := .Dir}}{{range .GoFiles}}{{$d}}/{{.}}\n{{end}}", ".", "./internal/...", "./durable")
	list.Dir, list.Stderr = root, os.Stderr
	output, err := list.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w", err)
	}
	var changes []change
	for _, file := range strings.Fields(string(output)) {
		source, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		found, err := changesOf(file, source)
		if err != nil {
			return nil, err
		}
		changes = append(changes, found...)
	}
	return changes, nil
}

func changesOf(file string, source []byte) ([]change, error) {
	f := &finder{files: token.NewFileSet(), name: file, source: source}
	parsed, err := parser.ParseFile(f.files, file, source, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	ast.Inspect(parsed, f.visit)
	return f.changes, nil
}

// apply returns the source with the change in it.
func (c change) apply(source []byte) []byte {
	return []byte(string(source[:c.start]) + c.after + string(source[c.end:]))
}

type verdict int

const (
	killed verdict = iota
	survived
	invalid // it does not compile
)

// mutation is a run.
type mutation struct {
	root, work string

	mu     sync.Mutex
	left   []change
	wanted int
	number int
	count  [3]int
	err    error
}

// tryAll tries one mutant after the other until enough have compiled.
func (m *mutation) tryAll() {
	for {
		m.mu.Lock()
		if m.wanted == 0 || len(m.left) == 0 || m.err != nil {
			m.mu.Unlock()
			return
		}
		c := m.left[0]
		m.left = m.left[1:]
		m.wanted--
		m.number++
		overlay := filepath.Join(m.work, fmt.Sprint(m.number))
		m.mu.Unlock()
		v, err := m.try(c, overlay)
		m.mu.Lock()
		m.count[v]++
		m.err = errors.Join(m.err, err)
		if v == invalid {
			m.wanted++
		} else {
			m.print(c, v)
		}
		m.mu.Unlock()
	}
}

func (m *mutation) print(c change, v verdict) {
	file, err := filepath.Rel(m.root, c.file)
	if err != nil {
		file = c.file
	}
	short := func(text string) string {
		text = strings.Join(strings.Fields(text), " ")
		if len(text) > 60 {
			text = text[:57] + "..."
		}
		return "`" + text + "`"
	}
	fmt.Printf("%s %s:%d: %s → %s\n", [...]string{"killed  ", "SURVIVED"}[v], file, c.line, short(c.before), short(c.after))
}

// try compiles a mutant and runs the tests that cover it: those of its own package, then those of the client.
func (m *mutation) try(c change, overlay string) (verdict, error) {
	source, err := os.ReadFile(c.file)
	if err != nil {
		return invalid, err
	}
	changed := overlay + ".go"
	if err := os.WriteFile(changed, c.apply(source), 0o600); err != nil {
		return invalid, err
	}
	replace, err := json.Marshal(map[string]map[string]string{"Replace": {c.file: changed}})
	if err != nil {
		return invalid, err
	}
	if err := os.WriteFile(overlay, replace, 0o600); err != nil {
		return invalid, err
	}
	directory := filepath.Dir(c.file)
	if !m.succeeds("build", "-overlay", overlay, directory) {
		return invalid, nil
	}
	packages := []string{directory}
	if strings.HasPrefix(directory, filepath.Join(m.root, "internal")) {
		packages = append(packages, m.root)
	}
	for _, tested := range packages {
		if !m.succeeds("test", "-overlay", overlay, "-vet", "off", "-failfast", "-timeout", "3m", tested) {
			return killed, nil
		}
	}
	return survived, nil
}

// succeeds runs the go command in a group of its own, and with a bound on memory: a mutant may send signals to a whole group,
// or allocate without end.
func (m *mutation) succeeds(args ...string) bool {
	const bounded = "ulimit -v 6000000; exec go \"$@\"" // KiB, for each process
	command := exec.Command("sh", append([]string{"-c", bounded, "go"}, args...)...)
	command.Dir = m.root
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return command.Run() == nil
}
