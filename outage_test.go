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
)

func TestOutagesAreOutlived(t *testing.T) {
	t.Parallel()
	for name, outage := range map[string]func(*http.Request) (*http.Response, error){
		"network": down, "429": reply(429, ""), "500": reply(500, `{"errorCode":"X"}`), "503": reply(503, ""),
		"a page instead of the response": reply(200, "<html>"),
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
				assert.True(t, told >= 1 && told <= 4, "at its start and its doublings: %d", told)
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
			hang := after(time.Hour, nil)
			for name, tc := range map[string]struct {
				steps  []func(*http.Request) (*http.Response, error)
				outage time.Duration
				want   string
			}{
				"at once":                        {[]func(*http.Request) (*http.Response, error){hang}, time.Minute, "no complete response within 30s"},
				"for less than an attempt":       {[]func(*http.Request) (*http.Response, error){hang}, 20 * time.Second, "no response in time"},
				"after a failure":                {[]func(*http.Request) (*http.Response, error){down, hang}, 20 * time.Second, "connection refused"},
				"after a failure, for two polls": {[]func(*http.Request) (*http.Response, error){down, hang}, time.Minute, "no complete response within 30s"},
			} {
				start := time.Now()
				m, err := waits["complete"](script(tc.steps...).client(t, once), t.Context(), WithMaxOutage(tc.outage))
				require.ErrorContains(t, err, "no success for "+short(tc.outage)+"; last error: "+tc.want, name)
				assert.NotErrorIs(t, err, context.DeadlineExceeded, "no deadline of the caller's has passed")
				assert.True(t, Retryable(err), name)
				assert.Equal(t, tc.outage, time.Since(start), name)
				assert.Nil(t, m)
			}
		})
	})
	t.Run("none is allowed, of a server that hangs", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			s := script(after(time.Hour, nil))
			start := time.Now()
			_, err := waits["complete"](s.client(t), t.Context(), WithMaxOutage(0))
			require.EqualError(t, err, "livemigration: waiting for migration "+validID+": no complete response within 30s")
			assert.Equal(t, 30*time.Second, time.Since(start))
			assert.Len(t, s.requests, 1)
		})
	})
}
