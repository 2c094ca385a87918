package livemigrationtest

import (
	"net/http"
	"strconv"
	"sync"
	"time"
)

// Bucket is a token bucket that the server enforces. Every organization has one for all calls that name it in their
// path, and so has every project. Responses then carry the headers RateLimit-Limit and RateLimit-Remaining. A call that
// finds its bucket empty gets a 429 with Retry-After.
//
// Buckets fill by time.Now, plus what [Server.Advance] adds. [WithSpeed] does not change that. livemigration.RateLimit
// is something else: what a client reads from those headers.
type Bucket struct {
	// Capacity is how many calls a full bucket allows. 0 or less means no limit.
	Capacity int
	// Refill is how many calls come back at a time. Default: Capacity.
	Refill int
	// Per is the time from one refill to the next. Default: 1 minute.
	Per time.Duration
}

// WithRateLimit sets the rate limit of every organization and every project. The default is none.
func WithRateLimit(limit Bucket) Option {
	return func(c *config) { c.orgLimit, c.projectLimit = limit, limit }
}

// WithPublishedRateLimits sets the rate limits that Atlas has published: an organization has a bucket of 500 calls, of
// which 250 come back every minute, and a project one of 1200, of which 500 do.
func WithPublishedRateLimits() Option {
	return func(c *config) {
		c.orgLimit = Bucket{Capacity: 500, Refill: 250, Per: time.Minute}
		c.projectLimit = Bucket{Capacity: 1200, Refill: 500, Per: time.Minute}
	}
}

func (l Bucket) withDefaults() Bucket {
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
	limits map[string]Bucket // by the name of the path's parameter
	clock  *clock

	mu      sync.Mutex
	buckets map[string]*bucket // by scope
}

type bucket struct {
	tokens   int
	refilled time.Time
}

func newLimiter(cfg config, c *clock) *limiter {
	limits := map[string]Bucket{
		scopeOrg: cfg.orgLimit.withDefaults(), scopeProject: cfg.projectLimit.withDefaults(),
	}
	return &limiter{limits: limits, clock: c, buckets: make(map[string]*bucket)}
}

// take uses up a token. Without one left, wait says when the next one comes.
func (l *limiter) take(scope string, limit Bucket) (remaining int, wait time.Duration, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.clock.callers()
	b := l.buckets[scope]
	if b == nil {
		b = &bucket{tokens: limit.Capacity, refilled: now}
		l.buckets[scope] = b
	}
	b.refill(limit, now)
	if b.tokens == 0 {
		return 0, limit.Per - now.Sub(b.refilled), false
	}
	b.tokens--
	return b.tokens, 0, true
}

// refill puts in what has come back since the last time.
func (b *bucket) refill(limit Bucket, now time.Time) {
	periods := int64(now.Sub(b.refilled) / limit.Per)
	if periods == 0 {
		return
	}
	b.refilled = b.refilled.Add(time.Duration(periods) * limit.Per)
	missing := limit.Capacity - b.tokens
	if periods > int64(missing/limit.Refill) { // more than fill it; fewer make a product that cannot overflow
		b.tokens = limit.Capacity
		return
	}
	b.tokens += int(periods) * limit.Refill
}

// checkRateLimit is the step of the pipeline. The source side has no limits.
func (s *Server) checkRateLimit(c *call) *apiError {
	limit := s.limiter.limits[c.route.scopeName()]
	if limit.Capacity <= 0 || c.site != s.atlas {
		return nil
	}
	remaining, wait, ok := s.limiter.take(c.scope, limit)
	setHeaders(c.header,
		"Ratelimit-Limit", strconv.Itoa(limit.Capacity), "Ratelimit-Remaining", strconv.Itoa(remaining))
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
