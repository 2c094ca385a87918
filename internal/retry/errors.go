package retry

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/livemigration/livemigration-go/internal/response"
)

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
		proxy       *proxyError
	)
	return errors.As(err, &certificate) || errors.As(err, &authority) || errors.As(err, &host) || errors.As(err, &invalid) ||
		errors.As(err, &proxy) && proxy.status == http.StatusProxyAuthRequired || errors.Is(err, response.ErrTooLarge)
}

// proxyError says that it was a proxy that did not connect.
type proxyError struct{ status int }

// CheckProxy is a hook for [http.Transport.OnProxyConnectResponse]. net/http's own error is the bare status.
func CheckProxy(_ context.Context, _ *url.URL, _ *http.Request, resp *http.Response) error {
	if resp.StatusCode == http.StatusOK {
		return nil
	}
	return &proxyError{resp.StatusCode}
}

func (e *proxyError) Error() string {
	return fmt.Sprintf("the proxy rejected the connection: %d %s", e.status, http.StatusText(e.status))
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

// NewTimeout is the error of a request that got no response within its time, where err says so in other words. It is not
// the deadline of the caller's context.
func NewTimeout(limit time.Duration, err error) error {
	return &timeoutError{"no response within " + limit.String(), err}
}

// NameTimeout gives the end of an attempt's time, or of a time that the user's transport has set, an error of its own: that
// of package net is also the error of a context. Before it stands what an error with a method Before says.
func NameTimeout(ctx context.Context, err error, started time.Time, limit time.Duration) error {
	if ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	if time.Since(started) < limit {
		return &timeoutError{WithoutURL(err).Error(), err}
	}
	timeout := NewTimeout(limit, err)
	var at interface {
		error
		Before() string
	}
	if errors.As(err, &at) {
		return &timeoutError{at.Before() + timeout.Error(), err}
	}
	return timeout
}

// WithoutURL drops the method and URL that http.Client puts before every error. An error about the URL of a redirect shows
// parts of it, in which a password may stand, so it is replaced.
func WithoutURL(err error) error {
	wrapped, ok := err.(*url.Error)
	switch {
	case !ok:
		return err
	case strings.HasPrefix(wrapped.Err.Error(), "failed to parse Location header"):
		return errRedirect
	default:
		return wrapped.Err
	}
}

var errRedirect = errors.New("redirect to a malformed URL rejected")

// ContextError is nil while the context goes on. It is what ended it, and always also the context's own error, which
// net/http replaces by the cause where there is one.
func ContextError(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if err == nil || errors.Is(cause, err) {
		return err
	}
	return fmt.Errorf("%w: %w", err, cause)
}
