package livemigration

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go/internal/poll"
)

func TestOutagesAreOutlived(t *testing.T) {
	t.Parallel()
	for name, outage := range map[string]func(*http.Request) (*http.Response, error){
		"network": down, "429": reply(429, ""), "500": reply(500, `{"errorCode":"X"}`), "503": reply(503, ""),
		"a page in the place of the response": reply(200, "<html>"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var log bytes.Buffer
				// 20 requests: four polls of five attempts.
				s := script(working)
				for range 20 {
					s.steps = append(s.steps, outage)
				}
				s.steps = append(s.steps, complete)
				client := s.client(t, WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
				_, err := client.Migrations.WaitComplete(t.Context(), destinationID, validID)
				require.NoError(t, err)
				assert.Len(t, s.requests, 22)
				told := bytes.Count(log.Bytes(), []byte("level=WARN msg=outage"))
				assert.True(t, told >= 1 && told <= 4, "at its beginning and its doublings: %d", told)
				assert.Contains(t, log.String(), `msg="outage over"`)
			})
		})
	}
}

func TestAnOutageThatIsTooLongEndsTheWait(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		opts  []WaitOption
		after time.Duration
	}{
		"default": {nil, 15 * time.Minute},
		"chosen":  {[]WaitOption{WithMaxOutage(40 * time.Second)}, 40 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				m, err := waits["complete"](script(working, down).client(t), t.Context(), tc.opts...)
				require.ErrorIs(t, err, syscall.ECONNREFUSED)
				require.NotNil(t, m, "the last state observed")
				assert.Equal(t, MigrationWorking, m.Status)
				assert.InDelta(t, tc.after.Seconds(), time.Since(start).Seconds(), 16)
				assert.ErrorContains(t, err, "livemigration: waiting for migration "+validID+": no success for ")
				assert.ErrorContains(t, err, "connection refused")
			})
		})
	}
	t.Run("none is allowed", func(t *testing.T) {
		t.Parallel()
		s := script(down)
		m, err := waits["complete"](s.client(t, once), t.Context(), WithMaxOutage(0))
		require.ErrorIs(t, err, syscall.ECONNREFUSED)
		assert.Nil(t, m)
		assert.Len(t, s.requests, 1)
	})
	t.Run("a server that hangs does not stretch it", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			hang := func(req *http.Request) (*http.Response, error) {
				<-req.Context().Done()
				return nil, req.Context().Err()
			}
			for name, tc := range map[string]struct {
				steps []func(*http.Request) (*http.Response, error)
				want  error
			}{
				"at once":         {[]func(*http.Request) (*http.Response, error){hang}, poll.ErrNoResponse},
				"after a failure": {[]func(*http.Request) (*http.Response, error){down, down, down, down, down, hang}, syscall.ECONNREFUSED},
			} {
				start := time.Now()
				m, err := waits["complete"](script(tc.steps...).client(t), t.Context(), WithMaxOutage(time.Minute))
				require.ErrorIs(t, err, tc.want, name)
				assert.NotErrorIs(t, err, context.DeadlineExceeded, "no deadline of the caller's has passed")
				assert.Equal(t, time.Minute, time.Since(start), name)
				assert.Nil(t, m)
			}
		})
	})
	t.Run("none is allowed, of a server that hangs", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			s := script(func(req *http.Request) (*http.Response, error) {
				<-req.Context().Done()
				return nil, req.Context().Err()
			})
			start := time.Now()
			_, err := waits["complete"](s.client(t), t.Context(), WithMaxOutage(0))
			require.EqualError(t, err, "livemigration: waiting for migration "+validID+": no success for 30s, the last failure: no response within 30s")
			assert.Equal(t, 30*time.Second, time.Since(start))
			assert.Len(t, s.requests, 1)
		})
	})
	t.Run("a pause that Atlas asks for is longer", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			s := script(working, reply(429, `{"errorCode":"RATE_LIMITED"}`, "Retry-After", "960"))
			_, err := waits["complete"](s.client(t), t.Context())
			require.ErrorIs(t, err, ErrRateLimited)
			assert.Less(t, time.Since(start), 10*time.Second, "the end is certain at once")
			assert.Len(t, s.requests, 2)
		})
	})
}
