package delivery

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go/internal/auth"
)

func TestARequestWithoutAStateIsPassedOnAsItIs(t *testing.T) {
	t.Parallel()
	var passed *http.Request
	base := roundTripper(func(req *http.Request) (*http.Response, error) {
		passed = req
		return nil, io.EOF
	})
	req := httptest.NewRequest(http.MethodPost, "/", strings.NewReader("body"))
	for name, transport := range map[string]http.RoundTripper{"transport": NewTransport(base), "entrance": &Entrance{base}} {
		_, err := transport.RoundTrip(req)
		require.ErrorIs(t, err, io.EOF, name)
		assert.Same(t, req, passed, name)
	}
}

// What a real connection shows of a request that changes something.
func TestWhatBecomesOfARequestOverHTTP1(t *testing.T) {
	t.Parallel()
	serve := func(responses ...string) func(*testing.T) string {
		return func(t *testing.T) string {
			_, url := http1(t, responses...)
			return url
		}
	}
	for _, tc := range []struct {
		name            string
		server          func(*testing.T) string
		fails           bool
		unsent, arrived bool
	}{
		{"a response", serve(ok), false, false, true},
		{"a failure of the server", serve("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"), false, false, true},
		{"credentials that are rejected", serve(unauthorized), false, false, false},
		{"no connection", nowhere, true, true, false},
		{"closed without a response", serve(closed), true, false, true},
		{"closed within the head of a response", serve("HTTP/1.1 200 OK\r\nContent-"), true, false, true},
		{"no HTTP", serve("220 mail.example.com ESMTP\r\n"), true, false, true},
		{"closed before TLS", func(t *testing.T) string {
			return "https://" + listen(t, func(int, net.Conn) {})
		}, true, true, false},
		{"no TLS", func(t *testing.T) string {
			return "https://" + listen(t, func(_ int, c net.Conn) { _, _ = io.WriteString(c, "220 mail.example.com ESMTP\r\n") })
		}, true, true, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			c := newCall(t, &State{Once: true})
			_, err := c.send(t, NewTransport(standard(t)), c.request(t, http.MethodPost, tc.server(t), "body"))
			assert.Equal(t, tc.fails, err != nil, err)
			assert.Equal(t, tc.unsent, c.Unsent(), "unsent")
			assert.Equal(t, tc.arrived, c.Arrived(), "arrived")
		})
	}
}

// A transport of the user's may send a request in ways that nobody here sees.
func TestWhatBecomesOfARequestBehindAnotherTransport(t *testing.T) {
	t.Parallel()
	status := func(code int) roundTripper {
		return func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: code, Body: http.NoBody}, nil
		}
	}
	for _, tc := range []struct {
		name    string
		base    roundTripper
		arrived bool
	}{
		{"an error", func(*http.Request) (*http.Response, error) { return nil, syscall.ECONNREFUSED }, true},
		{"neither a response nor an error", func(*http.Request) (*http.Response, error) { return nil, nil }, true},
		{"a response", status(200), true},
		{"credentials that are rejected", status(401), false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			c := newCall(t, new(State))
			c.Begin()
			resp, _ := NewTransport(tc.base).RoundTrip(c.request(t, http.MethodPost, "http://a.invalid", ""))
			if resp != nil {
				_ = resp.Body.Close()
			}
			assert.False(t, c.Unsent())
			assert.Equal(t, tc.arrived, c.Arrived())
		})
	}
}

func TestARequestForCredentialsDoesNotCount(t *testing.T) {
	t.Parallel()
	_, url := http1(t, closed)
	c := newCall(t, new(State))
	req := c.request(t, http.MethodPost, url, "")
	_, err := c.send(t, NewTransport(standard(t)), req.WithContext(auth.WithNegotiation(req.Context())))
	require.Error(t, err)
	assert.True(t, c.Unsent())
	assert.False(t, c.Arrived())
}

func TestAnAttemptBeginsWithoutWhatWasBefore(t *testing.T) {
	t.Parallel()
	_, url := http1(t, ok)
	c := newCall(t, new(State))
	transport := NewTransport(standard(t))
	_, err := c.send(t, transport, c.request(t, http.MethodPost, url, "body"))
	require.NoError(t, err)
	require.True(t, c.Arrived())
	_, err = c.send(t, transport, c.request(t, http.MethodPost, nowhere(t), "body"))
	require.ErrorIs(t, err, syscall.ECONNREFUSED)
	assert.True(t, c.Unsent())
	assert.False(t, c.Arrived())
}

// A connection that turns out to be closed before a byte of the request is written is replaced by net/http itself.
func TestAnIdleConnectionThatWasClosed(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		server func(http.Handler) *httptest.Server
		dial   error
	}{
		{"is replaced", httptest.NewServer, nil},
		{"is replaced over TLS", httptest.NewTLSServer, nil},
		{"cannot be replaced", httptest.NewServer, syscall.ECONNREFUSED},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			var received atomic.Int32
			server := tc.server(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { received.Add(1) }))
			defer server.Close()
			dialer := new(breakable)
			base := server.Client().Transport.(*http.Transport)
			base.DialContext = dialer.DialContext
			transport := NewTransport(base)
			c := newCall(t, &State{Once: true})
			_, err := c.send(t, transport, c.request(t, http.MethodPost, server.URL, "first"))
			require.NoError(t, err)

			dialer.set(syscall.ECONNRESET, tc.dial)
			_, err = c.send(t, transport, c.request(t, http.MethodPost, server.URL, "second"))
			require.ErrorIs(t, err, tc.dial)
			assert.Equal(t, tc.dial != nil, c.Unsent())
			assert.Equal(t, tc.dial == nil, c.Arrived())
			assert.False(t, c.TwiceOverH2())
			if tc.dial == nil {
				assert.EqualValues(t, 2, received.Load())
			}
		})
	}
}

