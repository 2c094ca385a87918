package main

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/term"
)

// display shows how the run goes on. There is at most one phase at a time. state may be called from any goroutine, and
// does nothing outside of a phase; the other methods belong to the goroutine of the run.
type display interface {
	begin(phase string)
	// state shows what the phase has come to.
	state(text string)
	// end closes the phase, with its result or with the error that ended it. The error itself is shown elsewhere.
	end(result string, err error)
	// halt leaves the terminal to others, for good. It may be called from any goroutine.
	halt()
}

// newDisplay picks the display for stdout: a live one, which draws on it directly, needs a terminal that knows its
// size. Any other one writes to out.
func newDisplay(stdout, out io.Writer) display {
	if file, ok := stdout.(*os.File); ok && isTerminal(file) && os.Getenv("TERM") != "dumb" {
		if width, height, err := term.GetSize(int(file.Fd())); err == nil && width > 0 && height > 0 {
			return &liveDisplay{out: file}
		}
	}
	return &plainDisplay{out: out, started: time.Now()}
}

// plainDisplay prints one line per change.
type plainDisplay struct {
	out     io.Writer
	started time.Time

	mu    sync.Mutex
	phase string // empty: none
	begun time.Time
	last  string
}

func (d *plainDisplay) begin(phase string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.phase, d.begun, d.last = phase, time.Now(), ""
	d.print("started")
}

func (d *plainDisplay) state(text string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.phase != "" && text != d.last {
		d.last = text
		d.print(text)
	}
}

func (d *plainDisplay) end(result string, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err != nil {
		result = "stopped"
	}
	d.print(fmt.Sprintf("%s (%s)", result, formatDuration(time.Since(d.begun))))
	d.phase = ""
}

func (*plainDisplay) halt() {}

// print prints a line that begins with the age of the run.
func (d *plainDisplay) print(text string) {
	_, _ = fmt.Fprintf(d.out, "%8s  %s: %s\n", formatDuration(time.Since(d.started)), d.phase, text)
}
