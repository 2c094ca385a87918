package livemigration

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Response is what is worth knowing about the HTTP answer of a call, see [CaptureResponse].
type Response struct {
	// StatusCode is the status that decided, inside the envelope with [WithEnvelope]; 0 when no answer arrived.
	StatusCode int
	// Header is the header of the last answer, without the fields that belong to authentication.
	Header http.Header
	// Attempts is how many times the request was made; 0 when it was refused before.
	Attempts int
	// RateLimit is what Atlas said about the caller's budget.
	RateLimit RateLimit
}

// RateLimit is the token bucket that a request was counted in.
type RateLimit struct {
	// Limit is the capacity of the bucket, -1 when Atlas did not say.
	Limit int
	// Remaining is how many requests are left in it, -1 when Atlas did not say.
	Remaining int
}

// maxBody is the most that is read of an answer.
const maxBody = 4 << 20

var errTooLarge = fmt.Errorf("the answer is larger than %d bytes", maxBody)

// readBody reads at most maxBody bytes, and returns what it has read also with an error.
func readBody(resp *http.Response) ([]byte, error) {
	var b bytes.Buffer
	if n := resp.ContentLength; n > 0 && n <= maxBody {
		b.Grow(int(n) + bytes.MinRead)
	}
	_, err := b.ReadFrom(io.LimitReader(resp.Body, maxBody+1))
	if err == nil && b.Len() > maxBody {
		err = errTooLarge
	}
	return b.Bytes(), err
}

// unwrapEnvelope returns the status and body inside an envelope, or what it was given when there is none: a gateway
// knows nothing of envelopes.
func unwrapEnvelope(status int, body []byte) (int, []byte) {
	var envelope struct {
		Status  int             `json:"status"`
		Content json.RawMessage `json:"content"`
	}
	if json.Unmarshal(body, &envelope) != nil || envelope.Status < 100 || envelope.Status > 599 {
		return status, body
	}
	return envelope.Status, envelope.Content
}

// stringMember finds a member of a JSON object of which perhaps only the beginning arrived; empty when it is not there
// as a whole.
func stringMember(data []byte, name string) string {
	tokens := json.NewDecoder(bytes.NewReader(data))
	if start, err := tokens.Token(); err != nil || start != json.Delim('{') {
		return ""
	}
	for tokens.More() {
		key, err := tokens.Token()
		if err != nil {
			return ""
		}
		var value any
		if tokens.Decode(&value) != nil {
			return ""
		}
		if text, ok := value.(string); ok && key == name {
			return text
		}
	}
	return ""
}

// plainJSONError says what is wrong without the names of Go types.
func plainJSONError(err error) error {
	if err == nil {
		return nil
	}
	var mismatch *json.UnmarshalTypeError
	if !errors.As(err, &mismatch) {
		return err
	}
	if mismatch.Field == "" {
		return fmt.Errorf("unexpected %s", mismatch.Value)
	}
	return fmt.Errorf("unexpected %s as %s", mismatch.Value, mismatch.Field)
}

// rateLimitOf reads the rate-limit headers.
func rateLimitOf(h http.Header) RateLimit {
	return RateLimit{Limit: headerCount(h, "Ratelimit-Limit"), Remaining: headerCount(h, "Ratelimit-Remaining")}
}

// headerCount takes the name in canonical form.
func headerCount(h http.Header, name string) int {
	if values := h[name]; len(values) > 0 {
		if n, err := strconv.Atoi(strings.TrimSpace(values[0])); err == nil && n >= 0 {
			return n
		}
	}
	return -1
}

// authenticationHeaders hold nonces, and are of no use to a caller.
var authenticationHeaders = [...]string{"Www-Authenticate", "Authentication-Info", "Proxy-Authenticate", "Proxy-Authentication-Info"}

func publicHeader(h http.Header) http.Header {
	h = h.Clone()
	for _, name := range authenticationHeaders {
		delete(h, name)
	}
	return h
}

