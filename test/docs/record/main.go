// Command record writes what a program prints as a picture, an SVG, or checks that a picture still shows it. It reads standard
// input up to the first empty line.
//
//	go run -C examples ./pushmigration -yes | go run -C test/docs ./record -write ../../docs/demo.svg
//	go run -C examples ./pushmigration -yes | go run -C test/docs ./record -check ../../docs/demo.svg
package main

import (
	"bufio"
	"encoding/xml"
	"errors"
	"flag"
	"fmt"
	"html"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

const command = "$ go run -C examples ./pushmigration -yes"

func main() {
	write := flag.String("write", "", "`file` to write")
	check := flag.String("check", "", "`file` to check")
	flag.Parse()
	if err := run(*write, *check, os.Stdin); err != nil {
		fmt.Fprintln(os.Stderr, "record:", err)
		os.Exit(1)
	}
}

func run(write, check string, output io.Reader) error {
	lines, err := read(output)
	if err != nil {
		return err
	}
	if len(lines) > rows {
		return fmt.Errorf("the output has %d lines with the command, and the picture has room for %d", len(lines), rows)
	}
	switch {
	case write != "":
		return os.WriteFile(write, []byte(picture(lines)), 0o644)
	case check != "":
		return compare(check, lines)
	default:
		return errors.New("usage: record -write FILE or record -check FILE")
	}
}

// Sizes: rows and columns of characters, the rest in pixels.
const (
	rows       = 14
	columns    = 104
	fontSize   = 14
	charWidth  = 8.43
	lineHeight = 20
	margin     = 20
)

// read returns the command and the lines of its output up to the first empty one. It cuts long lines.
func read(output io.Reader) ([]string, error) {
	lines, ended := []string{command}, false
	scanner := bufio.NewScanner(output)
	for scanner.Scan() {
		line := []rune(scanner.Text())
		if ended = ended || len(line) == 0; ended {
			continue // the program must be able to go on writing
		}
		if len(line) > columns {
			line = append(line[:columns-1], '…')
		}
		lines = append(lines, string(line))
	}
	if len(lines) == 1 {
		return nil, errors.Join(errors.New("there is no output to record"), scanner.Err())
	}
	return lines, scanner.Err()
}

// picture shows each line. Spaces do not break, so that every browser shows all of them.
func picture(lines []string) string {
	widest := 0
	for _, line := range lines {
		widest = max(widest, utf8.RuneCountInString(line))
	}
	width, height := int(float64(widest)*charWidth)+2*margin, len(lines)*lineHeight+2*margin
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d">`+"\n", width, height, width, height)
	b.WriteString("<!-- Written by test/docs/record. Do not edit. -->\n<style>\n")
	fmt.Fprintf(&b, "text { font: %dpx ui-monospace, Menlo, Consolas, monospace; fill: #d7dae0 }\n", fontSize)
	b.WriteString(".command { fill: #ffffff; font-weight: bold }\n.good { fill: #7ee787; font-weight: bold }\n</style>\n")
	fmt.Fprintf(&b, `<rect width="%d" height="%d" rx="8" fill="#1b1e24"/>`+"\n", width, height)
	for i, line := range lines {
		class := ""
		switch {
		case i == 0:
			class = ` class="command"`
		case strings.Contains(line, " COMPLETE"):
			class = ` class="good"`
		}
		text := html.EscapeString(strings.ReplaceAll(line, " ", "\u00a0"))
		fmt.Fprintf(&b, `<text%s x="%d" y="%d" textLength="%.0f">%s</text>`+"\n",
			class, margin, margin+i*lineHeight+fontSize, float64(utf8.RuneCountInString(line))*charWidth, text)
	}
	b.WriteString("</svg>\n")
	return b.String()
}

// differs matches what differs from run to run: times, IDs, and the end of a temporary path.
var differs = regexp.MustCompile(`\d{4}-\d\d-\d\d|\d\d:\d\d(:\d\d)?|[0-9a-f]{24}|/\S*/`)

// compare returns an error if the picture in a file shows other lines.
func compare(file string, lines []string) error {
	svg, err := os.Open(file)
	if err != nil {
		return err
	}
	defer func() { _ = svg.Close() }()
	var shown []string
	for decoder := xml.NewDecoder(svg); ; {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		if start, ok := token.(xml.StartElement); ok && start.Name.Local == "text" {
			var text string
			if err := decoder.DecodeElement(&text, &start); err != nil {
				return fmt.Errorf("%s: %w", file, err)
			}
			shown = append(shown, strings.ReplaceAll(text, "\u00a0", " "))
		}
	}
	same := func(a, b string) bool { return differs.ReplaceAllString(a, "#") == differs.ReplaceAllString(b, "#") }
	if !slices.EqualFunc(shown, lines, same) {
		return fmt.Errorf("%s does not show what the program prints: write it again.\nIt shows:\n%s\nThe program prints:\n%s",
			file, strings.Join(shown, "\n"), strings.Join(lines, "\n"))
	}
	return nil
}
