// Package exchange makes one call: it sends a request in as many attempts as its endpoint allows, reads the responses,
// and says what came of it.
//
// It ties the rooms below together, on go-retryablehttp. It does not know the types of the public API, and it makes no
// errors for users: an [Outcome] says what there is to say.
package exchange

import (
	"context"
	"log/slog"
	"maps"
	"net/http"
	"sync"
	"time"

	"github.com/google/go-querystring/query"
	"github.com/hashicorp/go-retryablehttp"

	"github.com/livemigration/livemigration-go/internal/delivery"
	"github.com/livemigration/livemigration-go/internal/endpoint"
	"github.com/livemigration/livemigration-go/internal/pacing"
	"github.com/livemigration/livemigration-go/internal/redact"
	"github.com/livemigration/livemigration-go/internal/retry"
)

// Authenticator is what the transport of the credentials tells about itself.
type Authenticator interface {
	// Secrets are what no message may show.
	Secrets() []string
	// Explain says what a 401 with this header means if not that the credentials are wrong: that a nonce was too old, or
	// something that the user should know.
	Explain(http.Header) (stale bool, explanation string)
	// CountsRequests reports whether a server rejects a request that it gets a second time as it is.
	CountsRequests() bool
}

// Config is what all calls of a client have in common.
type Config struct {
	Transport     http.RoundTripper // authenticates and sends the requests
	Opaque        bool              // Transport may send them in ways that package delivery does not see
	Jar           http.CookieJar
	Authenticator Authenticator // nil with credentials of another package
	Prefix        string        // scheme, host, and prefix of the API version
	Version       endpoint.Version
	UserAgent     string
	Timeout       time.Duration // of an attempt
	Policy        retry.Policy
	Pacer         *pacing.Pacer // nil: there is no pacing
	Logger        *slog.Logger
}

// Exchanger makes the calls of one client. It is safe for concurrent use.
type Exchanger struct {
	Config
	http       *http.Client
	redactors  redact.Cache
	deprecated sync.Map // the endpoints of which it has been logged
}

// New returns an Exchanger.
func New(cfg Config) *Exchanger {
	cfg.Policy = cfg.Policy.WithDefaults()
	x := &Exchanger{Config: cfg}
	// The embedding hides all but RoundTrip: go-retryablehttp closes idle connections after a failed call, which would
	// take them from other callers.
	x.http = &http.Client{
		Transport:     struct{ http.RoundTripper }{&attemptTransport{x}},
		Jar:           cfg.Jar,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return x
}

// Query are the parameters that every endpoint takes.
type Query struct {
	Pretty   bool `url:"pretty,omitempty"`
	Envelope bool `url:"envelope,omitempty"`
}

// Request is one call.
type Request struct {
	Endpoint *endpoint.Endpoint
	Scope    string // the organization or project
	Job      string // the id of the job, empty for one that is created
	Path     string // below the prefix
	Query    Query
	Header   http.Header
	Body     []byte   // nil: none
	Secrets  []string // in the body
	// Decode reads the body of a success; err is what ended the body too early. It returns the id of the job that was
	// created, where the body shows it, also if it fails. Nil where the status says everything.
	Decode func(body []byte, err error) (id string, _ error)
	// Grace is for how long a request that is on its way outlives the caller's context.
	Grace       time.Duration
	MaxAttempts int // 0: the policy's
	Class       pacing.Class
	Turn        *pacing.Turn   // of the first attempt, where there is one already
	Waited      *time.Duration // for the turns of the attempts, added to its value
}

// Do makes a call.
func (x *Exchanger) Do(ctx context.Context, r *Request) Outcome {
	c := &call{x: x, ctx: ctx, Request: r, begun: time.Now()}
	if err := retry.ContextError(ctx); err != nil {
		return c.neverBegun(err)
	}
	c.delivery.Once = r.Endpoint.Retry == endpoint.Unsent
	c.delivery.Counted = x.Authenticator != nil && x.Authenticator.CountsRequests()
	req, err := c.newRequest(ctx)
	if err != nil {
		return c.neverBegun(err)
	}
	c.loop = retryablehttp.Client{
		HTTPClient:     x.http,
		RetryMax:       c.maxAttempts() - 1,
		RequestLogHook: c.begin,
		CheckRetry:     c.checkRetry,
		Backoff:        func(_, _ time.Duration, _ int, _ *http.Response) time.Duration { return c.wait },
		ErrorHandler:   retryablehttp.PassthroughErrorHandler,
	}
	if _, err := c.loop.Do(req); err != nil {
		return c.finish()
	}
	return c.outcome(Done)
}

// newRequest builds the request that every attempt sends.
func (c *call) newRequest(ctx context.Context) (*retryablehttp.Request, error) {
	target := c.x.Prefix + c.Path
	if c.Query != (Query{}) {
		values, err := query.Values(c.Query)
		if err != nil {
			return nil, err
		}
		target += "?" + values.Encode()
	}
	var body any // stays an untyped nil without a body, as go-retryablehttp wants it
	if c.Body != nil {
		body = c.Body
	}
	ctx = delivery.WithState(context.WithValue(ctx, callKey{}, c), &c.delivery)
	req, err := retryablehttp.NewRequestWithContext(ctx, c.Endpoint.Method, target, body)
	if err != nil {
		return nil, err
	}
	mediaType := c.Endpoint.MediaTypeFor(c.x.Version)
	req.Header.Set("Accept", mediaType)
	if body != nil {
		req.Header.Set("Content-Type", mediaType)
	}
	req.Header.Set("User-Agent", c.x.UserAgent)
	maps.Copy(req.Header, c.Header)
	req.SetResponseHandler(c.handle)
	return req, nil
}

// Redactor covers what the credentials must not show.
func (x *Exchanger) Redactor() *redact.Redactor { return x.redactors.Get(x.secrets()) }

func (x *Exchanger) secrets() []string {
	if x.Authenticator == nil {
		return nil
	}
	return x.Authenticator.Secrets()
}

// Turn waits for the turn of a request within the rate limit of a scope.
func (x *Exchanger) Turn(ctx context.Context, scope string, class pacing.Class, outage time.Duration) (pacing.Turn, error) {
	return x.Pacer.Wait(ctx, scope, class, max(x.Policy.LongestWait(), outage))
}
