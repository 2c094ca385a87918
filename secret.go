package livemigration

import (
	"fmt"
	"io"
	"log/slog"

	"github.com/livemigration/livemigration-go/internal/redact"
)

const redacted = redact.Mark

// Secret is a password or a link-token. It prints, formats, logs and marshals as [REDACTED]; [Secret.Reveal] returns
// the value. JSON is read as it is.
//
// It shows in a conversion to string, as a key of a map in encoding/json, in an unexported field that fmt prints, in a
// dump by reflection, and with the verbs %p and %w.
type Secret string

// Reveal returns the value.
func (s Secret) Reveal() string { return string(s) }

func (Secret) String() string { return redacted }

func (Secret) GoString() string { return redacted }

func (Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

func (Secret) MarshalBinary() ([]byte, error) { return []byte(redacted), nil }
