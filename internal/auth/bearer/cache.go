package bearer

import (
	"context"
	"sync"
	"time"

	"github.com/livemigration/livemigration-go/internal/auth"
)

const (
	// A token is renewed when a tenth of its lifetime is left, and no sooner than a minute before its end.
	marginShare = 10
	maxMargin   = time.Minute
	// earlyRenewal bounds a renewal that a request does not depend on, because its token is still good.
	earlyRenewal = 5 * time.Second
	// maxPause bounds the pause that a server asks for. After it, a request finds out whether that is still so.
	maxPause = time.Hour
)

// cache keeps a token. The values are behind functions, so that no way of printing reaches them.
type cache struct {
	fetch fetchFunc

	mu      sync.Mutex
	held    *held           // nil: none
	earlier []func() string // the last ones before it
	flight  *flight         // nil: none under way

	failure     error // of the last fetch, for all who ask before failureEnds
	failureEnds time.Time
}

// held is a token that has been fetched.
type held struct {
	value   func() string
	renewAt time.Time // zero: never
	expires time.Time // zero: never
}

func (h *held) expired(now time.Time) bool { return !h.expires.IsZero() && !now.Before(h.expires) }
func (h *held) due(now time.Time) bool     { return !h.renewAt.IsZero() && !now.Before(h.renewAt) }

// flight is a token on its way.
type flight struct {
	done chan struct{} // closed at its end
	err  error         // for all who wait for it; nil also if the context of the one that fetches has ended
}

// get returns a good token other than rejected, which the server did not accept.
func (c *cache) get(ctx context.Context, userAgent, rejected string) (string, error) {
	for {
		c.mu.Lock()
		if c.held != nil && (c.held.expired(time.Now()) || rejected != "" && c.held.value() == rejected) {
			c.drop()
		}
		if h := c.held; h != nil && (!h.due(time.Now()) || c.flight != nil) {
			c.mu.Unlock()
			return h.value(), nil
		}
		if inFlight := c.flight; inFlight != nil {
			c.mu.Unlock()
			select {
			case <-inFlight.done:
				if inFlight.err != nil {
					return "", inFlight.err
				}
			case <-ctx.Done():
				return "", ctx.Err()
			}
			continue
		}
		if time.Now().Before(c.failureEnds) {
			defer c.mu.Unlock()
			return "", c.failure
		}
		own := &flight{done: make(chan struct{})}
		c.flight = own
		spare := c.held
		c.mu.Unlock()
		return c.lead(ctx, userAgent, own, spare)
	}
}

// lead fetches a token for all who wait. While the spare one is good, failing to do so is no failure.
func (c *cache) lead(ctx context.Context, userAgent string, own *flight, spare *held) (string, error) {
	fetching := auth.WithNegotiation(ctx)
	if spare != nil {
		var cancel context.CancelFunc
		fetching, cancel = context.WithTimeout(fetching, earlyRenewal)
		defer cancel()
	}
	defer func() { // also when the transport panics
		c.mu.Lock()
		defer c.mu.Unlock()
		c.flight = nil
		close(own.done)
	}()
	started := time.Now()
	token, pause, err := c.fetch(fetching, userAgent)
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	switch {
	case err == nil:
		c.drop()
		c.held = newHeld(token, started)
		return token.Value, nil
	case spare != nil && spare == c.held && !spare.expired(now):
		spare.renewAt = now.Add(spare.expires.Sub(now) / 2)
		return spare.value(), nil
	}
	failed := &TokenError{err}
	if ctx.Err() == nil { // a context that has ended is nobody else's failure
		own.err, c.failure, c.failureEnds = failed, failed, now.Add(min(pause, maxPause))
	}
	return "", failed
}

func newHeld(token Token, started time.Time) *held {
	h := &held{value: func() string { return token.Value }}
	if token.Lifetime > 0 {
		h.expires = started.Add(token.Lifetime)
		h.renewAt = h.expires.Add(-min(token.Lifetime/marginShare, maxMargin))
	}
	return h
}

// drop makes the current token one of the earlier ones.
func (c *cache) drop() {
	const most = 3 // a slow call may have one that is some renewals old
	if c.held != nil {
		c.earlier = append([]func() string{c.held.value}, c.earlier[:min(len(c.earlier), most-1)]...)
		c.held = nil
	}
}

func (c *cache) recent() (tokens []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.held != nil {
		tokens = append(tokens, c.held.value())
	}
	for _, value := range c.earlier {
		tokens = append(tokens, value())
	}
	return tokens
}

func (c *cache) current() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.held == nil || c.held.expired(time.Now()) {
		return ""
	}
	return c.held.value()
}

func (c *cache) forget(value string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.held != nil && c.held.value() == value {
		c.drop()
	}
}
