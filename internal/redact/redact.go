// Package redact takes secrets out of texts that a server wrote, and makes such texts fit for one line of a log.
package redact

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// Mark takes the place of a secret.
const Mark = "[REDACTED]"

// shortest is how many characters a secret must have: "a" would make "di[REDACTED]l" of "dial".
const shortest = 4

// longest is how long the expression for all secrets may be. With a longer one, a text is replaced as a whole.
const longest = 128 << 10

// Redactor takes a set of secrets out of texts. It is safe for concurrent use. Package fmt prints no secret of it, because
// they are in a function.
type Redactor struct{ secrets func() *regexp.Regexp }

// New returns the redactor of secrets; there may be none. Secrets of fewer than 4 characters are ignored. The first text
// compiles an expression, so create a Redactor once for the texts of a call, not for each text.
func New(secrets []string) *Redactor {
	known := slices.DeleteFunc(slices.Clone(secrets), func(s string) bool { return utf8.RuneCountInString(s) < shortest })
	if len(known) == 0 {
		return &Redactor{}
	}
	return &Redactor{sync.OnceValue(func() *regexp.Regexp {
		slices.SortFunc(known, func(a, b string) int { return len(b) - len(a) }) // a secret may be the start of another one
		var patterns []string
		for _, secret := range known {
			patterns = append(patterns, patternOf(secret))
		}
		joined := strings.Join(patterns, "|")
		if len(joined) > longest {
			joined = `(?s).+`
		}
		return regexp.MustCompile(joined)
	})}
}

const unescaped = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_.~"

// patternOf is an expression for a secret as it is, in JSON, in URLs and in HTML. Encoders differ in what they escape, so
// each character may take each of its forms, except the characters that none of them escapes.
func patternOf(secret string) string {
	var b strings.Builder
	for _, c := range secret {
		if strings.ContainsRune(unescaped, c) {
			b.WriteString(regexp.QuoteMeta(string(c)))
		} else {
			b.WriteString("(?i:" + strings.Join(formsOf(c), "|") + ")")
		}
	}
	return b.String()
}

// formsOf are expressions for the forms of a character. They ignore case, because the digits of a number may have either.
func formsOf(c rune) []string {
	var inJSON, inURL string
	for _, unit := range utf16.Encode([]rune{c}) {
		inJSON += fmt.Sprintf(`\\+u%04x`, unit)
	}
	for _, b := range []byte(string(c)) {
		inURL += fmt.Sprintf("%%%02x", b)
	}
	inHTML := fmt.Sprintf("&#(?:0*%d|x0*%x);", c, c)
	// JSON puts a backslash before quotes and slashes, and JSON inside JSON several.
	plain := `\\*` + regexp.QuoteMeta(string(c))
	return append(slices.Clone(otherForms[c]), inJSON, inURL, inHTML, plain) // plain last: "%" is the start of "%25"
}

// otherForms are the names that JSON, URLs and HTML have for some characters.
var otherForms = map[rune][]string{
	'\b': {`\\+b`}, '\f': {`\\+f`}, '\n': {`\\+n`}, '\r': {`\\+r`}, '\t': {`\\+t`}, ' ': {`\+`},
	'&': {"&amp;"}, '<': {"&lt;"}, '>': {"&gt;"}, '"': {"&quot;"}, '\'': {"&apos;"},
}

var (
	// userinfo is what precedes the host in a URI. A server that writes a URI into a message often does not encode the
	// password, so it may contain "@", "/" and ":". So everything up to the last "@" goes. That may cost a host that stands
	// in the same word, but no password stays.
	userinfo = regexp.MustCompile(`(?i)(:(?:\\*/){2}|%3a%2f%2f)(?:\\+"|[^\s"<>])*(@|%40)`)
	// proofs are the parameters of an Authorization header for HTTP Digest, which a gateway may show.
	proofs = regexp.MustCompile(`(?i)\b((?:c|next)?nonce|response|opaque)=\\*(?:"|&quot;|&#34;)[^"&\\]*`)
)

// Redact replaces the secrets in s, the user and the password of each URI, and the proofs of an Authorization header.
func (r *Redactor) Redact(s string) string {
	if r.secrets != nil {
		s = r.secrets().ReplaceAllLiteralString(s, Mark)
	}
	return proofs.ReplaceAllString(userinfo.ReplaceAllString(s, "${1}"+Mark+"${2}"), "${1}="+Mark)
}

// Clean redacts s and makes one line of it, see [Line].
func (r *Redactor) Clean(s string) string { return Line(r.Redact(s)) }

// Error returns err where its text is clean, else an error with the clean text. That error matches with [errors.Is] what
// err matches, and leads with [errors.As] to nothing, because a cause may show the secret.
func (r *Redactor) Error(err error) error {
	text := err.Error()
	if clean := r.Clean(text); clean != text {
		return &cleanError{clean, &err}
	}
	return err
}

type cleanError struct {
	text  string
	cause *error // package fmt prints the address of a pointer that is in a struct
}

func (e *cleanError) Error() string        { return e.text }
func (e *cleanError) Is(target error) bool { return errors.Is(*e.cause, target) }

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
