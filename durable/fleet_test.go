package durable

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go"
	"github.com/livemigration/livemigration-go/livemigrationtest"
)

func TestFleetMovesAnEstate(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		const n, hosts, limit = 24, 6, 4
		plans := w.plans(n)
		for i := range plans {
			plans[i].Request.MigrationHosts = []string{fmt.Sprintf("vm%d.example.com", i%hosts)}
		}
		w.add(t, plans...)
		most := 0
		var mu sync.Mutex
		w.store.onCall(func(op string, _ Record) error {
			if op != "save" {
				return nil
			}
			mu.Lock()
			defer mu.Unlock()
			records, err := w.store.Memory.List(t.Context())
			if err != nil {
				return err
			}
			running, onHost := 0, make(map[string]int)
			for _, r := range records {
				if len(r.held()) > 1 {
					running++
					onHost[r.Plan.Request.MigrationHosts[0]]++
				}
			}
			most = max(most, running)
			for host, n := range onHost {
				assert.Equal(t, 1, n, host)
			}
			return nil
		})
		require.NoError(t, w.fleet(t, yes(), WithLimit(limit)).Run(t.Context(), w.client))
		assert.Equal(t, map[State]int{StateComplete: n}, w.states(t))
		assert.Len(t, w.Migrations(), n)
		assert.Equal(t, limit, most)
	}, quick)
}

// What a migration costs in writes: two for each action that changes something, one for each other change of state, and a
// lag every five minutes of the hour that it takes.
func TestFleetWritesTwiceForAChange(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.add(t, w.plan("a"))
		require.NoError(t, w.fleet(t, yes()).Run(t.Context(), w.client))
		var writes []string
		for _, r := range w.store.saved() {
			text := string(r.State)
			if r.Begun != nil {
				text += " begun " + string(r.Begun.Action)
			}
			writes = append(writes, text)
		}
		lags := len(writes)
		writes = slices.Compact(writes)
		lags -= len(writes)
		assert.Equal(t, []string{
			"PLANNED begun validate", "VALIDATING", "VALIDATED", "VALIDATED begun create", "REPLICATING",
			"READY", "READY begun cut over", "FINISHING", "COMPLETE",
		}, writes)
		assert.GreaterOrEqual(t, lags, 10)
		assert.LessOrEqual(t, lags, 17)
	})
}

func TestWaitingStoresNothing(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.add(t, w.plan("a"))
		stop, _ := inBackground(t, w.fleet(t), w.client)
		time.Sleep(2 * time.Hour)
		require.Equal(t, StateReady, w.get(t, "a").State)
		w.store.forget()
		w.ResetRequests()
		time.Sleep(10 * time.Hour)
		assert.Empty(t, w.store.saved())
		polls := w.sent(livemigrationtest.GetMigration)
		assert.GreaterOrEqual(t, polls, 10*60-1)
		assert.LessOrEqual(t, polls, 10*60*5/4)
		require.ErrorIs(t, stop(), context.Canceled)
	})
}

func TestFleetStopsWithinASecond(t *testing.T) {
	for _, op := range []livemigrationtest.Operation{
		livemigrationtest.CreateValidation, livemigrationtest.GetValidation, livemigrationtest.GetMigration, livemigrationtest.Cutover,
	} {
		t.Run(string(op), func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				w.Inject(op, livemigrationtest.SlowBody(24*time.Hour), 1<<30)
				w.add(t, w.plans(5)...)
				stop, _ := inBackground(t, w.fleet(t, yes()), w.client)
				for w.sent(op) == 0 {
					time.Sleep(10 * time.Second)
				}
				begun := time.Now()
				require.ErrorIs(t, stop(), context.Canceled)
				assert.LessOrEqual(t, time.Since(begun), time.Second)
			})
		})
	}
}

// A creation that was sent when the context ends is waited for, and its ID is stored, although the first attempt fails.
func TestACreationThatWasSentIsStored(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.Inject(livemigrationtest.CreateMigration, livemigrationtest.SlowBody(10*time.Second), 1)
		w.add(t, w.plan("a"))
		stop, _ := inBackground(t, w.fleet(t), w.client)
		for len(w.Migrations()) == 0 {
			time.Sleep(time.Second)
		}
		failed := false
		w.store.onCall(func(op string, _ Record) error {
			if op == "save" && !failed {
				failed = true
				return errDisk
			}
			return nil
		})
		begun := time.Now()
		require.ErrorIs(t, stop(), context.Canceled)
		assert.LessOrEqual(t, time.Since(begun), 15*time.Second)
		assert.True(t, failed)
		r := w.get(t, "a")
		assert.Equal(t, StateReplicating, r.State)
		assert.Equal(t, w.Migrations()[0].ID, r.MigrationID)
	})
}

