package durable

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go"
)

func TestWeatherIsRewrittenOnlyWhenItChanges(t *testing.T) {
	r := recordIn(StateReplicating)
	hit := func(r Record, o operation, err error, now time.Time) Record {
		return r.with(func(r *Record) { r.weather(o, err, now) })
	}
	first := hit(r, readingMigration, &livemigration.APIError{StatusCode: 503, Code: "A", Detail: "attempt 1"}, t1)
	assert.Equal(t, "reading the migration failed with 503 A: attempt 1", first.Problem)
	assert.Equal(t, t1, first.ProblemSince)
	assert.Equal(t, first, hit(first, readingMigration, &livemigration.APIError{StatusCode: 503, Code: "A", Detail: "attempt 2"}, t2))
	for _, other := range []Record{
		hit(first, readingMigration, &livemigration.APIError{StatusCode: 503, Code: "AB"}, t2),
		hit(first, readingMigration, &livemigration.APIError{StatusCode: 502, Code: "A"}, t2),
		hit(first, cuttingOver, &livemigration.APIError{StatusCode: 503, Code: "A"}, t2),
		hit(first, readingMigration, callError(), t2),
	} {
		assert.NotEqual(t, first.Problem, other.Problem)
		assert.Equal(t, t1, other.ProblemSince, "one failure follows another")
	}
	bare := hit(r, readingMigration, &livemigration.APIError{StatusCode: 503}, t1)
	assert.Equal(t, "reading the migration failed with 503 Service Unavailable", bare.Problem)
	assert.Equal(t, bare, hit(bare, readingMigration, &livemigration.APIError{StatusCode: 503}, t2))
	assert.Equal(t, "reading the migration failed without a response: connection reset by peer", hit(r, readingMigration, callError(), t1).Problem)
}

func TestWeatherPasses(t *testing.T) {
	r := recordIn(StateReady)
	note := r.Problem
	assert.Contains(t, note, "2026-03-06 10:00 UTC", "the end of the 120 hours")
	assert.Contains(t, note, "Atlas user interface")
	weather := r.with(func(r *Record) { r.weather(readingMigration, callError(), t1) })
	assert.Equal(t, t1, weather.ProblemSince)
	over := weather.with(func(r *Record) { r.passes(t2) })
	assert.Equal(t, note, over.Problem)
	assert.Equal(t, t2, over.ProblemSince)
	assert.Equal(t, Event{t2, "continues after 1h0m0s: reading the migration failed without a response"}, over.Events[len(over.Events)-1])
	running := recordIn(StateReplicating).with(func(r *Record) { r.weather(readingMigration, callError(), t1); r.passes(t2) })
	assert.Empty(t, running.Problem)
	assert.Zero(t, running.ProblemSince)
	bare := r.with(func(r *Record) { r.Problem = ""; r.passes(t2) })
	assert.Equal(t, note, bare.Problem, "one that was stored without a note gets it")
	brief := weather.with(func(r *Record) { r.passes(t1.Add(time.Second)) })
	assert.Equal(t, r.Events, brief.Events)
	assert.Equal(t, r, r.with(func(r *Record) { r.passes(t2) }), "a note is no weather")
}

func TestWhatAPersonDoesIsAlwaysAnEvent(t *testing.T) {
	r := recordIn(StateValidated).with(func(r *Record) { r.Plan = droppingPlan("a") })
	for range 3 {
		r = r.Approve(GateStart, t1).with(func(r *Record) { r.stop(StateFailed, t1, "Atlas has rejected it") })
		var err error
		r, err = r.Restart(t2)
		require.NoError(t, err)
	}
	count := make(map[string]int)
	for _, event := range r.Events {
		count[event.Text]++
	}
	assert.Equal(t, map[string]int{"planned": 1, "approved: start": 3, "FAILED: Atlas has rejected it": 3, "PLANNED: restarted": 3}, count)
}

func TestEventsAreBounded(t *testing.T) {
	r := recordIn(StatePlanned)
	for i := range 500 {
		r.event(t0, fmt.Sprint(i))
	}
	assert.Len(t, r.Events, maxEvents)
	assert.Equal(t, "499", r.Events[maxEvents-1].Text)
}

func TestClean(t *testing.T) {
	for text, want := range map[string]string{
		"plain":                        "plain",
		"two\r\nlines\x1b[31m\x00":     "two lines [31m",
		"at mongodb://u:p%40@host/x@y": "at mongodb://[REDACTED]@host/x@y",
		"https://token@example.com":    "https://[REDACTED]@example.com",
		"bad \xff":                     "bad",
	} {
		assert.Equal(t, want, clean(text))
	}
	assert.Len(t, []rune(clean(strings.Repeat("é", 1000))), maxText+1)
}

func TestPasswordFailureIsOneProblem(t *testing.T) {
	r := recordIn(StatePlanned)
	hit := func(r Record, n int) Record {
		return r.with(func(r *Record) {
			r.weather(creatingValidation, &passwordError{errors.New(fmt.Sprint("attempt ", n))}, t1)
		})
	}
	assert.Equal(t, hit(r, 1), hit(hit(r, 1), 2))
}
