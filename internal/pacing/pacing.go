// Package pacing keeps a client within the rate limits of a server that counts requests in token buckets.
//
// A scope, such as a project, has one [rate.Limiter] with the limits that the server publishes. Responses correct it: it
// never has more tokens than the server says are left, and a Retry-After delays every request in the scope. Polls leave a
// tenth of a bucket to calls. The package starts no goroutine; a waiting caller costs a timer.
package pacing

import (
	"context"
	"maps"
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
	// Off ignores the published limits and all reports. A Ceiling still counts.
	Off bool
	// Ceiling limits the requests of each scope, in addition to the server's limit. Nil: none.
	Ceiling *Bucket
	// MaxHold is the longest time for which a Retry-After delays other requests.
	MaxHold time.Duration
}

// Pacer gives requests their turns. It is safe for concurrent use.
type Pacer struct {
	cfg Config

	mu      sync.Mutex // guards the scopes too
	scopes  map[string]*scope
	cleanAt int // the number of scopes at which idle ones are forgotten
}

const (
	recheck   = 30 * time.Second // a waiting request checks this often if it must wait longer, or is too late, by now
	keptFor   = time.Hour        // a scope that was not used for so long is forgotten: its bucket is full again
	fewScopes = 64               // up to this number, none is forgotten
)

// New returns a Pacer.
func New(cfg Config) *Pacer {
	return &Pacer{cfg: cfg, scopes: make(map[string]*scope), cleanAt: fewScopes}
}

// Wait returns nil when a request may be sent now. The published bucket counts until a report corrects it; without a
// Capacity there is no limit, and only a Retry-After delays. A poll leaves a tenth of the bucket to calls.
//
// Wait returns the context's error once the context has ended, and a [*TooLate] as soon as it sees that the turn comes
// after the context's deadline or takes longer than longest.
func (p *Pacer) Wait(ctx context.Context, name string, published Bucket, poll bool, longest time.Duration) error {
	if err := ctx.Err(); err != nil || p.cfg.Off && p.cfg.Ceiling == nil {
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
		if err := p.sleep(ctx, min(wait, recheck)); err != nil {
			return err
		}
	}
}

// sleep waits without the lock.
func (p *Pacer) sleep(ctx context.Context, wait time.Duration) error {
	p.mu.Unlock()
	defer p.mu.Lock()
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// Report is what a response says about the bucket of its request.
type Report struct {
	// Limit is the capacity, Remaining the number of tokens left. -1: unknown. With a Limit of 0, Remaining does not count.
	Limit, Remaining int
	// Rejected says that the server has not processed the request and asks to wait.
	Rejected bool
	// RetryAfter is how long the server asks to wait. 0: unknown.
	RetryAfter time.Duration
	// Per is the time in which an empty bucket fills. 0: unknown.
	Per time.Duration
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

// scope returns the scope with a name.
func (p *Pacer) scope(name string, published Bucket) *scope {
	now := time.Now()
	s := p.scopes[name]
	if s == nil {
		if len(p.scopes) >= p.cleanAt {
			maps.DeleteFunc(p.scopes, func(_ string, s *scope) bool { return s.idle(now) })
			p.cleanAt = max(fewScopes, 2*len(p.scopes))
		}
		if p.cfg.Off {
			published = Bucket{}
		}
		s = new(scope)
		for _, b := range []*Bucket{&published, p.cfg.Ceiling} {
			if b == nil || b.Capacity == 0 {
				continue
			}
			limiter := rate.NewLimiter(rate.Limit(float64(b.Refill)/b.Per.Seconds()), b.Capacity)
			if s.limits = append(s.limits, limiter); b == &published {
				s.server = limiter
			}
		}
		p.scopes[name] = s
	}
	s.used = now
	return s
}

// TooLate says that a turn would not come in time.
type TooLate struct {
	// Wait estimates how long the wait would be.
	Wait time.Duration
	// Deadline says that it is too long for the context's deadline.
	Deadline bool
}

// Error says how long the request would have had to wait.
func (e *TooLate) Error() string {
	text := "not sent: its turn within the rate limit comes in " + e.Wait.Round(time.Second/10).String()
	if e.Deadline {
		return text + ", after the context's deadline"
	}
	return text + ", which is too late"
}
