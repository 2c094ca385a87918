// Package retry says whether another attempt may succeed after an error or a status, and how long to wait before it.
//
// It does not know what a request is for, so it does not know whether the request may be sent again.
package retry

import (
	"math"
	"math/rand/v2"
	"time"

	"github.com/livemigration/livemigration-go/internal/response"
)

// Policy says how often a request is retried, and when. A zero field stands for its default.
type Policy struct {
	MaxAttempts            int // the first one included
	MinBackoff, MaxBackoff time.Duration
}

const (
	defaultMaxAttempts = 5
	defaultMinBackoff  = time.Second
	defaultMaxBackoff  = 30 * time.Second
	// retryAfterFactor is how many times MaxBackoff a call may wait because the server asks for it.
	retryAfterFactor = 10
)

// Valid reports whether the fields make sense together.
func (p Policy) Valid() bool {
	return p.MaxAttempts >= 0 && p.MinBackoff >= 0 && p.MaxBackoff >= 0 &&
		(p.MinBackoff == 0 || p.MaxBackoff == 0 || p.MinBackoff <= p.MaxBackoff)
}

// WithDefaults fills in what is zero. A default gives way to the other bound where the caller set that one.
func (p Policy) WithDefaults() Policy {
	if p.MaxAttempts == 0 {
		p.MaxAttempts = defaultMaxAttempts
	}
	switch {
	case p.MinBackoff == 0 && p.MaxBackoff == 0:
		p.MinBackoff, p.MaxBackoff = defaultMinBackoff, defaultMaxBackoff
	case p.MinBackoff == 0:
		p.MinBackoff = min(defaultMinBackoff, p.MaxBackoff)
	case p.MaxBackoff == 0:
		p.MaxBackoff = max(defaultMaxBackoff, p.MinBackoff)
	}
	return p
}

// ceiling is the longest backoff after so many attempts.
func (p Policy) ceiling(attempts int) time.Duration {
	d := p.MinBackoff
	for range attempts - 1 {
		if d >= p.MaxBackoff/2 {
			return p.MaxBackoff
		}
		d *= 2
	}
	return d
}

// Backoff is drawn anew for each attempt. In addition to a wait that the server asked for, it is drawn from the upper
// half only, so that each further 429 is followed by a longer wait.
func (p Policy) Backoff(attempts int, e *response.Error) time.Duration {
	ceiling := p.ceiling(attempts)
	if e == nil || !e.RetryAfterGiven {
		return rand.N(ceiling + 1)
	}
	extra := ceiling/2 + rand.N(ceiling/2+1)
	return e.RetryAfter + min(extra, math.MaxInt64-e.RetryAfter)
}

// LongestWait is how long a call waits because the server asks for it.
func (p Policy) LongestWait() time.Duration {
	return retryAfterFactor * min(p.MaxBackoff, math.MaxInt64/retryAfterFactor)
}

// TooLong reports whether the server asks for a longer wait than a call makes.
func (p Policy) TooLong(e *response.Error) bool {
	return e != nil && e.RetryAfterGiven && e.RetryAfter/retryAfterFactor > p.MaxBackoff
}
