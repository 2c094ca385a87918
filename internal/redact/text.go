package redact

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	maxLine    = 1000
	maxExcerpt = 200
)

// Line makes one line of a text: no control characters, at most 1,000 characters, valid UTF-8.
func Line(s string) string { return shorten(s, maxLine) }

func shorten(s string, most int) string {
	var b strings.Builder
	space, n := false, 0
	for _, r := range s {
		if unicode.IsSpace(r) || !unicode.IsPrint(r) || r == utf8.RuneError {
			space = b.Len() > 0
			continue
		}
		if space {
			n++
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

// markup is a tag, or an element whose content is not text.
var markup = regexp.MustCompile(`(?is)<(?:style|script)\b.*?(?:</(?:style|script)\s*>|$)|<[^>]*(?:>|$)`)

// Excerpt is the beginning of a body that is not Atlas's JSON: its first 200 characters without markup. The body is
// redacted as it arrived, before markup or the end of the excerpt can break up a secret.
func (r *Redactor) Excerpt(body []byte) string {
	const (
		searched = 64 << 10 // redacting megabytes takes a second
		enough   = 16 << 10
	)
	text := r.Redact(string(body[:min(len(body), searched)]))
	return shorten(markup.ReplaceAllString(text[:min(len(text), enough)], " "), maxExcerpt)
}
