package exchange

import (
	"crypto/x509"
	"errors"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go/internal/auth/bearer"
	"github.com/livemigration/livemigration-go/internal/response"
	"github.com/livemigration/livemigration-go/internal/retry"
)

const atlasError = `{"errorCode":"X","detail":"why"}`

// What is retried, for a request that may be carried out twice and for one that may not. In each case the second attempt
// would succeed.
func TestWhatIsRetried(t *testing.T) {
	t.Parallel()
	type want struct {
		verdict  Verdict
		attempts int
	}
	var (
		retried = want{Done, 2}
		final   = want{Failed, 1}
		lost    = want{Unknown, 1}
	)
	for _, tc := range []struct {
		name           string
		fault          step
		always, unsent want
	}{
		{"no fault", reply(201, "{}"), want{Done, 1}, want{Done, 1}},

		{"unsent", unsent(syscall.ECONNREFUSED), retried, retried},
		{"no access token", unsent(&bearer.TokenError{Err: errors.New("down")}), retried, retried},
		{"no access token because of a 500", unsent(&bearer.TokenError{Err: &response.Error{StatusCode: 500}}), retried, retried},
		{"no access token because of a 400", unsent(&bearer.TokenError{Err: &response.Error{StatusCode: 400}}), final, final},
		{"unsent, a certificate that nobody trusts", unsent(x509.UnknownAuthorityError{}), final, final},

		{"reset", fail(syscall.ECONNRESET), retried, lost},
		{"no response", fail(io.EOF), retried, lost},
		{"no response in time", hang, retried, lost},
		{"half a response", cut(`{"_id":`), retried, lost},
		{"a success that is a page", reply(200, "<html>"), retried, lost},
		{"no access token after an attempt that may have arrived", func(req *http.Request) (*http.Response, error) {
			_, _ = fail(io.EOF)(req)
			return nil, &bearer.TokenError{Err: errors.New("down")}
		}, retried, lost},
		{"sent, a certificate that nobody trusts", fail(x509.UnknownAuthorityError{}), final, lost},
		{"a response that is too large", sent(stream(201, func(*http.Request) io.Reader {
			return io.MultiReader(strings.NewReader("{"), io.LimitReader(zeros{}, response.MaxBody))
		})), final, lost},

		{"429", reply(429, atlasError), retried, retried},
		{"429 with Retry-After", reply(429, atlasError, "Retry-After", "1"), retried, retried},
		{"a gateway's 429", reply(429, ""), retried, retried},
		{"503 with Retry-After", reply(503, atlasError, "Retry-After", "1"), retried, retried},
		{"a gateway's 503 with Retry-After 0", reply(503, "<html>", "Retry-After", "0"), retried, retried},

		{"503 without Retry-After", reply(503, atlasError), retried, lost},
		{"503 with a Retry-After that is none", reply(503, "<html>", "Retry-After", "soon"), retried, lost},
		{"500", reply(500, atlasError), retried, lost},
		{"500 with Retry-After", reply(500, atlasError, "Retry-After", "1"), retried, lost},
		{"500 without Atlas's error", reply(500, ""), retried, lost},
		{"501", reply(501, ""), retried, lost},
		{"502", reply(502, atlasError), retried, lost},
		{"a gateway's 502", reply(502, "<html>"), retried, lost},
		{"504", reply(504, atlasError), retried, lost},
		{"a gateway's 504", reply(504, ""), retried, lost},
		{"a gateway's own 520", reply(520, "<html>"), retried, lost},
		{"408", reply(408, "<html>"), retried, lost},
		{"421", reply(421, ""), retried, lost},
		{"425", reply(425, ""), retried, lost},
		{"460", reply(460, ""), retried, lost},
		{"499", reply(499, ""), retried, lost},
		{"a 500 inside a success", reply(200, `{"error":500,"errorCode":"X"}`), retried, lost},
		{"a 409 inside a success", reply(200, `{"error":409,"errorCode":"X"}`), final, final},

		{"400", reply(400, atlasError), final, final},
		{"401", reply(401, ""), final, final},
		{"403", reply(403, atlasError), final, final},
		{"404", reply(404, atlasError), final, final},
		{"409", reply(409, atlasError), final, final},
		{"410", reply(410, atlasError), final, final},
		{"a redirect", reply(307, "", "Location", "https://b.invalid"), final, final},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			for _, call := range []struct {
				name string
				*Request
				want
			}{{"always", reading(), tc.always}, {"unsent", creating(), tc.unsent}} {
				synctest.Test(t, func(t *testing.T) {
					call.Decode = func(body []byte, err error) (string, error) {
						return "", response.CheckIgnored(body, err, true)
					}
					s := script(tc.fault, reply(201, "{}"))
					o := s.do(t, call.Request)
					assert.Equal(t, call.want, want{o.Verdict, o.Attempts}, call.name)
					assert.Len(t, s.requests, call.attempts, call.name)
					if o.Verdict != Done {
						assert.False(t, o.Failure.None(), call.name)
						assert.NotEmpty(t, o.Failure.Text, call.name)
					}
				})
			}
		})
	}
}

// zeros are a body without end.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

// A nonce that expires a second time while a request is under way says nothing about the keys.
func TestA401ThatIsAboutTheNonceIsRetried(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name     string
		stale    bool
		verdict  Verdict
		attempts int
	}{{"stale", true, Done, 2}, {"not stale", false, Failed, 1}} {
		for _, r := range []*Request{reading(), creating()} {
			t.Run(tc.name+"/"+r.Endpoint.Name, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					o := script(reply(401, ""), reply(200, "")).exchanger(with(&authenticator{stale: tc.stale})).Do(t.Context(), r)
					assert.Equal(t, tc.verdict, o.Verdict)
					assert.Equal(t, tc.attempts, o.Attempts)
				})
			})
		}
	}
}

