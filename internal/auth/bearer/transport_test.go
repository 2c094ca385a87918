package bearer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go/internal/auth"
)

// rig is a server that takes the tokens that it has issued and not revoked, and the transport before it.
type rig struct {
	*Transport
	lifetime time.Duration
	fetch    func(context.Context) error // before a token is issued
	pause    time.Duration               // with its errors

	mu      sync.Mutex
	issued  int
	good    map[string]bool
	arrived []string // the Authorization values
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

func newRig(lifetime time.Duration) *rig {
	r := &rig{lifetime: lifetime, good: map[string]bool{}, fetch: func(context.Context) error { return nil }}
	r.Transport = newTransport(&url.URL{Scheme: "https", Host: "atlas.example"}, r.issue, roundTripper(r.serve))
	return r
}

func (r *rig) issue(ctx context.Context, _ string) (Token, time.Duration, error) {
	if !auth.IsNegotiation(ctx) {
		return Token{}, 0, errors.New("the request for a token is not marked")
	}
	if err := r.fetch(ctx); err != nil {
		return Token{}, r.pause, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.issued++
	value := fmt.Sprint("token-", r.issued)
	r.good[value] = true
	return Token{Value: value, Lifetime: r.lifetime}, 0, nil
}

func (r *rig) revokeAll() {
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.good)
}

func (r *rig) serve(req *http.Request) (*http.Response, error) {
	if req.Body != nil {
		defer req.Body.Close()
		_, _ = io.Copy(io.Discard, req.Body)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	value := req.Header.Get("Authorization")
	r.arrived = append(r.arrived, value)
	resp := &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(""))}
	if token, ok := strings.CutPrefix(value, "Bearer "); !ok || !r.good[token] {
		resp.StatusCode = http.StatusUnauthorized
	}
	return resp, nil
}

func request(t *testing.T, ctx context.Context, body io.Reader) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://atlas.example/x", body)
	require.NoError(t, err)
	return req
}

func (r *rig) call(t *testing.T) (int, error) {
	t.Helper()
	resp, err := r.RoundTrip(request(t, t.Context(), strings.NewReader("body")))
	if err != nil {
		return 0, err
	}
	return resp.StatusCode, nil
}

func TestOneTokenForAllWhoAskAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(time.Hour)
		r.fetch = func(context.Context) error { time.Sleep(time.Second); return nil }
		var callers sync.WaitGroup
		for range 50 {
			callers.Go(func() {
				status, err := r.call(t)
				assert.NoError(t, err)
				assert.Equal(t, 200, status)
			})
		}
		callers.Wait()
		assert.Equal(t, 1, r.issued)
		assert.Len(t, r.arrived, 50)
	})
}

func TestATokenIsRenewedBeforeItExpires(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ lifetime, margin time.Duration }{
		{time.Hour, time.Minute}, {10 * time.Minute, time.Minute}, {30 * time.Second, 3 * time.Second}, {time.Second, 100 * time.Millisecond},
	} {
		t.Run(tc.lifetime.String(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newRig(tc.lifetime)
				_, err := r.call(t)
				require.NoError(t, err)
				time.Sleep(tc.lifetime - tc.margin - 1)
				_, err = r.call(t)
				require.NoError(t, err)
				assert.Equal(t, 1, r.issued, "too early")
				time.Sleep(time.Nanosecond)
				_, err = r.call(t)
				require.NoError(t, err)
				assert.Equal(t, 2, r.issued, "too late")
			})
		})
	}
}

func TestALifetimeCountsFromTheRequestForTheToken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(10 * time.Second)
		r.fetch = func(context.Context) error { time.Sleep(4 * time.Second); return nil }
		_, err := r.call(t)
		require.NoError(t, err)
		time.Sleep(5 * time.Second)
		_, err = r.call(t)
		require.NoError(t, err)
		assert.Equal(t, 2, r.issued)
	})
}

func TestOthersUseAGoodTokenWhileOneRenewsIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(time.Hour)
		_, err := r.call(t)
		require.NoError(t, err)
		time.Sleep(time.Hour - 30*time.Second)
		r.fetch = func(context.Context) error { time.Sleep(3 * time.Second); return nil }
		var leader sync.WaitGroup
		leader.Go(func() { _, err := r.call(t); assert.NoError(t, err) })
		synctest.Wait()
		start := time.Now()
		_, err = r.call(t)
		require.NoError(t, err)
		assert.Zero(t, time.Since(start))
		leader.Wait()
		assert.Equal(t, []string{"Bearer token-1", "Bearer token-1", "Bearer token-2"}, r.arrived)
	})
}

