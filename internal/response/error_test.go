package response

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go/internal/redact"
)

// headerOf makes a header of names and values.
func headerOf(pairs ...string) http.Header {
	h := http.Header{}
	for i := 0; i+1 < len(pairs); i += 2 {
		h.Set(pairs[i], pairs[i+1])
	}
	return h
}

func TestErrorShapes(t *testing.T) {
	t.Parallel()
	full := `{"error": 400, "errorCode": "VALIDATION_ERROR", "reason": "Bad Request", "detail": "human text",
		"parameters": ["any", 55, null], "badRequestDetail": {"fields": [{"field": "destination.groupId", "description": "must be 24 hex digits"}]}}`
	for _, tc := range []struct {
		name    string
		status  int
		body    string
		header  http.Header
		want    Error
		summary string
	}{
		{"Atlas's JSON", 400, full, headerOf("X-Request-Id", "req-1"), Error{Code: "VALIDATION_ERROR", Reason: "Bad Request", Detail: "human text",
			Parameters: []any{"any", 55.0, nil}, Fields: []Field{{"destination.groupId", "must be 24 hex digits"}}, RequestID: "req-1", FromAtlas: true},
			"400 VALIDATION_ERROR: human text: destination.groupId must be 24 hex digits"},
		{"code only", 409, `{"errorCode":"X"}`, nil, Error{Code: "X", Reason: "Conflict", FromAtlas: true}, "409 X"},
		{"no code", 404, `{"error":404,"detail":"gone fishing"}`, nil, Error{Reason: "Not Found", Detail: "gone fishing", FromAtlas: true}, "404 Not Found: gone fishing"},
		{"members of other types", 403, `{"error":"403","errorCode":"X","detail":["a"],"parameters":"p","badRequestDetail":null}`, nil,
			Error{Code: "X", Reason: "Forbidden", FromAtlas: true}, "403 X"},
		{"JSON labelled as HTML", 410, `{"errorCode":"VERSION_GONE"}`, headerOf("Content-Type", "text/html"), Error{Code: "VERSION_GONE", Reason: "Gone", FromAtlas: true}, "410 VERSION_GONE"},
		{"somebody's JSON", 401, `{"message":"no"}`, nil, Error{Reason: "Unauthorized", Detail: `{"message":"no"}`}, `401 Unauthorized: {"message":"no"}`},
		{"HTML page", 502, "<html><head><style>b{c:d}</style><title>502</title></head>\n<body><script>x<y</script><h1>Bad  Gateway</h1>\n</body>", nil,
			Error{Reason: "Bad Gateway", Detail: "502 Bad Gateway"}, "502 Bad Gateway: 502 Bad Gateway"},
		{"empty", 500, "", nil, Error{Reason: "Internal Server Error"}, "500 Internal Server Error"},
		{"unassigned status", 599, "", nil, Error{}, "599"},
		{"control characters", 400, "{\"errorCode\":\"A\\u001b[31mB\",\"detail\":\"a\\r\\nb\\u0000\\u202ec\"}", nil,
			Error{Code: "A [31mB", Reason: "Bad Request", Detail: "a b c", FromAtlas: true}, "400 A [31mB: a b c"},
		{"binary", 400, "\x00\xff\x1b[0mtext", nil, Error{Reason: "Bad Request", Detail: "[0mtext"}, "400 Bad Request: [0mtext"},
		{"long page", 400, strings.Repeat("é", 5000), nil, Error{Reason: "Bad Request", Detail: strings.Repeat("é", 200) + "…"}, "400 Bad Request: " + strings.Repeat("é", 200) + "…"},
		{"rate limited, by header", 429, `{"errorCode":"RATE_LIMITED"}`, headerOf("Retry-After", "7"),
			Error{Code: "RATE_LIMITED", Reason: "Too Many Requests", RetryAfter: 7 * time.Second, FromAtlas: true, RetryAfterGiven: true}, "429 RATE_LIMITED (retry after 7s)"},
		{"redirect", 302, "", headerOf("Location", "https://evil.example/x?y"), Error{Reason: "Found", Detail: "redirect to evil.example rejected: check the base URL"},
			"302 Found: redirect to evil.example rejected: check the base URL"},
		{"relative redirect", 301, "", headerOf("Location", "/elsewhere"), Error{Reason: "Moved Permanently", Detail: "redirect to the same host rejected: check the base URL"},
			"301 Moved Permanently: redirect to the same host rejected: check the base URL"},
		{"redirect to nowhere", 307, "", headerOf("Location", "http://[::1"), Error{Reason: "Temporary Redirect", Detail: "redirect to an unreadable address rejected: check the base URL"},
			"307 Temporary Redirect: redirect to an unreadable address rejected: check the base URL"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			e := NewError(tc.status, tc.header, []byte(tc.body), redact.New(nil))
			tc.want.StatusCode = tc.status
			assert.Equal(t, tc.want, *e)
			assert.Equal(t, tc.summary, e.Summary())
		})
	}
}

