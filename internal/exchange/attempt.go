package exchange

import (
	"context"
	"io"
	"net/http"
	"time"

	"github.com/livemigration/livemigration-go/internal/pacing"
	"github.com/livemigration/livemigration-go/internal/response"
)

// Attempt tells a transport what a request is for.
type Attempt struct {
	Operation, Scope string
	Number           int // from 1
}

// AttemptOf returns the attempt that a request belongs to, by the request's context.
func AttemptOf(ctx context.Context) (Attempt, bool) {
	a, ok := ctx.Value(attemptKey{}).(*Attempt)
	if !ok {
		return Attempt{}, false
	}
	return *a, true
}

type (
	attemptKey struct{}
	callKey    struct{}
)

// OfLibrary marks the key of a value that requests for credentials keep.
func (attemptKey) OfLibrary() {}

// attemptContext is the context of an attempt. It is a snapshot: a transport may look at it when the call has moved on.
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

// attemptTransport waits for the turn of an attempt, and ends one that takes too long. The Timeout of http.Client costs
// two goroutines for each request, unless its Transport is net/http's own.
type attemptTransport struct{ x *Exchanger }

func (t *attemptTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	c := req.Context().Value(callKey{}).(*call)
	if err := c.takeTurn(req.Context()); err != nil {
		if req.Body != nil {
			_ = req.Body.Close()
		}
		return nil, err
	}
	if t.x.Opaque {
		c.delivery.Hide()
	}
	own := &attemptContext{req.Context(), Attempt{c.Endpoint.Name, c.Scope, c.attempts}}
	ctx, cancel := c.delivery.Bound(own, t.x.Timeout, c.Grace)
	resp, err := t.x.Transport.RoundTrip(req.WithContext(ctx))
	if err != nil || resp == nil || resp.Body == nil {
		cancel()
		return resp, err
	}
	resp.Body = &boundedBody{resp.Body, cancel}
	return resp, nil
}

// boundedBody is the body of an attempt, whose time runs until it is closed.
type boundedBody struct {
	io.ReadCloser
	cancel context.CancelFunc
}

func (b *boundedBody) Close() error {
	defer b.cancel()
	return b.ReadCloser.Close()
}

// takeTurn waits until the rate limit allows the attempt.
func (c *call) takeTurn(ctx context.Context) (err error) {
	if given := c.Turn; given != nil {
		c.turn, c.Turn = *given, nil
		*given = pacing.Turn{}
	} else {
		c.turn, err = c.x.Turn(ctx, c.Scope, c.Class, 0)
	}
	now := time.Now()
	c.turnWait, c.started = now.Sub(c.started), now
	if c.Waited != nil {
		*c.Waited += c.turnWait
	}
	if err != nil {
		c.attempts-- // it has not been one
	}
	return err
}

// reportTurn tells the pacer what a response says about the rate limit.
func (c *call) reportTurn(h http.Header, failure *response.Error) {
	limits := response.RateLimitOf(h)
	report := pacing.Report{Limit: limits.Limit, Remaining: limits.Remaining}
	if failure != nil && failure.AsksToWait() {
		report.Rejected, report.RetryAfter = true, failure.RetryAfter
		capacity, per := failure.Bucket()
		report.Per = per
		if report.Limit < 0 {
			report.Limit = capacity
		}
	}
	if failure != nil && report.Silent() {
		c.turn.Cancel() // a gateway does not know the limits
		return
	}
	c.turn.Done(report)
}
