package livemigration

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"math"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/livemigration/livemigration-go/internal/auth/digest"
	"github.com/livemigration/livemigration-go/internal/delivery"
	"github.com/livemigration/livemigration-go/internal/response"
)

// RetryPolicy says how often and when a failed request is sent again. Which failures these are is fixed
// (docs/calls.md). Zero fields stand for the defaults.
type RetryPolicy struct {
	MaxAttempts   int           // of a call, including the first one. Default: 5
	BaseBackoff   time.Duration // bounds the first delay, which is random; doubles with each retry. Default: 1 second
	MaxBackoff    time.Duration // the highest such bound. Default: 30 seconds
	MaxRetryAfter time.Duration // if Atlas asks for a longer wait, the call ends. Default: 5 minutes
}

func (p RetryPolicy) valid() bool {
	return p.MaxAttempts >= 0 && p.BaseBackoff >= 0 && p.MaxBackoff >= 0 && p.MaxRetryAfter >= 0 &&
		(p.BaseBackoff == 0 || p.MaxBackoff == 0 || p.BaseBackoff <= p.MaxBackoff)
}

// withDefaults fills in zero fields. A default gives way to the other bound where the caller set that one.
func (p RetryPolicy) withDefaults() RetryPolicy {
	p.MaxAttempts = cmp.Or(p.MaxAttempts, 5)
	p.MaxRetryAfter = cmp.Or(p.MaxRetryAfter, 5*time.Minute)
	p.BaseBackoff = cmp.Or(p.BaseBackoff, min(time.Second, cmp.Or(p.MaxBackoff, time.Second)))
	p.MaxBackoff = cmp.Or(p.MaxBackoff, max(30*time.Second, p.BaseBackoff))
	return p
}

// backoff is drawn anew for each attempt. It comes on top of a wait that Atlas asks for, and is then drawn from the
// upper half, so that each further rejection is followed by a longer wait.
func (p RetryPolicy) backoff(attempts int, asked time.Duration, isAsked bool) time.Duration {
	bound := p.MaxBackoff
	if doublings := min(attempts-1, 62); p.BaseBackoff < p.MaxBackoff>>doublings {
		bound = p.BaseBackoff << doublings
	}
	if !isAsked {
		return time.Duration(rand.Int64N(max(int64(bound), 1)))
	}
	extra := bound/2 + time.Duration(rand.Int64N(max(int64(bound/2), 1)))
	return asked + min(extra, math.MaxInt64-asked)
}

// passing reports whether a status is about the server or a gateway at this moment, and not about the request.
func passing(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusMisdirectedRequest, http.StatusTooEarly, http.StatusTooManyRequests,
		460, 499: // AWS's load balancer and nginx: the client closed the connection
		return true
	default:
		return status >= http.StatusInternalServerError
	}
}

// rejected reports whether a status says that nothing took effect, whatever the body is.
func rejected(status int) bool {
	switch status {
	case http.StatusGone, http.StatusLengthRequired, http.StatusUnprocessableEntity, http.StatusUpgradeRequired,
		http.StatusPreconditionRequired, http.StatusRequestHeaderFieldsTooLarge, http.StatusUnavailableForLegalReasons:
		return true
	default:
		return status >= http.StatusBadRequest && status <= http.StatusProxyAuthRequired ||
			status >= http.StatusRequestEntityTooLarge && status <= http.StatusRequestedRangeNotSatisfiable
	}
}

const upgradeCode = "WRITES_NOT_ALLOWED_DURING_APP_UPGRADES"

// meaning is what the end of an attempt says about the request.
type meaning struct {
	retry bool // another attempt may succeed
	maybe bool // the request may have taken effect
}

// meaningOf reads a failure response to a request that was handed over. Own: its body is Atlas's own JSON.
func meaningOf(api *APIError, own, retryAfterGiven bool) meaning {
	status := api.StatusCode
	switch {
	case status == http.StatusTooManyRequests,
		status == http.StatusServiceUnavailable && retryAfterGiven && own,
		status == http.StatusMethodNotAllowed && own && api.Code == upgradeCode:
		return meaning{retry: true}
	case passing(status):
		return meaning{retry: true, maybe: true}
	case rejected(status), own && status/100 == 4:
		return meaning{}
	default:
		return meaning{maybe: true}
	}
}

// permanent recognizes errors that another attempt cannot change.
func permanent(err error) bool {
	var proxy *delivery.ProxyError
	if errors.As(err, &proxy) {
		return proxy.Status == http.StatusProxyAuthRequired
	}
	return untrusted(err) || plainHTTP(err) || errors.Is(err, response.ErrTooLarge) || errors.Is(err, digest.ErrNotChallenged)
}

func untrusted(err error) bool {
	return errors.As(err, new(*tls.CertificateVerificationError)) || errors.As(err, new(x509.UnknownAuthorityError)) ||
		errors.As(err, new(x509.HostnameError)) || errors.As(err, new(x509.CertificateInvalidError))
}

// plainHTTP recognizes a server that speaks HTTP without TLS on the port of an https URL.
func plainHTTP(err error) bool {
	var header tls.RecordHeaderError
	return errors.Is(err, http.ErrSchemeMismatch) || errors.As(err, &header) && string(header.RecordHeader[:]) == "HTTP/"
}

// Retryable reports whether the same call may succeed later, and can do no harm: if nothing was sent, after 429, 503
// with Retry-After, 405 during an upgrade of Atlas, and after network errors and 5xx of calls that create nothing.
func Retryable(err error) bool {
	var api *APIError
	var call *CallError
	switch {
	case err == nil || MayHaveCreated(err) || errors.As(err, new(*OutcomeUnknownError)):
		return false
	case errors.As(err, new(*PacingError)), errors.Is(err, errOutage):
		return true
	case errors.As(err, &api):
		return passing(api.StatusCode) || api.StatusCode == http.StatusMethodNotAllowed && api.Code == upgradeCode
	case errors.As(err, &call):
		return !permanent(call.Err)
	default:
		return false
	}
}
