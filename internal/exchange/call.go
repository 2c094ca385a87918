package exchange

import (
	"cmp"
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/hashicorp/go-retryablehttp"

	"github.com/livemigration/livemigration-go/internal/delivery"
	"github.com/livemigration/livemigration-go/internal/pacing"
	"github.com/livemigration/livemigration-go/internal/redact"
	"github.com/livemigration/livemigration-go/internal/response"
	"github.com/livemigration/livemigration-go/internal/retry"
)

// call is one Request on its way. It holds the attempts' common state in one allocation.
type call struct {
	*Request
	x        *Exchanger
	ctx      context.Context // the caller's
	loop     retryablehttp.Client
	delivery delivery.State
	begun    time.Time

	attempts int
	attempt  // the current one

	failure, before Failure
	waiting         bool          // for the next attempt
	wait            time.Duration // before it
	// maybeDone says that an attempt before the current one may have been carried out.
	maybeDone bool
}

// attempt is one HTTP request of a call.
type attempt struct {
	started  time.Time
	turn     pacing.Turn
	turnWait time.Duration
	response *http.Response
	status   int // the response's, or the one in its envelope
}

// begin is go-retryablehttp's hook before each attempt.
func (c *call) begin(retryablehttp.Logger, *http.Request, int) {
	c.attempts++
	c.waiting = false
	c.attempt = attempt{started: time.Now()}
	c.delivery.Begin()
}

// handle reads a response. It runs inside the loop of attempts, so that a truncated response is an attempt that failed.
func (c *call) handle(resp *http.Response) error {
	defer resp.Body.Close()
	status, body, err := response.Read(resp, c.Query.Envelope)
	c.response, c.status = resp, status
	c.logDeprecation(resp.Header)
	if c.status/100 != 2 {
		failure := c.newError(resp.Header, body)
		c.reportTurn(resp.Header, failure)
		return failure
	}
	c.reportTurn(resp.Header, nil)
	id := ""
	if c.Decode == nil {
		err = response.CheckIgnored(body, err, c.Query.Envelope)
	} else {
		id, err = c.Decode(body, err)
	}
	if err != nil {
		if c.Endpoint.SecretResponse {
			body = nil
		}
		return &response.Unusable{Err: response.WithExcerpt(err, body, c.redactor()), ID: id}
	}
	c.logAttempt(&Failure{})
	if c.Endpoint.Creates() {
		c.logCreated(id)
	}
	return nil
}

func (c *call) newError(header http.Header, body []byte) *response.Error {
	if c.Endpoint.SecretResponse {
		body = response.OnlyAtlasError(body)
	}
	e := response.NewError(c.status, header, body, c.redactor())
	e.Method, e.Path, e.Attempts = c.Endpoint.Method, c.Path, c.attempts
	if own := c.x.Authenticator; own != nil && e.StatusCode == http.StatusUnauthorized {
		var explanation string
		if e.StaleNonce, explanation = own.Explain(header); explanation != "" {
			e.Detail = strings.TrimPrefix(e.Detail+"; "+explanation, "; ")
		}
	}
	return e
}

// redactor covers what the credentials and the request's body must not show. A body's secret is in memory for no longer
// than its call.
func (c *call) redactor() *redact.Redactor {
	if len(c.Secrets) == 0 {
		return c.x.Redactor()
	}
	return redact.New(append(c.x.secrets(), c.Secrets...))
}

// checkRetry decides on the next attempt. go-retryablehttp asks before it hands a response to handle and after; a failure
// has an error either time.
func (c *call) checkRetry(ctx context.Context, _ *http.Response, err error) (bool, error) {
	if err == nil {
		return false, nil
	}
	c.turn.Cancel() // unless its response has been reported
	c.before = c.failure
	c.failure = classify(retry.NameTimeout(ctx, err, c.started, c.x.Timeout), &c.delivery)
	f := &c.failure
	if f.Response != nil && f.Response.Attempts == 0 { // a token endpoint's, and perhaps also that of other calls
		own := *f.Response
		own.Attempts = c.attempts
		f.Response, f.Err = &own, &own
	}
	if f.Response != nil {
		f.Text = c.redactor().Clean(f.Response.Summary())
	} else {
		f.Err = c.redactor().Error(f.Err) // it may hold what a server sent
		f.Text = f.Err.Error()
	}
	if c.x.Policy.TooLong(f.Response) {
		f.Limit = c.x.Policy.LongestWait()
	}
	c.logAttempt(f)
	if !c.retries(ctx) {
		return false, nil
	}
	c.waiting = true
	c.maybeDone = c.maybeDone || !f.undone
	c.logRetry()
	return true, nil
}

// retries reports whether there is another attempt, and draws the wait before it. The context may have ended just as the
// response arrived, or in a grace.
func (c *call) retries(ctx context.Context) bool {
	f := &c.failure
	switch {
	case !f.transient || !f.undone && c.delivery.Once:
		return false
	case c.attempts >= c.maxAttempts() || f.Limit > 0:
		return false
	case ctx.Err() != nil:
		c.waiting = f.Response != nil
		return false
	}
	c.wait = c.x.Policy.Backoff(c.attempts, f.Response)
	deadline, ok := ctx.Deadline()
	return !ok || time.Until(deadline) >= max(c.wait, c.x.Pacer.Held(c.Scope))
}

func (c *call) maxAttempts() int { return cmp.Or(c.MaxAttempts, c.x.Policy.MaxAttempts) }
