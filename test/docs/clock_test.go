package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// realTime are the files whose tests may use a real clock, and why. All others use the clock of testing/synctest, which a
// busy machine cannot break.
var realTime = map[string]string{
	"connections_test.go":                    "waits up to 5 s for goroutines of real connections to end",
	"durable/dirfiles_test.go":               "a benchmark waits for the clock of the file system",
	"durable/lives_test.go":                  "a hook that a store in a bubble calls",
	"examples/fleet/main_test.go":            "waits up to a minute for a program",
	"examples/postgres/server_linux_test.go": "waits up to a minute for PostgreSQL",
	"examples/postgres/store_linux_test.go":  "pauses between looks at PostgreSQL; nothing depends on how long",
	"examples/pushmigration/main_test.go":    "waits up to a minute for a program",
	"internal/redact/redact_test.go":         "what must take less than a minute takes milliseconds, or minutes where it is wrong",
	"livemigrationtest/faults_test.go":       "waits up to 30 s for a request over a real connection",
	"repairs_test.go":                        "compares with the second of an outage over real connections",
	"test/crash/scenario_test.go":            "pauses between the lives of a program",
	"test/interop/daemon_test.go":            "waits up to 30 s for a server",
	"test/interop/lost_test.go":              "waits up to 30 s for a request at a proxy",
	"test/temporal/crash_test.go":            "waits up to 3 minutes for a Temporal server",
	"test/temporal/history_test.go":          "waits for a Temporal server",
	"test/temporal/lab_test.go":              "waits for a Temporal server",
	"test/temporal/server_test.go":           "waits for a Temporal server",
}

// TestNoTestDependsOnARealClock looks for sleeps, timeouts and measured times in tests, outside functions that only run in
// bubbles of testing/synctest.
func TestNoTestDependsOnARealClock(t *testing.T) {
	const root = "../.."
	packages := make(map[string][]*ast.File)
	files := token.NewFileSet()
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		parsed, err := parser.ParseFile(files, path, nil, parser.SkipObjectResolution)
		packages[filepath.Dir(path)] = append(packages[filepath.Dir(path)], parsed)
		return err
	})
	require.NoError(t, err)
	found := make(map[string]bool)
	for _, parsed := range packages {
		for _, place := range clockUses(parsed) {
			position := files.Position(place)
			file, err := filepath.Rel(root, position.Filename)
			require.NoError(t, err)
			found[file] = true
			assert.Contains(t, realTime, file, "line %d uses a real clock: run it in synctest.Test, or add its file here with a reason", position.Line)
		}
	}
	for file := range realTime {
		assert.True(t, found[file], "%s uses no real clock any longer", file)
	}
}

// clockUses returns the uses of a real clock in the tests of a package.
func clockUses(parsed []*ast.File) (places []token.Pos) {
	functions := make(map[string]*testFunction)
	for _, file := range parsed {
		for _, declaration := range file.Decls {
			if f, ok := declaration.(*ast.FuncDecl); ok && f.Body != nil {
				read := readFunction(f)
				if other, ok := functions[f.Name.Name]; ok { // methods of one name count as one
					read.uses, read.calls = append(other.uses, read.uses...), append(other.calls, read.calls...)
					read.bubble = read.bubble && other.bubble
				}
				functions[f.Name.Name] = read
			}
		}
	}
	for changed := true; changed; { // a helper may start the bubble
		changed = false
		for name, f := range functions {
			helped := slices.ContainsFunc(f.calls, func(called string) bool {
				helper := functions[called]
				return helper != nil && helper.bubble && !isTest(called) && called != name
			})
			if helped && !f.bubble {
				f.bubble, changed = true, true
			}
		}
	}
	// A function is virtual when all that call it are.
	virtual := make(map[string]bool)
	for name, f := range functions {
		virtual[name] = f.bubble || !isTest(name)
	}
	for changed := true; changed; {
		changed = false
		for name, f := range functions {
			for _, called := range f.calls {
				if other := functions[called]; other != nil && !virtual[name] && virtual[called] && !other.bubble {
					virtual[called], changed = false, true
				}
			}
		}
	}
	for name, f := range functions {
		if !virtual[name] {
			places = append(places, f.uses...)
		}
	}
	slices.Sort(places)
	return places
}

func isTest(name string) bool {
	return strings.HasPrefix(name, "Test") || strings.HasPrefix(name, "Benchmark") || strings.HasPrefix(name, "Fuzz")
}

// testFunction is what is known of a function.
type testFunction struct {
	bubble bool // it starts one, or a helper does
	uses   []token.Pos
	calls  []string
}

func readFunction(f *ast.FuncDecl) *testFunction {
	read := &testFunction{}
	ast.Inspect(f.Body, func(node ast.Node) bool {
		switch n := node.(type) {
		case *ast.BinaryExpr:
			if n.Op == token.LSS || n.Op == token.LEQ || n.Op == token.GTR || n.Op == token.GEQ {
				read.measured(n.X, n.Y)
			}
		case *ast.CallExpr:
			read.call(n)
		}
		return true
	})
	return read
}

func (f *testFunction) call(n *ast.CallExpr) {
	if name, ok := n.Fun.(*ast.Ident); ok {
		f.calls = append(f.calls, name.Name)
	}
	selector, ok := n.Fun.(*ast.SelectorExpr)
	if !ok {
		return
	}
	f.calls = append(f.calls, selector.Sel.Name)
	of, _ := selector.X.(*ast.Ident)
	switch name := selector.Sel.Name; {
	case of != nil && of.Name == "synctest":
		f.bubble = true
	case of != nil && of.Name == "time" && (name == "Sleep" || name == "After" || name == "Tick"),
		name == "Eventually", name == "EventuallyWithT", name == "Never":
		f.uses = append(f.uses, n.Pos())
	case strings.HasPrefix(name, "Less"), strings.HasPrefix(name, "Greater"), name == "InDelta", name == "WithinDuration":
		f.measured(n.Args...)
	}
}

// measured notes expressions that are the time since something.
func (f *testFunction) measured(expressions ...ast.Expr) {
	for _, expression := range expressions {
		call, ok := expression.(*ast.CallExpr)
		if !ok {
			continue
		}
		if selector, ok := call.Fun.(*ast.SelectorExpr); ok && selector.Sel.Name == "Since" {
			f.uses = append(f.uses, call.Pos())
		}
	}
}

func TestClockUses(t *testing.T) {
	const source = `package p
func TestA(t *testing.T) { time.Sleep(1) }
func TestB(t *testing.T) { synctest.Test(t, func(t *testing.T) { time.Sleep(2); helper() }) }
func helper() { time.Sleep(3); both() }
func both() { require.Eventually(t, nil, 4, 4) }
func TestC(t *testing.T) { both(); if time.Since(start) > 5 { t.Fail() } }
func TestD(t *testing.T) { t.Log(time.Since(start)); assert.Less(t, time.Since(start), 6) }
`
	files := token.NewFileSet()
	parsed, err := parser.ParseFile(files, "p_test.go", source, 0)
	require.NoError(t, err)
	var lines []int
	for _, place := range clockUses([]*ast.File{parsed}) {
		lines = append(lines, files.Position(place).Line)
	}
	assert.Equal(t, []int{2, 5, 6, 7}, lines)
}
