package livemigration

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"
)

// checkMessage fails on what must not reach a log or a terminal in one line.
func checkMessage(t *testing.T, text string) {
	t.Helper()
	if !utf8.ValidString(text) {
		t.Fatalf("not UTF-8: %q", text)
	}
	if i := strings.IndexFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }); i >= 0 {
		t.Fatalf("a character that does not print at %d: %q", i, text)
	}
}

// FuzzErrorBodies reads a failure from any status and body: it never panics, keeps the status, and gives a message that
// is bounded, printable, and free of the secret even where the body repeats it.
func FuzzErrorBodies(f *testing.F) {
	for _, body := range []string{
		`{"error":400,"errorCode":"VALIDATION_ERROR","reason":"Bad Request","detail":"text","parameters":["any",55,null],"badRequestDetail":{"fields":[{"field":"a.b","description":"c"}]}}`,
		`{"errorCode":["x"],"error":"400","detail":{},"parameters":{},"badRequestDetail":[1]}`,
		`<html><style>a<b</style><script>x</script>oops hunter2hunter2</html>`, "", "\x00\x1b[31m\xff", `{"detail":"hunter2hunter2`, `null`, `[]`, `{"error":1e999}`,
	} {
		f.Add(400, []byte(body), "7")
		f.Add(429, []byte(body), "")
	}
	f.Fuzz(func(t *testing.T, status int, body []byte, retryAfter string) {
		const secret = "hunter2hunter2"
		e := newAPIError(status, http.Header{"Retry-After": {retryAfter}}, body, newRedactor([]Secret{secret}))
		if e.StatusCode != status || e.RetryAfter < 0 {
			t.Fatalf("status %d, retry after %s", e.StatusCode, e.RetryAfter)
		}
		message := e.Error()
		checkMessage(t, message)
		if strings.Contains(message, secret) {
			t.Fatalf("shows the secret: %q", message)
		}
		if utf8.RuneCountInString(message) > 4*maxMessage {
			t.Fatalf("%d characters", utf8.RuneCountInString(message))
		}
		_ = classify(e, new(sentState))
	})
}

// FuzzEnvelopes unwraps any body: an envelope that was put around content comes off again, and anything else is left
// as it is.
func FuzzEnvelopes(f *testing.F) {
	for _, body := range []string{`{"status":200,"content":{"_id":"x"}}`, `{"status":204,"content":null}`, `{"status":404}`, `{"status":"200"}`, `{"status":7}`, `[1e999]`, `"<\u2028>"`, ``, `[]`, `{"a":1}`} {
		f.Add(200, []byte(body))
		f.Add(502, []byte(body))
	}
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		inner, content := unwrapEnvelope(status, body)
		if inner != status && (inner < 100 || inner > 599) {
			t.Fatalf("status %d", inner)
		}
		if !json.Valid(body) && (inner != status || string(content) != string(body)) {
			t.Fatal("changed a body that is no envelope")
		}
		if status < 100 || status > 599 || !json.Valid(body) {
			return
		}
		wrapped, err := json.Marshal(map[string]any{"status": status, "content": json.RawMessage(body)})
		if err != nil {
			t.Fatal(err)
		}
		inner, content = unwrapEnvelope(0, wrapped)
		var compact, want bytes.Buffer // as json.Marshal has written it
		if err := json.Compact(&compact, body); err != nil {
			t.Fatal(err)
		}
		json.HTMLEscape(&want, compact.Bytes())
		if inner != status || want.String() != string(content) {
			t.Fatalf("%d %s came back as %d %s", status, body, inner, content)
		}
	})
}

// FuzzRetryAfter never panics and never gives a negative wait; whole seconds come back as they are.
func FuzzRetryAfter(f *testing.F) {
	for _, value := range []string{"7", "0", "-1", "1.5", " 7 ", "99999999999999999999", "Fri, 02 Jan 2026 03:04:35 GMT", "Friday, 02-Jan-26 03:04:35 GMT", "Fri, 02 Jan 9999 03:04:35 GMT", "soon", ""} {
		f.Add(value)
	}
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	f.Fuzz(func(t *testing.T, value string) {
		wait, ok := parseRetryAfter(value, now)
		if wait < 0 || !ok && wait != 0 {
			t.Fatalf("%q: %s, %t", value, wait, ok)
		}
		seconds := int64(wait / time.Second)
		again, ok := parseRetryAfter(fmt.Sprint(seconds), now)
		if !ok || int64(again/time.Second) != seconds {
			t.Fatalf("%d seconds came back as %s", seconds, again)
		}
	})
}

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
