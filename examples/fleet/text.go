package main

import (
	"fmt"
	"strings"
	"time"
)

// defaultWidth is that of a line where there is no terminal.
const defaultWidth = 80

// short is a duration in at most six characters, such as 45s, 52m23s, 7h05m or 4d23h.
func short(d time.Duration) string {
	d = d.Round(time.Second)
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", d/time.Minute, d%time.Minute/time.Second)
	case d < 24*time.Hour:
		return fmt.Sprintf("%dh%02dm", d/time.Hour, d%time.Hour/time.Minute)
	default:
		return fmt.Sprintf("%dd%02dh", d/(24*time.Hour), d%(24*time.Hour)/time.Hour)
	}
}

// cut makes a text fit. A letter whose width a terminal may see otherwise becomes a question mark.
func cut(text string, width int) string {
	runes := []rune(text)
	for i, r := range runes {
		if r != '…' && (r < ' ' || r > '~') {
			runes[i] = '?'
		}
	}
	if len(runes) > width {
		runes = append(runes[:max(0, width-1)], '…')
	}
	return string(runes)
}

// fold breaks a text into lines of at most width. The first one begins with first, the others with as many spaces and rest.
func fold(first, text string, width int, rest string) (lines []string) {
	indent := strings.Repeat(" ", len([]rune(first))) + rest
	line, empty := first, true
	for _, word := range strings.Fields(text) {
		if !empty && len([]rune(line))+1+len([]rune(word)) > width {
			lines = append(lines, line)
			line, empty = indent, true
		}
		if !empty {
			line += " "
		}
		line, empty = line+word, false
		for runes := []rune(line); len(runes) > width; runes = []rune(line) { // a word that is longer than a line
			at := max(width, len(indent)+1) // a line has at least one letter, however narrow the terminal is
			if at >= len(runes) {
				break
			}
			lines = append(lines, string(runes[:at]))
			line = indent + string(runes[at:])
		}
	}
	return append(lines, line)
}

// foldCommand breaks a command line that is too long so that a shell still reads it as one.
func foldCommand(command string, width int) []string {
	if len([]rune(command)) <= width {
		return []string{command}
	}
	lines := fold("    ", command, width-len(` \`), "  ")
	for i := range lines[:len(lines)-1] {
		lines[i] += ` \`
	}
	return lines
}
