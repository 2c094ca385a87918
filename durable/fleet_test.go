package durable

import (
	"context"
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

// spyStore sees what is saved, and fails when it is told to.
type spyStore struct {
	*Memory
	mu    sync.Mutex
	saved []Record
	fail  func(Record) error
}

func newSpyStore() *spyStore { return &spyStore{Memory: NewMemory()} }

func (s *spyStore) Save(ctx context.Context, r Record) (Record, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail != nil {
		if err := s.fail(r); err != nil {
			return r, err
		}
	}
	saved, err := s.Memory.Save(ctx, r)
	if err == nil {
		s.saved = append(s.saved, saved)
	}
	return saved, err
}

func (s *spyStore) failWith(fail func(Record) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = fail
}

// writes is how often each state was stored, and how often as begun.
func (s *spyStore) writes() (texts []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.saved {
		text := string(r.State)
		if r.Begun != ActionNone {
			text += " begun " + string(r.Begun)
		}
		texts = append(texts, text)
	}
	return texts
}

// always approves everything.
func always(context.Context, Record, Gate) (bool, error) { return true, nil }

// storeWith is a store with plans in it.
func (f *fixture) storeWith(t *testing.T, plans ...Plan) *spyStore {
	t.Helper()
	store := newSpyStore()
	require.NoError(t, NewFleet(nil, store).Add(t.Context(), plans...))
	store.saved = nil
	return store
}

func (f *fixture) plans(n int) (plans []Plan) {
	for i := range n {
		plans = append(plans, f.plan(fmt.Sprintf("m-%04d", i)))
	}
	return plans
}

// background runs a fleet and returns what ends it, and its result.
func background(t *testing.T, f *Fleet) (stop func() error, ended <-chan error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- f.Run(ctx) }()
	return func() error {
		cancel()
		return <-done
	}, done
}

func mustGet(t *testing.T, s Store, name string) Record {
	t.Helper()
	r, err := s.Load(t.Context(), name)
	require.NoError(t, err)
	return r
}

func statesOf(t *testing.T, s Store) map[State]int {
	t.Helper()
	records, err := s.List(t.Context())
	require.NoError(t, err)
	states := make(map[State]int)
	for _, r := range records {
		states[r.State]++
	}
	return states
}

func TestFleetMovesAnEstate(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fixture) {
		const n, hosts, limit = 40, 6, 4
		plans := f.plans(n)
		for i := range plans {
			plans[i].Request.MigrationHosts = []string{fmt.Sprintf("vm%d.example.com", i%hosts)}
		}
		store := f.storeWith(t, plans...)
		states, most := make(map[string]State), 0
		fleet := NewFleet(f.client, store, WithApproval(always), WithLimit(limit), WithOnChange(func(r Record) {
			states[r.Plan.Name] = r.State
			running, onHost := 0, make(map[string]int)
			for name, state := range states {
				if !state.Final() && state != StatePlanned && state != StateValidated {
					running++
					onHost[mustGet(t, store, name).Plan.Request.MigrationHosts[0]]++
				}
			}
			most = max(most, running)
			for host, n := range onHost {
				assert.Equal(t, 1, n, host)
			}
		}))
		require.NoError(t, fleet.Run(t.Context()))
		assert.Equal(t, map[State]int{StateComplete: n}, statesOf(t, store))
		assert.Len(t, f.Migrations(), n)
		assert.Equal(t, limit, most)
	})
}

func TestFleetWritesTwiceForAChange(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fixture) {
		store := f.storeWith(t, f.plan("a"))
		require.NoError(t, NewFleet(f.client, store, WithApproval(always), WithPollInterval(time.Second, 10*time.Second)).Run(t.Context()))
		writes := store.writes()
		const lag = "REPLICATING" // at most every five minutes of the hour that it takes
		lags := len(writes)
		writes = slices.Compact(writes)
		lags -= len(writes)
		assert.LessOrEqual(t, lags, 13)
		assert.GreaterOrEqual(t, lags, 10)
		assert.Equal(t, []string{
			"PLANNED begun validate", "VALIDATING", "VALIDATED", "VALIDATED begun create", lag,
			"READY", "READY begun cut over", "FINISHING", "COMPLETE",
		}, writes)
	})
}

