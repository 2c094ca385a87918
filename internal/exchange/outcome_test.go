package exchange

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go/internal/auth/bearer"
	"github.com/livemigration/livemigration-go/internal/endpoint"
	"github.com/livemigration/livemigration-go/internal/response"
)

// What it means that a retry is rejected. A read is rejected for what it is; there is nothing left to delete; a cutover
// may have been carried out already.
func TestRejectedRetries(t *testing.T) {
	t.Parallel()
	var (
		reset    = fail(syscall.ECONNRESET)
		notFound = reply(404, atlasError)
		conflict = reply(409, atlasError)
	)
	for _, tc := range []struct {
		name                    string
		steps                   []step
		read, deletion, cutover Verdict
	}{
		{"not found", []step{notFound}, Failed, Failed, Failed},
		{"conflict", []step{conflict}, Failed, Failed, Failed},
		{"reset, success", []step{reset, reply(204, "")}, Done, Done, Done},
		{"reset, not found", []step{reset, notFound}, Failed, Done, Unknown},
		{"reset, conflict", []step{reset, conflict}, Failed, Failed, Unknown},
		{"reset, forbidden", []step{reset, reply(403, "")}, Failed, Failed, Unknown},
		{"reset, keys rejected", []step{reset, reply(401, "")}, Failed, Failed, Unknown},
		{"no response in time, not found", []step{hang, notFound}, Failed, Done, Unknown},
		{"half a page, not found", []step{cut("<h"), notFound}, Failed, Done, Unknown},
		{"500, not found", []step{reply(500, atlasError), notFound}, Failed, Done, Unknown},
		{"a gateway's 502, conflict", []step{reply(502, "<html>"), conflict}, Failed, Failed, Unknown},
		{"408, not found", []step{reply(408, ""), notFound}, Failed, Done, Unknown},
		{"503 with Retry-After, not found", []step{reply(503, "", "Retry-After", "1"), notFound}, Failed, Failed, Failed},
		{"429, not found", []step{reply(429, ""), notFound}, Failed, Failed, Failed},
		{"unsent, conflict", []step{unsent(syscall.ECONNREFUSED), conflict}, Failed, Failed, Failed},
		{"reset, 429, not found", []step{reset, reply(429, ""), notFound}, Failed, Done, Unknown},
		{"reset, 429 for ever", []step{reset, reply(429, "")}, Failed, Failed, Unknown},
		{"reset, unsent for ever", []step{reset, unsent(syscall.ECONNREFUSED)}, Failed, Failed, Failed},
		{"reset for ever", []step{reset}, Failed, Failed, Failed},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			for _, call := range []struct {
				*Request
				want Verdict
			}{{reading(), tc.read}, {deleting(), tc.deletion}, {cutting(), tc.cutover}} {
				synctest.Test(t, func(t *testing.T) {
					assert.Equal(t, call.want, script(tc.steps...).do(t, call.Request).Verdict, call.Endpoint.Name)
				})
			}
		})
	}
}

// What is retried also for a creation has certainly not been carried out, so it is no unknown outcome when it stays.
func TestACreationThatIsNeverCarriedOut(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		step step
	}{
		{"unsent", unsent(syscall.ECONNREFUSED)},
		{"no access token because of a 500", unsent(&bearer.TokenError{Err: &response.Error{StatusCode: 500}})},
		{"429", reply(429, "")},
		{"503 with Retry-After", reply(503, "", "Retry-After", "1")},
		{"a stale nonce", reply(401, "")},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				o := script(tc.step).exchanger(with(&authenticator{stale: true})).Do(t.Context(), creating())
				assert.Equal(t, Failed, o.Verdict)
				assert.Equal(t, 5, o.Attempts)
			})
		})
	}
}

