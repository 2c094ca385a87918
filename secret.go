package livemigration

import (
	"fmt"
	"io"
	"log/slog"

	"github.com/livemigration/livemigration-go/internal/redact"
)

const redacted = redact.Mark

// Secret is a password, a key or a token. It prints, logs and marshals as [REDACTED], and unmarshals as it is. The
// value shows in a conversion to string, as a map key in JSON, in an unexported field that fmt prints, in a dump by
// reflection, and with the verbs %p and %w.
type Secret string

func (s Secret) Reveal() string               { return string(s) }
func (Secret) String() string                 { return redacted }
func (Secret) GoString() string               { return redacted }
func (Secret) Format(f fmt.State, _ rune)     { _, _ = io.WriteString(f, redacted) }
func (Secret) LogValue() slog.Value           { return slog.StringValue(redacted) }
func (Secret) MarshalText() ([]byte, error)   { return []byte(redacted), nil }
func (Secret) MarshalBinary() ([]byte, error) { return []byte(redacted), nil }
