package bearer_test

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go/internal/auth"
	"github.com/livemigration/livemigration-go/internal/auth/bearer"
)

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

func TestOneFetchForAllWhoWait(t *testing.T) {
	t.Parallel()
	for name, renewal := range map[string]bool{"the first token": false, "in place of a rejected one": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				server := &atlas{}
				a := server.account()
				if renewal {
					succeeds(t, a)
					server.revokeAll()
				}
				before := len(server.fetches)
				server.issuing = func(*http.Request) (*http.Response, error) { time.Sleep(10 * time.Second); return nil, nil }
				start := time.Now()
				var callers sync.WaitGroup
				for range 50 {
					callers.Go(func() { succeeds(t, a) })
				}
				synctest.Wait()
				impatient, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				_, err := get(impatient, a)
				require.ErrorIs(t, err, context.DeadlineExceeded)
				require.True(t, auth.IsUnsent(err))
				assert.Equal(t, time.Second, time.Since(start), "each waits with its own context")
				callers.Wait()
				assert.Len(t, server.fetches, before+1)
			})
		})
	}
}

// A caller may have seen that there is no token just before a fetch ended.
func TestOneFetchForACallerThatComesLate(t *testing.T) {
	t.Parallel()
	server := &atlas{}
	a := server.account()
	succeeds(t, a)
	require.NoError(t, a.RenewNone())
	assert.Len(t, server.fetches, 1)
}

func TestALateRejectionOfAnOldToken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server := &atlas{}
		slow := false
		a := bearer.NewAccount(origin, clientID, clientSecret, roundTripper(func(req *http.Request) (*http.Response, error) {
			resp, err := server.RoundTrip(req)
			if slow {
				slow = false
				time.Sleep(time.Minute)
			}
			return resp, err
		}))
		succeeds(t, a)
		server.revokeAll()
		slow = true
		var first sync.WaitGroup
		first.Go(func() { succeeds(t, a) })
		synctest.Wait()
		succeeds(t, a)
		first.Wait()
		assert.Equal(t, []string{"token-1", "token-1", "token-1", "token-2", "token-2"}, server.arrived)
		assert.Equal(t, 2, server.issued)
	})
}

func TestAFetchThatHangsEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server := &atlas{issuing: func(req *http.Request) (*http.Response, error) {
			<-req.Context().Done()
			return nil, req.Context().Err()
		}}
		start := time.Now()
		_, err := get(t.Context(), server.account())
		require.EqualError(t, err, "POST https://atlas.example/api/oauth/token: no response within 30s")
		require.NotErrorIs(t, err, context.DeadlineExceeded, "it is not the caller's deadline")
		assert.Equal(t, 30*time.Second, time.Since(start))
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
				server := &atlas{lifetime: tc.lifetime}
				server.issuing = func(*http.Request) (*http.Response, error) { time.Sleep(tc.margin / 2); return nil, nil }
				a := server.account()
				start := time.Now()
				succeeds(t, a)
				time.Sleep(time.Until(start.Add(tc.lifetime - tc.margin - 1)))
				succeeds(t, a)
				assert.Equal(t, 1, server.issued, "too early")
				time.Sleep(time.Nanosecond)
				start = time.Now()
				for range 10 {
					succeeds(t, a)
				}
				assert.Zero(t, time.Since(start), "nobody waits while the token is good")
				time.Sleep(tc.margin / 2)
				synctest.Wait()
				succeeds(t, a)
				assert.Equal(t, 2, server.issued)
				assert.Equal(t, "token-2", server.arrived[len(server.arrived)-1])
				assert.Equal(t, []string{"token-2", "token-1"}, a.Secrets()[:2])
			})
		})
	}
}

func TestAFailedRenewalIsNoFailureWhileTheTokenIsGood(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server, broken := &atlas{}, errors.New("broken")
		a := server.account()
		succeeds(t, a)
		server.issuing = func(*http.Request) (*http.Response, error) { return nil, broken }
		time.Sleep(time.Hour - time.Minute)
		for range 59 {
			succeeds(t, a)
			time.Sleep(time.Second)
		}
		assert.InDelta(t, 6, len(server.fetches)-1, 1, "it is not tried with every request")
		time.Sleep(time.Second)
		_, err := get(t.Context(), a)
		require.ErrorIs(t, err, broken)
		require.True(t, auth.IsUnsent(err))
	})
}

func TestAFailedFetchIsSharedAndItsRetryAfterIsKept(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		retryAfter string
		after      []time.Duration // when the endpoint is asked again, by a request each second
		total      time.Duration
	}{
		"no Retry-After": {"", []time.Duration{0, time.Second, 2 * time.Second}, 3 * time.Second},
		"seconds":        {"30", []time.Duration{0, 30 * time.Second}, 50 * time.Second},
		"fractions":      {"1.5", []time.Duration{0, 2 * time.Second, 4 * time.Second}, 5 * time.Second},
		"a date":         {"Sat, 01 Jan 2000 00:00:20 GMT", []time.Duration{0, 20 * time.Second}, 21 * time.Second},
		"a long wait":    {"99999999", []time.Duration{0, time.Hour}, 90 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				var asked []time.Duration
				server := &atlas{issuing: func(*http.Request) (*http.Response, error) {
					asked = append(asked, time.Since(start))
					return response(503, http.Header{"Retry-After": {tc.retryAfter}}, "busy"), nil
				}}
				a := server.account()
				for time.Since(start) < tc.total {
					_, err := get(t.Context(), a)
					var failed *bearer.EndpointError
					require.ErrorAs(t, err, &failed)
					assert.Equal(t, tc.retryAfter, failed.Response.Header.Get("Retry-After"))
					time.Sleep(time.Second)
				}
				assert.Equal(t, tc.after, asked)
				server.issuing = nil
				time.Sleep(time.Hour)
				succeeds(t, a)
			})
		})
	}
}
