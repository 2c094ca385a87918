package main

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"

	"github.com/livemigration/livemigration-go/durable"
)

// display shows how far the job is: a line for each change of state, with the time of day. On a terminal the last line is
// kept up to date; elsewhere there is at most one line for the lag every five minutes.
type display struct {
	mu      sync.Mutex
	out     io.Writer
	width   int    // of the terminal; 0: none
	live    string // on the terminal, without an end of line
	last    string // of state, problem
	lagAt   time.Time
	spinner int
}

const (
	lagInterval = 5 * time.Minute
	columns     = 80
)

func newDisplay(out io.Writer) *display {
	d := &display{out: out}
	if file, ok := out.(*os.File); ok && isTerminal(file) && os.Getenv("TERM") != "dumb" {
		if width, _, err := term.GetSize(int(file.Fd())); err == nil {
			d.width = width
		}
	}
	return d
}

// line prints a text for a person.
func (d *display) line(format string, args ...any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.clear()
	_, _ = fmt.Fprintf(d.out, format+"\n", args...)
}

// step prints what has happened outside of the record.
func (d *display) step(what, text string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if key := what + text; key != d.last {
		d.last = key
		d.print(what, text)
	}
}

// record prints a change of state or problem.
func (d *display) record(r durable.Record) {
	d.mu.Lock()
	defer d.mu.Unlock()
	words := string(r.State)
	if r.State == durable.StateReplicating && r.MigrationID != "" {
		words += ", migration " + string(r.MigrationID)
	}
	if r.Problem != "" {
		words += ": " + r.Problem
	}
	if words == d.last {
		return
	}
	d.last, d.lagAt = words, time.Now()
	d.print("migration", words)
}

// progress shows the record between two changes.
func (d *display) progress(r durable.Record) {
	d.mu.Lock()
	defer d.mu.Unlock()
	words := string(r.State)
	if r.Migration != nil {
		if lag, ok := r.Migration.Lag(); ok {
			words += ", lag " + lag.String()
		}
	}
	switch {
	case d.width > 0 && !r.State.Final():
		const marks = "|/-\\"
		d.spinner++
		d.clear()
		d.live = cut(fmt.Sprintf("%c %s", marks[d.spinner%len(marks)], words), d.width-1)
		_, _ = io.WriteString(d.out, d.live)
	case d.width == 0 && strings.Contains(words, "lag") && time.Since(d.lagAt) >= lagInterval:
		d.lagAt = time.Now()
		d.print("migration", words)
	}
}

// pause gives the terminal to a question.
func (d *display) pause() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.clear()
}

func (d *display) close() { d.pause() }

func (d *display) clear() {
	if d.live != "" {
		_, _ = io.WriteString(d.out, "\r\x1b[K")
		d.live = ""
	}
}

// print prints lines that wrap nowhere: a text that is too long continues on the next one.
func (d *display) print(what, text string) {
	d.clear()
	const indent = 21
	prefix := fmt.Sprintf("%s  %-10s ", time.Now().Format(time.TimeOnly), what)
	width := cmp.Or(d.width, columns) - 1
	for _, part := range wrap(text, max(20, width-indent)) {
		_, _ = fmt.Fprintf(d.out, "%-*s%s\n", indent, prefix, part)
		prefix = ""
	}
}

func wrap(text string, width int) (lines []string) {
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && len(line)+1+len(word) > width {
			lines, line = append(lines, line), ""
		}
		line = strings.TrimPrefix(line+" "+word, " ")
	}
	return append(lines, line)
}

func cut(text string, width int) string {
	if width > 0 && len(text) > width {
		return text[:width]
	}
	return text
}
