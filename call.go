package livemigration

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"time"

	"github.com/hashicorp/go-retryablehttp"

	"github.com/livemigration/livemigration-go/internal/pacing"
)

// call is one call of a method: up to MaxAttempts attempts of one request. What lives as long as it is a part of it,
// which spares every call an allocation for each.
type call struct {
	client   *Client
	ctx      context.Context // the caller's
	op       *operation
	scope    string // the organization or project
	path     string
	secrets  []Secret // in the request's body
	settings callSettings
	decode   func(body []byte, err error) error

	repeating retryablehttp.Client
	trace     httptrace.ClientTrace

	begun    time.Time
	attempts int
	started  time.Time // the current attempt
	turn     pacing.Turn
	turnWait time.Duration // before the current attempt
	sent     sentState     // the current attempt
	answer   *http.Response
	status   int // the answer's, or the one in its envelope

	failure failure       // the last one
	waiting bool          // for the next attempt
	wait    time.Duration // before it
	// maybeDone says that an attempt before the current one may have been carried out.
	maybeDone bool
}

// handle reads an answer inside the loop of attempts.
func (c *call) handle(resp *http.Response) error {
	defer resp.Body.Close()
	body, err := readBody(resp)
	enveloped := c.settings.query.Envelope
	c.answer, c.status = resp, resp.StatusCode
	if enveloped && err == nil {
		c.status, body = unwrapEnvelope(c.status, body)
	}
	c.noteDeprecation(resp.Header)
	if c.status/100 != 2 {
		failure := c.newAPIError(resp.Header, body)
		c.reportTurn(resp.Header, failure)
		return failure
	}
	c.reportTurn(resp.Header, nil)
	switch {
	case c.decode == nil:
		err = checkIgnored(body, err, enveloped)
	default:
		err = c.decode(body, err)
	}
	if err != nil {
		return &brokenAnswerError{err}
	}
	c.logAttempt(&failure{})
	return nil
}

// checkIgnored judges the body of an answer of which the status says everything; err is what ended it too early. A body
// that is not JSON is not of Atlas, and neither is then the status. The status in an envelope arrives with the body.
func checkIgnored(body []byte, err error, enveloped bool) error {
	body = bytes.TrimSpace(body)
	switch {
	case err != nil && enveloped:
		return err
	case len(body) == 0 || json.Valid(body) || err != nil && (body[0] == '{' || body[0] == '['):
		return nil
	default:
		return errors.New("it is not JSON")
	}
}

func (c *call) newAPIError(header http.Header, body []byte) *APIError {
	if c.op.answersSecret {
		body = onlyAtlasError(body)
	}
	e := newAPIError(c.status, header, body, c.redactor())
	e.Method, e.Path, e.Attempts = c.op.method, c.path, c.attempts
	if own := c.client.authenticator; own != nil && e.StatusCode == http.StatusUnauthorized {
		var explanation string
		if e.staleNonce, explanation = own.explain(header); explanation != "" {
			e.Detail = strings.TrimPrefix(e.Detail+"; "+explanation, "; ")
		}
	}
	return e
}

// redactor covers what the credentials and the request's body must not show. A body's secret is in memory for no longer
// than its call.
func (c *call) redactor() *redactor {
	if len(c.secrets) == 0 {
		return c.client.redactor()
	}
	return newRedactor(append(c.client.secrets(), c.secrets...))
}

func (c *Client) redactor() *redactor { return c.redactors.get(c.secrets()) }

func (c *Client) secrets() []Secret {
	if c.authenticator == nil {
		return nil
	}
	return c.authenticator.secrets()
}

// finish turns the last failure into the error of the call.
func (c *call) finish(ctx context.Context) error {
	if c.failure.api != nil {
		c.failure.api.Duration = time.Since(c.begun)
	}
	f, ended := &c.failure, contextError(ctx)
	if c.waiting { // the context ended before the next attempt
		return c.wrap(&interruptedError{ended, f.err})
	}
	if ended != nil && f.api == nil {
		f.err = keepSalvaged(f.err, ended) // in whatever words the transport has put it
	}
	maybeDone := c.maybeDone || c.sent.repeatedOverH2()
	switch {
	case c.op.repeat == repeatUnsent && f.outcomeLost:
		return c.outcomeUnknown()
	case maybeDone && f.status() == http.StatusNotFound && c.op.refused == notFoundIsDone:
		return nil
	case maybeDone && (f.status()/100 == 4 || f.paced()) && c.op.refused == refusalIsUnknown:
		return c.outcomeUnknown()
	case f.api != nil:
		return f.api
	case f.paced():
		return f.err
	default:
		return c.wrap(f.err)
	}
}

func (c *call) outcomeUnknown() error {
	err := c.failure.err
	if c.failure.api == nil && !c.failure.paced() {
		err = c.wrap(err)
	}
	unknown := &OutcomeUnknownError{
		Method: c.op.method, Path: c.path, Err: err, Attempts: c.attempts, Duration: time.Since(c.begun),
	}
	if c.answer != nil {
		unknown.RequestID = c.redactor().clean(c.answer.Header.Get("X-Request-Id"))
	}
	var salvaged *salvagedError
	if errors.As(err, &salvaged) {
		unknown.ID = salvaged.id
	}
	return unknown
}

// wrap names the call before an error that is not Atlas's. Such an error may quote what a server sent.
func (c *call) wrap(err error) error {
	return &CallError{c.op.method, c.path, c.attempts, time.Since(c.begun), err, c.errorText(err) + formatAttempts(c.attempts)}
}

// capture tells the caller about the last answer.
func (c *call) capture() {
	for _, into := range c.settings.captures {
		*into = Response{Attempts: c.attempts, RateLimit: RateLimit{Limit: -1, Remaining: -1}}
		if c.answer != nil {
			into.StatusCode, into.Header, into.RateLimit = c.status, publicHeader(c.answer.Header), rateLimitOf(c.answer.Header)
		}
	}
}

// contextError is nil while the context goes on. It is what ended it, and always also the context's own error, which
// net/http gives up for the cause where there is one.
func contextError(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if err == nil || errors.Is(cause, err) {
		return err
	}
	return fmt.Errorf("%w: %w", err, cause)
}

// withoutURL drops the repetition of method and URL that http.Client puts before every error.
func withoutURL(err error) error {
	if wrapped, ok := err.(*url.Error); ok {
		return wrapped.Err
	}
	return err
}