func TestAttemptsAreLimited(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name         string
		policy, call int
		want         int
	}{
		{"by default", 0, 0, 5}, {"by the policy", 3, 0, 3}, {"to one", 1, 0, 1}, {"by the call", 5, 1, 1}, {"more by the call", 2, 4, 4},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := script(reply(500, atlasError))
				r := reading()
				r.MaxAttempts = tc.call
				o := s.exchanger(attempts(tc.policy)).Do(t.Context(), r)
				assert.Equal(t, Failed, o.Verdict)
				assert.Equal(t, tc.want, o.Attempts)
				assert.Len(t, s.requests, tc.want)
				assert.Equal(t, tc.want, o.Failure.Response.Attempts)
				assert.Equal(t, 500, o.Status)
				assert.False(t, o.Waiting, "for an attempt that will not be made")
			})
		})
	}
}

func TestEachAttemptSendsTheWholeRequest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := script(reply(429, ""), unsent(syscall.ECONNREFUSED), reply(201, ""))
		r := creating()
		r.Body = []byte(`{"a":1}`)
		require.Equal(t, Done, s.do(t, r).Verdict)
		assert.Equal(t, []string{`{"a":1}`, `{"a":1}`, `{"a":1}`}, s.bodies)
	})
}

// The waits before attempts, on the policy's default bounds.
func TestWaitsBetweenAttempts(t *testing.T) {
	t.Parallel()
	const never = -1
	for _, tc := range []struct {
		name         string
		fault        step
		least, most  time.Duration // between the first and the second attempt; never: there is none
		least2, big2 time.Duration // between the second and the third one
	}{
		{"backoff", fail(io.EOF), 0, time.Second, 0, 2 * time.Second},
		{"Retry-After is a floor", reply(429, "", "Retry-After", "10"), 10500 * time.Millisecond, 11 * time.Second, 11 * time.Second, 12 * time.Second},
		{"Retry-After of 0 seconds", reply(503, "", "Retry-After", "0"), time.Second / 2, time.Second, time.Second, 2 * time.Second},
		{"Retry-After of a 500 counts too", reply(500, "", "Retry-After", "10"), 10500 * time.Millisecond, 11 * time.Second, 11 * time.Second, 12 * time.Second},
		{"the longest Retry-After", reply(429, "", "Retry-After", "300"), 5 * time.Minute, 301 * time.Second, 301 * time.Second, 302 * time.Second},
		{"a longer one, which ends the call", reply(429, "", "Retry-After", "310"), never, 0, 0, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := script(tc.fault, tc.fault, reply(200, ""))
				o := s.do(t, reading())
				if tc.least == never {
					assert.Equal(t, Failed, o.Verdict)
					assert.Len(t, s.requests, 1)
					assert.Zero(t, o.Duration)
					assert.Equal(t, 5*time.Minute, o.Failure.Limit, "the longest wait of a call")
					return
				}
				require.Equal(t, Done, o.Verdict)
				assert.Zero(t, o.Before.Limit)
				require.Len(t, s.times, 3)
				for i, bounds := range [][2]time.Duration{{tc.least, tc.most}, {tc.least2, tc.big2}} {
					gap := s.times[i+1] - s.times[i]
					assert.GreaterOrEqual(t, gap, bounds[0])
					assert.LessOrEqual(t, gap, bounds[1])
				}
				assert.Equal(t, s.times[2], o.Duration)
			})
		})
	}
}

func TestTheBoundsOfThePolicyAreUsed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := script(reply(503, "", "Retry-After", "0"))
		s.exchanger(func(c *Config) {
			c.Policy = retry.Policy{MaxAttempts: 4, MinBackoff: time.Minute, MaxBackoff: 2 * time.Minute}
		}).Do(t.Context(), reading())
		require.Len(t, s.times, 4)
		for i, ceiling := range []time.Duration{time.Minute, 2 * time.Minute, 2 * time.Minute} {
			gap := s.times[i+1] - s.times[i]
			assert.GreaterOrEqual(t, gap, ceiling/2)
			assert.LessOrEqual(t, gap, ceiling)
		}
	})
}

// go-retryablehttp closes idle connections when a call fails. They are those of other calls.
func TestTheConnectionsOfOtherCallsAreLeftAlone(t *testing.T) {
	t.Parallel()
	s := script(fail(io.EOF))
	own := &closing{RoundTripper: s}
	x := s.exchanger(attempts(1), func(c *Config) { c.Transport = own })
	require.Equal(t, Failed, x.Do(t.Context(), reading()).Verdict)
	assert.False(t, own.closed)
}

type closing struct {
	http.RoundTripper
	closed bool
}

func (c *closing) CloseIdleConnections() { c.closed = true }

func TestTheTextOfAFailure(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name  string
		fault step
		want  string
	}{
		{"an error", fail(io.EOF), "EOF"},
		{"Atlas's error", reply(409, `{"errorCode":"X","detail":"why"}`), "409 X: why"},
		{"a page", reply(404, "<h1>gone</h1>"), "404 Not Found: gone"},
		{"an unusable success", reply(200, "<html>"), "unusable response: it is not JSON"},
		{"several lines", fail(errors.New("a\r\nb\x1b[0m")), "a b [0m"},
		{"a long one", fail(errors.New(strings.Repeat("x", 5000))), strings.Repeat("x", 1000) + "…"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			o := script(tc.fault).exchanger(attempts(1)).Do(t.Context(), reading())
			assert.Equal(t, tc.want, o.Failure.Text)
			assert.Equal(t, strings.HasPrefix(tc.want, "4"), o.Failure.Response != nil)
		})
	}
}