func TestARecordIsKnownOnceItIsAdded(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.add(t, w.plan("a"))
		f := w.fleet(t)
		stop, _ := inBackground(t, f, w.client)
		time.Sleep(1500 * time.Millisecond) // between two reads of the store
		w.add(t, w.plan("b"))
		r, err := f.Record(t.Context(), "b")
		require.NoError(t, err)
		assert.Equal(t, "b", r.Plan.Name)
		_, err = f.Record(t.Context(), "c")
		require.ErrorIs(t, err, ErrNotFound)
		require.ErrorIs(t, stop(), context.Canceled)
	})
}

func TestFleetEndsWithWhatIsUnclear(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		plans := w.plans(4)
		plans[1].Request.MigrationHosts = plans[0].Request.MigrationHosts // behind the unclear one
		plans[0].Exclusive, plans[2].Exclusive = []string{"Org A"}, []string{"org b", " ORG a"}
		w.add(t, plans...)
		w.Inject(livemigrationtest.CreateMigration, livemigrationtest.ResetAfterRequest(), 1)
		err := w.fleet(t, yes(), WithLimit(1)).Run(t.Context(), w.client)
		var incomplete *IncompleteError
		require.ErrorAs(t, err, &incomplete)
		require.Len(t, incomplete.Records, 3)
		assert.Equal(t, StateUnclear, incomplete.Records[0].State)
		for i, what := range []string{"migration host vm-m-0000.example.com", "exclusive name org a"} {
			p := incomplete.Records[1+i].Problem
			require.NotNil(t, p)
			assert.Equal(t, ProblemWaitingForOther, p.Kind)
			assert.Equal(t, "waits for the "+what+": m-0000 has it and is UNCLEAR", p.Text)
		}
		assert.Equal(t, StateComplete, w.get(t, "m-0003").State)
		assert.Nil(t, w.get(t, "m-0001").Problem, "why it waits is not stored")

		// A person finds the job, and the next run finishes them all.
		require.NoError(t, w.fleet(t).Adopt(t.Context(), "M-0000", w.Migrations()[0].ID))
		require.NoError(t, w.fleet(t, yes()).Run(t.Context(), w.client))
		assert.Equal(t, map[State]int{StateComplete: 4}, w.states(t))
		assert.Len(t, w.Migrations(), 4)
	})
}

func TestFleetDoesNotBegin(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		scram := w.plan("scram")
		scram.Request.Source.ManagedAuthentication, scram.Request.Source.Username = false, "user"
		w.add(t, scram)
		_, err := NewFleet(nil)
		require.ErrorIs(t, err, livemigration.ErrInvalidConfig)
		_, err = NewFleet(w.store, WithLimit(0), WithPollInterval(2, 1))
		require.ErrorIs(t, err, livemigration.ErrInvalidConfig)
		assert.ErrorContains(t, err, "WithLimit")
		assert.ErrorContains(t, err, "WithPollInterval")
		require.ErrorIs(t, w.fleet(t).Run(t.Context(), nil), livemigration.ErrInvalidConfig)
		require.ErrorIs(t, w.fleet(t).Serve(t.Context(), nil), livemigration.ErrInvalidConfig)
		err = w.fleet(t).Run(t.Context(), w.client)
		require.ErrorIs(t, err, livemigration.ErrInvalidConfig)
		assert.ErrorContains(t, err, `the plan "scram" has a source username but no password: pass WithPassword to NewFleet`)
		w.store.onCall(func(op string, _ Record) error { return map[string]error{"list": errDisk}[op] })
		require.ErrorIs(t, w.fleet(t).Run(t.Context(), w.client), errDisk)
		w.store.onCall(nil)
		_, unlock, err := w.store.Lock(t.Context(), lockRun)
		require.NoError(t, err)
		require.ErrorIs(t, w.fleet(t).Run(t.Context(), w.client), ErrRunning)
		require.NoError(t, unlock())
		assert.Empty(t, w.Recorded())

		require.NoError(t, w.fleet(t).Abandon(t.Context(), "scram"))
		require.NoError(t, w.fleet(t).Run(t.Context(), w.client), "a final record needs no password")
		require.NoError(t, fleetOn(t, NewMemory()).Run(t.Context(), w.client), "nothing is nothing to do")
	})
}

func TestOneRunAtATime(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.add(t, w.plan("a"))
		fleet := w.fleet(t)
		stop, _ := inBackground(t, fleet, w.client)
		time.Sleep(time.Minute)
		require.ErrorIs(t, fleet.Run(t.Context(), w.client), ErrRunning)
		require.ErrorIs(t, w.fleet(t).Run(t.Context(), w.client), ErrRunning)
		w.store.free = true
		require.ErrorIs(t, fleet.Run(t.Context(), w.client), ErrRunning, "also without a lock, in one fleet")
		w.store.free = false
		require.ErrorIs(t, stop(), context.Canceled)
		stop, _ = inBackground(t, fleet, w.client)
		require.ErrorIs(t, stop(), context.Canceled)
	})
}

