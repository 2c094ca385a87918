package pacing

import (
	"time"

	"golang.org/x/time/rate"
)

// scope is what is known of one scope, and how many requests wait in it.
type scope struct {
	server *rate.Limiter   // nil: no limit is known
	limits []*rate.Limiter // the server's and the user's
	until  time.Time       // no request is sent before
	used   time.Time
	calls  line
	polls  line
}

// line counts requests that came to wait, and the ones that do not wait anymore.
type line struct{ entered, left int }

func (l line) waiting() int { return l.entered - l.left }

func newScope(published Bucket, ceiling *Bucket) *scope {
	s := &scope{}
	if published.Capacity > 0 {
		s.server = newLimiter(published)
		s.limits = append(s.limits, s.server)
	}
	if ceiling != nil {
		s.limits = append(s.limits, newLimiter(*ceiling))
	}
	return s
}

func newLimiter(b Bucket) *rate.Limiter {
	return rate.NewLimiter(rate.Limit(float64(b.Refill)/b.Per.Seconds()), b.Capacity)
}

// next is the earliest time of the next request. A limiter is used as of this time, never before: so a bucket that is
// empty when a hold begins is empty when the hold ends, and then one request follows the other.
func (s *scope) next(now time.Time) time.Time {
	if s.until.After(now) {
		return s.until
	}
	return now
}

// estimate is how long a request has to wait, with some before it in its line, if nothing else happens.
func (s *scope) estimate(now time.Time, poll bool, before int) time.Duration {
	next := s.next(now)
	wait := time.Duration(0)
	for _, limiter := range s.limits {
		need := 1.0
		if poll {
			need = max(need, float64(limiter.Burst())/10) + float64(s.calls.waiting())
		}
		missing := need + float64(max(0, before)) - limiter.TokensAt(next)
		wait = max(wait, timeFor(missing, limiter.Limit()))
	}
	return next.Sub(now) + wait
}

// timeFor is the time in which tokens come back.
func timeFor(tokens float64, limit rate.Limit) time.Duration {
	const century = 100 * 365 * 24 * 3600.0 // fits into a Duration
	if tokens <= 0 {
		return 0
	}
	return time.Duration(min(tokens/float64(limit), century)*float64(time.Second)) + 1
}

// take spends a token.
func (s *scope) take(now time.Time) {
	for _, limiter := range s.limits {
		limiter.ReserveN(now, 1)
	}
}

func (s *scope) report(now time.Time, r Report, maxHold time.Duration) {
	if until := now.Add(min(r.RetryAfter, maxHold)); r.Rejected && until.After(s.until) {
		s.until = until
	}
	if s.server == nil {
		return
	}
	next, capacity := s.next(now), s.server.Burst()
	if r.Limit > 0 && r.Limit != capacity { // another bucket is assumed to fill in the same time
		s.server.SetLimitAt(next, s.server.Limit()*rate.Limit(r.Limit)/rate.Limit(capacity))
		s.server.SetBurstAt(next, r.Limit)
	}
	if r.Per > 0 {
		s.server.SetLimitAt(next, rate.Limit(float64(s.server.Burst())/r.Per.Seconds()))
	}
	remaining := r.Remaining
	switch {
	case r.Rejected:
		remaining = 0
	case r.Limit == 0 || remaining < 0:
		return
	}
	// Tokens that the server does not have were taken by other programs.
	if surplus := int(s.server.TokensAt(next)) - remaining; surplus > 0 {
		s.server.ReserveN(next, surplus)
	}
}

func (s *scope) idle(now time.Time) bool {
	return s.calls.waiting()+s.polls.waiting() == 0 && now.Sub(s.used) > keptFor && !s.until.After(now)
}
