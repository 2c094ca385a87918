package response

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/livemigration/livemigration-go/internal/redact"
)

// checkMessage fails on what must not be in one line of a log or a terminal.
func checkMessage(t *testing.T, text string) {
	t.Helper()
	if !utf8.ValidString(text) {
		t.Fatalf("not UTF-8: %q", text)
	}
	if i := strings.IndexFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }); i >= 0 {
		t.Fatalf("a character that does not print at %d: %q", i, text)
	}
}

// FuzzErrorBodies reads a failure from any status and body. It never panics, keeps the status, and gives a message that
// is bounded, printable, and free of the secret even where the body shows it.
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
		e := NewError(status, http.Header{"Retry-After": {retryAfter}}, body, redact.New([]string{secret}))
		if e.StatusCode != status || e.RetryAfter < 0 {
			t.Fatalf("status %d, retry after %s", e.StatusCode, e.RetryAfter)
		}
		message := e.Error()
		checkMessage(t, message)
		if strings.Contains(message, secret) {
			t.Fatalf("shows the secret: %q", message)
		}
		if utf8.RuneCountInString(message) > 4000 {
			t.Fatalf("%d characters", utf8.RuneCountInString(message))
		}
	})
}

// FuzzEnvelopes takes an envelope off that was put around any content, and leaves the body of a failure that is not an
// envelope as it is.
func FuzzEnvelopes(f *testing.F) {
	for _, body := range []string{`{"status":200,"content":{"_id":"x"}}`, `{"status":204,"content":null}`, `{"status":404}`, `{"status":"200"}`, `{"status":7}`, `[1e999]`, `"<\u2028>"`, ``, `[]`, `{"a":1}`, `{"error":409}`, `{"content":{"_id`} {
		f.Add(200, []byte(body))
		f.Add(502, []byte(body))
	}
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		inner, content, err := Read(responseOf(status, string(body), nil), true)
		if inner != status && (inner < 100 || inner > 599) {
			t.Fatalf("status %d", inner)
		}
		if err != nil && inner/100 != 2 {
			t.Fatalf("the failure %d is unusable: %v", inner, err)
		}
		plain := bytes.TrimPrefix(body, []byte(byteOrderMark))
		if !json.Valid(plain) && (inner != status || status/100 != 2 && !bytes.Equal(content, plain)) {
			t.Fatal("changed a body that is not an envelope")
		}
		if status < 100 || status > 599 || !json.Valid(body) {
			return
		}
		wrapped, err := json.Marshal(map[string]any{"status": status, "content": json.RawMessage(body)})
		if err != nil {
			t.Fatal(err)
		}
		inner, content, err = Read(responseOf(200, string(wrapped), nil), true)
		var compact, want bytes.Buffer // as json.Marshal has written it
		if err := json.Compact(&compact, body); err != nil {
			t.Fatal(err)
		}
		json.HTMLEscape(&want, compact.Bytes())
		decides := status
		if status/100 == 2 {
			decides = statusInside(status, content)
		}
		if err != nil || inner != decides || want.String() != string(content) {
			t.Fatalf("%d %s came back as %d %s, %v", status, body, inner, content, err)
		}
	})
}

// FuzzRetryAfter never panics and never gives a negative wait. Whole seconds come back as they are.
func FuzzRetryAfter(f *testing.F) {
	for _, value := range []string{"7", "0", "-1", "1.5", " 7 ", "99999999999999999999", "Fri, 02 Jan 2026 03:04:35 GMT", "Friday, 02-Jan-26 03:04:35 GMT", "Fri, 02 Jan 9999 03:04:35 GMT", "soon", ""} {
		f.Add(value, "")
		f.Add(value, "Fri, 02 Jan 2026 03:04:35 GMT")
	}
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	f.Fuzz(func(t *testing.T, value, date string) {
		wait, given := retryAfter(http.Header{"Retry-After": {value}, "Date": {date}}, now)
		if wait < 0 || !given && wait != 0 {
			t.Fatalf("%q: %s, %t", value, wait, given)
		}
		seconds := int64(wait / time.Second)
		again, given := retryAfter(http.Header{"Retry-After": {fmt.Sprint(seconds)}}, now)
		if !given || int64(again/time.Second) != seconds {
			t.Fatalf("%d seconds came back as %s", seconds, again)
		}
	})
}