func TestFleetLooksWriteNothing(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fixture) {
		store := f.storeWith(t, f.plan("a"))
		stop, _ := background(t, NewFleet(f.client, store))
		time.Sleep(2 * time.Hour)
		require.Equal(t, StateReady, mustGet(t, store, "a").State)
		before := len(store.writes())
		f.ResetRequests()
		time.Sleep(10 * time.Hour)
		assert.Len(t, store.writes(), before)
		looks := f.count(livemigrationtest.GetMigration)
		assert.Greater(t, looks, 10*60-1)
		assert.Less(t, looks, 10*60*5/4)
		require.ErrorIs(t, stop(), context.Canceled)
	})
}

func TestFleetStopsAndGoesOn(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fixture) {
		store := f.storeWith(t, f.plans(5)...)
		stops := 0
		for step := 37 * time.Second; ; step += 71 * time.Second {
			ctx, cancel := context.WithTimeout(t.Context(), step)
			begun := time.Now()
			err := NewFleet(f.client, store, WithApproval(always)).Run(ctx)
			cancel()
			if err == nil {
				break
			}
			require.ErrorIs(t, err, context.DeadlineExceeded)
			assert.LessOrEqual(t, time.Since(begun), step+time.Second)
			stops++
		}
		assert.Greater(t, stops, 5)
		assert.Equal(t, map[State]int{StateComplete: 5}, statesOf(t, store))
		assert.Len(t, f.Migrations(), 5)
	})
}

func TestFleetStopsWithinASecond(t *testing.T) {
	for _, op := range []livemigrationtest.Operation{
		livemigrationtest.CreateValidation, livemigrationtest.GetValidation, livemigrationtest.GetMigration, livemigrationtest.Cutover,
	} {
		t.Run(string(op), func(t *testing.T) {
			inBubble(t, func(t *testing.T, f *fixture) {
				f.Inject(op, livemigrationtest.SlowBody(24*time.Hour), 1<<30)
				store := f.storeWith(t, f.plans(5)...)
				stop, _ := background(t, NewFleet(f.client, store, WithApproval(always)))
				for f.count(op) == 0 {
					time.Sleep(20 * time.Second)
				}
				begun := time.Now()
				require.ErrorIs(t, stop(), context.Canceled)
				assert.LessOrEqual(t, time.Since(begun), time.Second)
			})
		})
	}
	t.Run("a creation on its way", func(t *testing.T) {
		inBubble(t, func(t *testing.T, f *fixture) {
			f.Inject(livemigrationtest.CreateMigration, livemigrationtest.SlowBody(10*time.Second), 1)
			store := f.storeWith(t, f.plan("a"))
			stop, _ := background(t, NewFleet(f.client, store))
			for len(f.Migrations()) == 0 {
				time.Sleep(time.Second)
			}
			begun := time.Now()
			require.ErrorIs(t, stop(), context.Canceled)
			assert.LessOrEqual(t, time.Since(begun), 10*time.Second)
			r := mustGet(t, store, "a")
			assert.Equal(t, StateReplicating, r.State)
			assert.Equal(t, f.Migrations()[0].ID, r.MigrationID)
		})
	})
}

func TestFleetEndsWithWhatIsUnclear(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fixture) {
		plans := f.plans(4)
		plans[1].Request.MigrationHosts = plans[0].Request.MigrationHosts // behind the unclear one
		plans[2].Exclusive = plans[0].Exclusive                           // as well
		store := f.storeWith(t, plans...)
		f.Inject(livemigrationtest.CreateMigration, livemigrationtest.ResetAfterRequest(), 1)
		err := NewFleet(f.client, store, WithApproval(always), WithLimit(1)).Run(t.Context())
		var incomplete *IncompleteError
		require.True(t, errors.As(err, &incomplete), err)
		require.Len(t, incomplete.Records, 3)
		assert.Equal(t, StateUnclear, incomplete.Records[0].State)
		assert.Contains(t, incomplete.Records[1].Problem, "waits for the migration host vm-m-0000.example.com, which m-0000 has (UNCLEAR)")
		assert.Contains(t, incomplete.Records[2].Problem, "waits for the exclusive name org-m-0000, which m-0000 has (UNCLEAR)")
		assert.Contains(t, err.Error(), "m-0000 is UNCLEAR (nobody knows whether Atlas created the migration")
		assert.Equal(t, StateComplete, mustGet(t, store, "m-0003").State)
		assert.Empty(t, mustGet(t, store, "m-0001").Problem, "why it waits is not stored")

		// A person finds the job, and the next run finishes them all.
		require.NoError(t, NewFleet(nil, store).Adopt(t.Context(), "M-0000", f.Migrations()[0].ID))
		require.NoError(t, NewFleet(f.client, store, WithApproval(always)).Run(t.Context()))
		assert.Equal(t, map[State]int{StateComplete: 4}, statesOf(t, store))
		assert.Len(t, f.Migrations(), 4)
	})
}

