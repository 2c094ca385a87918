// Package response reads HTTP responses within bounds: the envelope, Atlas's errors, the headers about waiting and rate
// limits, and results in which a value has an unexpected type.
package response

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// maxError is how many bytes are read of a response that is no success.
const maxError = 4 << 20

var (
	// ErrTooLarge is the error of a success that is longer than its limit.
	ErrTooLarge   = errors.New("the response is too large")
	errNoEnvelope = errors.New("the response has no envelope, although the request asked for one")
)

// Received is what was read of a response.
type Received struct {
	// Status decides: of an enveloped response the status in the envelope, of an Atlas error inside a success that error's.
	Status int
	Header http.Header
	Body   []byte // the content of the envelope, if there is a whole one, else as much as there is
	// Err is set only for a success: it broke off, is too large, or has no envelope although one was asked for.
	Err       error
	Truncated bool // the body broke off, whatever the status is
	Secret    bool // the result is a secret, so no text quotes the body; the caller sets it
}

// Read reads the whole body of a response and closes it. A success may have limit bytes. Of any other response 4 MiB are
// read, and used even if the body is longer or breaks off. With enveloped, the request asked for an envelope; a gateway
// does not know envelopes, so a failure may have none. Of 1xx nothing is read, because a 101 is a connection without an end.
func Read(resp *http.Response, limit int64, enveloped bool) *Received {
	r := &Received{Status: resp.StatusCode, Header: resp.Header}
	if resp.Body == nil {
		resp.Body = http.NoBody
	}
	defer resp.Body.Close()
	if r.Status < http.StatusOK {
		return r
	}
	if r.Status/100 != 2 {
		limit = maxError
	}
	r.readBody(resp, limit)
	if enveloped && r.Status != http.StatusNoContent { // a 204 has no body, so it cannot have an envelope
		r.unwrap()
	}
	if r.Status/100 == 2 {
		r.Status = statusInside(r.Status, r.Body)
	}
	if r.Status/100 != 2 {
		r.Err = nil
	}
	return r
}

// readBody drops a byte order mark, with which some gateways begin JSON.
func (r *Received) readBody(resp *http.Response, limit int64) {
	var b bytes.Buffer
	if n := resp.ContentLength; n > 0 {
		b.Grow(int(min(n, limit, maxError)) + bytes.MinRead)
	}
	_, r.Err = b.ReadFrom(io.LimitReader(resp.Body, limit+1))
	r.Truncated = r.Err != nil
	r.Body = b.Bytes()
	if int64(len(r.Body)) > limit {
		r.Body = r.Body[:limit]
		r.Err = cmp.Or(r.Err, fmt.Errorf("%w: it has more than %d bytes", ErrTooLarge, limit))
	}
	r.Body = bytes.TrimPrefix(r.Body, []byte("\xef\xbb\xbf"))
}

func (r *Received) unwrap() {
	var envelope struct {
		Status  json.RawMessage `json:"status"`
		Content json.RawMessage `json:"content"`
	}
	if json.Unmarshal(r.Body, &envelope) == nil {
		if status, ok := statusNumber(envelope.Status); ok {
			r.Status, r.Body = status, envelope.Content
			return
		}
	}
	if r.Status/100 == 2 {
		r.Err = cmp.Or(r.Err, errNoEnvelope)
	}
}

// statusNumber reads a status of HTTP, which may be quoted.
func statusNumber(raw json.RawMessage) (int, bool) {
	n, err := strconv.Atoi(strings.Trim(string(raw), `"`))
	return n, err == nil && n >= 100 && n <= 599
}

// statusInside returns the status of the Atlas error that the body of a success may be, else the one it was given.
//
// Such an error has a status from 400 as "error", and nearly always an "errorCode". Atlas may add members to its results
// at any time. So a body with an "_id" or a "linkToken" is a job or a token, which must not be lost, and a body with a
// "status" is a connection unless it has an "errorCode". A list of projects is not an object.
func statusInside(status int, body []byte) int {
	if !bytes.Contains(body, []byte(`"error"`)) { // nearly every success ends here
		return status
	}
	var members struct {
		ID        json.RawMessage `json:"_id"`
		LinkToken json.RawMessage `json:"linkToken"`
		Status    json.RawMessage `json:"status"`
		Error     json.RawMessage `json:"error"`
		Code      string          `json:"errorCode"`
	}
	err := Decode(body, &members)
	inside, ok := statusNumber(members.Error)
	result := members.ID != nil || members.LinkToken != nil || members.Status != nil && members.Code == ""
	if err != nil || result || !ok || inside < http.StatusBadRequest {
		return status
	}
	return inside
}

// Limits reads the rate limit that a request was counted in: its capacity, and the requests that remain. -1 is unknown. A
// capacity of 0 beside a response says nothing.
func Limits(h http.Header) (limit, remaining int) {
	counts := [2]int{-1, -1}
	for i, name := range [...]string{"Ratelimit-Limit", "Ratelimit-Remaining"} {
		value := strings.TrimSpace(h.Get(name))
		if n, err := strconv.ParseUint(value, 10, 31); value != "" && err == nil {
			counts[i] = int(n)
		}
	}
	if counts[0] == 0 {
		return -1, -1
	}
	return counts[0], counts[1]
}

// RetryAfter returns how long a response asks to wait, in seconds or until a date (RFC 9110, section 10.2.3); given is
// false where it does not ask. A date counts from the date of the server, so that its clock and the local one need not
// agree; now is used where the server does not say. Without the header, the parameters of a 429 count; body may be nil.
func RetryAfter(h http.Header, body *AtlasError, now time.Time) (wait time.Duration, given bool) {
	value := strings.TrimSpace(h.Get("Retry-After"))
	if strings.Trim(value, "0123456789.") == "" {
		if seconds, err := strconv.ParseFloat(value, 64); seconds > 0 || err == nil { // too many digits are infinite
			return duration(seconds), true
		}
	}
	if until, ok := Time(value); ok {
		if sent, ok := Time(h.Get("Date")); ok {
			now = sent
		}
		return max(0, until.Sub(now)), true
	}
	if body == nil || body.Code != "RATE_LIMITED_TOKEN_BUCKET" || len(body.Parameters) != 5 {
		return 0, false
	}
	seconds, _ := body.Parameters[1].(float64) // of [path, retryAfterSeconds, capacity, refill, refillSeconds]
	return duration(max(0, seconds)), seconds > 0
}

// duration is at most 100 years, so that callers can add to it.
func duration(seconds float64) time.Duration {
	const longest = 100 * 365 * 24 * 3600
	return time.Duration(math.Min(seconds, longest) * float64(time.Second))
}

// PublicHeader returns a copy without the fields of authentication. They contain nonces, which are not for callers.
func PublicHeader(h http.Header) http.Header {
	h = h.Clone()
	for _, name := range []string{"WWW-Authenticate", "Authentication-Info", "Proxy-Authenticate", "Proxy-Authentication-Info"} {
		h.Del(name)
	}
	return h
}

// Time reads a date of a header: seconds of a structured field (RFC 9745), or a date of HTTP. Atlas writes the day of the
// month with one digit where one is enough, which http.ParseTime rejects.
func Time(value string) (time.Time, bool) {
	if n, err := strconv.ParseInt(strings.TrimPrefix(value, "@"), 10, 64); err == nil && value[0] == '@' {
		return time.Unix(n, 0).UTC(), true
	}
	t, err := http.ParseTime(value)
	if err != nil {
		t, err = time.Parse("Mon, 2 Jan 2006 15:04:05 GMT", value)
	}
	return t.UTC(), err == nil
}
