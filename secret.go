package livemigration

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
)

const redacted = "[REDACTED]"

// Secret is a string that must not be seen: a database password or a link-token.
//
// It prints, formats, logs and marshals as [REDACTED]; [Secret.Reveal] is the only way to its value. Reading JSON
// into a Secret takes the value as it is, so that a request kept in a file loads.
//
// Some ways around that are the language's, which in these places looks at the string itself: a conversion to string, a
// Secret in an unexported field of your own struct when package fmt prints it, a Secret as the key of a map in
// encoding/json, a dump by reflection such as testify's, and a verb that is an error for a string (%p, and %w outside of
// its place), which go vet reports.
type Secret string

// Reveal returns the value itself.
func (s Secret) Reveal() string { return string(s) }

// String returns [REDACTED].
func (Secret) String() string { return redacted }

// GoString returns [REDACTED].
func (Secret) GoString() string { return redacted }

// Format writes [REDACTED] for every verb.
func (Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// LogValue returns [REDACTED], for log/slog.
func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText returns [REDACTED], for encoding/json and other encoders.
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// MarshalBinary returns [REDACTED], for encoding/gob.
func (Secret) MarshalBinary() ([]byte, error) { return []byte(redacted), nil }

// redactor takes secrets out of texts that others wrote.
type redactor struct{ known *strings.Replacer }

// redactorCache keeps the redactor of secrets that stay the same from call to call: making one costs more than a request.
// It keeps it behind a function, because no printer and no dump looks into one; the function knows its own secrets only.
type redactorCache struct {
	last atomic.Pointer[func([]Secret) *redactor]
}

func (c *redactorCache) get(secrets []Secret) *redactor {
	if last := c.last.Load(); last != nil {
		if r := (*last)(secrets); r != nil {
			return r
		}
	}
	made := newRedactor(secrets)
	last := func(asked []Secret) *redactor {
		if slices.Equal(asked, secrets) {
			return made
		}
		return nil
	}
	c.last.Store(&last)
	return made
}

// newRedactor covers the secrets, the longest first, in the forms in which an answer to JSON over HTTP may repeat them.
func newRedactor(secrets []Secret) *redactor {
	var forms []string
	for _, secret := range secrets {
		if s := secret.Reveal(); s != "" {
			forms = append(forms, formsOf(s)...)
		}
	}
	slices.SortFunc(forms, func(a, b string) int { return len(b) - len(a) })
	pairs := make([]string, 0, 2*len(forms))
	for _, form := range forms {
		pairs = append(pairs, form, redacted)
	}
	return &redactor{strings.NewReplacer(pairs...)}
}

// formsOf are the forms that a text takes in JSON, URLs and HTML, as the usual encoders write them.
func formsOf(s string) []string {
	quoted, _ := json.Marshal(s)
	escaped := string(quoted[1 : len(quoted)-1])
	// What encoding/json escapes for the sake of HTML, others leave.
	bare := strings.NewReplacer(`\u003c`, "<", `\u003e`, ">", `\u0026`, "&").Replace(escaped)
	ascii := strconv.QuoteToASCII(s)
	query, path := url.QueryEscape(s), url.PathEscape(s)
	return []string{
		s, escaped, bare, strings.ReplaceAll(bare, "/", `\/`), ascii[1 : len(ascii)-1],
		query, path, percents.ReplaceAllStringFunc(query, strings.ToLower), percents.ReplaceAllStringFunc(path, strings.ToLower),
		htmlEscapes.Replace(s),
	}
}

// htmlEscapes are those of html.EscapeString. Package html would bring 70 KB of entities along.
var htmlEscapes = strings.NewReplacer("&", "&amp;", "'", "&#39;", "<", "&lt;", ">", "&gt;", `"`, "&#34;")

var percents = regexp.MustCompile(`%[0-9A-F]{2}`)

// proofs are the parameters of an Authorization header, which a server may repeat too: nobody knows their values
// beforehand, but they are named.
var proofs = regexp.MustCompile(`(?i)\b(username\*?|nonce|cnonce|nextnonce|response|opaque)\s*=\s*(\\+".*?(?:\\+"|$)|"(?:\\.|[^"\\])*"?|&quot;.*?(?:&quot;|$)|&#34;.*?(?:&#34;|$)|[^\s,;&"<\\]+)`)

func (r *redactor) redact(s string) string {
	return proofs.ReplaceAllString(r.known.Replace(s), "$1="+redacted)
}

// clean makes a text fit for a message as well.
func (r *redactor) clean(s string) string { return clean(r.redact(s)) }

// cleanValue does so with every string in a value that was read from JSON.
func (r *redactor) cleanValue(v any) any {
	switch v := v.(type) {
	case string:
		return r.clean(v)
	case []any:
		for i := range v {
			v[i] = r.cleanValue(v[i])
		}
		return v
	case map[string]any:
		cleaned := make(map[string]any, len(v))
		for name, value := range v {
			cleaned[r.clean(name)] = r.cleanValue(value)
		}
		return cleaned
	default:
		return v
	}
}
