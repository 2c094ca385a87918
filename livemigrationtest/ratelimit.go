package livemigrationtest

import (
	"net/http"
	"strconv"
	"sync"
	"time"
)

// Bucket is a token bucket that the server enforces. Every organization has one for all calls that name it in their
// path, and so has every project. A call that finds its bucket empty gets a 429 with Retry-After. Buckets fill by
// time.Now, plus what [Server.Advance] adds, whatever [WithSpeed] says.
type Bucket struct {
	// Capacity is how many calls a full bucket allows. 0 or less means no limit.
	Capacity int
	// Refill is how many calls come back at a time. Default: Capacity.
	Refill int
	// Per is the time from one refill to the next. Default: 1 minute.
	Per time.Duration
}

// The buckets that Atlas has published.
var (
	publishedOrg     = Bucket{Capacity: 500, Refill: 250, Per: time.Minute}
	publishedProject = Bucket{Capacity: 1200, Refill: 500, Per: time.Minute}
)

// WithRateLimit sets the bucket of every organization and every project. By default none is enforced, and the headers of
// responses show a full bucket of the published size.
func WithRateLimit(bucket Bucket) Option {
	return func(c *config) { c.orgBucket, c.projectBucket = bucket, bucket }
}

// WithPublishedRateLimits enforces the limits that Atlas has published: 500 calls for an organization, of which 250 come
// back every minute, and 1200 for a project, of which 500 do.
func WithPublishedRateLimits() Option {
	return func(c *config) { c.orgBucket, c.projectBucket = publishedOrg, publishedProject }
}

func (b Bucket) withDefaults() Bucket {
	if b.Refill <= 0 || b.Refill > b.Capacity {
		b.Refill = b.Capacity
	}
	if b.Per <= 0 {
		b.Per = time.Minute
	}
	return b
}

// limiter contains how full the buckets are.
type limiter struct {
	mu     sync.Mutex
	levels map[string]*level // by organization or project
}

type level struct {
	calls    int
	refilled time.Time
}

// take uses up a call. Without one left, wait says when the next one comes.
func (l *limiter) take(scope string, bucket Bucket, now time.Time) (remaining int, wait time.Duration, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.levels == nil {
		l.levels = make(map[string]*level)
	}
	left := l.levels[scope]
	if left == nil {
		left = &level{calls: bucket.Capacity, refilled: now}
		l.levels[scope] = left
	}
	periods := now.Sub(left.refilled) / bucket.Per
	left.refilled = left.refilled.Add(periods * bucket.Per)
	missing := bucket.Capacity - left.calls
	left.calls += min(missing, int(min(periods, time.Duration(missing)))*bucket.Refill)
	if left.calls == 0 {
		return 0, bucket.Per - now.Sub(left.refilled), false
	}
	left.calls--
	return left.calls, 0, true
}

// checkRateLimit sets the headers of the rate limit. The source side has none.
func (s *Server) checkRateLimit(c *call) *apiError {
	if c.site != s.atlas {
		return nil
	}
	bucket, published := s.config.orgBucket.withDefaults(), publishedOrg
	if c.route.scope() == scopeProject {
		bucket, published = s.config.projectBucket.withDefaults(), publishedProject
	}
	remaining, wait, ok := published.Capacity-1, time.Duration(0), true
	if bucket.Capacity <= 0 {
		bucket = published
	} else {
		remaining, wait, ok = s.limiter.take(c.scope, bucket, s.clock.callers())
	}
	c.header.Set("Ratelimit-Limit", strconv.Itoa(bucket.Capacity))
	c.header.Set("Ratelimit-Remaining", strconv.Itoa(remaining))
	if ok {
		return nil
	}
	c.header.Set("Retry-After", strconv.Itoa(seconds(wait)))
	return newError(http.StatusTooManyRequests, "RATE_LIMITED_TOKEN_BUCKET", "Rate limit exceeded.",
		c.request.URL.Path, seconds(wait), bucket.Capacity, bucket.Refill, seconds(bucket.Per))
}

// seconds rounds up: a client that waits that long does not come too early.
func seconds(d time.Duration) int {
	whole := int(d / time.Second)
	if d%time.Second > 0 {
		whole++
	}
	return whole
}
