package livemigration

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptrace"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/google/go-querystring/query"
	"github.com/hashicorp/go-retryablehttp"

	"github.com/livemigration/livemigration-go/internal/pacing"
)

const version = "0.1.0"

// Client calls the push live migration endpoints of Atlas. Make one with [NewClient] and share it: it is safe for
// concurrent use, does not change, and spends one HTTP request on a call once it has authenticated.
type Client struct {
	LinkTokens        *LinkTokensService
	AvailableProjects *AvailableProjectsService
	Validations       *ValidationsService
	Migrations        *MigrationsService

	http      *http.Client
	timeout   time.Duration // of an attempt
	closeIdle func()        // of the user's transport, or of the clone of the default one
	prefix    string        // scheme, host, and prefix of the API version
	version   APIVersion
	userAgent string
	retry     RetryPolicy
	logger    *slog.Logger

	// authenticator is nil with credentials of another package.
	authenticator authenticator
	redactors     *redactorCache
	pacer         *pacing.Pacer // nil: there is no pacing
	deprecated    *sync.Map     // the operations of which it has been said
}

// NewClient returns a client that authenticates with credentials. It does no I/O. The error names what can never work,
// all of it at once: an empty key, for example, or a base URL that would send passwords in the clear.
func NewClient(credentials Credentials, opts ...Option) (*Client, error) {
	cfg := newConfig(opts)
	base := cfg.baseTransport()
	origin := cfg.origin()
	authenticated := cfg.authenticate(credentials, origin, base)
	wrapped := cfg.wrap(authenticated)
	if err := cfg.err(); err != nil {
		return nil, err
	}
	own, _ := authenticated.(authenticator)
	timeout := cfg.attemptTimeout()
	c := &Client{
		// The embedding hides all but RoundTrip: go-retryablehttp closes idle connections after a failed call, which
		// would take them from other callers.
		http: &http.Client{
			Transport: struct{ http.RoundTripper }{&attemptTransport{
				base: wrapped, timeout: timeout, opaque: own == nil || len(cfg.wrappers) > 0,
			}},
			Jar:           cfg.httpClient.Jar,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		timeout: timeout,
		closeIdle: func() {
			if closer, ok := base.(interface{ CloseIdleConnections() }); ok {
				closer.CloseIdleConnections()
			}
		},
		prefix:    origin.String() + cfg.version.prefix(),
		version:   cfg.version,
		userAgent: userAgent(cfg.userAgent),
		retry:     cfg.retry.withDefaults(),
		logger:    cmp.Or(cfg.logger, slog.New(slog.DiscardHandler)),

		authenticator: own,
		redactors:     new(redactorCache),
		pacer:         cfg.pacer(),
		deprecated:    new(sync.Map),
	}
	c.LinkTokens = &LinkTokensService{c}
	c.AvailableProjects = &AvailableProjectsService{c}
	c.Validations = &ValidationsService{c}
	c.Migrations = &MigrationsService{c}
	return c, nil
}

// Format writes where the client's requests go, for every verb. Package fmt would otherwise walk through connections
// that are in use.
func (c *Client) Format(f fmt.State, _ rune) {
	_, _ = io.WriteString(f, "livemigration.Client("+c.prefix+")")
}

// CloseIdleConnections closes connections that no call uses, also those of others when the client was given a transport
// that they share. A program that makes many clients calls it when it is done with one; the client remains usable.
func (c *Client) CloseIdleConnections() { c.closeIdle() }

// Close ends what Atlas has issued to the client: with a [ServiceAccount] it revokes the access token that the client
// holds (POST /api/oauth/revoke). Then it closes idle connections, as [Client.CloseIdleConnections] does. Nothing else
// revokes a token, and one that is not revoked expires by itself.
//
// Call it when no call is under way. The client remains usable: the next call fetches a new token. When the token could
// not be revoked, the error is an [*APIError] or a [*CallError], and Close may be called again. With other credentials
// there is nothing to end, and no error.
func (c *Client) Close(ctx context.Context) error {
	if err := invalidRequest(checkContext(ctx)); err != nil {
		return err
	}
	defer c.CloseIdleConnections()
	if c.authenticator == nil {
		return nil
	}
	begun := time.Now()
	bounded, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	err := c.authenticator.revoke(bounded, c.userAgent)
	var api *APIError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &api):
		api.Attempts, api.Duration = 1, time.Since(begun)
		return api
	case ctx.Err() != nil:
		err = contextError(ctx)
	case bounded.Err() != nil:
		err = &timeoutError{"no answer within " + c.timeout.String(), err}
	}
	return &CallError{http.MethodPost, revokePath, 1, time.Since(begun), err, c.redactor().clean(summaryOf(err))}
}

func userAgent(product string) string {
	own := fmt.Sprintf("livemigration-go/%s (%s; %s)", version, runtime.Version(), runtime.GOOS)
	return strings.TrimSpace(product + " " + own)
}

