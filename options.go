package livemigration

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/livemigration/livemigration-go/internal/delivery"
	"github.com/livemigration/livemigration-go/internal/pacing"
)

const (
	defaultBaseURL = "https://cloud.mongodb.com"
	defaultTimeout = 30 * time.Second
)

// Option configures a [Client] or a [SourceClient].
type Option func(*config)

type config struct {
	maker        string // the function that makes the client
	baseURL      string
	baseURLName  string // what has set it; empty: nothing
	version      APIVersion
	versionSet   bool
	httpClient   *http.Client
	retry        RetryPolicy
	timeout      time.Duration
	timeoutSet   bool
	userAgent    string
	logger       *slog.Logger
	wrappers     []func(http.RoundTripper) http.RoundTripper
	pacing       pacing.Config
	waitDefaults []WaitOption
	problems     []error
}

// WithBaseURL sets scheme, host and port. Default: https://cloud.mongodb.com. Atlas for Government:
// https://cloud.mongodbgov.com. Plain http is for loopback addresses only.
func WithBaseURL(baseURL string) Option {
	return func(c *config) { c.baseURL, c.baseURLName = baseURL, "WithBaseURL" }
}

func WithAPIVersion(version APIVersion) Option {
	return func(c *config) { c.version, c.versionSet = version, true }
}

// WithHTTPClient uses the Transport, the Jar and, without [WithAttemptTimeout], the Timeout of hc. Default: a copy of
// [http.DefaultTransport] with more idle connections and HTTP/2 pings. Set [http.HTTP2Config].SendPingTimeout of your
// own transport, so that net/http closes dead connections. If it is no [*http.Transport], more outcomes are unknown.
func WithHTTPClient(hc *http.Client) Option {
	return func(c *config) { c.httpClient = hc }
}

func WithRetryPolicy(policy RetryPolicy) Option { return func(c *config) { c.retry = policy } }

// WithAttemptTimeout limits one attempt, from dial to last byte; the context limits the call. Default: 30 seconds.
func WithAttemptTimeout(timeout time.Duration) Option {
	return func(c *config) { c.timeout, c.timeoutSet = timeout, true }
}

// WithUserAgent puts a product such as "my-tool/1.2" first in the User-Agent header.
func WithUserAgent(product string) Option {
	return func(c *config) { c.userAgent = product }
}

// WithLogger sets the logger. Default: silent. Entries (docs/observability.md) contain no secret.
func WithLogger(logger *slog.Logger) Option { return func(c *config) { c.logger = logger } }

// WithTransportWrapper puts a transport for traces and metrics around the authenticating one. It sees each attempt (see
// [AttemptFromContext]) without credentials, but with its bodies: do not record passwords and link-tokens. Later
// wrappers go around earlier ones.
//
// The transport must be safe for concurrent use, pass each request on once with the values of its context, and wrap the
// errors of the transport inside: after its own errors the client assumes that the request was sent.
func WithTransportWrapper(wrap func(http.RoundTripper) http.RoundTripper) Option {
	return func(c *config) { c.wrappers = append(c.wrappers, wrap) }
}

// WithRateLimit also limits the requests for each organization and project to perMinute in the long run and burst at
// once, for example to give each of several processes its share.
func WithRateLimit(perMinute, burst int) Option {
	return func(c *config) {
		c.pacing.Ceiling = &pacing.Bucket{Capacity: burst, Refill: perMinute, Per: time.Minute}
	}
}

// WithoutPacing sends each request at once. By default a client keeps within the published rate limits, lowered to what
// responses report. Polls leave a tenth to other calls.
func WithoutPacing() Option { return func(c *config) { c.pacing.Off = true } }

// WithWaitDefaults sets options for all waits. Options of a wait take precedence.
func WithWaitDefaults(opts ...WaitOption) Option {
	return func(c *config) { c.waitDefaults = append(c.waitDefaults, opts...) }
}

func newConfig(maker string, opts []Option) *config {
	c := &config{maker: maker, baseURL: defaultBaseURL, version: APIv2, httpClient: &http.Client{}}
	for _, opt := range opts {
		if opt != nil {
			opt(c)
		}
	}
	if c.httpClient == nil {
		c.reject(true, "WithHTTPClient: the client must not be nil")
		c.httpClient = &http.Client{}
	}
	c.reject(c.timeoutSet && c.timeout <= 0, "WithAttemptTimeout: the timeout must be positive")
	if c.timeout <= 0 {
		c.timeout = cmp.Or(max(c.httpClient.Timeout, 0), defaultTimeout)
	}
	c.reject(!validHeaderValue(c.userAgent), "WithUserAgent: the product must not contain control characters")
	c.reject(c.version != APIv2 && c.version != APIv1, "WithAPIVersion: the version must be APIv2 or APIv1")
	if ceiling := c.pacing.Ceiling; ceiling != nil {
		c.reject(ceiling.Refill < 1 || ceiling.Capacity < 1, "WithRateLimit: perMinute and burst must be positive")
	}
	c.reject(slices.ContainsFunc(c.wrappers, func(wrap func(http.RoundTripper) http.RoundTripper) bool { return wrap == nil }),
		"WithTransportWrapper: the function must not be nil")
	for _, v := range newWaitSettings(1, 1, c.waitDefaults, nil).found() {
		c.reject(true, "WithWaitDefaults: "+v.String())
	}
	c.reject(!c.retry.valid(), "WithRetryPolicy: no field may be negative, and BaseBackoff must not exceed MaxBackoff")
	c.retry = c.retry.withDefaults()
	c.pacing.MaxHold = c.retry.MaxRetryAfter
	return c
}

