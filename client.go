package livemigration

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"runtime"
	"strings"
	"time"

	"github.com/livemigration/livemigration-go/internal/auth/bearer"
	"github.com/livemigration/livemigration-go/internal/delivery"
	"github.com/livemigration/livemigration-go/internal/endpoint"
	"github.com/livemigration/livemigration-go/internal/exchange"
	"github.com/livemigration/livemigration-go/internal/response"
	"github.com/livemigration/livemigration-go/internal/retry"
)

const version = "0.1.0"

// Client calls the push live migration endpoints of Atlas. It is safe for concurrent use: make one and share it.
type Client struct {
	LinkTokens        *LinkTokensService
	AvailableProjects *AvailableProjectsService
	Validations       *ValidationsService
	Migrations        *MigrationsService

	core *core
}

// NewClient returns a client. It does no I/O. The error is [ErrInvalidConfig] and names everything that can never work.
func NewClient(credentials Credentials, opts ...Option) (*Client, error) {
	return newClient(newConfig("NewClient", opts), credentials)
}

func newClient(cfg *config, credentials Credentials) (*Client, error) {
	c, err := newCore(cfg, credentials, endpoint.Version(cfg.version))
	if err != nil {
		return nil, err
	}
	return &Client{
		LinkTokens: &LinkTokensService{c}, AvailableProjects: &AvailableProjectsService{c},
		Validations: &ValidationsService{c}, Migrations: &MigrationsService{c}, core: c,
	}, nil
}

// Format writes where the requests go, for every verb.
func (c *Client) Format(f fmt.State, _ rune) { c.core.format(f, "Client") }

// CloseIdleConnections closes connections that no call uses, for programs that make many clients. Where the transport
// is shared, these may be those of others.
func (c *Client) CloseIdleConnections() { c.core.closeIdle() }

// Close revokes the access token of a [ServiceAccount] (POST /api/oauth/revoke) and closes idle connections. With other
// credentials it does only the latter. Call it when no call is under way. The client remains usable. The error is an
// [*APIError] or a [*CallError].
func (c *Client) Close(ctx context.Context) error { return c.core.close(ctx) }

// core is what both clients are made of: it makes their calls.
type core struct {
	version   APIVersion
	defaults  []WaitOption
	exchange  *exchange.Exchanger
	closeIdle func() // of the user's transport, or of the clone of the default one
	// revoke ends what the server has issued to the credentials; nil when it issues nothing.
	revoke func(ctx context.Context, userAgent string) error
}

// newCore builds the chain that a request goes through, from the connection outwards.
//
//  1. The user's transport, or a clone of the default one.
//  2. The delivery transport notes whether a request may have arrived. It is inside the credentials, because only an
//     authenticated request counts.
//  3. The transport of the credentials.
//  4. The wrappers of WithTransportWrapper. They are outside the credentials, so that they see none. An entrance below
//     them notes which requests they pass on.
//  5. The exchange: it waits for a turn within the rate limit, bounds each attempt, reads the response, and makes the
//     next attempt. It is outermost, so that wrappers see each attempt.
func newCore(cfg *config, credentials Credentials, version endpoint.Version) (*core, error) {
	origin := cfg.origin()
	sent := delivery.NewTransport(cfg.baseTransport())
	authenticated := cfg.authenticate(credentials, origin, sent)
	own, _ := authenticated.(exchange.Authenticator)
	wrapped := authenticated
	if own != nil && len(cfg.wrappers) > 0 {
		wrapped = &delivery.Entrance{Base: authenticated}
	}
	wrapped = cfg.wrap(wrapped)
	if err := cfg.err(); err != nil {
		return nil, err
	}
	c := &core{version: cfg.version, defaults: cfg.waitDefaults, closeIdle: sent.CloseIdleConnections}
	if account, ok := own.(*bearer.Account); ok {
		c.revoke = account.Revoke
	}
	c.exchange = exchange.New(exchange.Config{
		Transport:     wrapped,
		Opaque:        own == nil || len(cfg.wrappers) > 0,
		Jar:           cfg.httpClient.Jar,
		Authenticator: own,
		Prefix:        origin.String() + version.Prefix(),
		Version:       version,
		UserAgent:     userAgent(cfg.userAgent),
		Timeout:       cfg.attemptTimeout(),
		Policy:        retry.Policy(cfg.retry),
		Pacer:         cfg.pacer(),
		Logger:        cmp.Or(cfg.logger, slog.New(slog.DiscardHandler)),
	})
	return c, nil
}

func (c *core) format(f fmt.State, name string) {
	_, _ = io.WriteString(f, "livemigration."+name+"("+c.exchange.Prefix+")")
}

func userAgent(product string) string {
	own := fmt.Sprintf("livemigration-go/%s (%s; %s)", version, runtime.Version(), runtime.GOOS)
	return strings.TrimSpace(product + " " + own)
}

// close is that of both clients.
func (c *core) close(ctx context.Context) error {
	if err := invalidRequest(checkContext(ctx)); err != nil {
		return err
	}
	defer c.closeIdle()
	if c.revoke == nil {
		return nil
	}
	begun := time.Now()
	bounded, cancel := context.WithTimeout(ctx, c.exchange.Timeout)
	defer cancel()
	err := c.revoke(bounded, c.exchange.UserAgent)
	if err == nil {
		return nil
	}
	return closeError(ctx, bounded, c.exchange, err, begun)
}

