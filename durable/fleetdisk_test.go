package durable

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The disk is full for five minutes around a creation. Its ID is stored when there is space again.
func TestAKnownIDOutlivesAFullDisk(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.add(t, w.plans(3)...)
		var told []Record
		fleet := w.fleet(t, WithLimit(1), WithOnChange(func(_ context.Context, r Record) { told = append(told, r) }))
		fillDisk(w)
		stop, ended := inBackground(t, fleet, w.client)
		for len(w.Migrations()) == 0 {
			time.Sleep(time.Second)
		}
		id, sent := w.Migrations()[0].ID, len(w.Requests())
		time.Sleep(5 * time.Minute)
		assert.Len(t, w.Migrations(), 1)
		assert.LessOrEqual(t, len(w.Requests())-sent, 1, "nothing begins meanwhile")
		record, err := fleet.Record(t.Context(), "m-0000")
		require.NoError(t, err)
		assert.Contains(t, record.Problem.Text, errDisk.Error())
		_, err = fleet.Records(t.Context())
		require.ErrorIs(t, err, errDisk)
		assert.Equal(t, id, record.MigrationID)
		require.NotEmpty(t, told)
		last := told[len(told)-1]
		assert.Equal(t, id, last.MigrationID, "WithOnChange is told the ID")
		assert.Equal(t, ProblemNeedsAttention, last.Problem.Kind)

		w.store.onCall(nil)
		time.Sleep(3 * time.Second)
		assert.Equal(t, id, w.get(t, "m-0000").MigrationID)
		assert.Equal(t, StateReplicating, w.get(t, "m-0000").State)
		_, err = fleet.Records(t.Context())
		require.NoError(t, err)
		select {
		case err := <-ended:
			require.NoError(t, err)
		default:
			require.ErrorIs(t, stop(), context.Canceled)
		}
	})
}

// fillDisk makes saves fail from the first creation on.
func fillDisk(w *world) {
	w.store.onCall(func(op string, r Record) error {
		if op == "save" && len(w.Migrations()) > 0 {
			return errDisk
		}
		return nil
	})
}

// The disk stays full, the store cannot be listed either, and the program is told to end: the ID is tried for 30 seconds more,
// and is in the error.
func TestAKnownIDIsInTheError(t *testing.T) {
	for name, listable := range map[string]bool{"listable": true, "not listable": false} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				w.add(t, w.plan("a"))
				w.store.onCall(func(op string, r Record) error {
					if len(w.Migrations()) > 0 && (op != "list" || !listable) {
						return errDisk
					}
					return nil
				})
				var log bytes.Buffer
				stop, ended := inBackground(t, w.fleet(t, WithLogger(slog.New(slog.NewJSONHandler(&log, nil)))), w.client)
				time.Sleep(20 * time.Minute)
				select {
				case err := <-ended:
					require.NoError(t, err, "it ended")
				default:
				}
				begun := time.Now()
				err := stop()
				assert.GreaterOrEqual(t, time.Since(begun), 29*time.Second)
				assert.LessOrEqual(t, time.Since(begun), 32*time.Second)
				require.ErrorIs(t, err, context.Canceled)
				var unsaved *UnsavedError
				require.ErrorAs(t, err, &unsaved)
				require.Len(t, unsaved.Records, 1)
				assert.Equal(t, w.Migrations()[0].ID, unsaved.Records[0].MigrationID)
				assert.Contains(t, err.Error(), string(w.Migrations()[0].ID))
				assert.Contains(t, log.String(), string(w.Migrations()[0].ID))
				assert.Len(t, w.Migrations(), 1)
			})
		})
	}
}

// While the store cannot save, nothing begins, and Run goes on.
func TestNothingBeginsOnAFullDisk(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.add(t, w.plans(5)...)
		w.store.onCall(func(op string, _ Record) error { return map[string]error{"save": errDisk}[op] })
		_, ended := inBackground(t, w.fleet(t, yes()), w.client)
		time.Sleep(time.Hour)
		assert.Empty(t, w.Requests())
		w.store.onCall(nil)
		require.NoError(t, <-ended)
		assert.Equal(t, map[State]int{StateComplete: 5}, w.states(t))
	})
}

func TestAStoreThatCannotBeListedEndsTheRun(t *testing.T) {
	for name, bare := range map[string]bool{"that tells changes": false, "that only lists": true} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				w.add(t, w.plan("a"))
				var store Store = w.store
				if bare {
					store = struct{ Store }{w.store}
				}
				_, ended := inBackground(t, fleetOn(t, store), w.client)
				for range 10 { // it does not add up
					time.Sleep(31 * time.Second)
					w.store.onCall(func(op string, _ Record) error { return map[string]error{"list": errDisk}[op] })
					time.Sleep(31 * time.Second)
					w.store.onCall(nil)
				}
				time.Sleep(31 * time.Second)
				select {
				case err := <-ended:
					require.NoError(t, err, "it ended")
				default:
				}
				w.store.onCall(func(op string, _ Record) error { return map[string]error{"list": errDisk}[op] })
				begun := time.Now()
				require.ErrorIs(t, <-ended, errDisk)
				assert.GreaterOrEqual(t, time.Since(begun), time.Minute)
				assert.Less(t, time.Since(begun), 2*time.Minute)
			})
		})
	}
}

// A save that was carried out although it failed is recognized: the intent is this run's, and it is sent once.
func TestASaveThatSeemedToFail(t *testing.T) {
	for _, loads := range []bool{true, false} {
		t.Run(fmt.Sprint("loads ", loads), func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				w.add(t, w.plan("a"))
				var down atomic.Bool
				w.store.after = func(r Record) error {
					if r.Begun == nil || down.Load() {
						return nil
					}
					down.Store(!loads)
					time.AfterFunc(time.Minute, func() { down.Store(false) })
					return errDisk
				}
				w.store.onCall(func(op string, _ Record) error {
					if op == "load" && down.Load() {
						return errDisk
					}
					return nil
				})
				if !loads { // what was stored cannot be asked for, and becomes known later: it was not sent
					go func() {
						time.Sleep(10 * time.Minute)
						w.store.mu.Lock()
						defer w.store.mu.Unlock()
						w.store.after = nil
					}()
				}
				require.NoError(t, w.fleet(t, yes()).Run(t.Context(), w.client))
				assert.Equal(t, StateComplete, w.get(t, "a").State)
				assert.Len(t, w.Migrations(), 1)
				assert.NotContains(t, fmt.Sprint(w.get(t, "a").Events), "UNCLEAR")
			})
		})
	}
}
