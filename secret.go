package livemigration

import (
	"encoding/json"
	"fmt"
	"html"
	"io"
	"log/slog"
	"net/url"
	"strings"
)

const redacted = "[REDACTED]"

// Secret is a string that must not be seen: a database password or a link-token.
//
// It prints, formats, logs and marshals as [REDACTED]; [Secret.Reveal] is the only way to its value. Reading JSON
// into a Secret takes the value as it is, so that a request kept in a file loads.
//
// Three ways around that are the language's, which in these places looks at the string itself: a Secret in an unexported
// field of your own struct when package fmt prints it, a Secret as the key of a map in encoding/json, and a verb that is
// an error for a string (%p, and %w outside of its place), which go vet reports.
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

// redactor takes known secrets out of texts that others wrote.
type redactor struct{ replacer *strings.Replacer }

// newRedactor covers the secrets and the forms in which an answer to JSON over HTTP may repeat them.
func newRedactor(secrets []Secret) *redactor {
	var pairs []string
	for _, secret := range secrets {
		s := secret.Reveal()
		if s == "" {
			continue
		}
		quoted, _ := json.Marshal(s)
		for _, form := range []string{s, string(quoted[1 : len(quoted)-1]), url.QueryEscape(s), url.PathEscape(s), html.EscapeString(s)} {
			pairs = append(pairs, form, redacted)
		}
	}
	return &redactor{strings.NewReplacer(pairs...)}
}

func (r *redactor) redact(s string) string { return r.replacer.Replace(s) }
