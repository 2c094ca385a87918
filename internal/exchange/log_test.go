package exchange

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go/internal/endpoint"
	"github.com/livemigration/livemigration-go/internal/pacing"
)

// journal is a log that can be read.
type journal struct{ bytes.Buffer }

func (j *journal) at(level slog.Level) func(*Config) {
	return func(c *Config) {
		c.Logger = slog.New(slog.NewJSONHandler(&j.Buffer, &slog.HandlerOptions{Level: level}))
	}
}

// records are those of the log, without their times.
func (j *journal) records(t *testing.T) (all []map[string]any) {
	t.Helper()
	for decoder := json.NewDecoder(&j.Buffer); decoder.More(); {
		var record map[string]any
		require.NoError(t, decoder.Decode(&record))
		delete(record, "time")
		all = append(all, record)
	}
	return all
}

func TestRecordsOfAttempts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log journal
		s := script(
			slow(time.Second, reply(503, `{"errorCode":"X","detail":"why"}`, "X-Request-Id", "r-1", "Retry-After", "10")),
			slow(2*time.Second, fail(io.EOF)),
			slow(3*time.Second, reply(202, "")),
		)
		r := cutting()
		r.Job = id
		o := s.exchanger(log.at(slog.LevelDebug)).Do(t.Context(), r)
		require.Equal(t, Done, o.Verdict)
		records := log.records(t)
		waits := make([]time.Duration, 2) // before the second and the third attempt
		for i, record := range []int{1, 3} {
			waits[i] = time.Duration(records[record]["wait"].(float64))
			delete(records[record], "wait")
		}
		assert.Equal(t, s.times[1]-time.Second, waits[0])
		assert.Equal(t, s.times[2]-s.times[1]-2*time.Second, waits[1])
		record := func(level, msg string, attempt, status float64, more map[string]any) map[string]any {
			r := map[string]any{
				"level": level, "msg": msg, "operation": "Migrations.Cutover", "project_id": scope, "migration_id": id,
				"method": "PUT", "path": cutting().Path, "attempt": attempt, "status": status,
			}
			for key, value := range more {
				r[key] = value
			}
			return r
		}
		second := float64(time.Second)
		unavailable := func() map[string]any {
			return map[string]any{"code": "X", "request_id": "r-1", "error": "503 X: why (retry after 10s)"}
		}
		took := func(seconds float64, more map[string]any) map[string]any {
			more["duration"], more["wait"] = seconds*second, 0.0
			return more
		}
		assert.Equal(t, []map[string]any{
			record("DEBUG", "attempt", 1, 503, took(1, unavailable())),
			record("INFO", "retry", 1, 503, unavailable()),
			record("DEBUG", "attempt", 2, 0, took(2, map[string]any{"error": "EOF"})),
			record("INFO", "retry", 2, 0, map[string]any{"error": "EOF"}),
			record("DEBUG", "attempt", 3, 202, took(3, map[string]any{})),
		}, records)
	})
}

func TestTheWaitForATurnIsRecorded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log journal
		x := script(reply(200, "")).exchanger(paced, log.at(slog.LevelDebug))
		hold(t, x, 20*time.Second)
		var waited time.Duration
		r := reading()
		r.Waited, r.Class = &waited, pacing.Poll
		x.Do(t.Context(), r)
		records := log.records(t)
		require.Len(t, records, 1)
		assert.Equal(t, float64(waited), records[0]["wait"])
		assert.Zero(t, records[0]["duration"])
	})
}

func TestLevelsOfRecords(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name  string
		level slog.Level
		class pacing.Class
		want  []string
	}{
		{"debug", slog.LevelDebug, pacing.Call, []string{"WARN", "DEBUG", "INFO", "DEBUG"}},
		{"debug, for a poll", slog.LevelDebug, pacing.Poll, []string{"WARN", "DEBUG", "DEBUG", "DEBUG"}},
		{"info", slog.LevelInfo, pacing.Call, []string{"WARN", "INFO"}},
		{"info, for a poll, whose wait tells of outages", slog.LevelInfo, pacing.Poll, []string{"WARN"}},
		{"warn", slog.LevelWarn, pacing.Call, []string{"WARN"}},
		{"error", slog.LevelError, pacing.Call, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var log journal
				x := script(reply(503, "", "Sunset", "Thu, 1 Jul 2027 00:00:00 GMT"), reply(200, "")).exchanger(log.at(tc.level))
				r := reading()
				r.Class = tc.class
				require.Equal(t, Done, x.Do(t.Context(), r).Verdict)
				var levels []string
				for _, record := range log.records(t) {
					levels = append(levels, record["level"].(string))
				}
				assert.Equal(t, tc.want, levels)
			})
		})
	}
}

