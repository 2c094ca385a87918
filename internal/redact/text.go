package redact

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	maxMessage = 1000
	maxExcerpt = 200
)

// Line makes one line of a text: no control characters, at most 1,000 characters, valid UTF-8.
func Line(s string) string { return shorten(s, maxMessage) }

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
	const (
		enough = 16 << 10
		looked = 256 << 10 // redacting megabytes takes a second
	)
	text := r.Redact(string(body[:min(len(body), looked)]))
	return shorten(stripTags(text[:min(len(text), enough)]), maxExcerpt)
}

// hidden and hiddenEnd are the tags of elements whose content is not text.
var (
	hidden    = regexp.MustCompile(`(?i)^(?:style|script)\b`)
	hiddenEnd = regexp.MustCompile(`(?i)</(?:style|script)\s*>`)
)

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
		if hidden.MatchString(tag) {
			end := hiddenEnd.FindStringIndex(s)
			if end == nil {
				return b.String()
			}
			s = s[end[1]:]
		}
	}
}
