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

	"github.com/livemigration/livemigration-go/internal/pacing"
	"github.com/livemigration/livemigration-go/internal/retry"
)

const (
	defaultBaseURL = "https://cloud.mongodb.com"
	defaultTimeout = 30 * time.Second
)

// Option configures a [Client] or a [SourceClient].
type Option func(*config)

// config is what the options say. It becomes a client once everything about it has been checked.
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
	pacing       pacingConfig
	waitDefaults []WaitOption
	problems     []error
}

// pacingConfig is what the options say about the rate of requests.
type pacingConfig struct {
	off              bool
	perMinute, burst int // with ceiling
	ceiling          bool
}

// WithBaseURL sets scheme, host and port. Default: https://cloud.mongodb.com. Atlas for Government is at
// https://cloud.mongodbgov.com. Plain http is for loopback addresses only.
func WithBaseURL(baseURL string) Option {
	return func(c *config) { c.baseURL, c.baseURLName = baseURL, "WithBaseURL" }
}

// WithAPIVersion sets the version of the API. Default: [APIv2].
func WithAPIVersion(version APIVersion) Option {
	return func(c *config) { c.version, c.versionSet = version, true }
}

// WithHTTPClient sends through the Transport and Jar of hc, and without [WithTimeout] takes its Timeout for one
// attempt. hc is not changed. Redirects are not followed. The transport must support [httptrace], which tells what was
// sent. Default: a clone of [http.DefaultTransport] with more idle connections and HTTP/2 pings.
func WithHTTPClient(hc *http.Client) Option {
	return func(c *config) { c.httpClient = hc }
}

// WithRetryPolicy sets how often and when a request is retried.
func WithRetryPolicy(policy RetryPolicy) Option { return func(c *config) { c.retry = policy } }

// RetryPolicy says how often and when a request is retried. Zero fields stand for defaults. What is retried is not
// configurable, see docs/retries.md.
type RetryPolicy struct {
	// MaxAttempts includes the first one. Default: 5.
	MaxAttempts int
	// MinBackoff is the upper bound of the first wait, which is random. Each further bound is twice as long. Default: 1
	// second.
	MinBackoff time.Duration
	// MaxBackoff is the largest such bound. Default: 30 seconds. A wait that Atlas asks for is kept, up to ten times
	// MaxBackoff; a longer one ends the call.
	MaxBackoff time.Duration
}

// WithTimeout bounds one attempt, from the dial to the last byte. Default: 30 seconds. A context bounds the whole call.
func WithTimeout(timeout time.Duration) Option {
	return func(c *config) { c.timeout, c.timeoutSet = timeout, true }
}

// WithUserAgent puts a product such as "my-tool/1.2" first in the User-Agent header.
func WithUserAgent(product string) Option {
	return func(c *config) { c.userAgent = product }
}

// WithLogger sets the logger. Default: silent. Debug: each attempt. Info: retries, a creation the moment it is read,
// changes of a job, the end of an outage. Warn: the beginning of an outage and its doublings, deprecations. No record
// holds a secret. The keys are stable, docs/observability.md lists them.
func WithLogger(logger *slog.Logger) Option { return func(c *config) { c.logger = logger } }

// WithTransportWrapper puts a transport around the authenticating one, for tracing and metrics. It sees each attempt
// without credentials, see [AttemptFromContext]. It does see bodies: the password in a creation, the link-token in a
// response. Later wrappers go around earlier ones.
//
// The transport must be safe for concurrent use, hand each request on once, in a context made from its own, and return
// after the transport inside has. A creation that fails without having been handed on may have been carried out, for
// all that the client knows.
func WithTransportWrapper(wrap func(http.RoundTripper) http.RoundTripper) Option {
	return func(c *config) { c.wrappers = append(c.wrappers, wrap) }
}

// WithRateLimit sets a ceiling: perMinute requests in the long run, and burst at once. It is a share for one of several
// processes.
func WithRateLimit(perMinute, burst int) Option {
	return func(c *config) { c.pacing.perMinute, c.pacing.burst, c.pacing.ceiling = perMinute, burst, true }
}

// WithoutPacing sends each request at once. By default a client learns the rate limit of each organization and project
// from responses, spreads polls, lets calls go before them, and waits after a 429. See docs/rate-limits.md.
func WithoutPacing() Option { return func(c *config) { c.pacing.off = true } }

// WithWaitDefaults sets options of every wait. Those of the wait itself come after them. A [WithOnUpdate] counts in
// waits for its kind of job.
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
	c.reject(c.httpClient == nil, "WithHTTPClient: the client must not be nil")
	c.reject(c.timeoutSet && c.timeout <= 0, "WithTimeout: the timeout must be positive")
	c.reject(!validHeaderValue(c.userAgent), "WithUserAgent: the product must not hold control characters")
	c.reject(!c.version.known(), "WithAPIVersion: the version must be APIv2 or APIv1")
	c.reject(c.pacing.ceiling && (c.pacing.perMinute < 1 || c.pacing.burst < 1), "WithRateLimit: perMinute and burst must be positive")
	c.reject(slices.ContainsFunc(c.wrappers, func(wrap func(http.RoundTripper) http.RoundTripper) bool { return wrap == nil }),
		"WithTransportWrapper: the function must not be nil")
	for _, v := range newWaitSettings(1, 1, c.waitDefaults, nil, true).found() {
		c.reject(true, "WithWaitDefaults: "+v.String())
	}
	c.reject(!retry.Policy(c.retry).Valid(), "WithRetryPolicy: no field may be negative, and MinBackoff not above MaxBackoff")
	return c
}