func TestServe(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		_, unlock, err := w.store.Lock(t.Context(), lockRun)
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		served := make(chan error, 1)
		go func() { served <- w.fleet(t, yes()).Serve(ctx, w.client) }()
		require.NoError(t, w.fleet(t).Add(t.Context(), w.plan("a")))
		time.Sleep(time.Hour)
		assert.Empty(t, w.Recorded(), "it waits for the lock")
		require.NoError(t, unlock())
		time.Sleep(2 * time.Hour)
		assert.Equal(t, StateComplete, w.get(t, "a").State)

		require.NoError(t, w.fleet(t).Add(t.Context(), w.plan("b")))
		time.Sleep(3 * time.Second)
		assert.Equal(t, StateValidating, w.get(t, "b").State, "it did not end when nothing was left to do")
		w.store.onCall(func(string, Record) error { return errDisk })
		time.Sleep(time.Hour)
		w.store.onCall(nil)
		time.Sleep(2 * time.Hour)
		assert.Equal(t, StateComplete, w.get(t, "b").State, "a store that failed for an hour did not end it")
		cancel()
		require.ErrorIs(t, <-served, context.Canceled)
	})
}

func TestRecordsWhileAFleetRuns(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.add(t, w.plan("a"))
		fleet := w.fleet(t)
		stop, _ := inBackground(t, fleet, w.client)
		time.Sleep(30 * time.Minute)
		later := 0
		for range 30 {
			time.Sleep(20 * time.Second)
			ours, err := fleet.Record(t.Context(), "A")
			require.NoError(t, err)
			if theirs := w.get(t, "a"); *ours.Migration.LagTimeSeconds != *theirs.Migration.LagTimeSeconds {
				assert.True(t, ours.SeenAt.After(theirs.SeenAt))
				later++
			}
			ours.Migration.Status = "scribbled"
		}
		assert.Greater(t, later, 10, "the store learns of a lag later")
		records, err := fleet.Records(t.Context())
		require.NoError(t, err)
		assert.Equal(t, livemigration.MigrationWorking, records[0].Migration.Status)
		_, err = fleet.Record(t.Context(), "b")
		require.ErrorIs(t, err, ErrNotFound)
		require.ErrorIs(t, stop(), context.Canceled)
	})
}

func TestJSONOfErrors(t *testing.T) {
	record := Record{Plan: Plan{Name: "a"}, State: StateFailed, MigrationID: "6560f2a49c1b7e03d5dddddd", Problem: &Problem{
		Kind: ProblemNeedsAttention, Text: "it failed", Since: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC),
	}}
	const summary = `{"name":"a","state":"FAILED","migration_id":"6560f2a49c1b7e03d5dddddd",
		"problem":{"kind":"needsAttention","text":"it failed","since":"2026-03-01T00:00:00Z"}}`
	fleet := fleetOn(t, NewMemory())
	require.NoError(t, fleet.Add(t.Context(), Plan{Name: "good", ProjectID: "6560f2a49c1b7e03d5aaaaaa", Request: request("good")}))
	for name, c := range map[string]struct {
		err  error
		want string
	}{
		"a sentinel": {ErrRunning, `{"kind":"running","message":"another run works on this store"}`},
		"incomplete": {&IncompleteError{[]Record{record}}, `{"kind":"incomplete","records":[` + summary + `],
			"message":"durable: 1 record is not complete: a FAILED, migration 6560f2a49c1b7e03d5dddddd: it failed"}`},
		"unsaved": {&UnsavedError{[]Record{record, record}}, `{"kind":"unsaved","records":[` + summary + `,` + summary + `],
			"message":"durable: 2 records are not stored: a FAILED, migration 6560f2a49c1b7e03d5dddddd: it failed; ` +
			`a FAILED, migration 6560f2a49c1b7e03d5dddddd: it failed"}`},
		"not found":  {fleet.Abandon(t.Context(), "b"), `{"kind":"not_found","message":"record not found"}`},
		"a conflict": {fleet.Restart(t.Context(), "good"), `{"kind":"conflict","message":"conflict"}`},
	} {
		t.Run(name, func(t *testing.T) {
			var marshaler json.Marshaler
			require.True(t, errors.As(c.err, &marshaler), "%T", c.err)
			text, err := marshaler.MarshalJSON()
			require.NoError(t, err)
			assert.JSONEq(t, c.want, string(text))
		})
	}
	require.EqualError(t, fleet.Restart(t.Context(), "good"),
		`durable: restart "good": it is PLANNED, must be one of UNCLEAR, FAILED, EXPIRED, ABANDONED: conflict`)
	require.EqualError(t, fleet.Abandon(t.Context(), "b"), `durable: abandon "b": load "b": record not found`)
	many := joined(slices.Repeat([]error{ErrConflict}, 25))
	assert.ErrorContains(t, many, "conflict; and 5 more")
	require.ErrorIs(t, many, ErrConflict)
	assert.ErrorContains(t, &IncompleteError{slices.Repeat([]Record{record}, 25)}, "; and 5 more")
}