// send makes a call whose answer is a T.
func send[T any](ctx context.Context, c *Client, op *operation, ids []identifier, body payload, opts []CallOption) (*T, error) {
	var result *T
	decode := func(data []byte, err error) error {
		result = new(T) // an attempt before this one may have filled part of another
		return decodeAnswer(op, ids, data, err, result)
	}
	if err := c.do(ctx, op, ids, body, opts, decode); err != nil {
		return nil, err
	}
	return result, nil
}

// checkedAnswer is a result that says by itself whether it is of use.
type checkedAnswer interface {
	// check is about the job with the id asked, which is empty for one that was created.
	check(asked string) error
}

// job is an answer of which the id is worth more than the rest.
type job interface{ salvage(id string) }

// decodeAnswer reads what arrived of an answer into result; err is what ended it too early. The id of a job that was
// created is found in anything that shows it, since Atlas does not tell it a second time.
func decodeAnswer(op *operation, ids []identifier, data []byte, err error, result any) error {
	if err == nil {
		err = plainJSONError(unmarshal(data, result))
	}
	asked := ""
	if !op.creates() {
		asked = ids[len(ids)-1].segment()
	}
	if checked, ok := result.(checkedAnswer); ok && err == nil {
		err = checked.check(asked)
	}
	created, ok := result.(job)
	if err == nil || !ok || !op.creates() {
		return err
	}
	id := stringMember(data, "_id")
	if checkID("", id) != nil {
		return err
	}
	if json.Valid(data) {
		created.salvage(id)
		return nil
	}
	return &salvagedError{id, err}
}

// unmarshal reads JSON as json.Unmarshal does. What reads itself checks the syntax itself, once.
func unmarshal(data []byte, result any) error {
	if self, ok := result.(json.Unmarshaler); ok {
		return self.UnmarshalJSON(data)
	}
	return json.Unmarshal(data, result)
}

// do is the one way of every call to Atlas. Outermost first:
//
//  1. the checks: nothing invalid is sent;
//  2. the request: path, query, headers, media types of the operation and version;
//  3. go-retryablehttp with the policy of retry.go. It reads and decodes the answer inside its loop (call.handle), so
//     that a truncated answer is an attempt that failed;
//  4. the http.Client, which follows no redirect;
//  5. attemptTransport, which waits for the attempt's turn within the rate limit, and bounds it;
//  6. the wrappers of WithTransportWrapper, which see no credentials;
//  7. the transport of the credentials;
//  8. sentTransport, which notes whether credentials went out, and so what may be repeated;
//  9. the user's transport, or a clone of the default one.
//
// decode is nil where the answer has no content.
func (c *Client) do(ctx context.Context, op *operation, ids []identifier, body payload, opts []CallOption, decode func([]byte, error) error) error {
	call := &call{client: c, ctx: ctx, op: op, decode: decode, begun: time.Now()}
	call.settings.apply(opts)
	defer call.capture()
	if err := invalidRequest(c.violations(ctx, ids, body, &call.settings)); err != nil {
		return err
	}
	call.scope, call.path = ids[0].segment(), op.expand(ids)
	if body != nil {
		call.secrets = body.secrets()
	}
	if err := contextError(ctx); err != nil {
		return call.wrap(err)
	}
	req, err := call.newRequest(ctx, body)
	if err != nil {
		return call.wrap(err)
	}
	call.repeating = retryablehttp.Client{
		HTTPClient:     c.http,
		RetryMax:       call.maxAttempts() - 1,
		RequestLogHook: call.begin,
		CheckRetry:     call.checkRetry,
		Backoff:        call.backoff,
		ErrorHandler:   retryablehttp.PassthroughErrorHandler,
	}
	if _, err := call.repeating.Do(req); err != nil {
		return call.finish(ctx)
	}
	return nil
}

// violations gathers everything that is wrong with a call.
func (c *Client) violations(ctx context.Context, ids []identifier, body payload, settings *callSettings) []FieldViolation {
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

// newRequest builds the request that every attempt sends.
func (c *call) newRequest(ctx context.Context, body payload) (*retryablehttp.Request, error) {
	target := c.client.prefix + c.path
	if c.settings.query != (queryOptions{}) {
		values, err := query.Values(c.settings.query)
		if err != nil {
			return nil, err
		}
		target += "?" + values.Encode()
	}
	var encoded any // stays an untyped nil without a body, as go-retryablehttp wants it
	if body != nil {
		data, err := body.encode(c.client.version)
		if err != nil {
			return nil, err
		}
		encoded = data
	}
	c.trace = c.sent.trace()
	ctx = httptrace.WithClientTrace(context.WithValue(ctx, callKey{}, c), &c.trace)
	req, err := retryablehttp.NewRequestWithContext(ctx, c.op.method, target, encoded)
	if err != nil {
		return nil, err
	}
	mediaType := c.op.mediaTypeFor(c.client.version)
	req.Header.Set("Accept", mediaType)
	if body != nil {
		req.Header.Set("Content-Type", mediaType)
	}
	req.Header.Set("User-Agent", c.client.userAgent)
	for key, values := range c.settings.header {
		req.Header[key] = values
	}
	req.SetResponseHandler(c.handle)
	return req, nil
}