// newAPIError reads a failure. Atlas's JSON is recognized by its content, since gateways mislabel it. What others wrote
// goes through the redactor as it arrived, before anything is cut off or out that could hide a secret from it.
func newAPIError(status int, header http.Header, body []byte, r *redactor) *APIError {
	e := &APIError{StatusCode: status, Reason: http.StatusText(status), RequestID: r.clean(header.Get("X-Request-Id"))}
	if !e.readAtlasError(body, r) {
		e.Detail = excerpt(body, r)
	}
	if location := header.Get("Location"); status/100 == 3 && location != "" {
		e.Detail = "redirect to " + r.clean(redirectHost(location)) + " refused: check the base URL"
	}
	e.RetryAfter, e.retryAfterGiven = parseRetryAfter(header.Get("Retry-After"), time.Now())
	if !e.retryAfterGiven && status == http.StatusTooManyRequests {
		e.RetryAfter, e.retryAfterGiven = retryAfterParameter(e.Parameters)
	}
	return e
}

// readAtlasError fills e from Atlas's JSON. Each member is read by itself: one of an unexpected type does not hide the
// others.
func (e *APIError) readAtlasError(body []byte, r *redactor) bool {
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
	e.fromAtlas = read("errorCode", &code) && code != "" || read("error", &number) && number != 0
	if !e.fromAtlas {
		return false
	}
	if read("reason", &reason) && reason != "" {
		e.Reason = r.clean(reason)
	}
	read("detail", &detail)
	e.Code, e.Detail = r.clean(code), r.clean(detail)
	read("parameters", &e.Parameters)
	for i, parameter := range e.Parameters {
		e.Parameters[i] = r.cleanValue(parameter)
	}
	var bad struct {
		Fields []struct{ Field, Description string }
	}
	read("badRequestDetail", &bad)
	for _, f := range bad.Fields {
		e.Fields = append(e.Fields, FieldViolation{r.clean(f.Field), r.clean(f.Description)})
	}
	return true
}

// onlyAtlasError drops a body that is not Atlas's error: of an operation whose answer is a secret, not even the start of
// it may be shown.
func onlyAtlasError(body []byte) []byte {
	if new(APIError).readAtlasError(body, newRedactor(nil)) {
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

// parseRetryAfter reads seconds or a date (RFC 9110, section 10.2.3).
func parseRetryAfter(value string, now time.Time) (time.Duration, bool) {
	value = strings.TrimSpace(value)
	if value != "" && strings.Trim(value, "0123456789") == "" {
		seconds, err := strconv.ParseInt(value, 10, 64)
		if errors.Is(err, strconv.ErrRange) {
			seconds = math.MaxInt64
		}
		return secondsToDuration(seconds), true
	}
	if date, err := http.ParseTime(value); err == nil {
		return max(0, date.Sub(now)), true
	}
	return 0, false
}

// retryAfterParameter reads the second of [path, retryAfterSeconds, capacity, refill, refillSeconds].
func retryAfterParameter(parameters []any) (time.Duration, bool) {
	if len(parameters) < 2 {
		return 0, false
	}
	seconds, ok := parameters[1].(float64)
	if !ok || seconds < 0 || seconds > math.MaxInt32 {
		return 0, false
	}
	return time.Duration(seconds * float64(time.Second)), true
}

const (
	maxMessage = 1000 // runes of a text that Atlas sent
	maxExcerpt = 200  // runes of a text that somebody else sent
)

// clean makes a server's text fit for a message of one line: no control characters, bounded, valid UTF-8.
func clean(s string) string { return shorten(s, maxMessage) }

func shorten(s string, most int) string {
	var b strings.Builder
	space, n := false, 0
	for _, r := range s {
		if unicode.IsSpace(r) || !unicode.IsPrint(r) || r == utf8.RuneError {
			space = b.Len() > 0
			continue
		}
		if n++; n > most {
			b.WriteString("…")
			break
		}
		if space {
			b.WriteByte(' ')
			space = false
		}
		b.WriteRune(r)
	}
	return b.String()
}

// excerpt is the start of a body that is not Atlas's JSON, without mark-up.
func excerpt(body []byte, r *redactor) string {
	const enough = 16 << 10
	text := r.redact(string(body))
	return shorten(stripTags(text[:min(len(text), enough)]), maxExcerpt)
}

// stripTags drops what stands between angle brackets, and the content of style and script elements.
func stripTags(s string) string {
	var b strings.Builder
	for {
		text, rest, found := strings.Cut(s, "<")
		b.WriteString(text + " ")
		if !found {
			return b.String()
		}
		tag, after, _ := strings.Cut(rest, ">")
		s = after
		for _, element := range []string{"style", "script"} {
			if strings.HasPrefix(strings.ToLower(tag), element) {
				_, s, _ = strings.Cut(s, "</"+element+">")
			}
		}
	}
}
