package livemigrationtest

import (
	"net/http"
	"strconv"
	"sync"
	"time"
)

// RateLimit is a token bucket. There is one for each set of operations (link-tokens, available projects, validations,
// migrations) and scope (the organization or project of the path). With one, answers carry the headers RateLimit-Limit
// and RateLimit-Remaining, and a call that finds its bucket empty is answered with 429 and Retry-After.
//
// Buckets fill on the time of those who wait: as time.Now runs, plus what [Server.Advance] adds. [WithSpeed] does not
// change them.
type RateLimit struct {
	// Capacity is how many calls a full bucket allows. 0 or less means no limit.
	Capacity int
	// Refill is how many calls come back at a time. Default: Capacity.
	Refill int
	// Per is the time from one refill to the next. Default: 1 minute.
	Per time.Duration
}

func (l RateLimit) withDefaults() RateLimit {
	if l.Refill <= 0 {
		l.Refill = l.Capacity
	}
	if l.Per <= 0 {
		l.Per = time.Minute
	}
	return l
}

// limiter holds the buckets.
type limiter struct {
	limit RateLimit
	clock *clock

	mu      sync.Mutex
	buckets map[bucketKey]*bucket
}

type bucketKey struct{ set, scope string }

type bucket struct {
	tokens   int
	refilled time.Time
}

func newLimiter(limit RateLimit, c *clock) *limiter {
	return &limiter{limit: limit.withDefaults(), clock: c, buckets: make(map[bucketKey]*bucket)}
}

// take uses up a token. Without one left, wait says when the next one comes.
func (l *limiter) take(key bucketKey) (remaining int, wait time.Duration, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.clock.callers()
	b := l.buckets[key]
	if b == nil {
		b = &bucket{tokens: l.limit.Capacity, refilled: now}
		l.buckets[key] = b
	}
	l.refill(b, now)
	if b.tokens == 0 {
		return 0, l.limit.Per - now.Sub(b.refilled), false
	}
	b.tokens--
	return b.tokens, 0, true
}

// refill puts in what has come back since the last time.
func (l *limiter) refill(b *bucket, now time.Time) {
	periods := int64(now.Sub(b.refilled) / l.limit.Per)
	if periods == 0 {
		return
	}
	b.refilled = b.refilled.Add(time.Duration(periods) * l.limit.Per)
	missing := l.limit.Capacity - b.tokens
	if periods > int64(missing/l.limit.Refill) { // more than fill it; fewer make a product that cannot overflow
		b.tokens = l.limit.Capacity
		return
	}
	b.tokens += int(periods) * l.limit.Refill
}

// checkRateLimit is the step of the pipeline.
func (s *Server) checkRateLimit(c *call) *apiError {
	limit := s.limiter.limit
	if limit.Capacity <= 0 {
		return nil
	}
	remaining, wait, ok := s.limiter.take(bucketKey{c.route.operation.set(), c.scope})
	c.header.Set("Ratelimit-Limit", strconv.Itoa(limit.Capacity))
	c.header.Set("Ratelimit-Remaining", strconv.Itoa(remaining))
	if ok {
		return nil
	}
	c.header.Set("Retry-After", strconv.Itoa(seconds(wait)))
	return &apiError{
		status: http.StatusTooManyRequests, code: codeTokenBucket, detail: "Rate limit exceeded.",
		parameters: []any{c.request.URL.Path, seconds(wait), limit.Capacity, limit.Refill, seconds(limit.Per)},
	}
}

// seconds rounds up: who waits that long does not come too early.
func seconds(d time.Duration) int {
	whole := int(d / time.Second)
	if d%time.Second > 0 {
		whole++
	}
	return whole
}
