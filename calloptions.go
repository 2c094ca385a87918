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

// CallOption configures one call.
type CallOption func(*callSettings)

type callQuery struct {
	Pretty   bool `url:"pretty,omitempty"`
	Envelope bool `url:"envelope,omitempty"`
}

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

// WithPretty requests an indented response.
func WithPretty() CallOption { return func(s *callSettings) { s.query.Pretty = true } }

// WithEnvelope requests the status inside the response's body, for proxies that change statuses.
func WithEnvelope() CallOption { return func(s *callSettings) { s.query.Envelope = true } }

// WithHeader sets a request header. Rejected are headers that the client or the transport sets, such as Accept,
// Authorization, Content-Type and Host, and Idempotency-Key, which Atlas ignores.
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

// WithGrace lets a request in flight outlive the context by up to d, so that the ID of a new migration is not lost.
// Default: 30 seconds for creating a migration, a link-token or a link, else 0.
func WithGrace(d time.Duration) CallOption {
	return func(s *callSettings) {
		s.grace, s.graceSet = d, true
		if d < 0 {
			s.violations = append(s.violations, FieldViolation{"WithGrace", "must not be negative"})
		}
	}
}

const defaultGrace = 30 * time.Second

// WithMaxAttempts replaces [RetryPolicy].MaxAttempts for one call. With 1 nothing is sent again.
func WithMaxAttempts(n int) CallOption {
	return func(s *callSettings) {
		s.maxAttempts = n
		if n < 1 {
			s.violations = append(s.violations, FieldViolation{"WithMaxAttempts", "must be at least 1"})
		}
	}
}

// CaptureResponse fills r with the last response of the call, even if the call returns an error.
func CaptureResponse(r *Response) CallOption {
	return func(s *callSettings) {
		if r != nil {
			s.captures = append(s.captures, r)
		}
	}
}

type Response struct {
	StatusCode int         // with [WithEnvelope] the one inside the envelope; 0 without a response
	Header     http.Header // without the fields of authentication
	Attempts   int
	RateLimit  RateLimit
}

// RateLimit is a bucket in which Atlas counts requests. -1 stands for unknown.
type RateLimit struct {
	Limit     int // the requests that a full bucket allows at once
	Remaining int
}

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
