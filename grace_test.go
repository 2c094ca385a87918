package livemigration

import (
	"context"
	"net/http"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// after responds when some time has passed, or not at all when the request's context ends before.
func after(d time.Duration, step func(*http.Request) (*http.Response, error)) func(*http.Request) (*http.Response, error) {
	return func(req *http.Request) (*http.Response, error) {
		select {
		case <-time.After(d):
			return step(req)
		case <-req.Context().Done():
			return nil, req.Context().Err()
		}
	}
}

func TestARequestInFlightOutlivesItsContext(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		takes time.Duration
		grace time.Duration
		step  func(*http.Request) (*http.Response, error)
		err   error // nil: the ID arrives
		took  time.Duration
	}{
		"none":                           {5 * time.Second, 0, reply(201, migrationJSON), ErrOutcomeUnknown, time.Second},
		"in time":                        {5 * time.Second, 10 * time.Second, reply(201, migrationJSON), nil, 5 * time.Second},
		"too late":                       {20 * time.Second, 10 * time.Second, reply(201, migrationJSON), ErrOutcomeUnknown, 11 * time.Second},
		"a rejection":                    {5 * time.Second, 10 * time.Second, reply(409, `{"error":409,"errorCode":"CONFLICT"}`), ErrConflict, 5 * time.Second},
		"what would be retried is ended": {5 * time.Second, 10 * time.Second, reply(429, ""), ErrRateLimited, 5 * time.Second},
		"the attempt's time is over":     {time.Hour, time.Hour, reply(201, migrationJSON), ErrOutcomeUnknown, 30 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				s := script(after(tc.takes, tc.step))
				begun := time.Now()
				m, err := s.client(t).Migrations.Create(ctx, destinationID, validRequest(), WithGrace(tc.grace))
				assert.Equal(t, tc.took, time.Since(begun))
				assert.Len(t, s.requests, 1)
				require.ErrorIs(t, err, tc.err)
				assert.Equal(t, tc.err == ErrOutcomeUnknown, MayHaveCreated(err))
				if tc.err == nil {
					assert.EqualValues(t, validID, m.ID)
				}
			})
		})
	}
	_, err := script().client(t).Migrations.Create(t.Context(), destinationID, validRequest(), WithGrace(-1))
	require.ErrorIs(t, err, ErrInvalidRequest)
	assert.ErrorContains(t, err, "WithGrace must not be negative")
}

func TestARequestThatIsNotInFlightEndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		s := script(reply(429, "", "Retry-After", "5"), reply(201, migrationJSON))
		begun := time.Now()
		time.AfterFunc(time.Second, cancel)
		_, err := s.client(t).Migrations.Create(ctx, destinationID, validRequest(), WithGrace(time.Hour))
		require.ErrorIs(t, err, context.Canceled)
		assert.Equal(t, time.Second, time.Since(begun))
		assert.Len(t, s.requests, 1)
	})
}

// A context that ends inside an attempt must not hide why there was more than one.
func TestTheFailureBeforeTheContextEndedIsNamed(t *testing.T) {
	t.Parallel()
	maintenance := reply(503, `{"error":503,"errorCode":"X","detail":"maintenance until 04:00"}`)
	silence := after(time.Hour, nil)
	for name, tc := range map[string]struct {
		steps []func(*http.Request) (*http.Response, error)
		want  error
		text  string
	}{
		"two 503, then silence":           {[]func(*http.Request) (*http.Response, error){maintenance, maintenance, silence}, ErrServer, "maintenance until 04:00"},
		"no connection, and then silence": {[]func(*http.Request) (*http.Response, error){down, silence}, syscall.ECONNREFUSED, "connection refused"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
				defer cancel()
				_, err := script(tc.steps...).client(t).Migrations.Get(ctx, destinationID, validID)
				require.ErrorIs(t, err, context.DeadlineExceeded)
				require.ErrorIs(t, err, tc.want)
				assert.ErrorContains(t, err, tc.text)

				ctx, cancel = context.WithTimeout(t.Context(), 20*time.Second)
				defer cancel()
				_, err = waits["complete"](script(tc.steps...).client(t, once), ctx)
				require.ErrorIs(t, err, context.DeadlineExceeded)
				require.ErrorIs(t, err, tc.want)
				assert.ErrorContains(t, err, tc.text)
			})
		})
	}
}

// The context may end just as a response arrives, or in a grace. The error then names both.
func TestAContextThatEndsAsAResponseArrives(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	n := 0
	last := func(status int) func(*http.Request) (*http.Response, error) {
		return func(req *http.Request) (*http.Response, error) {
			if n++; n == 2 {
				cancel()
			}
			return reply(status, "", "Retry-After", "0")(req)
		}
	}
	_, err := script(last(503)).client(t).Migrations.Get(ctx, destinationID, validID)
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, err, ErrServer)
	require.EqualError(t, err, messagePrefix+"Migrations.Get: GET "+getPath+": context canceled; last error: 503 Service Unavailable (after 2 attempts)")

	synctest.Test(t, func(t *testing.T) {
		for _, status := range []int{429, 503} {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			s := script(after(5*time.Second, reply(status, "")))
			_, err := waits["complete"](s.client(t, WithWaitDefaults(WithCallOptions(WithGrace(time.Minute)))), ctx)
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.ErrorAs(t, err, new(*APIError))
			assert.Len(t, s.requests, 1)
		}
	})
}

// The rest of an ID is all that there is of a new migration when the program is told to stop.
func TestAnUnusableResponseInAGraceIsShown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		s := script(after(5*time.Second, reply(201, `{"_id":"A1"}`)))
		_, err := s.client(t).Migrations.Create(ctx, destinationID, validRequest(), WithGrace(time.Minute))
		require.True(t, MayHaveCreated(err))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.ErrorContains(t, err, `context deadline exceeded; last error: unexpected response: no well-formed _id in it; its _id is "A1"`)
	})
}