func TestIncompleteErrorNamesTwenty(t *testing.T) {
	err := &IncompleteError{slices.Repeat([]Record{recordIn(StateFailed)}, 25)}
	assert.Contains(t, err.Error(), "25 records are not complete: a is FAILED; ")
	assert.Contains(t, err.Error(), "; and 5 more")
}

func TestFleetDoesNotBegin(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fixture) {
		scram := f.plan("scram")
		scram.Request.Source.ManagedAuthentication, scram.Request.Source.Username = false, "user"
		store := f.storeWith(t, scram)
		empty := NewMemory()
		for name, test := range map[string]struct {
			fleet *Fleet
			want  string
		}{
			"without a client":     {NewFleet(nil, empty), "the client must not be nil"},
			"without a store":      {NewFleet(f.client, nil), "the store must not be nil"},
			"with a limit of 0":    {NewFleet(f.client, empty, WithLimit(0)), "WithLimit"},
			"with a bad interval":  {NewFleet(f.client, empty, WithPollInterval(2, 1)), "WithPollInterval"},
			"without the password": {NewFleet(f.client, store), "WithPassword"},
		} {
			err := test.fleet.Run(t.Context())
			assert.ErrorContains(t, err, test.want, name)
		}
		unlock, err := store.Lock(t.Context())
		require.NoError(t, err)
		require.ErrorIs(t, NewFleet(nil, store, WithLimit(0)).Run(t.Context()), ErrRunning, "this comes first")
		require.NoError(t, unlock())
		assert.Empty(t, f.Recorded())

		require.NoError(t, NewFleet(nil, store).Abandon(t.Context(), "scram"))
		require.NoError(t, NewFleet(f.client, store).Run(t.Context()), "a final record needs no password")
		require.NoError(t, NewFleet(f.client, empty).Run(t.Context()), "nothing is nothing to do")
	})
}

func TestTwoFleetsOnOneStore(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fixture) {
		store := f.storeWith(t, f.plan("a"))
		fleet := NewFleet(f.client, store)
		stop, _ := background(t, fleet)
		time.Sleep(time.Minute)
		require.ErrorIs(t, fleet.Run(t.Context()), ErrRunning)
		require.ErrorIs(t, NewFleet(f.client, store).Run(t.Context()), ErrRunning)
		require.ErrorIs(t, stop(), context.Canceled)
		stop, _ = background(t, fleet)
		require.ErrorIs(t, stop(), context.Canceled)
	})
}

func TestFleetRecordsWhileItRuns(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fixture) {
		store := f.storeWith(t, f.plan("a"))
		fleet := NewFleet(f.client, store)
		stop, _ := background(t, fleet)
		time.Sleep(30 * time.Minute)
		seen := func(f *Fleet) *livemigration.Migration {
			records, err := f.Records(t.Context())
			require.NoError(t, err)
			require.Len(t, records, 1)
			return records[0].Migration
		}
		later := 0
		for range 30 {
			time.Sleep(20 * time.Second)
			ours, theirs := seen(fleet), seen(NewFleet(nil, store))
			assert.LessOrEqual(t, *ours.LagTimeSeconds, *theirs.LagTimeSeconds)
			if *ours.LagTimeSeconds < *theirs.LagTimeSeconds {
				later++
			}
		}
		assert.Greater(t, later, 10, "the store learns it later")
		seen(fleet).Status = "scribbled"
		assert.Equal(t, livemigration.MigrationWorking, seen(fleet).Status)
		require.ErrorIs(t, stop(), context.Canceled)
	})
}
