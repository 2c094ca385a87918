package response

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/livemigration/livemigration-go/internal/redact"
)

// Error is a failure that Atlas, or a gateway before it, responded with. Its texts are redacted.
type Error struct {
	StatusCode           int
	Code, Reason, Detail string
	Parameters           []any
	Fields               []Field
	Method, Path         string // of the request; set by whoever made it
	Attempts             int
	RequestID            string

	RetryAfter      time.Duration
	RetryAfterGiven bool // a Retry-After of 0 seconds is one too
	FromAtlas       bool // the body was Atlas's JSON error
	StaleNonce      bool // a 401 that is not about the keys
}

// Field is one field of a request that the server rejects.
type Field struct{ Name, Description string }

// Error describes the failure in one line.
func (e *Error) Error() string { return e.Method + " " + e.Path + ": " + e.Summary() }

// Summary is the message without the request and the number of attempts.
func (e *Error) Summary() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d", e.StatusCode)
	switch {
	case e.Code != "":
		b.WriteString(" " + e.Code)
	case e.Reason != "":
		b.WriteString(" " + e.Reason)
	}
	if e.Detail != "" {
		b.WriteString(": " + e.Detail)
	}
	if len(e.Fields) > 0 {
		b.WriteString(": " + redact.Line(joinFields(e.Fields)))
	}
	if e.RetryAfter > 0 {
		fmt.Fprintf(&b, " (retry after %s)", e.RetryAfter)
	}
	return b.String()
}

// joinFields names the first ones; nobody reads a line of hundreds.
func joinFields(fields []Field) string {
	const most = 20
	var parts []string
	for _, f := range fields[:min(len(fields), most)] {
		parts = append(parts, f.Name+" "+f.Description)
	}
	if more := len(fields) - most; more > 0 {
		parts = append(parts, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(parts, "; ")
}

// AsksToWait reports whether the failure is about the number of requests, and not about this one.
func (e *Error) AsksToWait() bool {
	return e.StatusCode == http.StatusTooManyRequests || e.StatusCode == http.StatusServiceUnavailable && e.RetryAfter > 0
}

// NewError reads a failure. Atlas's JSON is recognized by its content, since gateways give it wrong media types.
func NewError(status int, header http.Header, body []byte, r *redact.Redactor) *Error {
	e := &Error{StatusCode: status, Reason: http.StatusText(status), RequestID: r.Clean(header.Get("X-Request-Id"))}
	if !e.readAtlasError(body, r) {
		e.Detail = r.Excerpt(body)
	}
	if location := header.Get("Location"); status/100 == 3 && location != "" {
		e.Detail = "redirect to " + r.Clean(redirectHost(location)) + " rejected: check the base URL"
	}
	e.RetryAfter, e.RetryAfterGiven = retryAfter(header, time.Now())
	if !e.RetryAfterGiven && status == http.StatusTooManyRequests {
		e.RetryAfter, e.RetryAfterGiven = e.retryAfterParameter()
	}
	return e
}

// readAtlasError fills e from Atlas's JSON. Each member is read by itself: one of an unexpected type does not hide the
// others.
func (e *Error) readAtlasError(body []byte, r *redact.Redactor) bool {
	var members map[string]json.RawMessage
	if json.Unmarshal(body, &members) != nil {
		return false
	}
	read := func(name string, into any) bool {
		raw, ok := members[name]
		return ok && json.Unmarshal(raw, into) == nil
	}
	var code, reason, detail string
	var number int
	e.FromAtlas = read("errorCode", &code) && code != "" || read("error", &number) && number != 0
	if !e.FromAtlas {
		return false
	}
	if read("reason", &reason) && reason != "" {
		e.Reason = r.Clean(reason)
	}
	read("detail", &detail)
	e.Code, e.Detail = r.Clean(code), r.Clean(detail)
	read("parameters", &e.Parameters)
	for i, parameter := range e.Parameters {
		e.Parameters[i] = r.CleanValue(parameter)
	}
	var bad struct {
		Fields []struct{ Field, Description string }
	}
	read("badRequestDetail", &bad)
	for _, f := range bad.Fields {
		e.Fields = append(e.Fields, Field{r.Clean(f.Field), r.Clean(f.Description)})
	}
	return true
}

// OnlyAtlasError drops a body that is not Atlas's error. Where a success is a secret, not even the start of such a body
// may be shown.
func OnlyAtlasError(body []byte) []byte {
	if new(Error).readAtlasError(body, redact.New(nil)) {
		return body
	}
	return nil
}

func redirectHost(location string) string {
	u, err := url.Parse(location)
	switch {
	case err != nil:
		return "an unreadable address"
	case u.Host == "":
		return "the same host"
	default:
		return u.Host
	}
}
