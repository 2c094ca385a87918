// Package pacing keeps a client within the rate limits of a server that counts requests in token buckets.
//
// A scope, such as a project, has one [rate.Limiter] with the limits that the server publishes. Responses correct it: it
// never has more tokens than the server says are left, and a Retry-After delays every request in the scope. Polls leave a
// tenth of a bucket to calls. The package starts no goroutine; a waiting caller costs a timer.
package pacing

import (
	"context"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Bucket is a token bucket: a request takes one token, and Refill tokens come back every Per, up to Capacity.
type Bucket struct {
	Capacity, Refill int
	Per              time.Duration
}

// Config is what a user can set.
type Config struct {
	Off     bool          // ignores the published limits and all reports, but not the Ceiling
	Ceiling *Bucket       // of each scope, in addition to the server's limit; nil: none
	MaxHold time.Duration // for which a Retry-After delays other requests
}

// Pacer gives requests their turns. It is safe for concurrent use.
type Pacer struct {
	cfg Config

	mu     sync.Mutex // guards the scopes too
	scopes map[string]*scope
}

// recheck is how often a waiting request checks if it must wait longer, or is too late, by now.
const recheck = 30 * time.Second

// scope is what is known of one scope, and how many requests wait in it.
type scope struct {
	server       *rate.Limiter   // nil: no limit is known
	limits       []*rate.Limiter // the server's and the user's
	until        time.Time       // no request is sent before
	calls, polls line
}

// line counts requests that came to wait, and the ones that do not wait anymore.
type line struct{ entered, left int }

func New(cfg Config) *Pacer { return &Pacer{cfg: cfg, scopes: make(map[string]*scope)} }

// Wait returns nil when a request may be sent now. The published bucket counts until a report corrects it; without a
// Capacity there is no limit, and only a Retry-After delays. A poll leaves a tenth of the bucket to calls.
//
// Wait returns the context's error once the context has ended, and a [*TooLate] as soon as it sees that the turn comes
// after the context's deadline or takes longer than longest.
func (p *Pacer) Wait(ctx context.Context, name string, published Bucket, poll bool, longest time.Duration) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.scope(name, published)
	line := &s.calls
	if poll {
		line = &s.polls
	}
	place := line.entered
	line.entered++
	defer func() { line.left++ }()
	for {
		now := time.Now()
		wait := s.estimate(now, poll, place-line.left)
		if wait <= 0 {
			for _, limiter := range s.limits {
				limiter.ReserveN(now, 1)
			}
			return nil
		}
		deadline, bounded := ctx.Deadline()
		if missed := bounded && now.Add(wait).After(deadline); missed || wait > longest {
			return &TooLate{wait, missed}
		}
		p.mu.Unlock()
		select {
		case <-ctx.Done():
		case <-time.After(min(wait, recheck)):
		}
		p.mu.Lock()
		if err := ctx.Err(); err != nil {
			return err
		}
	}
}

func (p *Pacer) scope(name string, published Bucket) *scope {
	s := p.scopes[name]
	if s != nil {
		return s
	}
	s = new(scope)
	if published.Capacity > 0 && !p.cfg.Off {
		s.server = published.limiter()
		s.limits = append(s.limits, s.server)
	}
	if p.cfg.Ceiling != nil {
		s.limits = append(s.limits, p.cfg.Ceiling.limiter())
	}
	p.scopes[name] = s
	return s
}

func (b *Bucket) limiter() *rate.Limiter {
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
	const century = 100 * 365 * 24 * 3600.0 // fits into a Duration
	next := s.next(now)
	var wait time.Duration
	for _, limiter := range s.limits {
		need := 1.0
		if poll {
			need = max(need, float64(limiter.Burst())/10) + float64(s.calls.entered-s.calls.left)
		}
		if missing := need + float64(max(0, before)) - limiter.TokensAt(next); missing > 0 {
			seconds := min(missing/float64(limiter.Limit()), century)
			wait = max(wait, time.Duration(seconds*float64(time.Second))+1)
		}
	}
	return next.Sub(now) + wait
}

// Report is what a response says about the bucket of its request.
type Report struct {
	Limit, Remaining int           // the capacity, and the tokens left; -1: unknown
	Rejected         bool          // the server has not processed the request and asks to wait
	RetryAfter       time.Duration // how long; 0: unknown
}

// Report corrects what is known of a scope.
func (p *Pacer) Report(name string, r Report) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.scopes[name]
	if s == nil || p.cfg.Off {
		return
	}
	now := time.Now()
	if until := now.Add(min(r.RetryAfter, p.cfg.MaxHold)); r.Rejected && until.After(s.until) {
		s.until = until
	}
	if s.server == nil {
		return
	}
	next, remaining := s.next(now), r.Remaining
	if r.Limit > 0 { // another bucket is assumed to fill in the same time
		s.server.SetLimitAt(next, s.server.Limit()*rate.Limit(r.Limit)/rate.Limit(s.server.Burst()))
		s.server.SetBurstAt(next, r.Limit)
	}
	if r.Rejected {
		remaining = 0
	}
	// Tokens that the server does not have were taken by other programs.
	if surplus := int(s.server.TokensAt(next)) - remaining; surplus > 0 && remaining >= 0 {
		s.server.ReserveN(next, surplus)
	}
}

// TooLate says that a turn would not come in time.
type TooLate struct {
	Wait     time.Duration // an estimate
	Deadline bool          // it is too long for the context's deadline
}

func (e *TooLate) Error() string { return "not sent: rate limited for another " + e.Wait.String() }