// Atlas does not tell the id of a job a second time, so it is logged the moment it is known.
func TestTheIDOfACreatedJobIsRecorded(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		*Request
		step step
		want []map[string]any
	}{
		{"migration", creating(), reply(201, "{}"), []map[string]any{{"operation": "Migrations.Create", "project_id": scope, "migration_id": id}}},
		{"validation", of(&endpoint.CreateValidation), reply(200, "{}"), []map[string]any{{"operation": "Validations.Create", "project_id": scope, "validation_id": id}}},
		{"link-token", of(&endpoint.CreateLinkToken), reply(201, "{}"), []map[string]any{{"operation": "LinkTokens.Create", "org_id": scope}}},
		{"not created", creating(), reply(409, ""), nil},
		{"nothing to create", reading(), reply(200, "{}"), nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			var log journal
			tc.Decode = func(_ []byte, err error) (string, error) { return id, err }
			script(tc.step).exchanger(log.at(slog.LevelInfo)).Do(t.Context(), tc.Request)
			records := log.records(t)
			require.Len(t, records, len(tc.want))
			for i, record := range records {
				assert.Equal(t, "created", record["msg"])
				assert.Equal(t, "INFO", record["level"])
				assert.Subset(t, record, tc.want[i])
			}
		})
	}
}

func TestADeprecationIsWarnedOfOnceForEachEndpoint(t *testing.T) {
	t.Parallel()
	const sunset = "Thu, 1 Jul 2027 00:00:00 GMT"
	for _, tc := range []struct {
		name   string
		header []string
		want   map[string]any
	}{
		{"both", []string{"Deprecation", "@1722816000", "Sunset", sunset}, map[string]any{"deprecation": "2024-08-05T00:00:00Z", "sunset": "2027-07-01T00:00:00Z"}},
		{"as Atlas writes it", []string{"Deprecation", "Mon, 5 Aug 2024 00:00:00 GMT"}, map[string]any{"deprecation": "2024-08-05T00:00:00Z"}},
		{"sunset", []string{"Sunset", sunset}, map[string]any{"sunset": "2027-07-01T00:00:00Z"}},
		{"no date", []string{"Deprecation", "true k3y"}, map[string]any{"deprecation": "true [REDACTED]"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			var log journal
			x := script(reply(404, "", tc.header...)).exchanger(log.at(slog.LevelWarn), with(&authenticator{secrets: []string{"k3y"}}))
			for range 3 {
				x.Do(t.Context(), reading())
				x.Do(t.Context(), deleting())
			}
			records := log.records(t)
			require.Len(t, records, 2)
			for i, operation := range []string{"Migrations.Get", "LinkTokens.Delete"} {
				assert.Equal(t, "WARN", records[i]["level"])
				assert.Equal(t, operation, records[i]["operation"])
				for _, key := range []string{"deprecation", "sunset"} {
					assert.Equal(t, tc.want[key], records[i][key])
				}
			}
		})
	}
	t.Run("nothing to tell", func(t *testing.T) {
		t.Parallel()
		var log journal
		script(reply(200, "")).exchanger(log.at(slog.LevelWarn)).Do(t.Context(), reading())
		assert.Zero(t, log.Len())
	})
}

// contexts keeps the contexts of records.
type contexts struct {
	slog.Handler
	seen *[]context.Context
}

func (h contexts) Handle(ctx context.Context, r slog.Record) error {
	*h.seen = append(*h.seen, ctx)
	return h.Handler.Handle(ctx, r)
}

func TestRecordsHaveTheContextOfTheCaller(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var seen []context.Context
		var log journal
		x := script(reply(503, "", "Sunset", "soon"), reply(200, "")).exchanger(log.at(slog.LevelDebug), func(c *Config) {
			c.Logger = slog.New(contexts{c.Logger.Handler(), &seen})
		})
		x.Do(t.Context(), reading())
		require.Len(t, seen, 4)
		for _, ctx := range seen {
			assert.Equal(t, t.Context(), ctx)
		}
	})
}

func TestRecordsShowNoSecret(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log journal
		s := script(
			reply(503, `{"errorCode":"k3y","detail":"hunter2"}`, "X-Request-Id", "k3y", "Retry-After", "0"),
			reply(429, "you sent hunter2"), fail(errWith("hunter2 and k3y")), reply(200, ""),
		)
		r := reading()
		r.Secrets = []string{"hunter2"}
		o := s.exchanger(log.at(slog.LevelDebug), with(&authenticator{secrets: []string{"k3y"}})).Do(t.Context(), r)
		require.Equal(t, 4, o.Attempts)
		assert.Equal(t, 4, strings.Count(log.String(), `"msg":"attempt"`))
		assert.NotContains(t, log.String(), "hunter2")
		assert.NotContains(t, log.String(), "k3y")
	})
}
