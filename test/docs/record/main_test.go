package main

import (
	"encoding/xml"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestRead(t *testing.T) {
	clock := []time.Duration{10 * time.Second, 12 * time.Second, time.Hour}
	lines, err := read(strings.NewReader("one\ntwo\nthree\n"), func() (now time.Time) {
		now = time.Unix(0, 0).Add(clock[0])
		clock = clock[1:]
		return now
	})
	require.NoError(t, err)
	assert.Equal(t, []line{{"one", time.Second}, {"two", 3 * time.Second}, {"three", 6 * time.Second}}, lines)
}

func TestPicture(t *testing.T) {
	svg := picture([]line{{"$ command", 0}, {`a < b & "c"`, 1500 * time.Millisecond}})
	assert.Contains(t, svg, "animation-duration: 1.5s")
	decoder := xml.NewDecoder(strings.NewReader(svg))
	var texts []string
	for {
		token, err := decoder.Token()
		if token == nil {
			break
		}
		require.NoError(t, err)
		if text, ok := token.(xml.CharData); ok {
			texts = append(texts, strings.TrimSpace(string(text)))
		}
	}
	assert.Contains(t, texts, `a < b & "c"`)
	assert.NotContains(t, svg, "scroll")
}

func TestALongRecordingScrolls(t *testing.T) {
	lines := make([]line, rows+2)
	lines[rows+1] = line{"last", 2 * time.Second}
	lines[rows] = line{"last but one", time.Second}
	svg := picture(lines)
	assert.Contains(t, svg, "50.00% { transform: translateY(-20px) } 100.00% { transform: translateY(-40px) }")
	assert.Contains(t, svg, `<g transform="translate(0, -40)">`)
}

func TestRun(t *testing.T) {
	out := t.TempDir() + "/demo.svg"
	require.NoError(t, run(out, "go version", []string{"go", "version"}))
	assert.FileExists(t, out)
	assert.Error(t, run(out, "go", []string{"go", "no-such-command"}))
	assert.ErrorContains(t, run("", "", nil), "usage")
}
