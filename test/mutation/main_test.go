package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestChanges(t *testing.T) {
	const source = `package p

import "os"

type t [4]int

func f(n int) error {
	defer os.Exit(0)
	if n < 3 {
		n++
	}
	n = 1
	return err
}
`
	changes, err := changesOf("x.go", []byte(source))
	require.NoError(t, err)
	var texts []string
	for _, c := range changes {
		texts = append(texts, c.before+" → "+c.after)
		mutant := string(c.apply([]byte(source)))
		assert.Len(t, mutant, len(source)-len(c.before)+len(c.after))
	}
	assert.Equal(t, []string{
		"defer os.Exit(0) → {}", "defer  → ", "0 → 1", "n < 3 → !(n < 3)", "< → <=", "3 → 4", "n++ → {}", "n = 1 → {}", "1 → 2", "err → nil",
	}, texts)
	assert.Equal(t, 9, changes[3].line)
	assert.Contains(t, string(changes[4].apply([]byte(source))), "if n <= 3 {")
}

// A mutant is killed by a test that fails, survives tests that pass, and is no mutant when it does not compile.
func TestVerdicts(t *testing.T) {
	root := t.TempDir()
	write := func(name, text string) {
		require.NoError(t, os.WriteFile(filepath.Join(root, name), []byte(text), 0o600))
	}
	write("go.mod", "module example.com/p\n\ngo 1.25.0\n")
	write("p.go", "package p\n\nfunc tested() int { return 1 }\n\nvar untested = 2\n\nvar text = \"a\" + \"b\"\n")
	write("p_test.go", "package p\n\nimport \"testing\"\n\nfunc TestP(t *testing.T) {\n\tif tested() != 1 {\n\t\tt.Fail()\n\t}\n}\n")
	source, err := os.ReadFile(filepath.Join(root, "p.go"))
	require.NoError(t, err)
	changes, err := changesOf(filepath.Join(root, "p.go"), source)
	require.NoError(t, err)
	m := &mutation{root: root}
	var verdicts []verdict
	for _, c := range changes {
		v, err := m.try(c, filepath.Join(t.TempDir(), "overlay"))
		require.NoError(t, err)
		verdicts = append(verdicts, v)
	}
	assert.Equal(t, []verdict{killed, survived, invalid}, verdicts)
}
