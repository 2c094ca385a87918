// Package pacing keeps a client within the rate limits of a server that counts requests in token buckets and tells with
// each response how many tokens are left.
//
// Nothing is configured: a [Pacer] learns the buckets from the responses, and a server that says nothing about them is
// not paced. Within a bucket, requests are spread over the time until it fills. After a request that exceeded the limit,
// all wait as long as the server asks, and then go one after the other. Calls that somebody waits for go before polls. A
// user can set a ceiling beside that. The package starts no goroutine.
//
// It knows scopes, limits and times. It knows nothing of HTTP, and not what a request is for.
package pacing

import (
	"context"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Pacer gives requests their turns. It is safe for concurrent use. The nil Pacer gives everybody a turn at once.
type Pacer struct {
	ceiling *gate // nil: none
	deaf    bool

	mu      sync.RWMutex
	buckets map[string]*bucket // by scope: an organization or a project has one
}

// bucket is a budget and those who wait for it.
type bucket struct {
	gate
	budget *budget
}

// Config is what a user can set.
type Config struct {
	// PerMinute and Burst are a ceiling for all requests: at most Burst at once, and PerMinute in the long run. 0: none.
	PerMinute, Burst int
	// Deaf makes the Pacer ignore what the server says about limits.
	Deaf bool
}

// New returns a Pacer that has learned nothing yet.
func New(cfg Config) *Pacer {
	p := &Pacer{buckets: make(map[string]*bucket), deaf: cfg.Deaf}
	if cfg.PerMinute > 0 {
		p.ceiling = &gate{pace: &ceiling{rate.NewLimiter(rate.Limit(float64(cfg.PerMinute)/60), cfg.Burst)}}
	}
	return p
}

// ceiling is the pace of a fixed rate.
type ceiling struct{ limiter *rate.Limiter }

func (c *ceiling) held(time.Time) time.Duration { return 0 }

func (c *ceiling) delay(now time.Time, class Class, _ bool) time.Duration {
	if missing := 1 - c.limiter.TokensAt(now); missing > 0 {
		return time.Duration(missing*float64(c.step(class))) + 1
	}
	return 0
}

func (c *ceiling) step(Class) time.Duration {
	return time.Duration(float64(time.Second) / float64(c.limiter.Limit()))
}

func (c *ceiling) spend(now time.Time, _ Class) { c.limiter.AllowN(now, 1) }

// Turn is the right to make one request. Whoever has it calls Done or Cancel once.
type Turn struct {
	pacer  *Pacer
	scope  string
	bucket *bucket // nil: nothing was known of it
	asOf   uint64
}

// Wait waits for a turn. It fails with the context's error, and with a [*TooLate] as soon as it is known that the turn
// comes after the context's deadline, or that the server makes everybody wait for longer than longestHold.
func (p *Pacer) Wait(ctx context.Context, scope string, class Class, longestHold time.Duration) (Turn, error) {
	if p == nil {
		return Turn{}, nil
	}
	for {
		turn := Turn{pacer: p, scope: scope, bucket: p.find(scope)}
		if err := turn.pass(ctx, class, longestHold); err != nil {
			return Turn{}, err
		}
		if p.ceiling == nil {
			return turn, nil
		}
		if err := p.ceiling.pass(ctx, class, longestHold); err != nil {
			turn.Cancel()
			return Turn{}, err
		}
		if p.Held(scope) == 0 {
			return turn, nil
		}
		turn.Cancel() // another request has exceeded the limit meanwhile
	}
}

// pass waits at the bucket.
func (t *Turn) pass(ctx context.Context, class Class, longestHold time.Duration) error {
	b := t.bucket
	if b == nil {
		return nil
	}
	if err := b.gate.pass(ctx, class, longestHold); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	t.asOf = b.budget.sent()
	return nil
}

// Cancel gives up a turn whose request brought no response.
func (t *Turn) Cancel() {
	if t.bucket != nil {
		t.bucket.mu.Lock()
		defer t.bucket.mu.Unlock()
		t.bucket.budget.restore()
	}
	*t = Turn{}
}

// Done tells what the response to the request says.
func (t *Turn) Done(r Report) {
	defer func() { *t = Turn{} }()
	b, learned := t.bucket, false
	if b == nil {
		if t.pacer == nil || t.pacer.deaf || r.Silent() {
			return
		}
		b, learned = t.pacer.learn(t.scope), true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if learned { // the request went when there was nothing to count it in
		b.budget.sent()
	}
	b.changed(b.budget.report(time.Now(), t.asOf, r))
}

// Held returns for how long nobody gets a turn yet, because the server has asked to wait.
func (p *Pacer) Held(scope string) time.Duration {
	if p == nil {
		return 0
	}
	b := p.find(scope)
	if b == nil {
		return 0
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return max(0, b.budget.held(time.Now()))
}

func (p *Pacer) find(scope string) *bucket {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.buckets[scope]
}

// learn returns the bucket that a response has told of.
func (p *Pacer) learn(scope string) *bucket {
	p.mu.Lock()
	defer p.mu.Unlock()
	if b := p.buckets[scope]; b != nil {
		return b
	}
	const many = 1024
	if n := len(p.buckets); n >= many && n&(n-1) == 0 { // at each power of two
		p.forgetStale(time.Now())
	}
	b := &bucket{budget: newBudget(time.Now())}
	b.pace = b.budget
	p.buckets[scope] = b
	return b
}

func (p *Pacer) forgetStale(now time.Time) {
	for scope, b := range p.buckets {
		b.mu.Lock()
		if b.length(Poll) == 0 && b.budget.stale(now) {
			delete(p.buckets, scope)
		}
		b.mu.Unlock()
	}
}
