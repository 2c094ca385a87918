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

// WithPretty asks for an indented response, for whoever reads it on the wire.
func WithPretty() CallOption { return func(s *callSettings) { s.request.Query.Pretty = true } }

// WithEnvelope asks for the response's status inside its body, for a path to Atlas on which a proxy changes statuses.
// The status inside decides.
func WithEnvelope() CallOption { return func(s *callSettings) { s.request.Query.Envelope = true } }

// WithHeader sets a request header. Headers that the client itself needs, such as Authorization and Accept, are
// rejected with an [*InvalidRequestError].
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

// WithGrace lets a request that is on its way outlive the context by up to d, so that a program which is told to stop
// does not lose the id of a job that has just been created. A request that is not on its way, because it waits for a
// connection, an access token, its turn within the rate limit or the next attempt, ends with the context as always, and
// no attempt begins after that. d must not be negative. Default: 0.
//
// When the response arrives in that time the call succeeds, although its context has ended.
func WithGrace(d time.Duration) CallOption {
	return func(s *callSettings) {
		s.request.Grace = d
		if d < 0 {
			s.violations = append(s.violations, FieldViolation{"WithGrace", "must not be negative"})
		}
	}
}

// CaptureResponse fills r with what is known about the HTTP response when the call returns, whether it succeeds or not.
func CaptureResponse(r *Response) CallOption {
	return func(s *callSettings) {
		if r != nil {
			s.captures = append(s.captures, r)
		}
	}
}

// Response is what is worth knowing about the HTTP response of a call, see [CaptureResponse].
type Response struct {
	// StatusCode is the status that decided, inside the envelope with [WithEnvelope]; 0 when there was no response.
	StatusCode int
	// Header is the header of the last response, without the fields that belong to authentication.
	Header http.Header
	// Attempts is how many times the request was made; 0 when it was rejected before.
	Attempts int
	// RateLimit is what Atlas said about the caller's budget.
	RateLimit RateLimit
}

// RateLimit is the token bucket that a request was counted in.
type RateLimit struct {
	// Limit is the capacity of the bucket, -1 when Atlas did not say.
	Limit int
	// Remaining is how many requests are left in it, -1 when Atlas did not say.
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

// Attempt is one HTTP request of a call, for those who measure or trace requests.
type Attempt struct {
	// Operation is the method of this package that makes the call, such as "Migrations.Get". Watch and the Wait functions
	// make calls of Get.
	Operation string
	// Scope is the id of the organization or project of the call.
	Scope string
	// Number is which attempt of the call it is, from 1.
	Number int
}

// AttemptFromContext returns the attempt that a request of a client belongs to, by the request's context. It is for
// transports given to [WithTransportWrapper] and [WithHTTPClient], which thus need not take paths apart. Other contexts
// hold none.
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
