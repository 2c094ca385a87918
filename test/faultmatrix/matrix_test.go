package faultmatrix

import (
	"flag"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	lm "github.com/livemigration/livemigration-go"
)

// underRace: the race detector is on, which makes a cell six times as slow. One operation of each class in version 2 of the
// API shows it all races, so the whole matrix is run without it.
var underRace bool

// TestMatrix runs the cells on virtual time, with the client's defaults, over connections in memory. A bubble does not end
// before every goroutine in it has.
func TestMatrix(t *testing.T) {
	certificates()
	for _, v := range venues() {
		v.brief = v.brief || underRace
		for _, f := range Faults() {
			if !v.suits(f) || underRace && v.version == lm.APIv1 {
				continue
			}
			t.Run(v.name+"/"+f.Name, func(t *testing.T) {
				t.Parallel()
				for _, c := range v.cells(f) {
					synctest.Test(t, func(t *testing.T) {
						r := c.run(t.Context(), v)
						for _, problem := range r.differs(c.expectIn(v)) {
							t.Errorf("%s: %s", c, problem)
						}
						if r.overrun > 0 {
							t.Errorf("%s: outlives its context by %s", c, r.overrun)
						}
					})
				}
			})
		}
	}
}

// TestMatrixIsSafe holds the expectations themselves against what no rule may allow.
func TestMatrixIsSafe(t *testing.T) {
	t.Parallel()
	for _, c := range Cells() {
		e := Expect(c)
		if c.Operation.class != creating {
			continue
		}
		assert.LessOrEqual(t, e.Change, 1, "%s: created twice", c)
		if e.Change == 1 {
			assert.True(t, e.Result.ok() || e.Result.Unknown, "%s: something exists, and the error does not say so", c)
		}
	}
}

func TestMatrixIsWhole(t *testing.T) {
	t.Parallel()
	names := map[string]bool{}
	for _, f := range Faults() {
		assert.False(t, names[f.Name], "two faults are called %q", f.Name)
		names[f.Name] = true
		assert.True(t, slices.ContainsFunc(venues(), func(v venue) bool { return v.suits(f) }), "%q is never run", f.Name)
	}
	for _, x := range exceptions {
		assert.True(t, names[x.fault], "there is no fault %q for an exception", x.fault)
	}
	for i, r := range rules {
		assert.Equal(t, harmless+effect(i), r.effect, "the order of the rules")
	}
	assert.Len(t, Operations, 11)
	t.Logf("%d faults, %d cells", len(names), len(Cells()))
}

var write = flag.Bool("write", false, "write the document")

func TestMatrixDocumentIsCurrent(t *testing.T) {
	t.Parallel()
	const path = "../../docs/internals/fault-matrix.md"
	if *write {
		require.NoError(t, os.WriteFile(path, []byte(Document()), 0o644))
	}
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.True(t, string(data) == Document(), "docs/internals/fault-matrix.md is not current: the command at its top writes it")
	assert.Equal(t, Document(), Document(), "the same each time")
	assert.False(t, strings.Contains(Document(), "127.0.0.1"))
}
