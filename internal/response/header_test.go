package response

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/livemigration/livemigration-go/internal/redact"
)

func TestLimits(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		header           http.Header
		limit, remaining int
	}{
		"both":          {headerOf("RateLimit-Limit", "100", "RateLimit-Remaining", " 0 "), 100, 0},
		"neither":       {headerOf(), -1, -1},
		"one":           {headerOf("RateLimit-Remaining", "3"), -1, 3},
		"not numbers":   {headerOf("RateLimit-Limit", "many", "RateLimit-Remaining", "-3"), -1, -1},
		"no capacity":   {headerOf("RateLimit-Limit", "0", "RateLimit-Remaining", "0"), -1, -1},
		"a huge number": {headerOf("RateLimit-Limit", "99999999999999999999", "RateLimit-Remaining", "3"), -1, 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			limit, remaining := Limits(tc.header)
			assert.Equal(t, tc.limit, limit)
			assert.Equal(t, tc.remaining, remaining)
		})
	}
}

func TestTheWaitInTheParametersOfA429(t *testing.T) {
	t.Parallel()
	const code = "RATE_LIMITED_TOKEN_BUCKET"
	for name, tc := range map[string]struct {
		code, parameters string
		wait             time.Duration
	}{
		"token bucket":           {code, `["/p",9,100,10,60]`, 9 * time.Second},
		"part of a second":       {code, `["/p",0.5,100,10,60]`, time.Second / 2},
		"no wait":                {code, `["/p",0,100,10,60]`, 0},
		"count and minutes":      {"RATE_LIMITED", `["/api/atlas/v2/groups",600,1]`, 0},
		"another code with five": {"RATE_LIMITED", `["/p",9,100,10,60]`, 0},
		"four":                   {code, `["/p",9,100,10]`, 0},
		"none":                   {code, `null`, 0},
		"wait in words":          {code, `["/p","9",100,10,60]`, 0},
		"negative wait":          {code, `["/p",-1,100,10,60]`, 0},
		"endless wait":           {code, `["/p",1e300,100,10,60]`, 876_000 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			body := `{"error":429,"errorCode":"` + tc.code + `","parameters":` + tc.parameters + `}`
			e := Read(responseOf(429, body, nil), limit, false).Atlas(redact.New(nil))
			wait, given := RetryAfter(headerOf(), e, time.Now())
			assert.Equal(t, tc.wait, wait)
			assert.Equal(t, tc.wait > 0, given)
			wait, given = RetryAfter(headerOf("Retry-After", "0"), e, time.Now())
			assert.True(t, given, "the header counts first")
			assert.Zero(t, wait)
		})
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"7": 7 * time.Second, " 7 ": 7 * time.Second, "0": 0, "1.5": 1500 * time.Millisecond, "0.25": 250 * time.Millisecond,
		"86400": 24 * time.Hour, "99999999999999999999": 876_000 * time.Hour, strings.Repeat("9", 400): 876_000 * time.Hour,
		"": -1, ".": -1, "-1": -1, "1.2.3": -1, "soon": -1, "+3": -1, "7s": -1, "1e3": -1, "Inf": -1,
		"Fri, 02 Jan 2026 03:04:35 GMT":  30 * time.Second,
		"Friday, 02-Jan-26 03:04:35 GMT": 30 * time.Second,
		"Fri, 02 Jan 2026 03:00:00 GMT":  0,
		"Fri, 02 Jan 9999 03:00:00 GMT":  1<<63 - 1,
	} {
		wait, given := RetryAfter(headerOf("Retry-After", value), nil, now)
		assert.Equal(t, want >= 0, given, value)
		assert.Equal(t, max(0, want), wait, value)
	}
}

func TestRetryAfterCountsFromTheDateOfTheServer(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
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
			wait, given := RetryAfter(headerOf("Date", tc.date, "Retry-After", tc.retryAfter), nil, now)
			assert.True(t, given)
			assert.Equal(t, tc.want, wait)
		})
	}
}

func TestPublicHeaderIsACopyWithoutAuthentication(t *testing.T) {
	t.Parallel()
	header := headerOf("A", "b", "WWW-Authenticate", "n", "Authentication-Info", "n",
		"Proxy-Authenticate", "n", "Proxy-Authentication-Info", "n")
	public := PublicHeader(header)
	assert.Equal(t, http.Header{"A": {"b"}}, public)
	assert.Len(t, header, 5)
	public["A"][0] = "c"
	assert.Equal(t, "b", header.Get("A"))
}

func TestTime(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]time.Time{
		"@1814400000":                    time.Date(2027, 7, 1, 0, 0, 0, 0, time.UTC),
		"Thu, 01 Jul 2027 00:00:00 GMT":  time.Date(2027, 7, 1, 0, 0, 0, 0, time.UTC),
		"Thu, 1 Jul 2027 00:00:00 GMT":   time.Date(2027, 7, 1, 0, 0, 0, 0, time.UTC),
		"Mon, 5 Aug 2024 00:00:00 GMT":   time.Date(2024, 8, 5, 0, 0, 0, 0, time.UTC),
		"Friday, 02-Jan-26 03:04:35 GMT": time.Date(2026, 1, 2, 3, 4, 35, 0, time.UTC),
		"@soon":                          {}, "soon": {}, "": {}, "5 Aug 2024": {}, "Mon, 0 Aug 2024 00:00:00 GMT": {},
	} {
		got, ok := Time(value)
		assert.Equal(t, want, got, value)
		assert.Equal(t, !want.IsZero(), ok, value)
	}
}