// send makes a call whose response is a T.
func send[T any](ctx context.Context, c *core, e *endpoint.Endpoint, ids []identifier, body payload, opts []CallOption) (*T, error) {
	var result *T
	decode := func(data []byte, err error) (string, error) {
		result = new(T) // an attempt before this one may have filled part of another
		return decodeResult(e, ids, data, err, result)
	}
	if err := c.do(ctx, e, ids, body, opts, decode); err != nil {
		return nil, err
	}
	return result, nil
}

// do is the way of every call: it checks everything, hands one value to the exchange, and turns what came of it into an
// error. decode is nil where the response has no content.
func (c *core) do(ctx context.Context, e *endpoint.Endpoint, ids []identifier, body payload, opts []CallOption, decode func([]byte, error) (string, error)) error {
	settings := newCallSettings(opts)
	defer settings.capture()
	if err := invalidRequest(c.violations(ctx, ids, body, settings)); err != nil {
		return err
	}
	r := &settings.request
	r.Endpoint, r.Decode = e, decode
	r.Scope, r.Path = ids[0].segment(), e.Expand(segments(ids)...)
	if len(ids) > 1 {
		r.Job = ids[1].segment()
	}
	if body != nil {
		var err error
		if r.Body, err = body.encode(c.version); err != nil {
			return &CallError{Method: e.Method, Path: r.Path, Err: err}
		}
		r.Secrets = body.secrets()
	}
	settings.outcome = c.exchange.Do(ctx, r)
	lookFor := ""
	if settings.outcome.Verdict == exchange.Unknown {
		lookFor = lookForOf(ids, body)
	}
	return publicError(r, &settings.outcome, lookFor)
}

// violations gathers everything that is wrong with a call.
func (c *core) violations(ctx context.Context, ids []identifier, body payload, settings *callSettings) []FieldViolation {
	found := checkContext(ctx)
	for _, id := range ids {
		found = append(found, id.violations()...)
	}
	if body != nil {
		found = append(found, body.violations(c.version)...)
	}
	return append(found, settings.violations...)
}

func checkContext(ctx context.Context) []FieldViolation {
	if ctx == nil {
		return []FieldViolation{{"ctx", "must not be nil"}}
	}
	return nil
}

// payload is the body of a request: checked first, then encoded for a version of the API.
type payload interface {
	violations(APIVersion) []FieldViolation
	encode(APIVersion) ([]byte, error)
	// secrets are the values in the body that no message may show.
	secrets() []string
	// lookFor says, when nobody knows whether the request was carried out, what to look for.
	lookFor(ids []identifier) string
}

func lookForOf(ids []identifier, body payload) string {
	if body != nil {
		return body.lookFor(ids)
	}
	return "migration " + ids[1].segment() + " of project " + ids[0].segment() + " may have been cut over, read its state with Get"
}

// checked is a result that says by itself whether it is usable.
type checked interface {
	// check is about the job with the id asked, which is empty for one that was created.
	check(asked string) error
}

// decodeResult reads what arrived of a response into result; err is what ended it too early. It returns the id of the job
// that was created where the body shows it. If it fails that counts the more, since Atlas does not tell it a second time.
func decodeResult(e *endpoint.Endpoint, ids []identifier, data []byte, err error, result any) (id string, _ error) {
	if err == nil {
		err = response.Decode(data, result)
	}
	asked := ""
	if !e.Creates() {
		asked = ids[len(ids)-1].segment()
	}
	if checked, ok := result.(checked); ok && err == nil {
		err = checked.check(asked)
	}
	if !e.Creates() || e.SecretResponse {
		return "", err
	}
	if id = response.StringMember(data, "_id"); checkID("", id) == nil {
		return id, err
	}
	return "", withOddID(err, response.Member(data, "_id"))
}

// withOddID adds to err what stands in the place of the id of a new job: a person may find the job by it.
func withOddID(err error, raw []byte) error {
	const most = 200 // what is longer is no id in any form
	if err == nil || len(raw) == 0 || len(raw) > most || string(raw) == "null" {
		return err
	}
	return fmt.Errorf("%w; its _id is %s", err, raw)
}

// closeError is why Close failed.
func closeError(ctx, bounded context.Context, x *exchange.Exchanger, err error, begun time.Time) error {
	took := time.Since(begun)
	var failed *response.Error
	switch {
	case errors.As(err, &failed):
		api := newAPIError(failed, took)
		api.Attempts = 1
		return api
	case ctx.Err() != nil:
		err = retry.ContextError(ctx)
	case bounded.Err() != nil:
		err = retry.NewTimeout(x.Timeout, err)
	}
	err = x.Redactor().Error(err)
	return &CallError{http.MethodPost, bearer.RevokePath, 1, took, err, err.Error()}
}

// newAPIError is an error of Atlas in public.
func newAPIError(e *response.Error, took time.Duration) *APIError {
	api := &APIError{
		StatusCode: e.StatusCode, Code: e.Code, Reason: e.Reason, Detail: e.Detail, Parameters: e.Parameters,
		Method: e.Method, Path: e.Path, Attempts: e.Attempts, RetryAfter: e.RetryAfter, RequestID: e.RequestID, Duration: took,
	}
	for _, f := range e.Fields {
		api.Fields = append(api.Fields, FieldViolation{f.Name, f.Description})
	}
	return api
}
