package redact

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	// MaxMessage is how many characters of a text Line keeps.
	MaxMessage = 1000
	maxExcerpt = 200
)

// Line makes one line of a text: no control characters, at most MaxMessage characters, valid UTF-8.
func Line(s string) string { return shorten(s, MaxMessage) }

func shorten(s string, most int) string {
	var b strings.Builder
	space, n := false, 0
	for _, r := range s {
		if unicode.IsSpace(r) || !unicode.IsPrint(r) || r == utf8.RuneError {
			space = b.Len() > 0
			continue
		}
		if n++; n > most {
			b.WriteString("…")
			break
		}
		if space {
			b.WriteByte(' ')
			space = false
		}
		b.WriteRune(r)
	}
	return b.String()
}

// Excerpt is the start of a body that is not Atlas's JSON, without mark-up. The body is redacted as it arrived, before
// anything is cut off that a secret is part of.
func (r *Redactor) Excerpt(body []byte) string {
	const enough = 16 << 10
	text := r.Redact(string(body))
	return shorten(stripTags(text[:min(len(text), enough)]), maxExcerpt)
}

// stripTags drops what stands between angle brackets, and the content of style and script elements.
func stripTags(s string) string {
	var b strings.Builder
	for {
		text, rest, found := strings.Cut(s, "<")
		b.WriteString(text + " ")
		if !found {
			return b.String()
		}
		tag, after, _ := strings.Cut(rest, ">")
		s = after
		for _, element := range []string{"style", "script"} {
			if strings.HasPrefix(strings.ToLower(tag), element) {
				_, s, _ = strings.Cut(s, "</"+element+">")
			}
		}
	}
}
