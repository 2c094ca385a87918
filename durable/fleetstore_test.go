package durable

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go"
	"github.com/livemigration/livemigration-go/livemigrationtest"
)

// Two runs work on one store at the same time, because its lock was lost and neither knows: no cluster is migrated twice.
func TestTwoRunsCreateOnce(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		const n = 80
		w.store.free = true
		w.store.onCall(func(op string, _ Record) error {
			if op == "save" {
				time.Sleep(10 * time.Millisecond)
			}
			return nil
		})
		for _, plan := range w.plans(n) {
			w.put(t, plan, func(r *Record) { r.State = StateValidated })
		}
		w.Inject(livemigrationtest.CreateMigration, livemigrationtest.SlowBody(time.Second), 1_000_000)
		stops := make([]func() error, 2)
		for i := range stops {
			stops[i], _ = inBackground(t, w.fleet(t, WithLimit(n)), w.newClient(t))
			time.Sleep(time.Millisecond)
		}
		time.Sleep(5 * time.Minute)
		for _, stop := range stops {
			require.ErrorIs(t, stop(), context.Canceled)
		}
		assert.Len(t, w.Migrations(), n)
		assert.Zero(t, w.states(t)[StateValidated])
		noIDIsLost(t, w)
	})
}

// noIDIsLost checks that the records name each job.
func noIDIsLost(t *testing.T, w *world) {
	t.Helper()
	records, err := w.store.Memory.List(t.Context())
	require.NoError(t, err)
	named := make(map[livemigration.MigrationID]bool)
	for _, r := range records {
		named[r.MigrationID] = true
		for _, id := range r.FormerMigrationIDs {
			named[id] = true
		}
	}
	for _, job := range w.Migrations() {
		assert.True(t, named[job.ID], "job %s of %s is lost", job.ID, job.Destination.ClusterName)
	}
}

// A run that loses its lock ends. What it has sent is stored, although another one has begun.
func TestALostLockEndsTheRun(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		const n = 100
		for _, plan := range w.plans(n) {
			w.put(t, plan, func(r *Record) { r.State = StateValidated })
		}
		w.Inject(livemigrationtest.CreateMigration, livemigrationtest.SlowBody(20*time.Second), 100)
		lost := make(chan struct{})
		w.store.free, w.store.lost = true, lost
		_, first := inBackground(t, w.fleet(t, yes(), WithLimit(n)), w.client)
		for len(w.Migrations()) < 60 {
			time.Sleep(time.Second)
		}
		close(lost)
		w.store.mu.Lock()
		w.store.lost = nil
		w.store.mu.Unlock()
		_, second := inBackground(t, w.fleet(t, yes(), WithLimit(n)), w.newClient(t))
		begun := time.Now()
		err := <-first
		require.ErrorIs(t, err, ErrLockLost)
		require.NotErrorIs(t, err, context.Canceled)
		assert.LessOrEqual(t, time.Since(begun), 31*time.Second)
		require.NoError(t, <-second)
		assert.Equal(t, map[State]int{StateComplete: n}, w.states(t))
		assert.Len(t, w.Migrations(), n)
	}, livemigrationtest.Timings{InitialSync: time.Minute, Finishing: 10 * time.Second})
}

// dirWorld is a fleet on a directory, in virtual time.
func dirWorld(t *testing.T, test func(t *testing.T, w *world, path string, dir *Dir)) {
	t.Helper()
	inWorld(t, func(t *testing.T, w *world) {
		path := t.TempDir()
		dir, err := OpenDir(path)
		require.NoError(t, err)
		test(t, w, path, dir)
	}, quick)
}

