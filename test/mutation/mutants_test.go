package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestMutants(t *testing.T) {
	root := t.TempDir()
	const source = `package p

func f(a, b int) bool {
	a++
	if a < b && b > 3 {
		g()
		return true
	}
	return false
}
`
	file := filepath.Join(root, "p.go")
	if err := os.WriteFile(file, []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	all, err := settings{root: root}.mutants()
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{
		"p.go:4: count left out": true, "p.go:5: condition negated": true, "p.go:5: || for &&": true, "p.go:5: <= for <": true,
		"p.go:5: >= for >": true, "p.go:5: 4 for 3": true, "p.go:6: call left out": true, "p.go:7: false for true": true, "p.go:9: true for false": true,
	}
	for _, m := range all {
		if !want[m.String()] {
			t.Errorf("unexpected: %s", m)
		}
		delete(want, m.String())
		if strings.TrimSpace(string(m.source)) == strings.TrimSpace(source) {
			t.Errorf("%s changes nothing", m)
		}
	}
	if len(want) > 0 {
		t.Errorf("missing: %v", want)
	}
}
