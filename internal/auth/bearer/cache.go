package bearer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/sync/singleflight"

	"github.com/livemigration/livemigration-go/internal/auth"
	"github.com/livemigration/livemigration-go/internal/response"
)

const (
	fetchTimeout = 30 * time.Second // then a fetch is abandoned, so that there can be another one
	maxMargin    = time.Minute      // a token is renewed when a tenth of its lifetime is left, at most this long before its end
	maxPause     = time.Hour        // a longer Retry-After is cut to this
)

// cache keeps the current token.
type cache struct {
	from    string // where tokens come from, for errors
	fetch   func(ctx context.Context, userAgent string) (*oauth2.Token, error)
	timeout time.Duration // of fetch; 0: fetchTimeout
	flight  singleflight.Group

	mu                sync.Mutex
	current, previous *token // nil: none
	failure           error
	failureEnds       time.Time // until then nobody fetches, and the failure counts
}

type token struct {
	value            string
	renewAt, expires time.Time
	rejected         bool
}

func (t *token) good(now time.Time) bool { return t != nil && !t.rejected && now.Before(t.expires) }

// get returns a token. While the current one is good, nobody waits for its renewal.
func (c *cache) get(ctx context.Context, userAgent string) (string, error) {
	c.mu.Lock()
	now, old, failure := time.Now(), c.current, c.failure
	good := old.good(now)
	fetch := !now.Before(c.failureEnds) && (!good || !now.Before(old.renewAt))
	if fetch && good {
		old.renewAt = now.Add(old.expires.Sub(now) / 2) // for the next attempt, if this one fails
	}
	c.mu.Unlock()
	var fetched <-chan singleflight.Result
	if fetch {
		fetched = c.flight.DoChan("", func() (any, error) { return c.renew(old, userAgent) })
	}
	switch {
	case good:
		return old.value, nil
	case !fetch:
		return "", failure
	}
	select {
	case <-ctx.Done():
		return "", &auth.Unsent{Err: fmt.Errorf("%s: %w", c.from, ctx.Err())}
	case result := <-fetched:
		if result.Err != nil {
			return "", result.Err
		}
		return result.Val.(*token).value, nil
	}
}

// renew replaces an old token. It belongs to no caller: its context has a timeout, and no values of theirs.
func (c *cache) renew(old *token, userAgent string) (*token, error) {
	asked := time.Now()
	c.mu.Lock()
	current := c.current
	c.mu.Unlock()
	if current != old && current.good(asked) { // another renewal has just ended
		return current, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), cmp.Or(c.timeout, fetchTimeout))
	defer cancel()
	defer context.AfterFunc(ctx, func() { c.flight.Forget("") })() // a user's source knows no context
	fetched, err := c.call(ctx, userAgent)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		c.failure, c.failureEnds = &auth.Unsent{Err: fmt.Errorf("%s: %w", c.from, err)}, time.Now().Add(pauseAfter(err))
		return nil, c.failure
	}
	fresh := &token{value: fetched.AccessToken, expires: fetched.Expiry}
	if fresh.expires.IsZero() { // until it is rejected
		fresh.expires = asked.AddDate(100, 0, 0)
	}
	fresh.renewAt = fresh.expires.Add(-min(fresh.expires.Sub(asked)/10, maxMargin))
	if c.current != nil && c.current.value != fresh.value {
		c.previous = c.current
	}
	c.current = fresh
	return fresh, nil
}

// call fetches a token that can be sent. It runs on a goroutine of this package, where a panic of a user's code would end
// the program.
func (c *cache) call(ctx context.Context, userAgent string) (t *oauth2.Token, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			t, err = nil, fmt.Errorf("panic: %v", cause)
		}
	}()
	t, err = c.fetch(ctx, userAgent)
	switch {
	case err != nil && ctx.Err() != nil: // which must not read like the end of a caller's context
		err = fmt.Errorf("no response within %s", cmp.Or(c.timeout, fetchTimeout))
	case err != nil:
	case t == nil || t.AccessToken == "":
		err = errors.New("there is no token in it")
	case t.Type() != "Bearer":
		err = errors.New("it is not a bearer token")
	case strings.ContainsFunc(t.AccessToken, func(r rune) bool { return r <= ' ' || r > '~' }):
		err = errors.New("it contains characters that are not allowed in a header")
	}
	return t, err
}

// pauseAfter is how long a token endpoint asks to wait.
func pauseAfter(err error) (pause time.Duration) {
	var refused *EndpointError
	if errors.As(err, &refused) {
		pause, _ = response.RetryAfter(refused.Response.Header, nil, time.Now())
	}
	return min(pause, maxPause)
}

// reject notes that a token is not good anymore.
func (c *cache) reject(value string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.current != nil && c.current.value == value {
		c.current.rejected = true
	}
}