// Over HTTP/2 net/http sends a request a second time by itself, so the rejection may be that of the second one.
func TestARejectionAfterARetryByNetHTTP(t *testing.T) {
	t.Parallel()
	conn := http2Conn(t)
	twice := func(status int) step {
		return sent(func(req *http.Request) (*http.Response, error) {
			trace := httptrace.ContextClientTrace(req.Context())
			for range 2 {
				trace.GetConn("atlas.invalid:443")
				trace.GotConn(httptrace.GotConnInfo{Conn: conn})
			}
			return respond(status, atlasError)(req)
		})
	}
	for _, tc := range []struct {
		name string
		*Request
		status int
		want   Verdict
	}{
		{"deletion, not found", deleting(), 404, Done},
		{"cutover, conflict", cutting(), 409, Unknown},
		{"read, not found", reading(), 404, Failed},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, tc.want, script(twice(tc.status)).do(t, tc.Request).Verdict)
		})
	}
}

// http2Conn is a connection over which HTTP/2 was agreed.
func http2Conn(t *testing.T) net.Conn {
	t.Helper()
	server := httptest.NewUnstartedServer(nil)
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	trusted := server.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
	trusted.NextProtos = []string{"h2"}
	conn, err := tls.Dial("tcp", server.Listener.Addr().String(), trusted)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func TestOutcomeOfASuccess(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := script(reply(429, "", "X-Try", "1"), reply(202, "", "X-Try", "2"))
		o := s.do(t, cutting())
		assert.Equal(t, Done, o.Verdict)
		assert.Equal(t, 2, o.Attempts)
		assert.Equal(t, 202, o.Status)
		assert.Equal(t, http.Header{"X-Try": {"2"}}, o.Header, "those of the last response")
		assert.NoError(t, o.Ended)
		assert.False(t, o.Waiting)
		assert.Equal(t, s.times[1], o.Duration)
	})
}

func TestOutcomeOfAFailure(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := script(reply(503, atlasError), reply(404, `{"errorCode":"GONE"}`, "X-Request-Id", "r-1")).do(t, reading())
		assert.Equal(t, Failed, o.Verdict)
		assert.Equal(t, 404, o.Status)
		require.NotNil(t, o.Failure.Response)
		assert.Equal(t, "GONE", o.Failure.Response.Code)
		assert.Equal(t, "r-1", o.Failure.Response.RequestID)
		assert.Equal(t, "GET", o.Failure.Response.Method)
		assert.Equal(t, reading().Path, o.Failure.Response.Path)
		assert.Equal(t, 2, o.Failure.Response.Attempts)
		require.NotNil(t, o.Before.Response)
		assert.Equal(t, 503, o.Before.Response.StatusCode)

		o = script(reply(503, atlasError, "X-Try", "1"), fail(io.EOF)).exchanger(attempts(2)).Do(t.Context(), reading())
		assert.Zero(t, o.Status, "the last attempt had no response")
		assert.Nil(t, o.Header)
		assert.Equal(t, io.EOF, o.Failure.Err, "without what http.Client puts before it")
		assert.Nil(t, o.Failure.Response)
		assert.False(t, o.Before.None())
	})
}

func TestAnUnknownOutcomeHasTheRequestID(t *testing.T) {
	t.Parallel()
	const header = "X-Request-Id"
	for _, tc := range []struct {
		name string
		step step
		want string
	}{
		{"an unusable success", reply(201, "<html>", header, "r-1"), "r-1"},
		{"a failure", reply(502, "", header, "r-1"), "r-1"},
		{"with a secret in it", reply(502, "", header, "a-k3y"), "a-[REDACTED]"},
		{"no response", fail(io.EOF), ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			o := script(tc.step).exchanger(with(&authenticator{secrets: []string{"k3y"}})).Do(t.Context(), creating())
			assert.Equal(t, Unknown, o.Verdict)
			assert.Equal(t, tc.want, o.RequestID)
		})
	}
}

// A failure of a token endpoint is shared by the calls that wait for the token. Each counts its own attempts.
func TestTheFailureOfATokenEndpointIsNotChanged(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		shared := &response.Error{StatusCode: 503, Method: "POST", Path: "/api/oauth/token"}
		o := script(unsent(shared)).exchanger(attempts(3)).Do(t.Context(), reading())
		assert.Equal(t, 3, o.Failure.Response.Attempts)
		assert.Equal(t, "/api/oauth/token", o.Failure.Response.Path)
		assert.Same(t, o.Failure.Response, o.Failure.Err)
		assert.Zero(t, shared.Attempts)
	})
}

