package livemigration

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go/internal/response"
)

// state is a migration as Atlas shows it.
func state(status MigrationStatus, ready bool) func(*http.Request) (*http.Response, error) {
	return reply(200, fmt.Sprintf(`{"_id":%q,"status":%q,"readyForCutover":%t}`, validID, status, ready))
}

func validationState(status ValidationStatus, message string) func(*http.Request) (*http.Response, error) {
	return reply(200, fmt.Sprintf(`{"_id":%q,"status":%q,"errorMessage":%q}`, validID, status, message))
}

var (
	scheduled = state(MigrationNew, false)
	working   = state(MigrationWorking, false)
	ready     = state(MigrationWorking, true)
	complete  = state(MigrationComplete, false)
	failed    = state(MigrationFailed, false)
	expired   = state(MigrationExpired, false)
	down      = fail(syscall.ECONNREFUSED)
)

// waits are the ways to wait for a migration.
var waits = map[string]func(*Client, context.Context, ...WaitOption) (*Migration, error){
	"ready": func(c *Client, ctx context.Context, opts ...WaitOption) (*Migration, error) {
		return c.Migrations.WaitReadyForCutover(ctx, destinationID, validID, opts...)
	},
	"complete": func(c *Client, ctx context.Context, opts ...WaitOption) (*Migration, error) {
		return c.Migrations.WaitComplete(ctx, destinationID, validID, opts...)
	},
}

func TestWaitsForMigrations(t *testing.T) {
	t.Parallel()
	type steps = []func(*http.Request) (*http.Response, error)
	for _, tc := range []struct {
		name   string
		wait   string
		steps  steps
		polls  int
		status MigrationStatus
		err    error
	}{
		{"becomes ready", "ready", steps{scheduled, working, working, ready}, 4, MigrationWorking, nil},
		{"is ready", "ready", steps{ready}, 1, MigrationWorking, nil},
		{"past cutover already", "ready", steps{complete}, 1, MigrationComplete, nil},
		{"fails before it is ready", "ready", steps{working, failed}, 2, MigrationFailed, ErrMigrationFailed},
		{"expired", "ready", steps{expired}, 1, MigrationExpired, ErrMigrationExpired},
		{"unknown status", "ready", steps{state("PAUSED", false), ready}, 2, MigrationWorking, nil},
		{"completes", "complete", steps{ready, working, complete}, 3, MigrationComplete, nil},
		{"fails in the end", "complete", steps{ready, failed}, 2, MigrationFailed, ErrMigrationFailed},
		{"expires", "complete", steps{ready, ready, expired}, 3, MigrationExpired, ErrMigrationExpired},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := script(tc.steps...)
				m, err := waits[tc.wait](s.client(t), t.Context())
				require.ErrorIs(t, err, tc.err)
				require.NotNil(t, m)
				assert.Equal(t, tc.status, m.Status)
				assert.Len(t, s.requests, tc.polls)
				if tc.err != nil {
					var failure *MigrationFailedError
					require.ErrorAs(t, err, &failure)
					assert.Same(t, m, failure.Migration)
					assert.ErrorContains(t, err, "livemigration: migration "+validID+" ")
					assert.Equal(t, tc.err == ErrMigrationFailed, errors.Is(err, ErrMigrationFailed))
				}
			})
		})
	}
}

func TestWaitsForValidations(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := script(validationState(ValidationPending, ""), validationState("QUEUED", ""), validationState(ValidationSuccess, ""))
		var seen []ValidationStatus
		for v, err := range s.client(t).Validations.Watch(t.Context(), destinationID, validID) {
			require.NoError(t, err)
			seen = append(seen, v.Status)
		}
		assert.Equal(t, []ValidationStatus{ValidationPending, "QUEUED", ValidationSuccess}, seen)

		s = script(validationState(ValidationFailed, "cannot reach\nvm001"))
		v, err := s.client(t).Validations.Wait(t.Context(), destinationID, validID)
		var failure *ValidationFailedError
		require.ErrorAs(t, err, &failure)
		assert.ErrorIs(t, err, ErrValidationFailed)
		assert.Same(t, v, failure.Validation)
		assert.EqualError(t, err, "livemigration: validation "+validID+" failed: cannot reach vm001")

		s = script(validationState(ValidationFailed, "could not connect to mongodb://user:pa%2Fss@vm001, mongodb+srv%3A%2F%2Fuser%3Apa%252Fss%40vm002"))
		v, err = s.client(t).Validations.Wait(t.Context(), destinationID, validID)
		for _, text := range []string{err.Error(), v.ErrorMessage, v.String(), fmt.Sprint(v)} {
			assert.NotContains(t, text, "pa%2", text)
			assert.Contains(t, text, "vm001")
		}
	})
}