func (c *config) reject(violated bool, problem string) {
	if violated {
		c.problems = append(c.problems, errors.New(problem))
	}
}

// origin checks the base URL. Its messages do not show the URL, in which a password may stand.
func (c *config) origin() *url.URL {
	option := cmp.Or(c.baseURLName, "WithBaseURL") + ": the base URL "
	u, err := url.Parse(strings.TrimSuffix(c.baseURL, "/"))
	switch {
	case err != nil || u.Hostname() == "" || u.Opaque != "":
		c.reject(true, option+"must be absolute, such as "+defaultBaseURL)
		return nil
	case u.Scheme != "https" && u.Scheme != "http":
		c.reject(true, option+"must begin with https://")
	case u.Scheme == "http" && !isLoopback(u.Hostname()):
		c.reject(true, option+"must begin with https://: plain http is for loopback addresses only")
	}
	c.reject(!validPort(u), option+"must have a port from 1 to 65535, or none")
	c.reject(u.User != nil, option+"must not hold a user name or password")
	c.reject(u.Path != "" || u.RawQuery != "" || u.ForceQuery || u.Fragment != "", option+"must end after the host and port: the client adds the path")
	return &url.URL{Scheme: u.Scheme, Host: u.Host}
}

func validPort(u *url.URL) bool {
	if u.Port() == "" {
		return !strings.HasSuffix(u.Host, ":")
	}
	port, err := strconv.Atoi(u.Port())
	return err == nil && port >= 1 && port <= 65535
}

func isLoopback(host string) bool {
	return strings.EqualFold(host, "localhost") || net.ParseIP(host).IsLoopback()
}

// authenticate puts the transport of the credentials around base. Without an origin those of this package still say what
// is wrong with them.
func (c *config) authenticate(credentials Credentials, origin *url.URL, base http.RoundTripper) http.RoundTripper {
	c.reject(credentials == nil, "the credentials must not be nil")
	_, own := credentials.(*builtIn)
	if credentials == nil || origin == nil && !own {
		return nil
	}
	if origin == nil {
		origin = &url.URL{Scheme: "https", Host: "nowhere.invalid"} // the client is not made
	}
	transport, err := credentials.Transport(origin, base)
	if err != nil {
		c.problems = append(c.problems, fmt.Errorf("credentials: %w", err))
	}
	c.reject(err == nil && transport == nil, "credentials: Transport returned nil")
	return transport
}

// wrap puts the user's wrappers around the transport of the credentials.
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

func (c *config) pacer() *pacing.Pacer {
	p := c.pacing
	switch {
	case p.ceiling:
		return pacing.New(pacing.Config{PerMinute: p.perMinute, Burst: p.burst, Deaf: p.off})
	case p.off:
		return nil
	default:
		return pacing.New(pacing.Config{})
	}
}

// err gathers the problems.
func (c *config) err() error {
	if len(c.problems) == 0 {
		return nil
	}
	return &configError{c.maker, c.problems}
}

// configError is everything that is wrong with a configuration.
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

// attemptTimeout is WithTimeout's, else the HTTP client's, else the default.
func (c *config) attemptTimeout() time.Duration {
	switch {
	case c.timeoutSet:
		return c.timeout
	case c.httpClient != nil && c.httpClient.Timeout > 0:
		return c.httpClient.Timeout
	default:
		return defaultTimeout
	}
}

// idleConnections is how many a client keeps to its one host; net/http's default of 2 makes concurrent callers dial
// again and again.
const idleConnections = 64

// pingAfter is after what silence an HTTP/2 connection is tested, and for how long the test may take.
const pingAfter = 15 * time.Second

func (c *config) baseTransport() http.RoundTripper {
	if c.httpClient != nil && c.httpClient.Transport != nil {
		return c.httpClient.Transport
	}
	standard, ok := http.DefaultTransport.(*http.Transport)
	if !ok {
		return http.DefaultTransport
	}
	transport := standard.Clone()
	transport.MaxIdleConnsPerHost = idleConnections
	if transport.HTTP2 == nil { // a connection whose packets vanish is noticed by the ping that gets no response
		transport.HTTP2 = &http.HTTP2Config{SendPingTimeout: pingAfter, PingTimeout: pingAfter}
	}
	if transport.OnProxyConnectResponse == nil {
		transport.OnProxyConnectResponse = retry.CheckProxy
	}
	return transport
}
