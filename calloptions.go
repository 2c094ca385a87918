package livemigration

import (
	"context"
	"fmt"
	"net/http"
	"net/textproto"
	"time"

	"github.com/livemigration/livemigration-go/internal/exchange"
	"github.com/livemigration/livemigration-go/internal/response"
)

// CallOption changes one call of a method.
type CallOption func(*callSettings)

// callSettings are a call: the request that its options change, and what came of it.
type callSettings struct {
	request    exchange.Request
	captures   []*Response
	violations []FieldViolation
	outcome    exchange.Outcome
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
func WithPretty() CallOption { return func(s *callSettings) { s.request.Query.Pretty = true } }

// WithEnvelope asks for the status inside the response's body, for a proxy that changes statuses.
func WithEnvelope() CallOption { return func(s *callSettings) { s.request.Query.Envelope = true } }

// WithHeader sets a request header. Those that the client sets itself are rejected with an [*InvalidRequestError].
func WithHeader(key, value string) CallOption {
	return func(s *callSettings) {
		canonical := textproto.CanonicalMIMEHeaderKey(key)
		if description := rejectedHeader(canonical, value); description != "" {
			s.violations = append(s.violations, FieldViolation{fmt.Sprintf("header %q", key), description})
			return
		}
		if s.request.Header == nil {
			s.request.Header = http.Header{}
		}
		s.request.Header.Set(canonical, value)
	}
}

// WithGrace lets a request that is on its way outlive the context by up to d, so that a program that is told to stop
// does not lose the id of a new job. If the response arrives in that time, the call succeeds. A request that has not
// been sent yet ends with the context. Default: 0.
func WithGrace(d time.Duration) CallOption {
	return func(s *callSettings) {
		s.request.Grace = d
		if d < 0 {
			s.violations = append(s.violations, FieldViolation{"WithGrace", "must not be negative"})
		}
	}
}

// WithMaxAttempts bounds the attempts of this call, in the place of [RetryPolicy].MaxAttempts.
func WithMaxAttempts(n int) CallOption {
	return func(s *callSettings) {
		s.request.MaxAttempts = n
		if n < 1 {
			s.violations = append(s.violations, FieldViolation{"WithMaxAttempts", "must be at least 1"})
		}
	}
}

// CaptureResponse fills r when the call returns, also with an error.
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

// RateLimit is a token bucket of Atlas.
type RateLimit struct {
	// Limit is its capacity; -1 if unknown.
	Limit int
	// Remaining is what is left in it; -1 if unknown.
	Remaining int
}

// capture tells the caller about the last response.
func (s *callSettings) capture() {
	o := &s.outcome
	for _, into := range s.captures {
		*into = Response{Attempts: o.Attempts, RateLimit: RateLimit{Limit: -1, Remaining: -1}}
		if o.Header != nil {
			*into = Response{o.Status, response.PublicHeader(o.Header), o.Attempts, RateLimit(response.RateLimitOf(o.Header))}
		}
	}
}

// Attempt is one HTTP request of a call.
type Attempt struct {
	// Operation is the method that makes the call, such as "Migrations.Get", also in a wait.
	Operation string
	// Scope is the id of the organization or project.
	Scope string
	// Number counts from 1.
	Number int
}

// AttemptFromContext returns the attempt to which the context of a request belongs, for transports given to
// [WithTransportWrapper] or [WithHTTPClient].
func AttemptFromContext(ctx context.Context) (Attempt, bool) {
	a, ok := exchange.AttemptOf(ctx)
	return Attempt(a), ok
}

func rejectedHeader(canonical, value string) string {
	switch canonical {
	case "Accept", "Authorization", "Content-Encoding", "Content-Length", "Content-Type", "Host", "Proxy-Authorization":
		return "is set by the client"
	case "Accept-Encoding", "Connection", "Expect", "Te", "Trailer", "Transfer-Encoding", "Upgrade":
		return "is left to the HTTP transport"
	case "Idempotency-Key", "X-Idempotency-Key":
		// net/http retries requests that carry one of these, also those that created something.
		return "is not supported: Atlas ignores it, and the HTTP transport would retry the request"
	}
	switch {
	case !validHeaderName(canonical):
		return "must have a name of letters, digits, hyphens and underscores"
	case !validHeaderValue(value):
		return "must have a value without control characters"
	default:
		return ""
	}
}

func validHeaderName(name string) bool {
	for i := range len(name) {
		c := name[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' {
			return false
		}
	}
	return name != ""
}

func validHeaderValue(value string) bool {
	for i := range len(value) {
		if c := value[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}
