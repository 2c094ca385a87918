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
		if missing > 0 {
			wait = max(wait, timeFor(missing, limiter.Limit()))
		}
	}
	return next.Sub(now) + wait
}

// timeFor is the time in which tokens come back.
func timeFor(tokens float64, limit rate.Limit) time.Duration {
	const century = 100 * 365 * 24 * 3600.0 // fits into a Duration
	return time.Duration(min(tokens/float64(limit), century)*float64(time.Second)) + 1
}

func (s *scope) idle(now time.Time) bool {
	return s.calls.waiting()+s.polls.waiting() == 0 && now.Sub(s.used) > keptFor && !s.until.After(now)
}
