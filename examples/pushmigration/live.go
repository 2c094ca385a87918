package main

import (
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

// liveDisplay keeps one line of the terminal up to date for the phase that runs, and leaves one line of each that has
// ended. Between two phases nothing is drawn, so that questions and other lines have the terminal to themselves.
type liveDisplay struct {
	out *os.File

	mu       sync.Mutex
	progress *mpb.Progress // nil before the first phase
	bar      *mpb.Bar

	mark  string // empty: the phase runs
	phase string // empty: none
	begun time.Time
	last  string
}

const refreshRate = 100 * time.Millisecond

var spinner = []string{"⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"}

func (d *liveDisplay) begin(phase string) {
	d.set(func() { d.phase, d.begun, d.mark, d.last = phase, time.Now(), "", "" })
	progress := mpb.New(mpb.WithOutput(d.out), mpb.WithRefreshRate(refreshRate))
	bar := progress.New(0, mpb.NopStyle(), mpb.BarFillerTrim(), mpb.PrependDecorators(decor.Any(d.line)))
	d.set(func() { d.progress, d.bar = progress, bar })
}

func (d *liveDisplay) state(text string) {
	d.set(func() {
		if d.mark == "" {
			d.last = text
		}
	})
}

// end returns when the last line has been drawn.
func (d *liveDisplay) end(result string, err error) {
	d.set(func() {
		d.mark, d.last = "✓", result
		if err != nil {
			d.mark, d.last = "✗", "stopped"
		}
	})
	d.finish()
}

func (d *liveDisplay) halt() {
	d.set(func() {
		if d.mark == "" {
			d.mark, d.last = "✗", "stopped"
		}
	})
	d.finish()
}

// finish draws the line for the last time.
func (d *liveDisplay) finish() {
	var progress *mpb.Progress
	var bar *mpb.Bar
	d.set(func() { progress, bar = d.progress, d.bar })
	if progress != nil {
		bar.SetTotal(-1, true)
		progress.Wait()
	}
}

func (d *liveDisplay) set(change func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	change()
}

// line is what is drawn. The library cuts it to the width of the terminal.
func (d *liveDisplay) line(decor.Statistics) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	elapsed := time.Since(d.begun)
	mark := d.mark
	if mark == "" {
		mark = spinner[int(elapsed/refreshRate)%len(spinner)]
	}
	return fmt.Sprintf("%s %-18s %8s  %s", mark, d.phase, formatDuration(elapsed), d.last)
}
