package livemigration

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"time"

	"github.com/google/go-querystring/query"
	"github.com/hashicorp/go-retryablehttp"

	"github.com/livemigration/livemigration-go/internal/auth/digest"
	"github.com/livemigration/livemigration-go/internal/redact"
	"github.com/livemigration/livemigration-go/internal/response"
)

// call is one call of a method: its request, its attempts, and how the last one ended.
type call struct {
	*core
	endpoint *endpoint
	settings *callSettings
	ctx      context.Context // the caller's
	scope    string          // the organization or project
	job      string          // the ID of the job; of a new one once it is known
	path     string          // below the prefix
	body     payload
	secrets  []string // in the request's body
	decode   decoder

	began    time.Time
	attempts int
	started  time.Time          // of the last attempt
	paced    time.Duration      // before the last attempt
	received *response.Received // the last response
	failure  failure            // of the last attempt
	before   error              // how the attempt before it ended
	// uncertain: an attempt before the last one may have taken effect.
	uncertain bool
	waiting   bool          // for the next attempt
	wait      time.Duration // before it
}

// decoder reads a success. It returns the ID of the job that was created where the body shows it, even with an error.
type decoder func(*response.Received, *redact.Redactor) (id string, _ error)

// payload is the body of a request: checked first, then encoded for a version of the API.
type payload interface {
	violations(APIVersion) []FieldViolation
	// encode returns the body, and the values in it that no message may show.
	encode(APIVersion) (body []byte, secrets []string, err error)
	// unknown says what to check when the outcome is unknown, for an organization or project.
	unknown(scope string) string
}

// send makes a call whose response is a T.
func send[T any](ctx context.Context, c *core, e *endpoint, ids []string, body payload, opts []CallOption) (*T, error) {
	var result *T
	decode := func(r *response.Received, red *redact.Redactor) (string, error) {
		result = new(T)
		return decodeResult(e, ids, r, red, result)
	}
	if err := c.do(ctx, e, ids, body, opts, decode); err != nil {
		return nil, err
	}
	return result, nil
}

// do checks everything about a call, makes it, and returns its error. Without decode the response has no content.
func (c *core) do(ctx context.Context, e *endpoint, ids []string, body payload, opts []CallOption, decode decoder) error {
	if decode == nil {
		decode = decodeNothing
	}
	settings := newCallSettings(opts)
	k := &call{core: c, endpoint: e, settings: settings, ctx: ctx, decode: decode, body: body, began: time.Now(), scope: ids[0]}
	if len(ids) > 1 {
		k.job = ids[1]
	}
	if len(settings.captures) > 0 {
		defer settings.capture(k)
	}
	path, found := c.check(ctx, e, ids)
	if body != nil && c != nil {
		found = append(found, body.violations(c.version)...)
	}
	if found = append(found, settings.violations...); len(found) > 0 {
		return &InvalidRequestError{Violations: found}
	}
	k.path = path
	var encoded []byte
	if body != nil {
		var err error
		if encoded, k.secrets, err = body.encode(c.version); err != nil {
			return k.callError(err)
		}
	}
	return k.run(encoded)
}

// check expands the path of a call, and gathers what is wrong with its client, context and IDs.
func (c *core) check(ctx context.Context, e *endpoint, ids []string) (path string, found []FieldViolation) {
	if c == nil || c.transport == nil {
		return "", []FieldViolation{{"client", "must be created by NewClient, NewClientFromEnv or NewSourceClient"}}
	}
	path, found = e.expand(ids)
	if ctx == nil {
		found = append([]FieldViolation{{"ctx", "must not be nil"}}, found...)
	}
	return path, found
}

func (c *call) run(body []byte) error {
	if c.ctx.Err() != nil {
		return c.interrupted()
	}
	req, err := c.newRequest(body)
	if err != nil {
		return c.callError(err)
	}
	if c.settings.maxAttempts == 0 {
		c.settings.maxAttempts = c.policy.MaxAttempts
	}
	loop := retryablehttp.Client{
		HTTPClient:   &http.Client{Transport: c},
		RetryMax:     c.settings.maxAttempts - 1,
		CheckRetry:   c.checkRetry,
		Backoff:      func(_, _ time.Duration, _ int, _ *http.Response) time.Duration { return c.wait },
		ErrorHandler: retryablehttp.PassthroughErrorHandler,
	}
	if _, err := loop.Do(req); err == nil { //nolint:bodyclose // the placeholder of RoundTrip has no body
		return nil
	}
	return c.end()
}

func (c *call) newRequest(body []byte) (*retryablehttp.Request, error) {
	target := c.base + c.path
	if c.settings.query != (callQuery{}) {
		values, err := query.Values(c.settings.query)
		if err != nil {
			return nil, err
		}
		target += "?" + values.Encode()
	}
	var content any // stays an untyped nil without a body, as go-retryablehttp wants it
	if body != nil {
		content = body
	}
	req, err := retryablehttp.NewRequestWithContext(c.ctx, c.endpoint.method, target, content)
	if err != nil {
		return nil, err
	}
	mediaType := c.endpoint.mediaType
	if c.version == APIv1 {
		mediaType = mediaJSON
	}
	req.Header.Set("Accept", mediaType)
	if body != nil {
		req.Header.Set("Content-Type", mediaType)
	}
	req.Header.Set("User-Agent", c.userAgent)
	maps.Copy(req.Header, c.settings.header)
	return req, nil
}

