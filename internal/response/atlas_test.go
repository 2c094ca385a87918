package response

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

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

func TestAtlas(t *testing.T) {
	t.Parallel()
	full := `{"error": 400, "errorCode": "VALIDATION_ERROR", "reason": "Invalid", "detail": "human text", "parameters": ["any", 55, null],
		"badRequestDetail": {"fields": [{"field": "destination.groupId", "description": "must be 24 hex digits"}]}}`
	recorded := "{\n  \"error\" : 401,\n  \"reason\" : \"Unauthorized\",\n  \"detail\" : \"You are not authorized.\",\n" +
		"  \"errorCode\" : \"UNEXPECTED_ERROR\"\n}"
	hint := " rejected: check the base URL; is a proxy or maintenance page in between?"
	for _, tc := range []struct {
		name     string
		status   int
		body     string
		location string
		want     AtlasError
	}{
		{"every member", 400, full, "", AtlasError{Own: true, Code: "VALIDATION_ERROR", Reason: "Invalid", Detail: "human text",
			Parameters: []any{"any", 55.0, nil}, Fields: []Field{{"destination.groupId", "must be 24 hex digits"}}}},
		{"recorded", 401, recorded, "",
			AtlasError{Own: true, Code: "UNEXPECTED_ERROR", Reason: "Unauthorized", Detail: "You are not authorized."}},
		{"control characters", 400, `{"error":400,"errorCode":"A\u001b[31mB","detail":"a\r\nb\u0000\u202ec"}`, "",
			AtlasError{Own: true, Code: "A [31mB", Reason: "Bad Request", Detail: "a b c"}},
		{"members of other types", 403, `{"parameters":"p","detail":["a"],"badRequestDetail":[1],"reason":5,"error":403,"errorCode":"X"}`, "",
			AtlasError{Own: true, Code: "X", Reason: "Forbidden"}},

		{"no status", 409, `{"errorCode":"X"}`, "/no-redirect", AtlasError{Code: "X", Reason: "Conflict"}},
		{"status in digits", 409, `{"error":"409","errorCode":"X"}`, "", AtlasError{Code: "X", Reason: "Conflict"}},
		{"another status", 502, `{"error":409,"errorCode":"X","detail":"d"}`, "", AtlasError{Code: "X", Reason: "Bad Gateway", Detail: "d"}},
		{"no code", 404, `{"error":404,"detail":"gone fishing"}`, "", AtlasError{Reason: "Not Found", Detail: "gone fishing"}},
		{"code that is no text", 404, `{"error":404,"errorCode":["X"],"detail":"d"}`, "", AtlasError{Reason: "Not Found", Detail: "d"}},
		{"other JSON", 401, `{"message":"no"}`, "", AtlasError{Reason: "Unauthorized", Detail: `{"message":"no"}`}},
		{"list", 401, `[{"error":401,"errorCode":"X"}]`, "", AtlasError{Reason: "Unauthorized", Detail: `[{"error":401,"errorCode":"X"}]`}},
		{"cut off", 401, `{"error":401,"errorCode":"X"`, "", AtlasError{Reason: "Unauthorized", Detail: `{"error":401,"errorCode":"X"`}},
		{"HTML page", 502, "<style>b{c:d}</style><h1>Bad  Gateway</h1>\n", "", AtlasError{Reason: "Bad Gateway", Detail: "Bad Gateway"}},
		{"empty", 500, "", "", AtlasError{Reason: "Internal Server Error"}},
		{"unassigned status", 599, "", "", AtlasError{}},
		{"longer than any", 400, `{"error":400,"errorCode":"` + strings.Repeat("x", 256<<10) + `"}`, "",
			AtlasError{Reason: "Bad Request", Detail: `{"error":400,"errorCode":"` + strings.Repeat("x", 174) + "…"}},

		{"redirect", 302, "moved", "https://evil.example/x?y", AtlasError{Reason: "Found", Detail: "redirect to evil.example" + hint}},
		{"relative redirect", 301, "", "/elsewhere", AtlasError{Reason: "Moved Permanently", Detail: "redirect to the same host" + hint}},
		{"redirect to nowhere", 307, "moved", "http://[::1", AtlasError{Reason: "Temporary Redirect", Detail: "moved"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			resp := responseOf(tc.status, tc.body, nil)
			resp.Header = headerOf("Location", tc.location)
			assert.Equal(t, tc.want, *Read(resp, limit, false).Atlas(redact.New(nil)))
		})
	}
	r := Read(responseOf(200, `{"status":404,"content":{"error":404,"errorCode":"X"}}`, nil), limit, true)
	assert.True(t, r.Atlas(redact.New(nil)).Own, "the status in the envelope counts")
}

