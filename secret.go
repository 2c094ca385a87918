package livemigration

import (
	"fmt"
	"io"
	"log/slog"

	"github.com/livemigration/livemigration-go/internal/redact"
)

const redacted = redact.Mark

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