func TestErrorNamesTheRequest(t *testing.T) {
	t.Parallel()
	e := &Error{StatusCode: 503, Reason: "Service Unavailable", Method: "GET", Path: "/groups/g", Attempts: 3}
	assert.EqualError(t, e, "GET /groups/g: 503 Service Unavailable", "the number of attempts is for the message around it")
}

func TestErrorNamesTheFirstFields(t *testing.T) {
	t.Parallel()
	e := &Error{StatusCode: 400, Code: "X"}
	for range 22 {
		e.Fields = append(e.Fields, Field{"a.b", "is wrong"})
	}
	assert.Equal(t, "400 X: "+strings.Repeat("a.b is wrong; ", 20)+"and 2 more", e.Summary())
}

func TestAsksToWait(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		status int
		wait   time.Duration
		want   bool
	}{
		{429, 0, true}, {429, time.Second, true}, {503, 0, false}, {503, time.Second, true}, {500, time.Second, false}, {400, time.Second, false},
	} {
		e := &Error{StatusCode: tc.status, RetryAfter: tc.wait}
		assert.Equal(t, tc.want, e.AsksToWait(), "%d %s", tc.status, tc.wait)
	}
}

// A secret in a response may be broken up, cut off, nested, or be part of the request's header.
func TestSecretsAreRedactedBeforeATextIsChanged(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ password, body string }{
		"with spaces":          {"hunter2  s3cret", `{"errorCode":"X","detail":"got hunter2  s3cret"}`},
		"with a tab":           {"hunter2\ts3cret", `{"errorCode":"X","detail":"got hunter2\ts3cret"}`},
		"with mark-up":         {"hun<ter2>s3cret", `got hun<ter2>s3cret`},
		"cut off":              {"hunter2-s3cret-s3cret", strings.Repeat("x", 190) + "hunter2-s3cret-s3cret"},
		"in the parameters":    {"hunter2s3cret", `{"errorCode":"X","parameters":[["hunter2s3cret"],{"a":["hunter2s3cret"],"hunter2s3cret":1}]}`},
		"a nonce":              {"x7", `<p>Authorization: Digest username="u", nonce="hunter2s3cret", cnonce=s3cret, response="s3cret" nextnonce=&quot;hunter2&quot;</p>`},
		"a nonce in JSON":      {"x7", `{"h":"Digest username=\"s3cret\", nonce=\"hunter2\", response=\"s3cret\", opaque=\"hunter2\"","username*":"UTF-8''x"}`},
		"a nonce with a quote": {"x7", `nonce="a\"hunter2", username*=UTF-8''s3cret, opaque=&#34;hunter2&#34; cnonce="s3cret`},
		"JSON without HTML":    {`hunter2"<s3cret`, `{"message":"hunter2\"<s3cret"}`},
		"ASCII-only JSON":      {`hunter2ä/s3cret`, `{"message":"hunter2\u00e4/s3cret"}`},
		"PHP's JSON":           {`hunter2/s3cret`, `{"message":"hunter2\/s3cret"}`},
		"lower-case percent":   {`hunter2/=s3cret`, `hunter2%2f%3ds3cret`},
		"escaped for HTML":     {`hunter2"s3cret`, `got hunter2&#34;s3cret`},
		"escaped for a URL":    {"hunter2 s3cret", `got hunter2+s3cret and hunter2%20s3cret`},
		"in the fields":        {"hunter2s3cret", `{"errorCode":"X","badRequestDetail":{"fields":[{"field":"hunter2s3cret","description":"hunter2s3cret"}]}}`},
		"in code and reason":   {"hunter2s3cret", `{"errorCode":"hunter2s3cret","reason":"hunter2s3cret"}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := NewError(400, nil, []byte(tc.body), redact.New([]string{"unrelated", tc.password}))
			inJSON, err := json.Marshal(e)
			require.NoError(t, err)
			for _, shown := range []string{e.Error(), fmt.Sprintf("%#v", *e), string(inJSON)} {
				assert.NotContains(t, shown, "s3cret")
				assert.NotContains(t, shown, "hunter2")
			}
		})
	}
	e := NewError(302, headerOf("X-Request-Id", "hunter2", "Location", "https://hunter2.example"), nil, redact.New([]string{"hunter2"}))
	assert.Equal(t, "[REDACTED]", e.RequestID)
	assert.Equal(t, "redirect to [REDACTED].example rejected: check the base URL", e.Detail)
}

func TestOnlyAtlasError(t *testing.T) {
	t.Parallel()
	for _, body := range []string{`{"linkToken":"l1nk-t0ken"}`, "l1nk-t0ken", `["l1nk-t0ken"]`, ""} {
		assert.Nil(t, OnlyAtlasError([]byte(body)), body)
	}
	kept := []byte(`{"errorCode":"X","detail":"why"}`)
	assert.Equal(t, kept, OnlyAtlasError(kept))
}
