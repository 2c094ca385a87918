package retry

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go/internal/response"
)

func TestPermanent(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		err  error
		want bool
	}{
		{"verification", &tls.CertificateVerificationError{Err: errors.New("x")}, true},
		{"authority", x509.UnknownAuthorityError{}, true},
		{"host", x509.HostnameError{Certificate: &x509.Certificate{}}, true},
		{"invalid", x509.CertificateInvalidError{Cert: &x509.Certificate{}}, true},
		{"a proxy that wants credentials", &proxyError{http.StatusProxyAuthRequired}, true},
		{"a proxy that is down", &proxyError{http.StatusBadGateway}, false},
		{"too large", response.ErrTooLarge, true},
		{"the network", io.EOF, false},
		{"a deadline", context.DeadlineExceeded, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, tc.want, Permanent(tc.err))
			assert.Equal(t, tc.want, Permanent(fmt.Errorf("wrapped: %w", tc.err)))
		})
	}
}

func TestPassing(t *testing.T) {
	t.Parallel()
	passing := map[int]bool{408: true, 421: true, 425: true, 429: true, 460: true, 499: true}
	for status := 100; status < 600; status++ {
		assert.Equal(t, passing[status] || status >= 500, Passing(status), status)
	}
}

func TestProxiesSayThatTheyDoNotConnect(t *testing.T) {
	t.Parallel()
	check := func(status int) error {
		return CheckProxy(t.Context(), nil, nil, &http.Response{StatusCode: status, Status: "a bare status"})
	}
	require.NoError(t, check(http.StatusOK))
	var proxy *proxyError
	require.ErrorAs(t, check(http.StatusProxyAuthRequired), &proxy)
	assert.Equal(t, http.StatusProxyAuthRequired, proxy.status)
	assert.ErrorContains(t, proxy, ": 407 Proxy Authentication Required")
	assert.ErrorContains(t, proxy, "the proxy ")
}

// A proxy's word is asked for by a hook of net/http.
var _ = http.Transport{OnProxyConnectResponse: CheckProxy}

func TestATimeoutIsNoDeadlineOfTheCaller(t *testing.T) {
	t.Parallel()
	inner := &net.OpError{Op: "read", Err: context.DeadlineExceeded}
	err := NewTimeout(30*time.Second, inner)
	assert.EqualError(t, err, "no response within 30s")
	assert.NotErrorIs(t, err, context.DeadlineExceeded)
	assert.ErrorIs(t, err, inner, "in all other respects it is its own error")
	var network *net.OpError
	require.ErrorAs(t, err, &network)
	assert.Same(t, inner, network)
	timeout, ok := err.(net.Error)
	require.True(t, ok)
	assert.True(t, timeout.Timeout())
	temporary, ok := err.(interface{ Temporary() bool })
	require.True(t, ok)
	assert.True(t, temporary.Temporary())
}

func TestContextError(t *testing.T) {
	t.Parallel()
	cause := errors.New("the user pressed Ctrl-C")
	cancelled := func(cause error) context.Context {
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(cause)
		return ctx
	}
	require.NoError(t, ContextError(t.Context()))
	assert.Equal(t, context.Canceled, ContextError(cancelled(nil)))
	wrapping := fmt.Errorf("stopping: %w", context.Canceled)
	assert.Equal(t, context.Canceled, ContextError(cancelled(wrapping)))
	err := ContextError(cancelled(cause))
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, err, cause)
	assert.EqualError(t, err, "context canceled: the user pressed Ctrl-C")
}

// before is an error that says what it is about.
type before struct{ error }

func (before) Before() string { return "POST /token: " }

func (b before) Unwrap() error { return b.error }

func TestNamesOfTimeouts(t *testing.T) {
	t.Parallel()
	late := &url.Error{Op: "Get", URL: "https://a", Err: context.DeadlineExceeded}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for name, tc := range map[string]struct {
		ctx  context.Context
		err  error
		took time.Duration
		want string
	}{
		"the attempt's time":       {t.Context(), late, time.Minute, "no response within 30s"},
		"of a request for a token": {t.Context(), before{late}, time.Minute, "POST /token: no response within 30s"},
		"a time of the transport":  {t.Context(), late, time.Second, "context deadline exceeded"},
		"the caller's context":     {ended, late, time.Minute, late.Error()},
		"something else":           {t.Context(), io.EOF, time.Minute, "EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := NameTimeout(tc.ctx, tc.err, time.Now().Add(-tc.took), 30*time.Second)
			assert.EqualError(t, err, tc.want)
			assert.ErrorIs(t, err, tc.err)
			assert.Equal(t, tc.ctx.Err() != nil, errors.Is(err, context.DeadlineExceeded))
		})
	}
	assert.Equal(t, io.EOF, WithoutURL(&url.Error{Err: io.EOF}))
	assert.NotContains(t, redirectTo(t, "mongodb://user:pa%2Fss/pa%2Fss@vm001").Error(), "pa%2F")
}

// redirectTo is the error of net/http about a redirect.
func redirectTo(t *testing.T, location string) error {
	t.Helper()
	client := http.Client{Transport: roundTrip(func(req *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 307, Header: http.Header{"Location": {location}}, Body: http.NoBody, Request: req}, nil
	})}
	resp, err := client.Get("https://a/")
	require.Error(t, err)
	require.Nil(t, resp)
	return WithoutURL(err)
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }
