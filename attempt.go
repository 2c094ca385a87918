package livemigration

import (
	"context"
	"errors"
	"io"
	"math"
	"net/http"
	"time"

	"github.com/livemigration/livemigration-go/internal/pacing"
)

// Attempt is one HTTP request of a call, for those who measure or trace requests.
type Attempt struct {
	// Operation is the method of this package that makes the call, such as "Migrations.Get". Watch and the Wait functions
	// make calls of Get.
	Operation string
	// Scope is the id of the organization or project of the call.
	Scope string
	// Number is which attempt of the call it is, from 1.
	Number int
}

// AttemptFromContext returns the attempt that a request of a client belongs to, by the request's context. It is for
// transports given to [WithTransportWrapper] and [WithHTTPClient], which thus need not take paths apart. Other contexts
// hold none.
func AttemptFromContext(ctx context.Context) (Attempt, bool) {
	attempt, ok := ctx.Value(attemptKey{}).(*Attempt)
	if !ok {
		return Attempt{}, false
	}
	return *attempt, true
}

type attemptKey struct{}

// attemptContext is the context of an attempt. It is a snapshot: a transport may look at it when the call has gone on.
type attemptContext struct {
	context.Context
	attempt Attempt
}

func (c *attemptContext) Value(key any) any {
	if key == (attemptKey{}) {
		return &c.attempt
	}
	return c.Context.Value(key)
}

// attemptTransport waits for the turn of an attempt, and ends one that takes too long. The Timeout of http.Client does
// that at the price of two goroutines for each request, unless its Transport is net/http's own.
type attemptTransport struct {
	base    http.RoundTripper
	timeout time.Duration
	// opaque: base may send the request in ways that nobody here sees.
	opaque bool
}

func (t *attemptTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	c := callOf(req.Context())
	if err := c.takeTurn(req.Context()); err != nil {
		if req.Body != nil {
			_ = req.Body.Close()
		}
		return nil, err
	}
	if t.opaque {
		c.sent.state.Store(sentUnknown)
	}
	ctx, cancel := context.WithTimeout(&attemptContext{req.Context(), c.attempt()}, t.timeout)
	resp, err := t.base.RoundTrip(req.WithContext(ctx))
	if err != nil || resp == nil || resp.Body == nil {
		cancel()
		return resp, err
	}
	resp.Body = &boundedBody{resp.Body, cancel}
	return resp, nil
}

func (c *call) attempt() Attempt { return Attempt{c.op.name, c.scope, c.attempts} }

// boundedBody is the answer of an attempt, whose time runs until it is closed.
type boundedBody struct {
	io.ReadCloser
	cancel context.CancelFunc
}

func (b *boundedBody) Close() error {
	defer b.cancel()
	return b.ReadCloser.Close()
}

// arrivalTransport stands between the wrappers of the user and the transport of the credentials: a request that arrives
// here with its context is seen from here on.
type arrivalTransport struct{ base http.RoundTripper }

func (t *arrivalTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	if c := callOf(req.Context()); c != nil {
		c.sent.inside.Add(1)
		defer c.sent.inside.Add(-1)
		c.sent.state.CompareAndSwap(sentUnknown, sentNothing)
	}
	return t.base.RoundTrip(req)
}

// takeTurn waits until the rate limit allows the attempt.
func (c *call) takeTurn(ctx context.Context) (err error) {
	if given := c.settings.turn; given != nil {
		c.turn, c.settings.turn = *given, nil
		*given = pacing.Turn{}
	} else {
		c.turn, err = c.client.pacer.Wait(ctx, c.scope, c.settings.class, c.client.longestHold(0))
	}
	now := time.Now()
	c.turnWait, c.started = now.Sub(c.started), now
	if c.settings.waited != nil {
		*c.settings.waited += c.turnWait
	}
	if err != nil {
		c.attempts-- // it has not been one
	}
	return err
}

