package livemigration

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strings"
	"time"

	"github.com/livemigration/livemigration-go/internal/auth"
	"github.com/livemigration/livemigration-go/internal/auth/bearer"
	"github.com/livemigration/livemigration-go/internal/auth/digest"
	"github.com/livemigration/livemigration-go/internal/delivery"
	"github.com/livemigration/livemigration-go/internal/pacing"
	"github.com/livemigration/livemigration-go/internal/redact"
	"github.com/livemigration/livemigration-go/internal/response"
)

// Attempt is one HTTP request of a call.
type Attempt struct {
	Operation string // such as "Migrations.Get", even in a wait
	Scope     string // the ID of the organization or project
	Number    int    // from 1
}

type attemptKey struct{}

// AttemptFromContext returns the attempt that a request belongs to, for wrappers and for your own transport.
func AttemptFromContext(ctx context.Context) (Attempt, bool) {
	a, ok := ctx.Value(attemptKey{}).(Attempt)
	return a, ok
}

// failure is how an attempt ended. Its error is the public one; nil: the attempt succeeded.
type failure struct {
	err error
	meaning
	id string // of the job that was created, where a part of the response shows it
	// asked is the wait that the server asks for, where isAsked.
	asked   time.Duration
	isAsked bool
	own     bool // the response is Atlas's own JSON
}

// RoundTrip makes one attempt for go-retryablehttp. It reads the response whole, so that a truncated one is an attempt
// that failed. It returns a placeholder in place of the response: http.Client must not follow a redirect.
func (c *call) RoundTrip(req *http.Request) (*http.Response, error) {
	c.waiting = false
	c.received = nil
	c.before = c.failure.err
	c.uncertain = c.uncertain || c.failure.maybe
	c.started = time.Now()
	c.failure = c.attempt(req)
	c.logAttempt()
	if c.failure.err != nil {
		return nil, c.failure.err
	}
	return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody, Request: req}, nil
}

// attempt waits for its turn within the rate limit, sends the request, and reads the response.
func (c *call) attempt(req *http.Request) failure {
	if err := c.pace(); err != nil {
		return failure{err: err}
	}
	c.attempts++
	state := c.delivery.NewState(c.endpoint.method != http.MethodGet)
	ctx, end := c.bound(state)
	defer end(nil)
	defer state.Close()
	state.End = end
	ctx = delivery.WithState(context.WithValue(ctx, attemptKey{}, Attempt{c.endpoint.operation, c.scope, c.attempts}), state)
	req = req.WithContext(ctx)
	if c.jar != nil {
		c.addCookies(req)
	}
	resp, err := c.transport.RoundTrip(req)
	switch {
	case err == nil && resp == nil:
		err = errors.New("the transport returned neither a response nor an error")
	case err == nil:
		if c.jar != nil {
			c.jar.SetCookies(req.URL, resp.Cookies())
		}
		c.received = response.Read(resp, max(c.endpoint.limit, maxBody), c.settings.query.Envelope)
		c.received.Secret = c.endpoint.secret
	}
	timedOut := ctx.Err() != nil && c.ctx.Err() == nil
	if timedOut || err == nil && (c.received.Truncated || resp.StatusCode == http.StatusMisdirectedRequest) {
		c.delivery.Leave(state)
	}
	if err != nil {
		return c.withoutResponse(c.nameEnd(ctx, err), !state.HandedOver() && auth.IsUnsent(err))
	}
	negotiation := resp.Request != nil && auth.IsNegotiation(resp.Request.Context())
	return c.withResponse(ctx, timedOut, !state.HandedOver() && negotiation)
}

// pace waits until the rate limit allows the attempt. A wait for a job has waited already for its first one.
func (c *call) pace() error {
	if c.settings.paced {
		c.settings.paced = false
		return nil
	}
	longest := 2 * min(c.policy.MaxRetryAfter, math.MaxInt64/2) // the hold of another call, and as long again
	err := c.pacer.Wait(c.ctx, c.scope, c.endpoint.bucket, c.settings.poll, longest)
	c.paced = time.Since(c.started)
	c.started = time.Now()
	if err != nil {
		return c.pacingError(err)
	}
	return nil
}

func (c *call) pacingError(err error) error {
	var late *pacing.TooLate
	if !errors.As(err, &late) {
		return c.interrupted()
	}
	return &PacingError{Operation: c.endpoint.operation, Method: c.endpoint.method, Path: c.path, Attempts: c.attempts,
		Wait: late.Wait, Duration: time.Since(c.began), Err: c.before, deadline: late.Deadline}
}

// bound returns the context of an attempt. It ends with the attempt's time, and with the caller's context. With a grace
// a request that a connection was handed outlives that context.
func (c *call) bound(s *delivery.State) (context.Context, context.CancelCauseFunc) {
	grace := c.settings.grace
	if c.endpoint.creates && !c.settings.graceSet {
		grace = defaultGrace
	}
	parent := c.ctx
	if grace > 0 {
		parent = context.WithoutCancel(c.ctx)
	}
	ctx, end := context.WithCancelCause(parent)
	timer := time.AfterFunc(c.timeout, func() { end(errAttemptTime) })
	stop := func() bool { return true }
	if grace > 0 {
		stop = context.AfterFunc(c.ctx, func() {
			if s.HandedOver() {
				time.AfterFunc(grace, func() { end(context.Canceled) })
			} else {
				end(c.ctx.Err())
			}
		})
	}
	return ctx, func(cause error) {
		stop()
		timer.Stop()
		end(cause)
	}
}

var errAttemptTime = errors.New("the time of the attempt is over")

// timeoutError is a timeout that is not the end of the caller's context, although the error inside may say so.
type timeoutError struct {
	text string
	err  error
}