func TestSecretsAreRedacted(t *testing.T) {
	t.Parallel()
	red := redact.New([]string{"hunter2  s3<cret>"})
	for name, body := range map[string]string{
		"in the texts":      `{"error":400,"errorCode":"hunter2  s3<cret>","reason":"hunter2  s3<cret>","detail":"hunter2  s3\u003ccret>"}`,
		"in the parameters": `{"errorCode":"X","parameters":[["hunter2  s3<cret>"],{"hunter2  s3<cret>":1}]}`,
		"in the fields": `{"errorCode":"X","badRequestDetail":{"fields":[{"field":"hunter2  s3<cret>"},` +
			`{"description":"hunter2  s3<cret>"}]}}`,
		"in a page":     "<p>got hunter2  s3&lt;cret&gt;</p>",
		"with markup":   "<p>got hunter2  s3<cret></p>",
		"at the end":    strings.Repeat("x", 190) + "hunter2  s3<cret>",
		"in other JSON": `{"message":"hunter2  s3<cret>"}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := Read(responseOf(400, body, nil), limit, false)
			shown, err := json.Marshal(r.Atlas(red))
			require.NoError(t, err)
			for _, text := range []string{string(shown), r.notJSON(red)} {
				assert.NotContains(t, text, "hunter2")
				assert.NotContains(t, text, "s3")
			}
		})
	}
	r := Received{Status: 302, Header: headerOf("X-Request-Id", "hunter2", "Location", "https://u:p4ss@hunter2.example")}
	host := redact.New([]string{"hunter2"})
	assert.Contains(t, r.Atlas(host).Detail, "redirect to [REDACTED].example rejected")

	r = Received{Status: 200, Body: []byte("l1nk-t0ken"), Secret: true}
	assert.Empty(t, r.Atlas(red).Detail)
	assert.EqualError(t, r.Decode(new(struct{}), red), "unexpected response: 200 instead of JSON; is a proxy or login page in between?")
}

func TestDecodeOfASuccess(t *testing.T) {
	t.Parallel()
	const hint = " instead of JSON; is a proxy or login page in between?"
	const invalid = "200: invalid character 'x' looking for beginning of value"
	cut := io.ErrUnexpectedEOF
	for _, tc := range []struct {
		name, body   string
		err          error
		want, ignore string // the error with a result, and without one; "" for none
	}{
		{"a job", `{"_id":"x","status":"PENDING"}`, nil, "", ""},
		{"odd values", `{"status":{},"_id":"x"}`, nil, "", ""},
		{"null", "null", nil, "", ""},
		{"nothing", " \n", nil, "200 text/html (empty)" + hint, ""},
		{"a page", "<title>a</title><h1>b</h1>", nil, `200 text/html ("a b")` + hint, `200 text/html ("a b")` + hint},
		{"a text", `"text"`, nil, `200 text/html ("\"text\"")` + hint, `200 text/html ("\"text\"")` + hint},
		{"a list", "[1]", nil, "200: unexpected array", "200: unexpected array"},
		{"broken JSON", `{"_id":x}`, nil, invalid, invalid},
		{"an error", `{"errorCode":"NOT_READY","detail":"too early"}`, nil, "", "200: error NOT_READY: too early"},
		{"a job with a code", `{"_id":"x","errorCode":"NONE","error":200}`, nil, "", ""},
		{"the start of JSON", `{"_id":"5f`, cut, "200: unexpected EOF", "200: unexpected EOF"},
		{"the start of nothing", "", cut, "200: unexpected EOF", "200: unexpected EOF"},
		{"the start of a page", "<html>please", cut, `200 text/html ("please")` + hint, `200 text/html ("please")` + hint},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			r := Received{Status: 200, Header: headerOf("Content-Type", "text/html;charset=utf-8"), Body: []byte(tc.body), Err: tc.err}
			var result struct {
				ID     string `json:"_id"`
				Status string `json:"status"`
			}
			for want, err := range map[*string]error{&tc.want: r.Decode(&result, redact.New(nil)), &tc.ignore: r.Decode(nil, redact.New(nil))} {
				if *want == "" {
					require.NoError(t, err)
				} else {
					require.EqualError(t, err, "unexpected response: "+*want)
				}
			}
			if strings.Contains(tc.body, `"x"`) {
				assert.Equal(t, "x", result.ID)
			}
		})
	}
	r := Read(responseOf(200, "[1", cut), limit, false)
	assert.ErrorIs(t, r.Decode(nil, redact.New(nil)), cut)
}
