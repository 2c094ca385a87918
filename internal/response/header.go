package response

import (
	"errors"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// RateLimit is the token bucket that a request was counted in. -1: the server did not say.
type RateLimit struct{ Limit, Remaining int }

// RateLimitOf reads the rate-limit headers.
func RateLimitOf(h http.Header) RateLimit {
	return RateLimit{Limit: count(h, "Ratelimit-Limit"), Remaining: count(h, "Ratelimit-Remaining")}
}

// count takes the name in canonical form.
func count(h http.Header, name string) int {
	if values := h[name]; len(values) > 0 {
		if n, err := strconv.Atoi(strings.TrimSpace(values[0])); err == nil && n >= 0 {
			return n
		}
	}
	return -1
}

// bucketCode is the only error code whose parameters describe a token bucket. Those of RATE_LIMITED look alike, but are a
// path, a number of requests and minutes.
const bucketCode = "RATE_LIMITED_TOKEN_BUCKET"

// tokenBucket is what [path, retryAfterSeconds, capacity, refill, refillSeconds] say. What is not a number is -1.
type tokenBucket struct{ wait, capacity, refill, seconds float64 }

func (e *Error) tokenBucket() (tokenBucket, bool) {
	if e.Code != bucketCode || len(e.Parameters) != 5 {
		return tokenBucket{}, false
	}
	number := func(i int) float64 {
		if n, ok := e.Parameters[i].(float64); ok {
			return n
		}
		return -1
	}
	return tokenBucket{number(1), number(2), number(3), number(4)}, true
}

// Bucket is what the parameters of a 429 say about the bucket: its capacity, -1 if they do not say, and the time in
// which an empty one fills.
func (e *Error) Bucket() (capacity int, per time.Duration) {
	b, ok := e.tokenBucket()
	const most = 1e6 // a larger number is no bucket
	if !ok || !(b.capacity >= 1 && b.capacity <= most && b.refill > 0 && b.refill <= most && b.seconds > 0 && b.seconds <= most) {
		return -1, 0
	}
	return int(b.capacity), time.Duration(b.seconds * b.capacity / b.refill * float64(time.Second))
}

// retryAfterParameter is the wait that the parameters ask for.
func (e *Error) retryAfterParameter() (time.Duration, bool) {
	b, ok := e.tokenBucket()
	if !ok || b.wait < 0 || b.wait > math.MaxInt32 {
		return 0, false
	}
	return time.Duration(b.wait * float64(time.Second)), true
}

// authenticationHeaders hold nonces, which are no business of a caller.
var authenticationHeaders = [...]string{"Www-Authenticate", "Authentication-Info", "Proxy-Authenticate", "Proxy-Authentication-Info"}

// PublicHeader is a copy without the fields of authentication.
func PublicHeader(h http.Header) http.Header {
	h = h.Clone()
	for _, name := range authenticationHeaders {
		delete(h, name)
	}
	return h
}

// retryAfter reads the wait that a response asks for, in seconds or until a date (RFC 9110, section 10.2.3). Seconds
// count from the arrival. A date counts from the server's own, so that its clock and ours need not agree.
func retryAfter(h http.Header, arrival time.Time) (time.Duration, bool) {
	value := strings.TrimSpace(h.Get("Retry-After"))
	if value != "" && strings.Trim(value, "0123456789") == "" {
		seconds, err := strconv.ParseInt(value, 10, 64)
		if errors.Is(err, strconv.ErrRange) {
			seconds = math.MaxInt64
		}
		return time.Duration(min(seconds, math.MaxInt64/int64(time.Second))) * time.Second, true
	}
	until, ok := date(value)
	if !ok {
		return 0, false
	}
	now := arrival
	if sent, ok := date(h.Get("Date")); ok {
		now = sent
	}
	return max(0, until.Sub(now)), true
}

// Time reads a date of a header: seconds of a structured field (RFC 9745), or a date of HTTP.
func Time(value string) (time.Time, bool) {
	if seconds, ok := strings.CutPrefix(value, "@"); ok {
		if n, err := strconv.ParseInt(seconds, 10, 64); err == nil {
			return time.Unix(n, 0).UTC(), true
		}
	}
	return date(value)
}

// date reads a date of HTTP. Atlas writes the day of the month with one digit where one is enough, which http.ParseTime
// rejects.
func date(value string) (time.Time, bool) {
	const shortDay = "Mon, 2 Jan 2006 15:04:05 GMT"
	t, err := http.ParseTime(value)
	if err != nil {
		t, err = time.Parse(shortDay, value)
	}
	if err != nil {
		return time.Time{}, false
	}
	return t.UTC(), true
}