func (c *config) reject(violated bool, problem string) {
	if violated {
		c.problems = append(c.problems, errors.New(problem))
	}
}

// origin checks the base URL. Its messages do not show it: it may contain a password.
func (c *config) origin() *url.URL {
	option := cmp.Or(c.baseURLName, "WithBaseURL") + ": the base URL "
	u, err := url.Parse(strings.TrimSuffix(c.baseURL, "/"))
	switch {
	case err != nil || u.Hostname() == "" || u.Opaque != "":
		c.reject(true, option+"must be absolute, such as "+defaultBaseURL)
		return new(url.URL)
	case u.Scheme != "https" && u.Scheme != "http":
		c.reject(true, option+"must begin with https://")
	case u.Scheme == "http" && !strings.EqualFold(u.Hostname(), "localhost") && !net.ParseIP(u.Hostname()).IsLoopback():
		c.reject(true, option+"must begin with https://: plain http is for loopback addresses only")
	}
	c.reject(!validPort(u), option+"must have a port from 1 to 65535, or none")
	c.reject(u.User != nil, option+"must not contain a user name or password")
	c.reject(u.Path != "" || u.RawQuery != "" || u.ForceQuery || u.Fragment != "",
		option+"must end after the host and port: the client adds the path")
	return &url.URL{Scheme: u.Scheme, Host: u.Host}
}

func validPort(u *url.URL) bool {
	if u.Port() == "" {
		return !strings.HasSuffix(u.Host, ":")
	}
	port, err := strconv.Atoi(u.Port())
	return err == nil && port >= 1 && port <= 65535
}

// authenticate puts the transport of the credentials around base. Without an origin, credentials of this package still
// report what is wrong with them.
func (c *config) authenticate(credentials Credentials, origin *url.URL, base http.RoundTripper) http.RoundTripper {
	c.reject(credentials == nil, "the credentials must not be nil")
	if _, own := credentials.(*builtIn); credentials == nil || origin.Host == "" && !own {
		return nil
	}
	transport, err := credentials.Transport(origin, base)
	if err != nil {
		c.problems = append(c.problems, fmt.Errorf("credentials: %w", err))
	}
	c.reject(err == nil && transport == nil, "credentials: Transport returned nil")
	return transport
}

func (c *config) wrap(transport http.RoundTripper) http.RoundTripper {
	if len(c.problems) > 0 {
		return nil
	}
	for _, wrap := range c.wrappers {
		if transport = wrap(transport); transport == nil {
			c.reject(true, "WithTransportWrapper: the function returned nil")
			return nil
		}
	}
	return transport
}

type configError struct {
	maker    string
	problems []error
}

func (e *configError) Error() string {
	texts := make([]string, len(e.problems))
	for i, problem := range e.problems {
		texts[i] = problem.Error()
	}
	return messagePrefix + e.maker + ": " + strings.Join(texts, "; ")
}

func (e *configError) Is(target error) bool { return target == ErrInvalidConfig }

func (e *configError) Unwrap() []error { return e.problems }

func (c *config) delivery() *delivery.Transport {
	if c.httpClient.Transport != nil {
		return delivery.New(c.httpClient.Transport)
	}
	if standard, ok := http.DefaultTransport.(*http.Transport); ok { // else the program has replaced it
		return delivery.NewOwn(ownTransport(standard))
	}
	return delivery.New(http.DefaultTransport)
}

func ownTransport(standard *http.Transport) *http.Transport {
	const (
		idleConnections = 64 // net/http's default of 2 makes concurrent callers of one host dial again and again
		pingAfter       = 15 * time.Second
	)
	own := standard.Clone()
	own.MaxIdleConnsPerHost = idleConnections
	if own.HTTP2 == nil { // a connection whose packets vanish is noticed by the ping that gets no response
		own.HTTP2 = &http.HTTP2Config{SendPingTimeout: pingAfter, PingTimeout: pingAfter}
	}
	if own.OnProxyConnectResponse == nil {
		own.OnProxyConnectResponse = delivery.CheckProxy
	}
	return own
}
