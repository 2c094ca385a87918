package main

import (
	"bytes"
	"context"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/livemigration/livemigration-go/durable"
)

// screen is what a terminal of some width shows of what is written to it.
type screen struct {
	width int

	mu    sync.Mutex
	lines []string // the last one has the cursor
}

func (s *screen) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.lines) == 0 {
		s.lines = []string{""}
	}
	text := string(b)
	if rest, erases := strings.CutPrefix(text, "\x1b["); erases {
		up, rest, _ := strings.Cut(rest, "A\r\x1b[J")
		n := 0
		for _, digit := range up {
			n = 10*n + int(digit-'0')
		}
		s.lines = append(s.lines[:len(s.lines)-1-n], "")
		text = rest
	}
	for _, c := range text {
		last := len(s.lines) - 1
		switch {
		case c == '\n':
			s.lines = append(s.lines, "")
		case len([]rune(s.lines[last])) == s.width:
			s.lines = append(s.lines, string(c))
		default:
			s.lines[last] += string(c)
		}
	}
	return len(b), nil
}

func (s *screen) shows() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.lines, "\n")
}

func TestLiveView(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now().Format("15:04:05")
		s := &screen{width: 60}
		records := []durable.Record{record("orders", durable.StatePlanned)}
		var mu sync.Mutex
		v := &liveView{
			out: s, size: func() (int, int) { return s.width, 24 }, todo: (&tool{state: "state"}).todo,
			records: func() []durable.Record {
				mu.Lock()
				defer mu.Unlock()
				return records
			},
		}
		set := func(r durable.Record) {
			mu.Lock()
			defer mu.Unlock()
			records = []durable.Record{r}
		}
		end := v.begin(t.Context())
		const head = "NAME    STATE        LAG     LEFT    WAITS FOR\n"
		time.Sleep(frameInterval)
		synctest.Wait()
		assert.Equal(t, head+"orders  PLANNED                      its turn\n1 migration: 1 PLANNED\n", s.shows())

		v.note("an outage")
		set(record("orders", durable.StateValidating))
		time.Sleep(frameInterval)
		synctest.Wait()
		table := head + "orders  VALIDATING                   the validation\n1 migration: 1 VALIDATING\n"
		assert.Equal(t, begun+"  an outage\n"+table, s.shows())

		unclear := record("orders", durable.StateUnclear, withProblem("nobody knows"))
		set(unclear)
		v.change(unclear)
		s.width = 30 // what was drawn takes more lines now
		end()
		assert.Contains(t, s.shows(), "orders is UNCLEAR: nobody knows\n            if the migration is in Atlas:\n              fleet -state state adopt orders ID\n")
		assert.True(t, strings.HasSuffix(s.shows(), "1 migration: 1 UNCLEAR\n"))
		assert.Equal(t, 1, strings.Count(s.shows(), "NAME"), s.shows())
	})
}

func TestPlainView(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		records := []durable.Record{
			record("orders", durable.StateReplicating, withLag(time.Minute)), record("events", durable.StateReplicating, withLag(time.Hour)),
			record("done", durable.StateComplete, withLag(48*time.Hour)),
		}
		v := &plainView{out: &out, records: func() []durable.Record { return records }, todo: (&tool{state: "state"}).todo, interval: summaryInterval}
		ctx, cancel := context.WithCancel(t.Context())
		end := v.begin(ctx)
		begun := time.Now().Format(clock)
		v.change(record("orders", durable.StateReplicating, func(r *durable.Record) {
			r.Events = []durable.Event{{Text: "VALIDATED"}, {Text: "REPLICATING: migration 1"}}
		}))
		v.change(record("orders", durable.StateReplicating, withProblem("reading the migration failed with 503 Service Unavailable. The server, which is far away, is down")))
		v.change(record("orders", durable.StateReplicating))
		v.change(record("orders", durable.StateReady, withProblem("waits for the approval of the cutover; Atlas ends the synchronization on …")))
		v.change(record("orders", durable.StateUnclear, withProblem("nobody knows")))
		time.Sleep(2*summaryInterval + time.Second)
		cancel()
		end()
		later := func(d time.Duration) string { return time.Now().Add(d - 2*summaryInterval - time.Second).Format(clock) }
		summary := "3 migrations: 2 REPLICATING, 1 COMPLETE; the longest lag is 1h00m\n"
		want := begun + `orders: REPLICATING: migration 1
` + begun + `orders: REPLICATING: reading the migration failed with 503 Service
          Unavailable. The server, which is far away, is down
` + begun + `orders: REPLICATING
` + begun + `orders: READY: waits for the approval of the cutover
` + begun + `orders is UNCLEAR: nobody knows
            if the migration is in Atlas:
              fleet -state state adopt orders ID
            if it is not:
              fleet -state state restart orders
` + later(summaryInterval) + summary + later(2*summaryInterval) + summary
		assert.Equal(t, want, out.String())
	})
}

// Briefly, only those records are followed that need a person.
func TestBriefView(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		before := record("before", durable.StateValidated, func(r *durable.Record) { r.Plan.Request.DropDestinationData = true })
		troubled := withProblem("reading the migration failed with 503 Service Unavailable.")
		records := []durable.Record{before, record("orders", durable.StateReplicating, troubled), record("events", durable.StatePlanned, withProblem("waits for its turn"))}
		tool := &tool{state: "state", out: &out, brief: time.Second, window: always}
		v := tool.newView(func() []durable.Record { return records })
		end := v.begin(t.Context())
		v.change(record("before", durable.StateReplicating))
		v.change(record("orders", durable.StateReplicating, troubled))
		v.change(record("orders", durable.StateReady, withProblem("waits for the approval of the cutover")))
		v.change(record("orders", durable.StateFailed, withProblem("the disk is full")))
		v.change(record("orders", durable.StatePlanned))
		begun := time.Now().Format(clock)
		time.Sleep(time.Second)
		synctest.Wait()
		end()
		assert.Equal(t, begun+"before: REPLICATING\n"+begun+"orders: FAILED: the disk is full\n"+begun+"orders: PLANNED\n"+
			time.Now().Format(clock)+"3 migrations: 1 REPLICATING, 1 VALIDATED, 1 PLANNED; 1 with a problem\n", out.String())

		tool.window = "" // then cutovers need a person too
		out.Reset()
		tool.newView(func() []durable.Record { return nil }).change(record("orders", durable.StateReady))
		assert.Contains(t, out.String(), "orders: READY")
	})
}

func TestSummaryOfTheDemo(t *testing.T) {
	t.Parallel()
	begun := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	var records []durable.Record
	for name, took := range map[string]time.Duration{"orders": 2, "events": 2, "billing": 2, "slow": 4} {
		records = append(records, record(name, durable.StateComplete, func(r *durable.Record) {
			r.Events = []durable.Event{{Time: begun, Text: "VALIDATING"}, {Time: begun.Add(took * time.Second), Text: "COMPLETE"}}
		}))
	}
	text := summary(records)
	assert.Contains(t, text, "A migration took about 2s. These took longer:\n")
	assert.Contains(t, text, "| slow |")
	assert.Equal(t, 3, strings.Count(text, "\n|"), text)
}
