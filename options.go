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

// Option configures a [Client] or a [SourceClient]. Options may be given in any order.
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

// WithBaseURL sets where Atlas is: scheme and host, with a port where needed, without the /api/atlas prefix.
// Default: https://cloud.mongodb.com. Plain http is taken for loopback addresses only, since requests carry a database
// password.
//
// Atlas for Government is at https://cloud.mongodbgov.com, and Ops Manager, for a [SourceClient], at a URL of its own.
func WithBaseURL(baseURL string) Option {
	return func(c *config) { c.baseURL, c.baseURLName = baseURL, "WithBaseURL" }
}

// WithAPIVersion sets the version of the API. Default: [APIv2]. A [SourceClient] does not take it.
func WithAPIVersion(version APIVersion) Option {
	return func(c *config) { c.version, c.versionSet = version, true }
}

// WithHTTPClient makes the client send through hc's Transport, with its Jar, and with its Timeout for one attempt
// unless [WithTimeout] is given. hc is never changed. Redirects are not followed, whatever hc's CheckRedirect says.
//
// The client learns from the transport's [httptrace] hooks what was sent, and takes what it learns nothing about for sent.
// An [http.Transport] must not have protocols of its own registered for https: they have no hooks.
//
// Default: a clone of [http.DefaultTransport] that keeps more idle connections.
func WithHTTPClient(hc *http.Client) Option {
	return func(c *config) { c.httpClient = hc }
}

// WithRetryPolicy sets how often and after what time a request is retried. See [RetryPolicy] for the defaults.
func WithRetryPolicy(policy RetryPolicy) Option { return func(c *config) { c.retry = policy } }

// RetryPolicy says how often a request is retried, and after what time. A zero field stands for its default.
//
// What may be retried is not configurable: a request that creates something is retried only when Atlas cannot have
// carried it out.
type RetryPolicy struct {
	// MaxAttempts is how often a request is made at the most, the first time included. Default: 5. 1 means no retry.
	MaxAttempts int
	// MinBackoff is the most that the first wait lasts; each further one may last twice as long. Waits are drawn at
	// random between nothing and that. Default: 1 second.
	MinBackoff time.Duration
	// MaxBackoff is where that growth ends. Default: 30 seconds. When Atlas asks for a wait, the client waits at least
	// that long; if Atlas asks for more than ten times MaxBackoff, the call ends at once.
	MaxBackoff time.Duration
}

// WithTimeout bounds one attempt, from the dial to the last byte of the response. Default: 30 seconds. A context bounds
// the whole call.
func WithTimeout(timeout time.Duration) Option {
	return func(c *config) { c.timeout, c.timeoutSet = timeout, true }
}

// WithUserAgent puts a product such as "my-tool/1.2" before the library's own in the User-Agent header.
func WithUserAgent(product string) Option {
	return func(c *config) { c.userAgent = product }
}

// WithLogger sets the logger. Default: silent, as with nil. No record holds a secret. Records are made with the context of
// the call. Their keys, which stay the same:
//
//   - operation (such as "Migrations.Get"), project_id or org_id, migration_id or validation_id where there is a job,
//     method, path, attempt (from 1): in each record about a request;
//   - status (of HTTP, 0 without a response), duration (of the attempt), wait (in an attempt: for its turn within the rate
//     limit; before a retry: until it), and of a failure error, code and request_id (Atlas's);
//   - project_id, migration_id or validation_id, state (of the job), ready_for_cutover, outage (its duration), error: in
//     records about a wait;
//   - deprecation, sunset: times.
//
// Levels: debug for each attempt, and for the retries of a wait's polls; info for other retries, for "created" the moment
// the response to a creation is read, for each change of a job's state that a wait observes and for the end of an outage;
// warn when an outage begins during a wait and at its doublings, and once for each operation that Atlas announces to
// remove by the headers Deprecation and Sunset.
func WithLogger(logger *slog.Logger) Option { return func(c *config) { c.logger = logger } }

// WithTransportWrapper puts a transport of the user around the one that authenticates, for tracing and metrics: it sees
// each attempt of each call without credentials, and its response; not the requests that only obtain credentials, although
// the time that they take is part of the attempt's. Bodies it does see: the source's password in those of creations, and
// link-tokens in responses. Of several wrappers, a later one goes around an earlier one.
//
// wrap is called once. The transport that it returns must keep to the contract of [http.RoundTripper], be safe for
// concurrent use, and hand each request on once, in its own context or one made from it, and not return before the
// transport inside has: [AttemptFromContext] tells there what the request is for. A creation that fails without having been
// handed on so may have been carried out for all that the client knows. Hooks of [httptrace.ClientTrace] that a wrapper puts
// into the context see the headers of the authenticated request: WroteHeaderField must not record Authorization.
func WithTransportWrapper(wrap func(http.RoundTripper) http.RoundTripper) Option {
	return func(c *config) { c.wrappers = append(c.wrappers, wrap) }
}

// WithRateLimit sets a ceiling for the requests of the client: at most burst at once, and perMinute in the long run. It
// is for those who share a budget with others. What the client learns of Atlas's own limits counts beside it, unless
// [WithoutPacing] is given too. Requests that only obtain credentials do not count.
func WithRateLimit(perMinute, burst int) Option {
	return func(c *config) { c.pacing.perMinute, c.pacing.burst, c.pacing.ceiling = perMinute, burst, true }
}

// WithoutPacing makes the client send each request at once, whatever Atlas says about its rate limit.
//
// By default the client learns the limit of each organization and project, from the headers RateLimit-Limit and
// RateLimit-Remaining, from 429, and from 503 with Retry-After. All callers of the client share what it has learned. Polls
// of waits are spread over the time in which the budget is refilled. Other calls go before polls, and are spread once three
// quarters of the budget are spent. After a 429 everybody waits as long as Atlas asks, and then one request follows the
// other. Where Atlas says nothing about limits there is no pacing. Until a 429 says otherwise, the client assumes that a
// budget is refilled in a minute. A turn that would come too late is a [*PacingError] at once.
func WithoutPacing() Option { return func(c *config) { c.pacing.off = true } }

// WithWaitDefaults sets options for every wait of the client, before those of the wait itself. A [WithOnUpdate] among them
// is called in the waits for its kind of job.
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
	for _, v := range newWaitSettings(1, 1, c.waitDefaults, nil, true).violations {
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

// authenticate puts the transport of the credentials around base. Without an origin they cannot be asked for it.
func (c *config) authenticate(credentials Credentials, origin *url.URL, base http.RoundTripper) http.RoundTripper {
	c.reject(credentials == nil, "the credentials must not be nil")
	if credentials == nil || origin == nil {
		return nil
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
