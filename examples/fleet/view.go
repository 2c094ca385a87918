package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"

	"github.com/livemigration/livemigration-go/durable"
)

// view shows a run. Its methods may be called from any goroutine.
type view interface {
	// begin starts what is shown from time to time. The function that it returns ends that.
	begin(ctx context.Context) (end func())
	// change shows a record whose state or problem has changed.
	change(r durable.Record)
	// note shows a line of somebody else.
	note(text string)
}

const (
	frameInterval   = 300 * time.Millisecond
	summaryInterval = 5 * time.Minute
)

// newView is a live table on a terminal, and lines elsewhere.
func (t *tool) newView(records func() []durable.Record) view {
	if file, size := terminal(t.out); file != nil {
		return &liveView{out: file, size: size, records: records, todo: t.todo}
	}
	v := &plainView{out: t.out, records: records, todo: t.todo, interval: summaryInterval}
	if t.brief > 0 {
		v.interval, v.brief, v.cutsOver = t.brief, true, t.window != ""
	}
	return v
}

// terminal returns out and the function that tells its size if it is a terminal that can draw, else nil.
func terminal(out io.Writer) (*os.File, func() (width, height int)) {
	file, ok := out.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) || os.Getenv("TERM") == "dumb" {
		return nil, nil
	}
	size := func() (width, height int) {
		width, height, err := term.GetSize(int(file.Fd()))
		if err != nil || width <= 0 || height <= 0 {
			return defaultWidth, 24
		}
		return width, height
	}
	return file, size
}

// width is how long a line of a result may be.
func width(out io.Writer) int {
	if _, size := terminal(out); size != nil {
		width, _ := size()
		return width
	}
	return defaultWidth
}

// every calls do from time to time in a goroutine of its own, until the function that it returns is called.
func every(ctx context.Context, interval time.Duration, do func()) (end func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		ticker := time.NewTicker(interval)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
				do()
			}
		}
	}()
	return func() {
		cancel()
		<-done
	}
}

// plainView prints a line for each change, and at times a summary.
type plainView struct {
	out      io.Writer
	records  func() []durable.Record
	todo     func(r durable.Record, width int) []string
	interval time.Duration
	brief    bool // only the changes of records that need a person, or needed one
	cutsOver bool // cutovers are approved by the program

	mu       sync.Mutex
	followed map[string]bool // by name
}

func (v *plainView) begin(ctx context.Context) (end func()) {
	if v.brief {
		for _, r := range v.records() {
			v.follows(r)
		}
	}
	return every(ctx, v.interval, v.summarize)
}

// follows tells whether a record needs a person, or needed one.
func (v *plainView) follows(r durable.Record) bool {
	needs := r.Gate() == durable.GateStart || r.Gate() == durable.GateCutover && !v.cutsOver
	switch r.State {
	case durable.StateUnclear, durable.StateFailed, durable.StateExpired:
		needs = true
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if needs {
		if v.followed == nil {
			v.followed = make(map[string]bool)
		}
		v.followed[r.Plan.Name] = true
	}
	return v.followed[r.Plan.Name]
}

func (v *plainView) change(r durable.Record) {
	if v.brief && !v.follows(r) {
		return
	}
	if r.State == durable.StateUnclear {
		v.print(v.todo(r, defaultWidth-len(clock))...)
		return
	}
	text := string(r.State)
	switch {
	case r.Gate() != "" && r.Problem != "":
		what, _, _ := strings.Cut(r.Problem, ";") // until when is in the status
		text += ": " + what
	case r.Problem != "":
		text += ": " + r.Problem
	case len(r.Events) > 0 && strings.HasPrefix(r.Events[len(r.Events)-1].Text, text):
		text = r.Events[len(r.Events)-1].Text
	}
	v.note(r.Plan.Name + ": " + text)
}

func (v *plainView) summarize() {
	records := v.records()
	text, longest, troubled := counts(records), time.Duration(0), 0
	for _, r := range records {
		if r.Problem != "" && r.Gate() == "" && !r.State.Final() && !strings.HasPrefix(r.Problem, "waits for ") {
			troubled++
		}
		if r.Migration != nil && lag(r) != "" {
			d, _ := r.Migration.Lag()
			longest = max(longest, d)
		}
	}
	if longest > 0 {
		text += "; the longest lag is " + short(longest)
	}
	if troubled > 0 {
		text += fmt.Sprintf("; %d with a problem", troubled)
	}
	v.note(text)
}

func (v *plainView) note(text string) {
	v.print(fold("", text, defaultWidth-len(clock), "")...)
}

// print prints lines of which the first begins with the time of day.
func (v *plainView) print(lines ...string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, line := range stamped(lines) {
		_, _ = fmt.Fprintln(v.out, line)
	}
}

// clock is the form of the time of day at the beginning of a line.
const clock = "15:04:05  "

func stamped(lines []string) (out []string) {
	begin := time.Now().Format(clock)
	for _, line := range lines {
		out = append(out, begin+line)
		begin = strings.Repeat(" ", len(clock))
	}
	return out
}

// liveView keeps a table up to date at the bottom of a terminal.
type liveView struct {
	out     io.Writer
	size    func() (width, height int)
	records func() []durable.Record
	todo    func(r durable.Record, width int) []string

	mu    sync.Mutex
	drawn []string // the lines of the table
}

func (v *liveView) begin(ctx context.Context) (end func()) {
	stop := every(ctx, frameInterval, func() { v.draw() })
	return func() {
		stop()
		v.draw()
	}
}

// change shows what a person has to do. All else waits for the next frame.
func (v *liveView) change(r durable.Record) {
	if r.State == durable.StateUnclear {
		width, _ := v.size()
		v.draw(v.todo(r, width-len(clock))...)
	}
}

func (v *liveView) note(text string) {
	width, _ := v.size()
	v.draw(fold("", text, width-len(clock), "")...)
}

// draw replaces the table, below notes that stay. One write keeps a program that is killed from leaving half a table.
func (v *liveView) draw(notes ...string) {
	records := v.records()
	v.mu.Lock()
	defer v.mu.Unlock()
	width, height := v.size()
	var b strings.Builder
	if up := rows(v.drawn, width); up > 0 {
		fmt.Fprintf(&b, "\x1b[%dA\r\x1b[J", up)
	}
	for _, line := range stamped(notes) {
		b.WriteString(line + "\n")
	}
	v.drawn = table(records, time.Now(), width, height-1) // the cursor has a line of its own
	for _, line := range v.drawn {
		b.WriteString(line + "\n")
	}
	_, _ = io.WriteString(v.out, b.String())
}

// rows is how many lines of a terminal of this width the lines take, which may have been drawn on a wider one.
func rows(lines []string, width int) (n int) {
	for _, line := range lines {
		n += max(1, (len([]rune(line))+width-1)/width)
	}
	return n
}