func TestWatchYieldsEveryStateAndStopsAtTheFinalOne(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := script(scheduled, working, working, failed, working)
		var seen []MigrationStatus
		watch := s.client(t).Migrations.Watch(t.Context(), destinationID, validID)
		for m, err := range watch {
			require.NoError(t, err)
			seen = append(seen, m.Status)
		}
		assert.Equal(t, []MigrationStatus{MigrationNew, MigrationWorking, MigrationWorking, MigrationFailed}, seen)
		start := time.Now()
		for range watch { // again, and a break stops it at once
			break
		}
		assert.Len(t, s.requests, 5)
		assert.Zero(t, time.Since(start))
	})
}

func TestPollIntervals(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name        string
		opts        []WaitOption
		first, last time.Duration
	}{
		{"default", nil, 5 * time.Second, 60 * time.Second},
		{"chosen", []WaitOption{WithPollInterval(time.Second, 10*time.Second)}, time.Second, 10 * time.Second},
		{"constant", []WaitOption{WithPollInterval(time.Minute, time.Minute)}, time.Minute, time.Minute},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var gaps []time.Duration
				previous := time.Now()
				for range script(working).client(t).Migrations.Watch(t.Context(), destinationID, validID, tc.opts...) {
					gaps = append(gaps, time.Since(previous))
					previous = time.Now()
					if len(gaps) == 30 {
						break
					}
				}
				assert.Zero(t, gaps[0], "the first poll comes at once")
				assert.InDelta(t, tc.first.Seconds(), gaps[1].Seconds(), 0.2001*tc.first.Seconds())
				different := map[time.Duration]bool{}
				for _, gap := range gaps[15:] {
					assert.InDelta(t, tc.last.Seconds(), gap.Seconds(), 0.2001*tc.last.Seconds())
					different[gap] = true
				}
				assert.Greater(t, len(different), 5, "jitter")
			})
		})
	}
}

func TestTheLongestPollIntervalIsNotAShortOne(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for range 20 { // the interval varies
			ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
			s := script(working)
			_, err := s.client(t).Migrations.WaitComplete(ctx, destinationID, validID, WithPollInterval(math.MaxInt64, math.MaxInt64))
			cancel()
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.Equal(t, 1, len(s.requests))
		}
	})
}

func TestPollsKeepToWhatTheHeadersAskFor(t *testing.T) {
	t.Parallel()
	gap := func(t *testing.T, opts []Option, steps ...func(*http.Request) (*http.Response, error)) time.Duration {
		t.Helper()
		s := script(append(steps, complete)...)
		start := time.Now()
		_, err := s.client(t, opts...).Migrations.WaitComplete(t.Context(), destinationID, validID)
		require.NoError(t, err)
		return time.Since(start)
	}
	synctest.Test(t, func(t *testing.T) {
		spent := reply(200, migrationJSON, "RateLimit-Remaining", "0")
		assert.GreaterOrEqual(t, gap(t, nil, spent), time.Minute)
		left := reply(200, migrationJSON, "RateLimit-Remaining", "1")
		assert.LessOrEqual(t, gap(t, nil, left), 20*time.Second, "polls leave a tenth of the bucket to calls")
		rejected := reply(429, `{"error":429,"errorCode":"RATE_LIMITED"}`, "Retry-After", "600")
		assert.GreaterOrEqual(t, gap(t, nil, rejected), 10*time.Minute, "longer than a call waits for, not longer than a wait does")
	})
}

