package response

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/livemigration/livemigration-go/internal/redact"
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

func TestBucketOfA429(t *testing.T) {
	t.Parallel()
	const code = "RATE_LIMITED_TOKEN_BUCKET"
	for name, tc := range map[string]struct {
		code, parameters string
		wait             time.Duration
		given            bool
		capacity         int
		per              time.Duration
	}{
		"token bucket":           {code, `["/p",9,100,10,60]`, 9 * time.Second, true, 100, 10 * time.Minute},
		"part of a second":       {code, `["/p",0.5,100,10,60]`, time.Second / 2, true, 100, 10 * time.Minute},
		"no wait":                {code, `["/p",0,100,10,60]`, 0, true, 100, 10 * time.Minute},
		"count and minutes":      {"RATE_LIMITED", `["/api/atlas/v2/groups",600,1]`, 0, false, -1, 0},
		"another code with five": {"RATE_LIMITED", `["/p",9,100,10,60]`, 0, false, -1, 0},
		"no code":                {"", `["/p",9,100,10,60]`, 0, false, -1, 0},
		"four":                   {code, `["/p",9,100,10]`, 0, false, -1, 0},
		"six":                    {code, `["/p",9,100,10,60,1]`, 0, false, -1, 0},
		"none":                   {code, `null`, 0, false, -1, 0},
		"wait in words":          {code, `["/p","9",100,10,60]`, 0, false, 100, 10 * time.Minute},
		"negative wait":          {code, `["/p",-1,100,10,60]`, 0, false, 100, 10 * time.Minute},
		"endless wait":           {code, `["/p",1e300,100,10,60]`, 0, false, 100, 10 * time.Minute},
		"capacity in words":      {code, `["/p",9,"100",10,60]`, 9 * time.Second, true, -1, 0},
		"no refill":              {code, `["/p",9,100,0,60]`, 9 * time.Second, true, -1, 0},
		"too large a time":       {code, `["/p",9,100,10,1e9]`, 9 * time.Second, true, -1, 0},
		"negative capacity":      {code, `["/p",9,-100,10,60]`, 9 * time.Second, true, -1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			body := []byte(`{"error":429,"errorCode":"` + tc.code + `","parameters":` + tc.parameters + `}`)
			e := NewError(429, nil, body, redact.New(nil))
			assert.Equal(t, tc.wait, e.RetryAfter)
			assert.Equal(t, tc.given, e.RetryAfterGiven)
			capacity, per := e.Bucket()
			assert.Equal(t, tc.capacity, capacity)
			assert.Equal(t, tc.per, per)

			e = NewError(429, headerOf("Retry-After", "3"), body, redact.New(nil))
			assert.Equal(t, 3*time.Second, e.RetryAfter, "the header counts first")
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
		wait, given := retryAfter(headerOf("Retry-After", value), now)
		assert.Equal(t, want.wait, wait, value)
		assert.Equal(t, want.given, given, value)
	}
}

func TestRetryAfterCountsFromTheDateOfTheServer(t *testing.T) {
	t.Parallel()
	arrival := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for name, tc := range map[string]struct {
		date, retryAfter string
		want             time.Duration
	}{
		"clock an hour ahead":  {"Fri, 02 Jan 2026 04:04:05 GMT", "Fri, 02 Jan 2026 04:04:35 GMT", 30 * time.Second},
		"clock an hour behind": {"Fri, 02 Jan 2026 02:04:05 GMT", "Fri, 02 Jan 2026 02:04:35 GMT", 30 * time.Second},
		"seconds":              {"Fri, 02 Jan 2026 04:04:05 GMT", "30", 30 * time.Second},
		"before its own date":  {"Fri, 02 Jan 2026 04:04:05 GMT", "Fri, 02 Jan 2026 03:30:00 GMT", 0},
		"days of one digit":    {"Fri, 2 Jan 2026 04:04:05 GMT", "Fri, 2 Jan 2026 04:04:35 GMT", 30 * time.Second},
		"date that is none":    {"today", "Fri, 02 Jan 2026 03:04:35 GMT", 30 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wait, given := retryAfter(headerOf("Date", tc.date, "Retry-After", tc.retryAfter), arrival)
			assert.True(t, given)
			assert.Equal(t, tc.want, wait)
		})
	}
	e := NewError(503, headerOf("Date", "Fri, 02 Jan 1970 03:04:05 GMT", "Retry-After", "Fri, 02 Jan 1970 03:04:35 GMT"), nil, redact.New(nil))
	assert.Equal(t, 30*time.Second, e.RetryAfter)
}

func TestTime(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]time.Time{
		"@1814400000":                    time.Date(2027, 7, 1, 0, 0, 0, 0, time.UTC),
		"Thu, 01 Jul 2027 00:00:00 GMT":  time.Date(2027, 7, 1, 0, 0, 0, 0, time.UTC),
		"Thu, 1 Jul 2027 00:00:00 GMT":   time.Date(2027, 7, 1, 0, 0, 0, 0, time.UTC),
		"Mon, 5 Aug 2024 00:00:00 GMT":   time.Date(2024, 8, 5, 0, 0, 0, 0, time.UTC),
		"Mon, 15 Aug 2024 01:02:03 GMT":  time.Date(2024, 8, 15, 1, 2, 3, 0, time.UTC),
		"Friday, 02-Jan-26 03:04:35 GMT": time.Date(2026, 1, 2, 3, 4, 35, 0, time.UTC),
		"@soon":                          {}, "soon": {}, "": {}, "5 Aug 2024": {}, "Mon, 0 Aug 2024 00:00:00 GMT": {},
	} {
		got, ok := Time(value)
		assert.Equal(t, want, got, value)
		assert.Equal(t, !want.IsZero(), ok, value)
	}
}
