package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const output = `05:30:49  created, in /tmp/demo-1/token
05:30:59  READY,  a < b & "c", migration 6560f2a489463b6681000002, expires on 2026-12-06 05:30 UTC
05:31:03  COMPLETE

not shown
`

func TestPicture(t *testing.T) {
	file := filepath.Join(t.TempDir(), "demo.svg")
	require.NoError(t, run(file, "", strings.NewReader(output)))
	for name, tt := range map[string]struct {
		old, new string
		same     bool
	}{
		"the same":                {"", "", true},
		"other time":              {"05:30:49", "23:00:00", true},
		"other day":               {"2026-12-06", "2027-01-01", true},
		"other ID":                {"6560f2a489463b6681000002", "0123456789abcdef01234567", true},
		"other path":              {"/tmp/demo-1/token", "/var/tmp/demo-22/token", true},
		"other text behind":       {"not shown", "other", true},
		"other word":              {"READY", "FAILED", false},
		"other spaces":            {",  a", ", a", false},
		"a line less":             {"05:31:03  COMPLETE\n", "", false},
		"a line more":             {"05:31:03  COMPLETE\n", "05:31:03  COMPLETE\n05:31:03  more\n", false},
		"other name below a path": {"/tmp/demo-1/token", "/tmp/demo-1/key", false},
	} {
		t.Run(name, func(t *testing.T) {
			err := run("", file, strings.NewReader(strings.Replace(output, tt.old, tt.new, 1)))
			if tt.same {
				assert.NoError(t, err)
			} else {
				assert.ErrorContains(t, err, "does not show what the program prints")
			}
		})
	}
}

func TestLines(t *testing.T) {
	lines, err := read(strings.NewReader(strings.Repeat("é", columns+1) + "\n"))
	require.NoError(t, err)
	assert.Equal(t, []string{command, strings.Repeat("é", columns-1) + "…"}, lines)
	assert.Contains(t, picture([]string{command, "COMPLETE", "x  COMPLETE"}), `class="good" x="20" y="74"`)
}

func TestWrongUse(t *testing.T) {
	assert.ErrorContains(t, run("", "", strings.NewReader("x\n")), "usage")
	assert.ErrorContains(t, run("x.svg", "", strings.NewReader("\nx\n")), "no output")
	assert.ErrorContains(t, run("x.svg", "", strings.NewReader(strings.Repeat("x\n", rows))), "room for")
	assert.Error(t, run("", filepath.Join(t.TempDir(), "missing.svg"), strings.NewReader("x\n")))
}