func TestPollsMakeTheirRequestsWithTheCallOptions(t *testing.T) {
	t.Parallel()
	s := script(reply(200, `{"status":200,"content":`+migrationJSON+`}`), reply(200, `{"status":200,"content":{"status":"COMPLETE"}}`))
	synctest.Test(t, func(t *testing.T) {
		var resp Response
		_, err := waits["complete"](s.client(t), t.Context(), WithCallOptions(WithEnvelope(), WithHeader("X-Route", "a"), CaptureResponse(&resp)))
		require.NoError(t, err)
		assert.Equal(t, 200, resp.StatusCode)
	})
	require.Len(t, s.requests, 2)
	for _, r := range s.requests {
		assert.Equal(t, "envelope=true", r.URL.RawQuery)
		assert.Equal(t, "a", r.Header.Get("X-Route"))
	}
}

func TestFailuresThatEndAWait(t *testing.T) {
	t.Parallel()
	for status, sentinel := range map[int]error{
		400: ErrBadRequest, 401: ErrUnauthorized, 403: ErrForbidden, 404: ErrNotFound, 410: ErrVersionGone,
	} {
		s := script(reply(status, fmt.Sprintf(`{"error":%d,"errorCode":"X","detail":"d"}`, status)))
		m, err := waits["ready"](s.client(t), t.Context())
		require.ErrorIs(t, err, sentinel)
		var api *APIError
		require.ErrorAs(t, err, &api)
		assert.Nil(t, m)
		assert.Len(t, s.requests, 1)
		assert.ErrorContains(t, err, fmt.Sprintf("livemigration: waiting for migration %s: %d X: d", validID, status))
	}
	s := script(func(req *http.Request) (*http.Response, error) {
		resp := newResponse(req, 200, nil, "")
		resp.Body, resp.ContentLength = &endless{left: 200 << 20}, 200<<20
		return resp, nil
	})
	_, err := waits["ready"](s.client(t), t.Context())
	require.ErrorIs(t, err, response.ErrTooLarge)
}

func TestAWaitEndsWithItsContext(t *testing.T) {
	t.Parallel()
	t.Run("between polls", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
			defer cancel()
			start := time.Now()
			m, err := waits["ready"](script(working).client(t), ctx)
			require.ErrorIs(t, err, context.DeadlineExceeded)
			assert.Equal(t, 3*time.Second, time.Since(start))
			assert.Equal(t, MigrationWorking, m.Status)
			assert.EqualError(t, err, "livemigration: waiting for migration "+validID+": context deadline exceeded; the job continues in Atlas")
		})
	})
	t.Run("before the first poll", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		s := script(working)
		_, err := waits["ready"](s.client(t), ctx)
		require.ErrorIs(t, err, context.Canceled)
		assert.Empty(t, s.requests)
	})
}

func TestWaitsRejectWhatCannotBe(t *testing.T) {
	t.Parallel()
	s := script(working)
	client := s.client(t)
	for name, wait := range map[string]func() error{
		"WithPollInterval must have 0 < minimum <= maximum": func() error {
			_, err := waits["ready"](client, t.Context(), WithPollInterval(0, time.Second))
			return err
		},
		"WithMaxOutage must not be negative": func() error {
			_, err := waits["ready"](client, t.Context(), WithMaxOutage(-1))
			return err
		},
		"WithMaxLag must not be negative": func() error {
			_, err := waits["ready"](client, t.Context(), nil, WithMaxLag(-1))
			return err
		},
		"WithMaxAttempts must be at least 1": func() error {
			_, err := client.Validations.Run(t.Context(), destinationID, MigrationRequest{}, WithCallOptions(WithMaxAttempts(0)))
			return err
		},
		"migration ID has 1 character; must be 24 lowercase hexadecimal digits": func() error {
			_, err := client.Migrations.WaitComplete(t.Context(), destinationID, "k")
			return err
		},
		`header "Authorization" is set by the client`: func() error {
			_, err := waits["ready"](client, t.Context(), WithCallOptions(WithHeader("Authorization", "hunter2")))
			return err
		},
		"ctx must not be nil": func() error {
			_, err := waits["ready"](client, nil)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			err := wait()
			require.ErrorIs(t, err, ErrInvalidRequest)
			assert.EqualError(t, err, "livemigration: invalid request: "+name)
		})
	}
	_, err := waits["ready"](script(ready).client(t), t.Context(), nil)
	require.NoError(t, err)
	assert.Empty(t, s.requests)
}