// longestHold is for how long a call waits because Atlas asks for it; a wait does so for as long as an outage may last.
func (c *Client) longestHold(outage time.Duration) time.Duration {
	return max(retryAfterFactor*min(c.retry.MaxBackoff, math.MaxInt64/retryAfterFactor), outage)
}

// reportTurn tells the pacer what an answer says about the rate limit.
func (c *call) reportTurn(h http.Header, failure *APIError) {
	limits := rateLimitOf(h)
	report := pacing.Report{Limit: limits.Limit, Remaining: limits.Remaining}
	if failure != nil && failure.asksToWait() {
		report.Refused, report.RetryAfter = true, failure.RetryAfter
		capacity, per := bucketParameters(failure.Parameters)
		report.Per = per
		if report.Limit < 0 {
			report.Limit = capacity
		}
	}
	if failure != nil && report.Silent() {
		c.turn.Cancel() // a gateway knows nothing of limits
		return
	}
	c.turn.Done(report)
}

// asksToWait reports whether the failure is about the number of requests, and not about this one.
func (e *APIError) asksToWait() bool {
	return e.StatusCode == http.StatusTooManyRequests || e.StatusCode == http.StatusServiceUnavailable && e.RetryAfter > 0
}

// bucketParameters reads [path, retryAfterSeconds, capacity, refill, refillSeconds]: the capacity, -1 if it is not there,
// and the time in which an empty bucket fills.
func bucketParameters(parameters []any) (capacity int, per time.Duration) {
	if len(parameters) < 5 {
		return -1, 0
	}
	size, _ := parameters[2].(float64)
	refill, _ := parameters[3].(float64)
	seconds, _ := parameters[4].(float64)
	const most = 1e6 // what is beyond is no bucket
	if !(size >= 1 && size <= most && refill > 0 && refill <= most && seconds > 0 && seconds <= most) {
		return -1, 0
	}
	return int(size), time.Duration(seconds * size / refill * float64(time.Second))
}

// PacingError says that a request was not made because its turn within the rate limit would have come too late: after the
// context's deadline, or because Atlas has answered another request with a 429 or 503 that asks for more than ten times the
// MaxBackoff of the [RetryPolicy]; in a wait, for more than an outage may last too. It is [ErrRateLimited], although Atlas
// has not refused this very request, and where it is about the deadline also [context.DeadlineExceeded], although that has
// not passed yet. See [WithoutPacing].
type PacingError struct {
	// Method and Path are those of the request. Path is below the prefix of the API version.
	Method, Path string
	// Attempts is how many times the request was made before.
	Attempts int
	// Wait is about how long the request would have had to wait.
	Wait time.Duration
	// Duration is how long the call took.
	Duration time.Duration
	// Err is how the attempt before ended; nil when there was none.
	Err error

	deadline bool
}

// Error describes the failure in one line.
func (e *PacingError) Error() string {
	return messagePrefix + e.Method + " " + e.Path + ": " + e.summary()
}

func (e *PacingError) summary() string {
	text := "not sent: its turn within the rate limit comes in " + e.Wait.Round(time.Second/10).String() + ", "
	if e.deadline {
		text += "after the context's deadline"
	} else {
		text += "which is too late"
	}
	if e.Err != nil {
		text += "; the attempt before: " + summaryOf(e.Err)
	}
	return text
}

// Is reports whether target is [ErrRateLimited], or [context.DeadlineExceeded] where the deadline is the reason.
func (e *PacingError) Is(target error) bool {
	return target == ErrRateLimited || e.deadline && target == context.DeadlineExceeded
}

// Unwrap returns Err.
func (e *PacingError) Unwrap() error { return e.Err }

// pacingError is nil for an attempt that failed otherwise.
func (c *call) pacingError(err error) *PacingError {
	var late *pacing.TooLate
	if !errors.As(err, &late) {
		return nil
	}
	before := c.failure.err
	if before != nil && c.failure.api == nil {
		before = c.wrap(before)
	}
	return &PacingError{c.op.method, c.path, c.attempts, late.Wait, time.Since(c.begun), before, late.Deadline}
}
