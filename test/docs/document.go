package main

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// document is what of a Markdown or Go file is checked.
type document struct {
	path    string
	anchors map[string]bool
	links   []span // their targets
	code    []span // between backticks
	blocks  []block
}

// span is a text and the line at which it stands, from 1.
type span struct {
	text string
	line int
}

// block is fenced code.
type block struct {
	span
	language string
	// before is the comment on the line before the block, empty when there is none.
	before string
}

var (
	inlineCode = regexp.MustCompile("`([^`]+)`")
	link       = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading    = regexp.MustCompile(`^#{1,6}\s+(.*?)\s*#*$`)
	comment    = regexp.MustCompile(`^<!--\s*(.*?)\s*-->$`)
	page       = regexp.MustCompile(`\bdocs/[\w-]+\.md`)
)

// parseComments reads a Go file: its comments name pages by their paths from the root.
func parseComments(path, text string) *document {
	d := &document{path: path}
	up := strings.Repeat("../", strings.Count(path, "/"))
	for i, line := range strings.Split(text, "\n") {
		_, text, _ := strings.Cut(line, "//")
		for _, name := range page.FindAllString(text, -1) {
			d.links = append(d.links, span{up + name, i + 1})
		}
	}
	return d
}

// parse reads a Markdown file.
func parse(path, text string) *document {
	d := &document{path: path, anchors: make(map[string]bool)}
	var open *block
	before := ""
	for i, line := range strings.Split(text, "\n") {
		trimmed := strings.TrimSpace(line)
		switch fence := strings.HasPrefix(trimmed, "```"); {
		case fence && open == nil:
			open = &block{span{"", i + 2}, strings.TrimPrefix(trimmed, "```"), before}
		case fence:
			d.blocks = append(d.blocks, *open)
			open = nil
		case open != nil:
			open.text += line + "\n"
		default:
			d.line(line, i+1)
		}
		before = ""
		if found := comment.FindStringSubmatch(trimmed); found != nil {
			before = found[1]
		}
	}
	return d
}

// line reads a line that is no code.
func (d *document) line(line string, number int) {
	if found := heading.FindStringSubmatch(line); found != nil {
		d.anchor(found[1])
	}
	for _, found := range inlineCode.FindAllStringSubmatch(line, -1) {
		d.code = append(d.code, span{found[1], number})
	}
	for _, found := range link.FindAllStringSubmatch(inlineCode.ReplaceAllString(line, ""), -1) {
		d.links = append(d.links, span{found[1], number})
	}
}

// anchor adds the name under which a heading is linked to: lower case, hyphens for spaces, without punctuation, and with a
// number where an earlier heading has the same name.
func (d *document) anchor(heading string) {
	name := strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsNumber(r):
			return unicode.ToLower(r)
		default:
			return -1
		}
	}, heading)
	unique := name
	for n := 1; d.anchors[unique]; n++ {
		unique = fmt.Sprintf("%s-%d", name, n)
	}
	d.anchors[unique] = true
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
