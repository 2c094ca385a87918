package livemigration

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

var manyDigits = regexp.MustCompile(`[0-9]{3}`)

// FuzzSecretFormatting shows a secret in every way, alone and inside of other values: its value never appears.
func FuzzSecretFormatting(f *testing.F) {
	f.Add("hunter2", "%v", 'x')
	f.Add("a\"b<c", "%+-#10.3v", 'd')
	f.Add("[REDACTED]", "%q", 'T')
	f.Fuzz(func(t *testing.T, value, format string, verb rune) {
		if len(value) < 4 || strings.Contains(redacted, value) || strings.Contains("livemigration.Secret %!(EXTRA livemigration.Source", value) || strings.Contains(format, value) {
			return // would be found in what is printed around it
		}
		if verb == 'p' || verb == 'w' || strings.ContainsAny(format, "pw*[") {
			return // package fmt does not ask a value about these, see Secret
		}
		if len(format) > 20 || manyDigits.MatchString(format) {
			return // a width of a million takes its time
		}
		secret := Secret(value)
		source := Source{Password: secret}
		shown := []string{fmt.Sprintf("%"+string(verb), secret), fmt.Sprintf(format, secret, source, &source), fmt.Sprint(secret, source), slog.AnyValue(secret).String(), slog.AnyValue(source).String()}
		for _, marshaled := range []any{secret, source, map[string]any{"a": []Secret{secret}}} {
			data, err := json.Marshal(marshaled)
			if err != nil {
				t.Fatal(err)
			}
			shown = append(shown, string(data))
		}
		other := Source{Password: "\x00"} // shows what stands around a secret
		empty := fmt.Sprintf("%"+string(verb), Secret("")) + fmt.Sprintf(format, Secret(""), other, &other) + fmt.Sprint(Secret(""), other) + mustJSON(t, other)
		for _, text := range shown {
			if strings.Contains(text, value) && !strings.Contains(empty, value) {
				t.Fatalf("shown in %q", text)
			}
		}
		// The other way in: JSON gives the value as it was.
		quoted, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		var back Secret
		if err := json.Unmarshal(quoted, &back); err != nil || utf8.ValidString(value) && back.Reveal() != value {
			t.Fatalf("%q came back as %q", value, back.Reveal())
		}
	})
}

func mustJSON(t *testing.T, v any) string {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
