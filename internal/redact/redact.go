// Package redact takes secrets out of texts that a server wrote, and makes such texts fit for one line of a log.
//
// It knows how an encoder may write a secret, how an Authorization header names its proofs, and what the userinfo of a
// URI is. It does not know where secrets or texts come from.
package redact

import (
	"encoding/json"
	"errors"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
)

// Mark stands in the place of a secret.
const Mark = "[REDACTED]"

// Redactor takes a set of secrets out of texts. It is safe for concurrent use.
type Redactor struct{ known *strings.Replacer }

// New returns the redactor of secrets. It covers the forms in which a response to JSON over HTTP may show them, the
// longest form first.
func New(secrets []string) *Redactor {
	var forms []string
	for _, secret := range secrets {
		if secret != "" {
			forms = append(forms, formsOf(secret)...)
		}
	}
	slices.SortFunc(forms, func(a, b string) int { return len(b) - len(a) })
	pairs := make([]string, 0, 2*len(forms))
	for _, form := range forms {
		pairs = append(pairs, form, Mark)
	}
	return &Redactor{strings.NewReplacer(pairs...)}
}

// formsOf are the forms that a text takes in JSON, URLs and HTML, as the usual encoders write them.
func formsOf(s string) []string {
	quoted, _ := json.Marshal(s)
	escaped := string(quoted[1 : len(quoted)-1])
	// encoding/json escapes these for HTML, other encoders do not.
	bare := strings.NewReplacer(`\u003c`, "<", `\u003e`, ">", `\u0026`, "&").Replace(escaped)
	ascii := strconv.QuoteToASCII(s)
	query, path := url.QueryEscape(s), url.PathEscape(s)
	return []string{
		s, escaped, bare, strings.ReplaceAll(bare, "/", `\/`), ascii[1 : len(ascii)-1],
		query, path, percents.ReplaceAllStringFunc(query, strings.ToLower), percents.ReplaceAllStringFunc(path, strings.ToLower),
		htmlEscapes.Replace(s),
	}
}

// htmlEscapes are those of html.EscapeString. Package html would add 70 KB of entities to a program.
var htmlEscapes = strings.NewReplacer("&", "&amp;", "'", "&#39;", "<", "&lt;", ">", "&gt;", `"`, "&#34;")

var percents = regexp.MustCompile(`%[0-9A-F]{2}`)

// proofs are the parameters of an Authorization header. Their values change with each request, but their names do not.
var proofs = regexp.MustCompile(`(?i)\b(username\*?|nonce|cnonce|nextnonce|response|opaque)\s*=\s*(\\+".*?(?:\\+"|$)|"(?:\\.|[^"\\])*"?|&quot;.*?(?:&quot;|$)|&#34;.*?(?:&#34;|$)|[^\s,;&"<\\]+)`)

// Redact replaces the secrets in s, the proofs of an Authorization header, and the userinfo of every URI. It leaves the
// rest as it is.
func (r *Redactor) Redact(s string) string {
	return withoutUserinfo(proofs.ReplaceAllString(r.known.Replace(s), "$1="+Mark))
}

// Clean redacts s and makes one bounded line of it.
func (r *Redactor) Clean(s string) string { return Line(r.Redact(s)) }

// Error returns err where its text is clean, else an error with the clean text. It matches what err matches, but leads to
// no text as it was: it has no Unwrap, and [errors.As] finds only errors whose text is clean.
func (r *Redactor) Error(err error) error {
	text := err.Error()
	if clean := r.Clean(text); clean != text {
		return &cleanError{clean, func() error { return err }, r.Clean}
	}
	return err
}

// cleanError keeps the error behind a function, because no printer and no dump by reflection looks into one.
type cleanError struct {
	text  string
	err   func() error
	clean func(string) string
}

func (e *cleanError) Error() string        { return e.text }
func (e *cleanError) Is(target error) bool { return errors.Is(e.err(), target) }

// As finds what does not show what was redacted.
func (e *cleanError) As(target any) bool {
	if !errors.As(e.err(), target) {
		return false
	}
	found := reflect.ValueOf(target).Elem()
	if err, ok := found.Interface().(error); ok && e.clean(err.Error()) != err.Error() {
		found.SetZero()
		return false
	}
	return true
}

// Timeout is that of a network error, which a user may ask for.
func (e *cleanError) Timeout() bool {
	var network interface{ Timeout() bool }
	return errors.As(e.err(), &network) && network.Timeout()
}

// Temporary makes it a net.Error. Nothing asks it.
func (e *cleanError) Temporary() bool { return false }

// CleanValue cleans every string in a value that was read from JSON.
func (r *Redactor) CleanValue(v any) any {
	switch v := v.(type) {
	case string:
		return r.Clean(v)
	case []any:
		for i := range v {
			v[i] = r.CleanValue(v[i])
		}
		return v
	case map[string]any:
		cleaned := make(map[string]any, len(v))
		for name, value := range v {
			cleaned[r.Clean(name)] = r.CleanValue(value)
		}
		return cleaned
	default:
		return v
	}
}

// Cache keeps the redactor of the last set of secrets: making one costs more than a request. It keeps it behind a
// function, because no printer and no dump by reflection looks into one.
type Cache struct {
	last atomic.Pointer[func([]string) *Redactor]
}

// Get returns the redactor of secrets.
func (c *Cache) Get(secrets []string) *Redactor {
	if last := c.last.Load(); last != nil {
		if r := (*last)(secrets); r != nil {
			return r
		}
	}
	made := New(secrets)
	last := func(asked []string) *Redactor {
		if slices.Equal(asked, secrets) {
			return made
		}
		return nil
	}
	c.last.Store(&last)
	return made
}