func TestTheStatusOfAnEnvelopeCounts(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name    string
		step    step
		verdict Verdict
		status  int
		body    string
	}{
		{"success", reply(200, `{"status":201,"content":{"a":1}}`), Done, 201, `{"a":1}`},
		{"a failure inside a success", reply(200, `{"status":409,"content":{"errorCode":"X"}}`), Failed, 409, ""},
		{"a gateway's failure", reply(403, "<html>"), Failed, 403, ""},
		{"a success without one", reply(200, `{"a":1}`), Failed, 200, `{"a":1}`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := script(tc.step)
			r := reading()
			r.Query.Envelope = true
			var decoded []byte
			r.Decode = func(body []byte, err error) (string, error) {
				decoded = body
				return "", err
			}
			o := s.exchanger(attempts(1)).Do(t.Context(), r)
			assert.Equal(t, tc.verdict, o.Verdict)
			assert.Equal(t, tc.status, o.Status)
			assert.Equal(t, tc.body, string(decoded))
			assert.Equal(t, "envelope=true", s.requests[0].URL.RawQuery)
		})
	}
}

func TestDecodeSalvagesTheID(t *testing.T) {
	t.Parallel()
	broken := errors.New("no hosts")
	for _, tc := range []struct {
		name    string
		step    step
		decode  func([]byte, error) (string, error)
		verdict Verdict
		id      string
		text    string
	}{
		{"usable", reply(201, `{"a":1}`), func(body []byte, err error) (string, error) { return id, err }, Done, "", ""},
		{"unusable with an id", reply(201, `{"a":1}`), func([]byte, error) (string, error) { return id, broken }, Unknown, id, "unusable response: no hosts"},
		{"unusable without one", reply(201, `{"a":1}`), func([]byte, error) (string, error) { return "", broken }, Unknown, "", "unusable response: no hosts"},
		{"half of it", cut(`{"_id":`), func(body []byte, err error) (string, error) { return string(body), err }, Unknown, `{"_id":`, "unusable response: unexpected EOF"},
		{"a page", reply(200, "<h1>log in</h1>"), func([]byte, error) (string, error) { return "", broken }, Unknown, "", "unusable response: no hosts: log in"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			r := creating()
			r.Decode = tc.decode
			o := script(tc.step).do(t, r)
			assert.Equal(t, tc.verdict, o.Verdict)
			assert.Equal(t, tc.id, o.Failure.ID)
			assert.Equal(t, tc.text, o.Failure.Text)
			assert.Equal(t, 1, o.Attempts)
		})
	}
}

func TestWithoutDecodeTheStatusSaysEverything(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name     string
		step     step
		envelope bool
		want     Verdict
	}{
		{"nothing", reply(204, ""), false, Done},
		{"any JSON", reply(200, `{"a":1}`), false, Done},
		{"half of some JSON", cut(`{"a":`), false, Failed},
		{"half of a job", cut(`{"_id":"5f","a":`), false, Done},
		{"a page", reply(200, "<html>"), false, Failed},
		{"half of an envelope", cut(`{"status":`), true, Failed},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			r := of(&endpoint.Cutover)
			r.Query.Envelope = tc.envelope
			assert.Equal(t, tc.want, script(tc.step).exchanger(attempts(1)).Do(t.Context(), r).Verdict)
		})
	}
}

func TestTheZeroFailureIsNone(t *testing.T) {
	t.Parallel()
	assert.True(t, (&Failure{}).None())
	assert.False(t, (&Failure{Err: io.EOF}).None())
}

// Other texts than those of a response may be a server's too, and so may those of the errors inside.
func TestAnErrorShowsNoSecretInside(t *testing.T) {
	t.Parallel()
	o := script(fail(&net.OpError{Op: "read", Err: errors.New(`malformed HTTP response "your k3y"`)})).
		exchanger(attempts(1), with(&authenticator{secrets: []string{"k3y"}})).Do(t.Context(), reading())
	assert.Equal(t, `read: malformed HTTP response "your [REDACTED]"`, o.Failure.Text)
	require.EqualError(t, o.Failure.Err, o.Failure.Text)
	assert.NoError(t, errors.Unwrap(o.Failure.Err))
	var network net.Error
	assert.ErrorAs(t, o.Failure.Err, &network)
}
