package exchange

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/livemigration/livemigration-go/internal/auth/bearer"
	"github.com/livemigration/livemigration-go/internal/delivery"
	"github.com/livemigration/livemigration-go/internal/pacing"
	"github.com/livemigration/livemigration-go/internal/response"
)

// Failure is how an attempt ended that did not succeed. The zero value is none.
type Failure struct {
	// Response is what the server responded, nil when it did not, or not in a usable way. Then Err says what happened.
	Response *response.Error
	Err      error
	// TooLate is why the attempt was not made: its turn within the rate limit.
	TooLate *pacing.TooLate
	// Text is the failure in one line, redacted.
	Text string
	// Limit is set when the server asks for a longer wait than a call makes: it is the longest one.
	Limit time.Duration
	// ID is that of the job which was created, where the part of the response that arrived shows it.
	ID string

	// transient: another attempt may succeed.
	transient bool
	// undone: the server has not carried the request out, because it did not get it or because it said so.
	undone bool
	// lost: it is not known what became of the request.
	lost bool
}

// None reports whether there is no failure.
func (f *Failure) None() bool { return f.Err == nil }

func (f *Failure) status() int {
	if f.Response == nil {
		return 0
	}
	return f.Response.StatusCode
}

func (f *Failure) retryAfterGiven() bool { return f.Response != nil && f.Response.RetryAfterGiven }

// unusable is a success whose body cannot be used.
type unusable struct {
	err error
	id  string // of the job that was created, if the body shows it
}

func (e *unusable) Error() string { return "unusable response: " + e.err.Error() }
func (e *unusable) Unwrap() error { return e.err }

// classify reads the error of an attempt.
func classify(err error, sent *delivery.State) Failure {
	unsent := sent.Unsent()
	var noToken *bearer.TokenError
	if errors.As(err, &noToken) && !sent.Arrived() {
		unsent = true // it has not been sent, or was rejected with the token before
	}
	f := Failure{Err: withoutURL(err), undone: unsent}
	var broken *unusable
	if errors.As(err, &broken) {
		f.ID = broken.id
	}
	switch {
	case errors.As(err, &f.TooLate):
		f.Err, f.undone = f.TooLate, true
	case !errors.As(err, &f.Response):
		f.transient = !Permanent(err)
		f.lost = !unsent
	default:
		f.readStatus(unsent)
	}
	return f
}

func (f *Failure) readStatus(unsent bool) {
	r := f.Response
	switch {
	case r.StatusCode == http.StatusUnauthorized:
		// If the nonce expired a second time while the request was under way, it is rejected whatever the keys are.
		f.transient = r.StaleNonce
		f.undone = f.undone || r.StaleNonce
	case r.StatusCode == http.StatusTooManyRequests, r.StatusCode == http.StatusServiceUnavailable && r.RetryAfterGiven:
		f.transient, f.undone = true, true
	case Passing(r.StatusCode):
		// Whoever says so may have passed the request on, and whoever failed may have carried it out first.
		f.transient, f.lost = true, !unsent
	}
}

// Passing reports whether a status is about the server or a gateway at this moment, and not about the request: all from
// 500 on, 429, and those with which gateways say that something took too long or went the wrong way.
func Passing(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusMisdirectedRequest, http.StatusTooEarly, http.StatusTooManyRequests,
		460, 499: // the client closed the connection, say AWS's load balancer and nginx
		return true
	default:
		return status >= http.StatusInternalServerError
	}
}

// Permanent recognizes errors that another attempt cannot change.
func Permanent(err error) bool {
	var (
		certificate *tls.CertificateVerificationError
		authority   x509.UnknownAuthorityError
		host        x509.HostnameError
		invalid     x509.CertificateInvalidError
		proxy       *ProxyError
	)
	return errors.As(err, &certificate) || errors.As(err, &authority) || errors.As(err, &host) || errors.As(err, &invalid) ||
		errors.As(err, &proxy) && proxy.Status == http.StatusProxyAuthRequired || errors.Is(err, response.ErrTooLarge)
}

// ProxyError says that it was a proxy that did not connect.
type ProxyError struct{ Status int }

// CheckProxy is a hook for [http.Transport.OnProxyConnectResponse]. net/http's own error is the bare status.
func CheckProxy(_ context.Context, _ *url.URL, _ *http.Request, resp *http.Response) error {
	if resp.StatusCode == http.StatusOK {
		return nil
	}
	return &ProxyError{resp.StatusCode}
}

func (e *ProxyError) Error() string {
	return fmt.Sprintf("the proxy refuses to connect: %d %s", e.Status, http.StatusText(e.Status))
}

// timeoutError is a timeout that is not the deadline of the caller's context, although its own error says so. In all
// other respects it is its own error.
type timeoutError struct {
	text string
	err  error
}

func (e *timeoutError) Error() string  { return e.text }
func (*timeoutError) Timeout() bool    { return true }
func (*timeoutError) Temporary() bool  { return true }
func (e *timeoutError) As(to any) bool { return errors.As(e.err, to) }
func (e *timeoutError) Is(to error) bool {
	return to != context.DeadlineExceeded && errors.Is(e.err, to)
}

// NewTimeout is the error of a request that got no response within its time. It is not the deadline of the caller's
// context.
func NewTimeout(limit time.Duration, err error) error { return newTimeout(limit, err) }

func newTimeout(limit time.Duration, err error) *timeoutError {
	return &timeoutError{"no response within " + limit.String(), err}
}

// named gives the end of an attempt's time, or of a time that the user's transport has set, an error of its own: that of
// package net is also the error of a context.
func named(ctx context.Context, err error, started time.Time, limit time.Duration) error {
	if ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	timeout := &timeoutError{withoutURL(err).Error(), err}
	if time.Since(started) >= limit {
		timeout = newTimeout(limit, err)
		var at *bearer.EndpointError
		if errors.As(err, &at) {
			timeout.text = at.Before() + timeout.text
		}
	}
	return timeout
}

// withoutURL drops the method and URL that http.Client puts before every error.
func withoutURL(err error) error {
	if wrapped, ok := err.(*url.Error); ok {
		return wrapped.Err
	}
	return err
}

// ContextError is nil while the context goes on. It is what ended it, and always also the context's own error, which
// net/http replaces by the cause where there is one.
func ContextError(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if err == nil || errors.Is(cause, err) {
		return err
	}
	return fmt.Errorf("%w: %w", err, cause)
}