func TestAFailedRenewalIsNoFailureWhileTheTokenIsGood(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(time.Hour)
		_, err := r.call(t)
		require.NoError(t, err)
		time.Sleep(time.Hour - 40*time.Second)
		fetches := 0
		r.fetch = func(ctx context.Context) error { fetches++; <-ctx.Done(); return ctx.Err() }
		start := time.Now()
		status, err := r.call(t)
		require.NoError(t, err)
		assert.Equal(t, 200, status)
		assert.Equal(t, earlyRenewal, time.Since(start), "a renewal that hangs holds nobody up for long")
		_, err = r.call(t)
		require.NoError(t, err)
		assert.Equal(t, 1, fetches, "not with every request")
		time.Sleep(time.Minute)
		broken := errors.New("broken")
		r.fetch = func(context.Context) error { return broken }
		_, err = r.call(t)
		require.ErrorIs(t, err, broken)
		require.ErrorAs(t, err, new(*TokenError))
	})
}

func TestARejectedTokenIsReplacedOnce(t *testing.T) {
	t.Parallel()
	r := newRig(time.Hour)
	_, err := r.call(t)
	require.NoError(t, err)
	r.revokeAll()
	status, err := r.call(t)
	require.NoError(t, err)
	assert.Equal(t, 200, status)
	assert.Equal(t, []string{"Bearer token-1", "Bearer token-1", "Bearer token-2"}, r.arrived)
	assert.Equal(t, []string{"token-2", "token-1"}, r.Recent())

	r.base = roundTripper(func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: http.StatusUnauthorized, Body: http.NoBody}, nil
	})
	status, err = r.call(t)
	require.NoError(t, err)
	assert.Equal(t, http.StatusUnauthorized, status, "the second rejection counts")
	assert.Equal(t, 3, r.issued)

	resp, err := r.RoundTrip(request(t, t.Context(), io.NopCloser(strings.NewReader("once"))))
	require.NoError(t, err)
	assert.Equal(t, http.StatusUnauthorized, resp.StatusCode)
	assert.Equal(t, 3, r.issued, "a body that cannot be read again is not sent again")
}

func TestAFailedFetchIsSharedAndAnEndedContextIsNot(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(time.Hour)
		broken := errors.New("broken")
		fetches := 0
		r.fetch = func(context.Context) error { fetches++; time.Sleep(time.Second); return broken }
		var callers sync.WaitGroup
		for range 10 {
			callers.Go(func() {
				_, err := r.call(t)
				assert.ErrorIs(t, err, broken)
			})
		}
		callers.Wait()
		assert.Equal(t, 1, fetches)

		// The context of the one that fetches ends. Another fetches in its place.
		r.fetch = func(ctx context.Context) error {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(time.Second):
				return nil
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second/2)
		defer cancel()
		callers.Go(func() {
			_, err := r.RoundTrip(request(t, ctx, nil))
			assert.ErrorIs(t, err, context.DeadlineExceeded)
		})
		synctest.Wait()
		for range 10 {
			callers.Go(func() {
				status, err := r.call(t)
				assert.NoError(t, err)
				assert.Equal(t, 200, status)
			})
		}
		short, cancelShort := context.WithTimeout(t.Context(), time.Second/4)
		defer cancelShort()
		_, err := r.RoundTrip(request(t, short, strings.NewReader("x")))
		require.ErrorIs(t, err, context.DeadlineExceeded, "who waits for another's fetch ends with its own context")
		callers.Wait()
		assert.Equal(t, 1, r.issued)
	})
}

func TestOtherOriginsSeeNoToken(t *testing.T) {
	t.Parallel()
	r := newRig(time.Hour)
	for _, target := range []string{"https://other.example/x", "http://atlas.example/x", "https://atlas.example:8443/x"} {
		req := request(t, t.Context(), nil)
		var err error
		req.URL, err = url.Parse(target)
		require.NoError(t, err)
		_, err = r.RoundTrip(req)
		require.NoError(t, err)
		assert.Empty(t, req.Header)
	}
	assert.Equal(t, []string{"", "", ""}, r.arrived)
	assert.Zero(t, r.issued)
}

func TestForget(t *testing.T) {
	t.Parallel()
	r := newRig(0)
	assert.Empty(t, r.Current())
	_, err := r.call(t)
	require.NoError(t, err)
	r.Forget("another")
	assert.Equal(t, "token-1", r.Current())
	r.Forget("token-1")
	assert.Empty(t, r.Current())
}

func TestNothingPrintsAToken(t *testing.T) {
	t.Parallel()
	r := newRig(time.Hour)
	_, err := r.call(t)
	require.NoError(t, err)
	for _, format := range []string{"%v", "%+v", "%#v"} {
		assert.NotContains(t, fmt.Sprintf(format, r.tokens.held), "token-1")
	}
}

func TestABrokenBaseIsAnError(t *testing.T) {
	t.Parallel()
	r := newRig(time.Hour)
	var calls atomic.Int32
	r.base = roundTripper(func(*http.Request) (*http.Response, error) { calls.Add(1); return nil, nil })
	_, err := r.call(t)
	require.Error(t, err)
	assert.EqualValues(t, 1, calls.Load())
}
