package response

import (
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Limits reads the rate limit that a request was counted in: its capacity, and the requests that remain. -1 is unknown. A
// capacity of 0 beside a response says nothing.
func Limits(h http.Header) (limit, remaining int) {
	var counts [2]int
	for i, name := range [...]string{"Ratelimit-Limit", "Ratelimit-Remaining"} {
		counts[i] = -1
		value := strings.TrimSpace(h.Get(name))
		if value == "" {
			continue
		}
		if n, err := strconv.Atoi(value); err == nil && n >= 0 {
			counts[i] = n
		}
	}
	if counts[0] == 0 {
		return -1, -1
	}
	return counts[0], counts[1]
}

// tokenBucket returns the numbers in the parameters of a 429, [path, retryAfterSeconds, capacity, refill, refillSeconds].
// The parameters of other codes look alike, but mean something else. A parameter that is no number is 0.
func (e *AtlasError) tokenBucket() (numbers [4]float64) {
	if e != nil && e.Code == "RATE_LIMITED_TOKEN_BUCKET" && len(e.Parameters) == 1+len(numbers) {
		for i, parameter := range e.Parameters[1:] {
			numbers[i], _ = parameter.(float64)
		}
	}
	return numbers
}

// Bucket returns the capacity of the bucket that a 429 describes, and the time in which an empty one fills. The capacity
// is -1 where the error does not describe it.
func (e *AtlasError) Bucket() (capacity int, per time.Duration) {
	numbers := e.tokenBucket()
	size, refill, seconds := numbers[1], numbers[2], numbers[3]
	if min(size, refill, seconds) < 1 || max(size, refill, seconds) > 1e6 { // no bucket has such numbers
		return -1, 0
	}
	return int(size), duration(seconds * size / refill)
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
	if until, ok := date(value); ok {
		if sent, ok := date(h.Get("Date")); ok {
			now = sent
		}
		return max(0, until.Sub(now)), true
	}
	seconds := body.tokenBucket()[0]
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
	t, err := http.ParseTime(value)
	if err != nil {
		t, err = time.Parse("Mon, 2 Jan 2006 15:04:05 GMT", value)
	}
	if err != nil {
		return time.Time{}, false
	}
	return t.UTC(), true
}
