package livemigration

import (
	"fmt"
	"net/http"
	"net/textproto"
	"regexp"
	"strings"
	"time"

	"github.com/livemigration/livemigration-go/internal/response"
)

// CallOption changes one call of a method.
type CallOption func(*callSettings)

// callQuery are the parameters that every endpoint takes.
type callQuery struct {
	Pretty   bool `url:"pretty,omitempty"`
	Envelope bool `url:"envelope,omitempty"`
}

// callSettings are what the options of a call say.
type callSettings struct {
	query       callQuery
	header      http.Header
	grace       time.Duration
	graceSet    bool
	maxAttempts int // 0: the policy's
	captures    []*Response
	violations  []FieldViolation

	poll  bool // the call is a poll of a wait
	paced bool // the wait has waited for the turn of the first attempt
}

func newCallSettings(opts []CallOption) *callSettings {
	s := new(callSettings)
	for _, opt := range opts {
		if opt != nil {
			opt(s)
		}
	}
	return s
}

// WithPretty asks for an indented response.
func WithPretty() CallOption { return func(s *callSettings) { s.query.Pretty = true } }

// WithEnvelope asks for the status inside the response's body, for a proxy that changes statuses.
func WithEnvelope() CallOption { return func(s *callSettings) { s.query.Envelope = true } }

// WithHeader sets a request header. The error is an [*InvalidRequestError] for headers that the client or the transport
// sets: Accept, Accept-Encoding, Authorization, Connection, Content-Encoding, Content-Length, Content-Type, Expect, Host,
// Proxy-Authorization, TE, Trailer, Transfer-Encoding, Upgrade; and for Idempotency-Key, which Atlas ignores.
func WithHeader(key, value string) CallOption {
	return func(s *callSettings) {
		canonical := textproto.CanonicalMIMEHeaderKey(key)
		if description := rejectedHeader(canonical, value); description != "" {
			s.violations = append(s.violations, FieldViolation{fmt.Sprintf("header %q", key), description})
			return
		}
		if s.header == nil {
			s.header = http.Header{}
		}
		s.header.Set(canonical, value)
	}
}

// WithGrace lets a request in flight outlive the context by up to d, so that a program that is told to stop does not lose
// the ID of a new job. If the response arrives in that time, the call succeeds. A request that has not been sent yet ends
// with the context. Default: 30 seconds for [MigrationsService.Create], [LinkTokensService.Create] and
// [MigrationLinkService.Create], 0 for all other calls.
func WithGrace(d time.Duration) CallOption {
	return func(s *callSettings) {
		s.grace, s.graceSet = d, true
		if d < 0 {
			s.violations = append(s.violations, FieldViolation{"WithGrace", "must not be negative"})
		}
	}
}

const defaultGrace = 30 * time.Second

// WithMaxAttempts sets the most attempts of one call in place of [RetryPolicy].MaxAttempts. With 1 nothing is retried.
func WithMaxAttempts(n int) CallOption {
	return func(s *callSettings) {
		s.maxAttempts = n
		if n < 1 {
			s.violations = append(s.violations, FieldViolation{"WithMaxAttempts", "must be at least 1"})
		}
	}
}

// CaptureResponse fills r when the call returns, even if it returns an error.
func CaptureResponse(r *Response) CallOption {
	return func(s *callSettings) {
		if r != nil {
			s.captures = append(s.captures, r)
		}
	}
}

// Response is the HTTP response of a call, see [CaptureResponse].
type Response struct {
	// StatusCode is the one inside the envelope with [WithEnvelope]; 0 without a response.
	StatusCode int
	// Header lacks the fields that belong to authentication.
	Header http.Header
	// Attempts is how many times the request was made.
	Attempts int
	// RateLimit is what the response said about the rate limit.
	RateLimit RateLimit
}

// RateLimit is a token bucket of Atlas. Each request takes one token.
type RateLimit struct {
	// Limit is the most tokens that the bucket contains; -1 if unknown.
	Limit int
	// Remaining is the number of tokens left; -1 if unknown.
	Remaining int
}

// capture fills the responses of [CaptureResponse] with the last response of a call.
func (s *callSettings) capture(c *call) {
	for _, into := range s.captures {
		*into = Response{Attempts: c.attempts, RateLimit: RateLimit{Limit: -1, Remaining: -1}}
		if r := c.received; r != nil {
			into.StatusCode, into.Header = r.Status, response.PublicHeader(r.Header)
			into.RateLimit.Limit, into.RateLimit.Remaining = response.Limits(r.Header)
		}
	}
}

func rejectedHeader(canonical, value string) string {
	switch canonical {
	case "Accept", "Authorization", "Content-Encoding", "Content-Length", "Content-Type", "Host", "Proxy-Authorization":
		return "is set by the client"
	case "Accept-Encoding", "Connection", "Expect", "Te", "Trailer", "Transfer-Encoding", "Upgrade":
		return "is left to the HTTP transport"
	case "Idempotency-Key", "X-Idempotency-Key":
		// net/http retries requests that carry one of these, even if they created something.
		return "is not supported: Atlas ignores it, and the HTTP transport would retry the request"
	}
	switch {
	case !headerName.MatchString(canonical):
		return "must have a name of letters, digits, hyphens and underscores"
	case !validHeaderValue(value):
		return "must have a value without control characters"
	default:
		return ""
	}
}

var headerName = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

func validHeaderValue(value string) bool {
	return !strings.ContainsFunc(value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f })
}
