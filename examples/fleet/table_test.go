package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/livemigration/livemigration-go"
	"github.com/livemigration/livemigration-go/durable"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func record(name string, state durable.State, change ...func(*durable.Record)) durable.Record {
	r := durable.Record{Plan: durable.Plan{Name: name}, State: state}
	for _, do := range change {
		do(&r)
	}
	return r
}

func withProblem(text string) func(*durable.Record) {
	return func(r *durable.Record) { r.Problem = text }
}

func withLag(lag time.Duration) func(*durable.Record) {
	return func(r *durable.Record) {
		seconds := int64(lag / time.Second)
		r.Migration = &livemigration.Migration{LagTimeSeconds: &seconds}
	}
}

func TestTable(t *testing.T) {
	t.Parallel()
	records := []durable.Record{
		record("done", durable.StateComplete, withLag(time.Second)),
		record("ready", durable.StateReady, withLag(2*time.Second), withProblem("waits for the approval of the cutover; Atlas ends the synchronization on 2026-03-06 11:00 UTC unless …"),
			func(r *durable.Record) { r.ReadySince = noon.Add(-time.Hour) }),
		record("replicating", durable.StateReplicating, withLag(65*time.Minute)),
		record("outage", durable.StateReplicating, withProblem("reading the migration failed with 503 Service Unavailable. The server is down")),
		record("waiting", durable.StatePlanned, withProblem("waits for the migration host host-1.example.com, which ready has (READY)")),
		record("planned", durable.StatePlanned),
		record("unclear", durable.StateUnclear, withProblem("nobody knows whether Atlas created the migration: …")),
	}
	want := `
NAME         STATE        LAG     LEFT    WAITS FOR
unclear      UNCLEAR                      nobody knows whether Atlas created th…
ready        READY        2s      4d23h   approval of the cutover
replicating  REPLICATING  1h05m           the synchronization
outage       REPLICATING                  503 Service Unavailable (reading the …
waiting      PLANNED                      ready (migration host host-1.example.…
planned      PLANNED                      its turn
done         COMPLETE
7 migrations: 1 UNCLEAR, 1 READY, 2 REPLICATING, 2 PLANNED, 1 COMPLETE
`
	assert.Equal(t, want, "\n"+strings.Join(table(records, noon, 80, 0), "\n")+"\n")
	want = `
NAME         STATE        LAG     LEFT    WAITS FOR
unclear      UNCLEAR                      nobody knows whether Atlas created th…
ready        READY        2s      4d23h   approval of the cutover
replicating  REPLICATING  1h05m           the synchronization
and 4 more: 1 REPLICATING, 2 PLANNED, 1 COMPLETE
7 migrations: 1 UNCLEAR, 1 READY, 2 REPLICATING, 2 PLANNED, 1 COMPLETE
`
	assert.Equal(t, want, "\n"+strings.Join(table(records, noon, 80, 6), "\n")+"\n")
}

func TestTableFits(t *testing.T) {
	t.Parallel()
	var records []durable.Record
	for i, state := range order {
		records = append(records, record(fmt.Sprintf("%s-%d", strings.Repeat("name", i*2), i), state,
			withProblem(strings.Repeat("日本語 and other words. ", i)), withLag(1000*time.Hour)))
	}
	for _, width := range []int{1, 20, 40, 80, 200} {
		for _, height := range []int{0, 1, 3, 5, 24} {
			lines := table(records, noon, width, height)
			if height > 0 {
				assert.LessOrEqual(t, len(lines), height)
			}
			for _, line := range lines {
				assert.LessOrEqual(t, len([]rune(line)), max(width, 4), line)
			}
		}
	}
	assert.Equal(t, []string{"NAME  STATE        LAG     LEFT    WAITS FOR", "no migrations"}, table(nil, noon, 80, 24))
}

func TestShort(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		0: "0s", 45*time.Second + 400*time.Millisecond: "45s", 59*time.Second + 600*time.Millisecond: "1m00s",
		52*time.Minute + 23*time.Second: "52m23s", 7*time.Hour + 5*time.Minute: "7h05m", 119 * time.Hour: "4d23h",
	} {
		assert.Equal(t, want, short(d))
	}
}

func TestFold(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		first, text, rest string
		width             int
		want              []string
	}{
		"nothing":         {"", "", "", 10, []string{""}},
		"short":           {"- ", "one two", "", 10, []string{"- one two"}},
		"long":            {"- ", "one two three", "", 10, []string{"- one two", "  three"}},
		"rest":            {"", "one two three", "   ", 10, []string{"one two", "   three"}},
		"spaces":          {"", " one \n  two ", "", 10, []string{"one two"}},
		"exactly":         {"", "one two 78", "", 10, []string{"one two 78"}},
		"a long word":     {"- ", "abcdefghijklmnop q", "", 10, []string{"- abcdefgh", "  ijklmnop", "  q"}},
		"no room for any": {"    ", "ab", "", 2, []string{"    a", "    b"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, tt.want, fold(tt.first, tt.text, tt.width, tt.rest))
		})
	}
}

func TestCommandLines(t *testing.T) {
	t.Parallel()
	assert.Equal(t, []string{"    fleet run"}, foldCommand("    fleet run", 13))
	assert.Equal(t, []string{`    fleet -state a \`, `      restart b`}, foldCommand("    fleet -state a restart b", 22))
	for state, want := range map[string]string{
		"state": "fleet -state state run", "my state": "fleet -state 'my state' run", "it's": `fleet -state 'it'\''s' run`,
	} {
		assert.Equal(t, want, (&tool{state: state}).line("run"))
	}
}

func TestPhases(t *testing.T) {
	t.Parallel()
	events := []durable.Event{
		{Time: noon, Text: "planned"},
		{Time: noon.Add(time.Second), Text: "VALIDATING: validation 1"},
		{Time: noon.Add(time.Minute), Text: "FAILED: the disk is full"},
		{Time: noon.Add(time.Hour), Text: "PLANNED: restarted"},
		{Time: noon.Add(2 * time.Hour), Text: "VALIDATING: validation 2"},
		{Time: noon.Add(2*time.Hour + time.Minute), Text: "VALIDATED"},
		{Time: noon.Add(3 * time.Hour), Text: "REPLICATING: migration 1"},
		{Time: noon.Add(4 * time.Hour), Text: "READY"},
		{Time: noon.Add(5 * time.Hour), Text: "REPLICATING: not ready for cutover any more"},
		{Time: noon.Add(6 * time.Hour), Text: "READY"},
	}
	p := phasesOf(durable.Record{Events: events})
	assert.Equal(t, "1m00s", between(p.validating, p.validated))
	assert.Equal(t, "3h00m", between(p.replicating, p.ready))
	assert.Empty(t, between(p.ready, p.finishing))
	assert.Empty(t, between(p.validating, p.complete))
}
