package response

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/livemigration/livemigration-go/internal/redact"
)

// FuzzRead reads any response, with an envelope and without, and checks what every response must satisfy: texts are one
// bounded line without the secret, waits are not negative, and only a success has an Err.
func FuzzRead(f *testing.F) {
	for _, body := range []string{
		`{"error":400,"errorCode":"X","reason":"r","detail":"d","parameters":["a",55,null],"badRequestDetail":{"fields":[{"field":"a.b"}]}}`,
		`{"errorCode":["x"],"error":"400","detail":{},"parameters":{},"badRequestDetail":[1]}`, `{"status":404}`,
		`{"status":7}`, `{"error":1e999}`,
		`{"status":200,"content":{"_id":"x","hosts":["h"],"deployments":[{"name":"d"}]}}`, `<html><style>a<b</style>oops hunter2hunter2</html>`,
		"\x00\x1b[31m\xff", `{"detail":"hunter2hunter2`, `null`, `[{"projectId":"a","lag":1e99}]`, `{"content":{"_id`,
	} {
		f.Add(200, body, "7")
		f.Add(429, body, "Fri, 02 Jan 2026 03:04:35 GMT")
	}
	f.Fuzz(func(t *testing.T, status int, body, retryAfter string) {
		const secret = "hunter2hunter2"
		red := redact.New([]string{secret})
		for _, enveloped := range []bool{false, true} {
			resp := responseOf(status, body, nil)
			resp.Header = headerOf("Retry-After", retryAfter, "Location", body, "Content-Type", body)
			r := Read(resp, limit, enveloped)
			e := r.Atlas(red)
			if r.Status != status && (r.Status < 100 || r.Status > 599) || r.Err != nil && r.Status/100 != 2 || e.Own && e.Code == "" {
				t.Fatalf("%+v, %+v", r, e)
			}
			if wait, given := RetryAfter(r.Header, e, time.Now()); wait < 0 || !given && wait != 0 {
				t.Fatalf("%q: %s, %t", retryAfter, wait, given)
			}
			JobID(r.Body)
			for _, text := range []string{e.Code, e.Reason, e.Detail, r.notJSON(red)} {
				if !utf8.ValidString(text) || strings.ContainsFunc(text, func(c rune) bool { return !unicode.IsPrint(c) }) || len(text) > 8000 {
					t.Fatalf("%q", text)
				}
				if strings.Contains(text, secret) {
					t.Fatalf("shows the secret: %q", text)
				}
			}
			for _, result := range []any{new(project), new(List[project])} {
				err := Decode(r.Body, result)
				if err == nil != (json.Unmarshal(r.Body, result) == nil) && !json.Valid(r.Body) {
					t.Fatalf("%q: %v", r.Body, err)
				}
				if err != nil && (strings.Contains(err.Error(), "int64") || strings.Contains(err.Error(), "response.")) {
					t.Fatalf("shows a Go type: %v", err)
				}
			}
			_ = r.Decode(nil, red)
		}
		if !json.Valid([]byte(body)) || status < 100 || status > 599 {
			return
		}
		plain := Read(responseOf(status, body, nil), limit, false)
		wrapped, _ := json.Marshal(map[string]any{"status": status, "content": json.RawMessage(body)})
		inside := Read(responseOf(200, string(wrapped), nil), limit, true)
		if status >= 200 && (inside.Status != plain.Status || inside.Err != nil) {
			t.Fatalf("%d %s came back as %d %s, %v", status, body, inside.Status, inside.Body, inside.Err)
		}
	})
}