func (e *timeoutError) Error() string  { return e.text }
func (*timeoutError) Timeout() bool    { return true }
func (*timeoutError) Temporary() bool  { return true }
func (e *timeoutError) As(to any) bool { return errors.As(e.err, to) }
func (e *timeoutError) Is(to error) bool {
	return to != context.DeadlineExceeded && to != context.Canceled && errors.Is(e.err, to)
}

// nameEnd returns why an attempt ended, where err only says that its context did.
func (c *call) nameEnd(ctx context.Context, err error) error {
	cause := context.Cause(ctx)
	switch {
	case c.ctx.Err() != nil:
		return contextError(c.ctx)
	case errors.Is(cause, errAttemptTime):
		return &timeoutError{"no complete response within " + c.timeout.String(), err}
	case cause != nil && !errors.Is(err, cause):
		return cause
	case errors.Is(err, context.DeadlineExceeded):
		return &timeoutError{err.Error(), err}
	default:
		return err
	}
}

// contextError is what ended a context, and always the context's own error too: net/http replaces it by the cause.
func contextError(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if err == nil || errors.Is(cause, err) {
		return err
	}
	return errors.Join(err, cause)
}

func (c *call) withoutResponse(err error, unsent bool) failure {
	var token *bearer.EndpointError
	if errors.As(err, &token) {
		return c.tokenRejected(token)
	}
	f := failure{meaning: meaning{retry: !permanent(err), maybe: !unsent}}
	if c.ctx.Err() != nil {
		f.retry = false
		f.err = c.interrupted()
		return f
	}
	f.err = c.callError(c.nameServer(err))
	return f
}

// nameServer adds the host to errors of TLS, which do not name it.
func (c *call) nameServer(err error) error {
	switch {
	case plainHTTP(err):
		return fmt.Errorf("%s: speaks plain HTTP on this port; check the scheme and port of the base URL (%w)", c.host, err)
	case untrusted(err):
		return fmt.Errorf("%s: %w", c.host, err)
	default:
		return err
	}
}

// tokenRejected is a failure of the token endpoint: the request itself was not sent.
func (c *call) tokenRejected(e *bearer.EndpointError) failure {
	api, own, asked, isAsked := c.apiError(e.Response)
	api.Method, api.Path = http.MethodPost, e.Path
	var oauth struct {
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}
	if json.Unmarshal(e.Response.Body, &oauth) == nil && oauth.Error != "" { // RFC 6749, section 5.2
		red := c.redactor()
		api.Code, api.Detail = red.Clean(oauth.Error), red.Clean(oauth.Description)
	}
	if api.StatusCode == http.StatusUnauthorized || api.StatusCode == http.StatusBadRequest {
		api.Detail = strings.TrimPrefix(api.Detail+" (check the client ID and secret of the service account)", " ")
	}
	retry := passing(api.StatusCode) || meaningOf(api, own, isAsked).retry
	return c.limited(failure{err: api, meaning: meaning{retry: retry}, asked: asked, isAsked: isAsked}, api)
}

func (c *call) withResponse(ctx context.Context, timedOut, unsent bool) failure {
	r := c.received
	if r.Header["Deprecation"] != nil || r.Header["Sunset"] != nil {
		c.logDeprecation(r.Header)
	}
	if r.Status/100 == 2 {
		c.report(nil, 0)
		return c.success(ctx, timedOut, r)
	}
	api, own, asked, isAsked := c.apiError(r)
	c.report(api, asked)
	m := meaningOf(api, own, isAsked)
	switch {
	case unsent:
		m = meaning{retry: passing(api.StatusCode) || m.retry}
	case api.StatusCode == http.StatusUnauthorized && digest.Stale(r.Header):
		// A fresh nonce that is called stale was seen before: a proxy may have sent the request twice.
		m = meaning{retry: true, maybe: c.endpoint.method != http.MethodGet}
	}
	return c.limited(failure{err: api, meaning: m, asked: asked, isAsked: isAsked, own: own}, api)
}

// limited ends a call whose server asks for a longer wait than the policy allows.
func (c *call) limited(f failure, api *APIError) failure {
	if f.retry && f.isAsked && f.asked > c.policy.MaxRetryAfter {
		f.retry = false
		api.limit = c.policy.MaxRetryAfter
	}
	return f
}

// noSecrets saves a redactor for a response that is fine.
var noSecrets = new(redact.Redactor)

func (c *call) success(ctx context.Context, timedOut bool, r *response.Received) failure {
	id, err := c.decode(r, noSecrets)
	if err == nil {
		if id != "" {
			c.job = id
		}
		return failure{}
	}
	id, err = c.decode(r, c.redactor()) // again, for a message without secrets
	if timedOut || c.ctx.Err() != nil && r.Err != nil {
		err = c.nameEnd(ctx, err)
	}
	if c.ctx.Err() != nil && !errors.Is(err, c.ctx.Err()) {
		c.before = c.callError(err) // in a grace: the response, and not the context, is why the call fails
	}
	f := c.withoutResponse(err, false)
	f.id = id
	return f
}

// report passes on what a response says about the rate limit.
func (c *call) report(api *APIError, asked time.Duration) {
	limit, remaining := response.Limits(c.received.Header)
	r := pacing.Report{Limit: limit, Remaining: remaining}
	if api != nil {
		r.Rejected = api.StatusCode == http.StatusTooManyRequests || api.StatusCode == http.StatusServiceUnavailable && asked > 0
		r.RetryAfter = asked
	}
	c.pacer.Report(c.scope, r)
}

// addCookies adds the cookies of the user's jar. http.Client would add them once more to each attempt.
func (c *call) addCookies(req *http.Request) {
	req.Header = req.Header.Clone()
	for _, cookie := range c.jar.Cookies(req.URL) {
		req.AddCookie(cookie)
	}
}