// net/http sends a request with such a header a second time by itself, also when the server has had all of it.
func TestAHeaderThatCallsARequestIdempotentIsNotSent(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		header string
		once   bool
		sent   int
	}{
		{"once", "Idempotency-Key", true, 1},
		{"once, the older name", "X-Idempotency-Key", true, 1},
		{"may be sent twice", "Idempotency-Key", false, 2},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			server, url := http1(t, ok, closed, ok)
			transport := NewTransport(standard(t))
			c := newCall(t, &State{Once: tc.once})
			_, err := c.send(t, transport, c.request(t, http.MethodPost, url, "first"))
			require.NoError(t, err, "from now on there is an idle connection")

			req := c.request(t, http.MethodPost, url, "second")
			req.Header[tc.header] = []string{"key"}
			_, err = c.send(t, transport, req)
			assert.Equal(t, tc.once, err != nil)
			assert.False(t, c.Unsent())
			assert.True(t, c.Arrived())
			requests, _ := server.seen()
			require.Len(t, requests, 1+tc.sent)
			assert.Equal(t, tc.once, requests[1].Header.Get(tc.header) == "")
			assert.Equal(t, "key", req.Header.Get(tc.header), "the caller's request is not changed")
		})
	}
}

// closes is a body that notes whether it was closed.
type closes struct {
	io.Reader
	closed bool
}

func (c *closes) Close() error {
	c.closed = true
	return nil
}

// net/http sends a read a second time by itself, with the same Authorization header. A server that counts requests
// rejects it with a 401 that says nothing about the keys.
func TestARequestThatIsRejectedForItsCount(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name     string
		counted  bool
		method   string
		response string
		rejected bool
	}{
		{"a read that was sent twice", true, http.MethodGet, unauthorized, true},
		{"with another response", true, http.MethodGet, ok, false},
		{"where nobody counts", false, http.MethodGet, unauthorized, false},
		{"another method", true, http.MethodHead, "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			server, url := http1(t, ok, closed, tc.response)
			var body *closes
			base := standard(t)
			transport := NewTransport(base)
			transport.first.roundTrip = func(req *http.Request) (*http.Response, error) {
				resp, err := base.RoundTrip(req)
				if err == nil {
					body = &closes{Reader: resp.Body}
					resp.Body = body
				}
				return resp, err
			}
			c := newCall(t, &State{Counted: tc.counted})
			_, err := c.send(t, transport, c.request(t, tc.method, url, ""))
			require.NoError(t, err, "from now on there is an idle connection")

			body = nil
			status, err := c.send(t, transport, c.request(t, tc.method, url, ""))
			requests, _ := server.seen()
			assert.Len(t, requests, 3)
			assert.True(t, body.closed)
			if !tc.rejected {
				require.NoError(t, err)
				assert.NotZero(t, status)
				return
			}
			require.ErrorIs(t, err, io.ErrUnexpectedEOF)
			assert.ErrorContains(t, err, "rejected for its nonce count")
			assert.True(t, c.Arrived())
		})
	}
}

// Without a retry by net/http a 401 is about the keys.
func TestA401OfARequestThatWasSentOnceIsPassedOn(t *testing.T) {
	t.Parallel()
	_, url := http1(t, ok, unauthorized)
	transport := NewTransport(standard(t))
	c := newCall(t, &State{Counted: true})
	_, err := c.send(t, transport, c.request(t, http.MethodGet, url, ""))
	require.NoError(t, err)
	status, err := c.send(t, transport, c.request(t, http.MethodGet, url, ""))
	require.NoError(t, err)
	assert.Equal(t, http.StatusUnauthorized, status)
}

// Wrappers of the user stand above the entrance. What they do not pass on is not seen.
func TestEntrance(t *testing.T) {
	t.Parallel()
	c := newCall(t, new(State))
	broken := errors.New("broken")
	begin := func() {
		c.Begin()
		c.Hide()
	}
	req := c.request(t, http.MethodPost, "http://a.invalid", "")

	begin()
	assert.False(t, c.Unsent(), "a wrapper may have sent it by itself")

	begin()
	_, err := (&Entrance{roundTripper(func(*http.Request) (*http.Response, error) {
		assert.False(t, c.Unsent(), "it is still under way here, whatever the wrapper says")
		return nil, broken
	})}).RoundTrip(req)
	require.ErrorIs(t, err, broken)
	assert.True(t, c.Unsent(), "it arrived here, and did not go on")

	begin()
	_, err = (&Entrance{NewTransport(roundTripper(func(*http.Request) (*http.Response, error) { return nil, broken }))}).RoundTrip(req)
	require.ErrorIs(t, err, broken)
	assert.False(t, c.Unsent(), "what is known below is not forgotten")

	begin()
	entrance := &Entrance{}
	passed := 0
	entrance.Base = roundTripper(func(req *http.Request) (*http.Response, error) {
		if passed++; passed == 2 {
			return nil, broken
		}
		c.enter(false, true)
		c.connecting()
		c.connected(nil)
		_, err := entrance.RoundTrip(req) // the wrapper passes it on a second time, and that one does not get far
		c.leave(nil, err)
		return nil, err
	})
	_, err = entrance.RoundTrip(req)
	require.ErrorIs(t, err, broken)
	assert.False(t, c.Unsent(), "the first one may have arrived")
}

func TestTheStateOfARequestIsKeptForItsCredentials(t *testing.T) {
	t.Parallel()
	var key any = stateKey{}
	marked, ok := key.(interface{ OfLibrary() })
	require.True(t, ok)
	marked.OfLibrary()
}
