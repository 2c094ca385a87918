package livemigration

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptrace"
	"runtime"
	"strings"

	"github.com/google/go-querystring/query"
	"github.com/hashicorp/go-retryablehttp"
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
	transport http.RoundTripper // the user's, or the clone of the default one
	prefix    string            // scheme, host, and prefix of the API version
	version   APIVersion
	userAgent string
	retry     RetryPolicy
	logger    *slog.Logger

	// credentials is nil for those of another package.
	credentials ownCredentials
}

// ownCredentials are those of this package, about which the pipeline knows more.
type ownCredentials interface {
	// secrets are what no message may repeat.
	secrets() []Secret
	// explain says what a 401 with this header means beyond wrong keys; usually nothing.
	explain(http.Header) string
}

// NewClient returns a client that authenticates with credentials. It does no I/O. The error names every option that
// can never work, such as an empty key, or a base URL that would send passwords in the clear.
func NewClient(credentials Credentials, opts ...Option) (*Client, error) {
	cfg := newConfig(opts)
	origin := cfg.origin()
	cfg.refuse(credentials == nil, "the credentials must not be nil")
	if len(cfg.problems) > 0 {
		return nil, errors.New(messagePrefix + "NewClient: " + strings.Join(cfg.problems, "; "))
	}
	base := cfg.baseTransport()
	authenticated, err := credentials.Transport(origin, &sentTransport{base})
	if err != nil {
		return nil, fmt.Errorf(messagePrefix+"NewClient: credentials: %w", err)
	}
	if authenticated == nil {
		return nil, errors.New(messagePrefix + "NewClient: credentials: Transport returned nil")
	}
	c := &Client{
		// The embedding hides all but RoundTrip: go-retryablehttp closes idle connections after a failed call, which
		// would take them from other callers.
		http: &http.Client{
			Transport:     struct{ http.RoundTripper }{authenticated},
			Jar:           cfg.httpClient.Jar,
			Timeout:       cfg.attemptTimeout(),
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		transport: base,
		prefix:    origin.String() + cfg.version.prefix(),
		version:   cfg.version,
		userAgent: userAgent(cfg.userAgent),
		retry:     cfg.retry.withDefaults(),
		logger:    cmp.Or(cfg.logger, slog.New(slog.DiscardHandler)),
	}
	c.credentials, _ = credentials.(ownCredentials)
	c.LinkTokens = &LinkTokensService{c}
	c.AvailableProjects = &AvailableProjectsService{c}
	c.Validations = &ValidationsService{c}
	c.Migrations = &MigrationsService{c}
	return c, nil
}

// CloseIdleConnections closes connections that no call uses. A program that makes many clients calls it when it is
// done with one; the client remains usable.
func (c *Client) CloseIdleConnections() {
	if closer, ok := c.transport.(interface{ CloseIdleConnections() }); ok {
		closer.CloseIdleConnections()
	}
}

func userAgent(product string) string {
	own := fmt.Sprintf("livemigration-go/%s (%s; %s)", version, runtime.Version(), runtime.GOOS)
	return strings.TrimSpace(product + " " + own)
}

// send makes a call whose answer is a T.
func send[T any](ctx context.Context, c *Client, op *operation, ids []identifier, body payload, opts []CallOption) (*T, error) {
	var result *T
	decode := func(data []byte) error {
		result = new(T) // an attempt before this one may have filled part of another
		if err := json.Unmarshal(data, result); err != nil {
			return err
		}
		if answer, ok := any(result).(interface{ incomplete(*operation) string }); ok {
			if field := answer.incomplete(op); field != "" {
				return errors.New("no " + field + " in it")
			}
		}
		return nil
	}
	if err := c.do(ctx, op, ids, body, opts, decode); err != nil {
		return nil, err
	}
	return result, nil
}

// do is the one way of every call to Atlas. Outermost first:
//
//  1. the checks: nothing invalid is sent;
//  2. the request: path, query, headers, media types of the operation and version;
//  3. go-retryablehttp with the policy of retry.go. It reads and decodes the answer inside its loop (call.handle), so
//     that a truncated answer is an attempt that failed;
//  4. the http.Client, which bounds an attempt and follows no redirect;
//  5. the transport of the credentials;
//  6. sentTransport, which notes whether credentials went out, and so what may be repeated;
//  7. the user's transport, or a clone of the default one.
//
// decode is nil where the answer has no content.
func (c *Client) do(ctx context.Context, op *operation, ids []identifier, body payload, opts []CallOption, decode func([]byte) error) error {
	settings := newCallSettings(opts)
	if err := invalidRequest(c.violations(ctx, ids, body, settings)); err != nil {
		return err
	}
	call := &call{client: c, op: op, path: op.expand(ids), settings: settings, decode: decode}
	if body != nil {
		call.secrets = body.secrets()
	}
	defer call.capture()
	if err := ctx.Err(); err != nil {
		return call.wrap(err)
	}
	req, err := call.newRequest(ctx, body)
	if err != nil {
		return call.wrap(err)
	}
	repeating := retryablehttp.Client{
		HTTPClient:     c.http,
		RetryMax:       c.retry.MaxAttempts - 1,
		RequestLogHook: call.begin,
		CheckRetry:     call.checkRetry,
		Backoff:        call.backoff,
		ErrorHandler:   retryablehttp.PassthroughErrorHandler,
	}
	if _, err := repeating.Do(req); err != nil {
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
	ctx = httptrace.WithClientTrace(context.WithValue(ctx, callKey{}, c), c.trace())
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
