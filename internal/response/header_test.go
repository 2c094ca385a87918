package response

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestRateLimitOf(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		header http.Header
		want   RateLimit
	}{
		"both":        {headerOf("RateLimit-Limit", "100", "RateLimit-Remaining", " 0 "), RateLimit{100, 0}},
		"neither":     {headerOf(), RateLimit{-1, -1}},
		"one":         {headerOf("RateLimit-Remaining", "3"), RateLimit{-1, 3}},
		"not numbers": {headerOf("RateLimit-Limit", "many", "RateLimit-Remaining", "-3"), RateLimit{-1, -1}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, tc.want, RateLimitOf(tc.header))
		})
	}
}

func TestBucket(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		parameters []any
		capacity   int
		per        time.Duration
	}{
		"five parameters":   {[]any{"/p", 9.0, 100.0, 10.0, 60.0}, 100, 10 * time.Minute},
		"too few":           {[]any{"/p", 9.0, 100.0}, -1, 0},
		"not numbers":       {[]any{"/p", 9.0, "100", 10.0, 60.0}, -1, 0},
		"no refill":         {[]any{"/p", 9.0, 100.0, 0.0, 60.0}, -1, 0},
		"too large a time":  {[]any{"/p", 9.0, 100.0, 10.0, 1e9}, -1, 0},
		"less than nothing": {[]any{"/p", 9.0, -100.0, 10.0, 60.0}, -1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := &Error{StatusCode: 429, Code: "RATE_LIMITED_TOKEN_BUCKET", Parameters: tc.parameters}
			capacity, per := e.Bucket()
			assert.Equal(t, tc.capacity, capacity)
			assert.Equal(t, tc.per, per)
		})
	}
}

func TestPublicHeaderIsACopyWithoutAuthentication(t *testing.T) {
	t.Parallel()
	header := http.Header{"A": {"b"}}
	for _, name := range authenticationHeaders {
		header.Set(name, `nextnonce="n0nce"`)
	}
	public := PublicHeader(header)
	assert.Equal(t, http.Header{"A": {"b"}}, public)
	assert.Len(t, header, 1+len(authenticationHeaders))
	public["A"][0] = "c"
	assert.Equal(t, "b", header.Get("A"))
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for value, want := range map[string]struct {
		wait  time.Duration
		given bool
	}{
		"7": {7 * time.Second, true}, " 7 ": {7 * time.Second, true}, "0": {0, true}, "86400": {24 * time.Hour, true},
		"99999999999999999999": {9223372036 * time.Second, true},
		"":                     {}, "-1": {}, "1.5": {}, "soon": {}, "+3": {}, "7s": {},
		"Fri, 02 Jan 2026 03:04:35 GMT":  {30 * time.Second, true},
		"Friday, 02-Jan-26 03:04:35 GMT": {30 * time.Second, true},
		"Fri, 02 Jan 2026 03:00:00 GMT":  {0, true},
	} {
		wait, given := parseRetryAfter(value, now)
		assert.Equal(t, want.wait, wait, value)
		assert.Equal(t, want.given, given, value)
	}
}

func TestTime(t *testing.T) {
	t.Parallel()
	day := time.Date(2027, 7, 1, 0, 0, 0, 0, time.UTC)
	for value, want := range map[string]time.Time{
		"@1814400000":                   day,
		"Thu, 01 Jul 2027 00:00:00 GMT": day,
		"@soon":                         {}, "soon": {}, "": {},
	} {
		got, ok := Time(value)
		assert.Equal(t, want, got, value)
		assert.Equal(t, !want.IsZero(), ok, value)
	}
}
