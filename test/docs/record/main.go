// Command record runs a command and writes what it prints as a picture: an SVG in which each line appears when it was
// printed. Programs that show no animation show all lines.
//
//	go run -C test/docs ./record -o ../../docs/demo.svg -title 'go run -C examples ./pushmigration -yes' \
//		go run -C ../../examples ./pushmigration -yes
package main

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"html"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"
	"unicode/utf8"
)

func main() {
	out := flag.String("o", "", "`file` to write")
	title := flag.String("title", "", "the command as the picture shows it")
	flag.Parse()
	if err := run(*out, *title, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "record:", err)
		os.Exit(1)
	}
}

func run(out, title string, command []string) error {
	if out == "" || len(command) == 0 {
		return errors.New("usage: record -o FILE -title TEXT COMMAND [ARGUMENT...]")
	}
	lines, err := record(command)
	if err != nil {
		return err
	}
	lines = append([]line{{text: "$ " + title}}, lines...)
	return os.WriteFile(out, []byte(picture(lines)), 0o644)
}

// line is what was printed, and when.
type line struct {
	text string
	at   time.Duration
}

// longestPause is what a longer one becomes.
const longestPause = 3 * time.Second

// record runs a command. The time begins with its first line, so that compiling does not count.
func record(command []string) ([]line, error) {
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Stderr = os.Stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	lines, err := read(stdout, time.Now)
	return lines, errors.Join(err, cmd.Wait())
}

func read(from io.Reader, now func() time.Time) (lines []line, err error) {
	var last time.Time
	at := time.Second // the command alone
	scanner := bufio.NewScanner(from)
	for scanner.Scan() {
		printed := now()
		if !last.IsZero() {
			at += min(printed.Sub(last), longestPause)
		}
		last = printed
		lines = append(lines, line{scanner.Text(), at})
	}
	return lines, scanner.Err()
}

// Sizes in pixels; rows are lines of the screen.
const (
	fontSize   = 14
	charWidth  = 8.43
	lineHeight = 20
	margin     = 20
	rows       = 24
)

func picture(lines []line) string {
	columns := 0
	for _, l := range lines {
		columns = max(columns, utf8.RuneCountInString(l.text))
	}
	screen := min(rows, len(lines)) * lineHeight
	width, height := int(float64(columns)*charWidth)+2*margin, screen+2*margin
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" xml:space="preserve" width="%d" height="%d" viewBox="0 0 %d %d">`+"\n", width, height, width, height)
	b.WriteString("<!-- Written by test/docs/record. Do not edit. -->\n<style>\n")
	fmt.Fprintf(&b, "text { font: %dpx ui-monospace, Menlo, Consolas, monospace; fill: #d7dae0; animation: wait 0s step-end }\n", fontSize)
	b.WriteString(".command { fill: #8fd18f; font-weight: bold }\n")
	b.WriteString("@keyframes wait { from, to { visibility: hidden } }\n")
	offset := scroll(&b, lines)
	b.WriteString("@media (prefers-reduced-motion) { text, g { animation: none } }\n</style>\n")
	fmt.Fprintf(&b, `<rect width="%d" height="%d" rx="8" fill="#1b1e24"/>`+"\n", width, height)
	fmt.Fprintf(&b, `<svg y="%d" width="%d" height="%d"><g transform="translate(0, -%d)">`+"\n", margin, width, screen, offset)
	for i, l := range lines {
		if l.text == "" {
			continue
		}
		class := ""
		if i == 0 {
			class = ` class="command"`
		}
		fmt.Fprintf(&b, `<text%s x="%d" y="%d" textLength="%.0f" style="animation-duration: %.1fs">%s</text>`+"\n",
			class, margin, i*lineHeight+fontSize, float64(utf8.RuneCountInString(l.text))*charWidth, l.at.Seconds(), html.EscapeString(l.text))
	}
	b.WriteString("</g></svg>\n</svg>\n")
	return b.String()
}

// scroll writes how the lines move up once the screen is full. It returns how far in the end.
func scroll(b *strings.Builder, lines []line) (offset int) {
	if len(lines) <= rows {
		return 0
	}
	total := lines[len(lines)-1].at.Seconds()
	fmt.Fprintf(b, "g { animation: scroll %.1fs step-end }\n@keyframes scroll { 0%% { transform: none }", total)
	for _, l := range lines[rows:] {
		offset += lineHeight
		fmt.Fprintf(b, " %.2f%% { transform: translateY(-%dpx) }", 100*l.at.Seconds()/total, offset)
	}
	b.WriteString(" }\n")
	return offset
}