// One record is damaged, gone or unreadable while a fleet runs: the others are moved to their end, and it is in the errors.
func TestOneBrokenRecord(t *testing.T) {
	for name, breakFile := range map[string]func(path string) error{
		"damaged": func(path string) error { return os.WriteFile(path, []byte("{"), 0o600) },
		"gone":    os.Remove,
		"a directory": func(path string) error {
			if err := os.Remove(path); err != nil {
				return err
			}
			return os.Mkdir(path, 0o700)
		},
	} {
		t.Run(name, func(t *testing.T) {
			dirWorld(t, func(t *testing.T, w *world, path string, dir *Dir) {
				fleet := fleetOn(t, dir, yes())
				require.NoError(t, fleet.Add(t.Context(), w.plans(3)...))
				_, ended := inBackground(t, fleet, w.client)
				time.Sleep(4 * time.Minute)
				require.Equal(t, StateReplicating, mustLoad(t, dir, "m-0001").State)
				require.NoError(t, breakFile(filepath.Join(path, "m-0001.json")))
				time.Sleep(35 * time.Second)
				records, err := fleet.Records(t.Context())
				require.ErrorContains(t, err, "m-0001")
				require.Len(t, records, 3)
				require.NotNil(t, records[1].Problem)
				assert.Equal(t, ProblemNeedsAttention, records[1].Problem.Kind)
				err = <-ended
				require.ErrorContains(t, err, "m-0001")
				var incomplete *IncompleteError
				require.ErrorAs(t, err, &incomplete)
				assert.Equal(t, w.jobs("m-0001")[0], incomplete.Records[0].MigrationID)
				for _, name := range []string{"m-0000", "m-0002"} {
					assert.Equal(t, StateComplete, mustLoad(t, dir, name).State)
				}
			})
		})
	}
	t.Run("and repaired", func(t *testing.T) {
		dirWorld(t, func(t *testing.T, w *world, path string, dir *Dir) {
			fleet := fleetOn(t, dir, yes())
			require.NoError(t, fleet.Add(t.Context(), w.plans(2)...))
			_, ended := inBackground(t, fleet, w.client)
			time.Sleep(4 * time.Minute)
			file := filepath.Join(path, "m-0001.json")
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			require.NoError(t, os.Remove(file))
			time.Sleep(10 * time.Second)
			_, err = fleet.Records(t.Context())
			require.ErrorContains(t, err, "m-0001")
			require.NoError(t, os.WriteFile(file, text, 0o600))
			require.NoError(t, <-ended)
		})
	})
	t.Run("before the run begins", func(t *testing.T) {
		dirWorld(t, func(t *testing.T, w *world, path string, dir *Dir) {
			fleet := fleetOn(t, dir, yes())
			require.NoError(t, fleet.Add(t.Context(), w.plans(2)...))
			require.NoError(t, os.WriteFile(filepath.Join(path, "m-0001.json"), []byte("{"), 0o600))
			require.ErrorContains(t, fleet.Run(t.Context(), w.client), "m-0001")
			assert.Equal(t, StateComplete, mustLoad(t, dir, "m-0000").State)
			require.ErrorContains(t, fleet.Add(t.Context(), w.plan("new")), "m-0001", "its clusters are unknown")
		})
	})
}

// One record cannot be stored, while others can: it stops alone.
func TestOneRecordThatCannotBeStored(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.add(t, w.plans(12)...)
		w.store.onCall(func(op string, r Record) error {
			if op == "save" && r.Plan.Name == "m-0001" && r.State != StatePlanned {
				return errDisk
			}
			return nil
		})
		begun := time.Now()
		err := w.fleet(t, yes(), WithLimit(2)).Run(t.Context(), w.client)
		require.ErrorIs(t, err, errDisk)
		assert.ErrorContains(t, err, "m-0001")
		assert.Equal(t, map[State]int{StateComplete: 11, StatePlanned: 1}, w.states(t))
		assert.Less(t, time.Since(begun), 3*time.Hour)
	}, quick)
}

// The lock file of a run is removed: it ends.
func TestARemovedLockFileEndsTheRun(t *testing.T) {
	dirWorld(t, func(t *testing.T, w *world, path string, dir *Dir) {
		fleet := fleetOn(t, dir)
		require.NoError(t, fleet.Add(t.Context(), w.plan("a")))
		_, ended := inBackground(t, fleet, w.client)
		time.Sleep(time.Minute)
		locks, err := filepath.Glob(filepath.Join(path, ".run*"))
		require.NoError(t, err)
		require.Len(t, locks, 1)
		text, err := os.ReadFile(locks[0])
		require.NoError(t, err)
		assert.Contains(t, strings.ToLower(string(text)), "do not delete")
		require.NoError(t, os.Remove(locks[0]))
		begun := time.Now()
		require.ErrorIs(t, <-ended, ErrLockLost)
		assert.LessOrEqual(t, time.Since(begun), 3*time.Second)
	})
}

// A disk that takes 200 ms for each save, one after the other, and 80 records that start at once: no save fails.
func TestASlowDisk(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		const n = 80
		w.add(t, w.plans(n)...)
		disk := make(chan struct{}, 1)
		w.store.onCall(func(op string, _ Record) error {
			if op == "save" {
				disk <- struct{}{}
				defer func() { <-disk }()
				time.Sleep(200 * time.Millisecond)
			}
			return nil
		})
		fleet := w.fleet(t, yes(), WithLimit(n))
		_, ended := inBackground(t, fleet, w.client)
		for range 12 {
			time.Sleep(10 * time.Second)
			records, err := fleet.Records(t.Context())
			require.NoError(t, err)
			for _, r := range records {
				require.False(t, r.Problem.failing(), r)
			}
		}
		require.NoError(t, <-ended)
		assert.Len(t, w.Validations(), n)
		assert.Len(t, w.Migrations(), n)
	}, livemigrationtest.Timings{InitialSync: time.Minute})
}

// A poll that was answered before a person's change does not take it back.
func TestAnOlderRecordReplacesNothing(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.add(t, w.plan("a"))
		stop, _ := inBackground(t, w.fleet(t), w.client)
		time.Sleep(10 * time.Minute)
		w.Inject(livemigrationtest.GetMigration, livemigrationtest.SlowBody(20*time.Second), 1000)
		for i := range 20 {
			person := fmt.Sprint("person ", i)
			require.NoError(t, w.fleet(t).Approve(t.Context(), "a", GateCutover, person, time.Time{}))
			time.Sleep(time.Duration(i) * 7 * time.Second)
			require.Len(t, w.get(t, "a").Approved, 1)
			assert.Equal(t, person, w.get(t, "a").Approved[0].By)
		}
		require.ErrorIs(t, stop(), context.Canceled)
	})
}