// checkRetry decides on the next attempt. A create request that may have taken effect is never sent again.
func (c *call) checkRetry(context.Context, *http.Response, error) (bool, error) {
	f := &c.failure
	if f.err == nil || !f.retry || f.maybe && c.endpoint.creates || c.attempts >= c.settings.maxAttempts {
		return false, nil
	}
	if c.ctx.Err() != nil {
		c.waiting = c.received != nil // it ended as the response arrived
		return false, nil
	}
	c.wait = c.policy.backoff(c.attempts, f.asked, f.isAsked)
	if deadline, ok := c.ctx.Deadline(); ok && time.Until(deadline) < c.wait {
		return false, nil
	}
	c.waiting = true
	c.logRetry()
	return true, nil
}

func (c *call) end() error {
	f, e := &c.failure, c.endpoint
	var api *APIError
	isAPI, isPaced := errors.As(f.err, &api), errors.As(f.err, new(*PacingError))
	switch {
	case c.waiting: // the context ended before the next attempt
		c.before = f.err
		return c.interrupted()
	case e.creates && f.maybe:
		return c.outcomeUnknown()
	case e.gone && c.uncertain && isAPI && api.StatusCode == http.StatusNotFound && f.own:
		return nil
	case e.once && c.uncertain && (isPaced || isAPI && api.StatusCode/100 == 4):
		return c.outcomeUnknown()
	default:
		return f.err
	}
}

func (c *call) outcomeUnknown() error {
	e := &OutcomeUnknownError{
		Operation: c.endpoint.operation, Method: c.endpoint.method, Path: c.path, Err: c.failure.err, ID: c.failure.id,
		Attempts: c.attempts, Duration: time.Since(c.began),
		check: "Atlas may have cut over migration " + c.job + " of project " + c.scope + "; call Migrations.Get to find out",
	}
	if c.body != nil {
		e.check = c.body.unknown(c.scope)
	}
	if c.received != nil {
		e.RequestID = c.redactor().Clean(c.received.Header.Get("X-Request-Id"))
	}
	return e
}

// callError is the error of a call, or of an attempt, without a usable response.
func (c *call) callError(err error) error {
	return c.newCallError(c.redactor().Error(err))
}

func (c *call) newCallError(err error) error {
	return &CallError{Operation: c.endpoint.operation, Method: c.endpoint.method, Path: c.path, Attempts: c.attempts,
		Duration: time.Since(c.began), Err: err}
}

// interrupted is the error of a call whose context has ended. It names the failure before that, if there was one.
func (c *call) interrupted() error {
	ended := contextError(c.ctx)
	if c.before == nil {
		return c.callError(ended)
	}
	return c.newCallError(&interruptedError{ended, c.before})
}

// apiError makes the public error of a response. Own reports whether its body is Atlas's own JSON.
func (c *call) apiError(r *response.Received) (api *APIError, own bool, asked time.Duration, isAsked bool) {
	red := c.redactor()
	atlas := r.Atlas(red)
	api = &APIError{
		Operation: c.endpoint.operation, StatusCode: r.Status, Code: atlas.Code, Reason: atlas.Reason, Detail: atlas.Detail,
		Parameters: atlas.Parameters, Method: c.endpoint.method, Path: c.path, Attempts: c.attempts,
		RequestID: red.Clean(r.Header.Get("X-Request-Id")), Duration: time.Since(c.began),
	}
	for _, f := range atlas.Fields {
		api.Fields = append(api.Fields, FieldViolation{f.Name, f.Description})
	}
	asked, isAsked = response.RetryAfter(r.Header, atlas, time.Now())
	api.RetryAfter = asked
	if r.Status == http.StatusUnauthorized {
		c.explain401(api, r.Header)
	}
	return api, atlas.Own, asked, isAsked
}

// explain401 adds what to check.
func (c *call) explain401(api *APIError, h http.Header) {
	advice := "check the credentials; they can also be rejected because of a missing role or the IP access list"
	if d, ok := c.authenticator.(*digest.Transport); ok {
		advice = cmp.Or(d.Explain(h), advice)
	}
	api.Detail = strings.TrimPrefix(api.Detail+" ("+advice+")", " ")
}

// redactor covers what the credentials and the request's body must not show.
func (c *call) redactor() *redact.Redactor {
	if c.authenticator == nil {
		return redact.New(c.secrets)
	}
	return redact.New(append(c.authenticator.Secrets(), c.secrets...))
}

// checked is a result that reports whether it is usable.
type checked interface {
	// check is about the job with the ID asked, which is empty for one that was created. It returns the job's ID.
	check(asked string) (id string, err error)
}

// decodeNothing reads a success without a result. It may break off where it cannot be Atlas's error.
func decodeNothing(r *response.Received, red *redact.Redactor) (string, error) {
	if r.Truncated && (len(r.Body) == 0 || response.JobID(r.Body) != "") {
		return "", nil
	}
	return "", r.Decode(nil, red)
}

// decodeResult reads a success into result. It returns the ID of the job that was created where the body shows it, even
// if the rest is unusable: Atlas does not show it a second time.
func decodeResult(e *endpoint, ids []string, r *response.Received, red *redact.Redactor, result any) (id string, err error) {
	asked := ""
	if e.method != http.MethodPost {
		asked = ids[len(ids)-1]
	}
	err = r.Decode(result, red)
	if checked, ok := result.(checked); ok && err == nil {
		if id, err = checked.check(asked); err != nil {
			err = fmt.Errorf("unexpected response: %w", err)
		}
	}
	switch {
	case err == nil:
		return id, nil
	case asked != "" || e.secret:
		return "", err
	}
	if id = response.JobID(r.Body); checkID("", id) == nil {
		return id, err
	}
	const most = 200 // anything longer is not an ID in any form
	if id != "" && len(id) <= most {
		err = fmt.Errorf("%w; its _id is %q", err, id)
	}
	return "", err
}
