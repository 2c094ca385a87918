package durable

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go"
	"github.com/livemigration/livemigration-go/livemigrationtest"
)

// What WithApproval grants holds for a minute. An outage before it must not put the creation off for longer than that.
func TestAGrantIsUsedAfterAnOutage(t *testing.T) {
	for _, outage := range []time.Duration{2 * time.Minute, 20 * time.Minute, 5 * time.Hour} {
		t.Run(outage.String(), func(t *testing.T) {
			inBubble(t, func(t *testing.T, f *fixture) {
				plan := f.plan("a")
				plan.Request.DropDestinationData = true
				r := f.record(t, StateValidated)
				r.Plan, r.Revision = plan, 0
				store := newSpyStore()
				mustSave(t, store, r)
				f.Inject(livemigrationtest.CreateMigration, livemigrationtest.Status(403), 1_000_000)
				stop, _ := background(t, NewFleet(f.client, store, WithApproval(func(_ context.Context, _ Record, g Gate) (bool, error) {
					return g == GateStart, nil
				})))
				time.Sleep(outage)
				f.ClearFaults()
				time.Sleep(10 * time.Minute)
				require.ErrorIs(t, stop(), context.Canceled)
				assert.Len(t, f.Migrations(), 1)
				assert.Equal(t, StateReplicating, mustGet(t, store, "a").State)
			})
		})
	}
}

func TestARejectedCutoverIsTriedEverMoreRarely(t *testing.T) {
	for _, status := range []int{409, 403, 429} {
		for name, opts := range map[string][]Option{"person": nil, "function": {WithApproval(always)}} {
			t.Run(fmt.Sprint(status, " ", name), func(t *testing.T) {
				inBubble(t, func(t *testing.T, f *fixture) {
					store := f.storeWith(t, f.plan("a"))
					if opts == nil {
						require.NoError(t, NewFleet(nil, store).Approve(t.Context(), "a", GateCutover))
					}
					f.Inject(livemigrationtest.Cutover, livemigrationtest.Status(status), 1_000_000)
					stop, _ := background(t, NewFleet(f.client, store, opts...))
					time.Sleep(4 * time.Hour)
					f.ResetRequests()
					writes := len(store.writes())
					time.Sleep(time.Hour)
					assert.Less(t, f.count(livemigrationtest.Cutover), map[int]int{409: 20, 403: 30, 429: 100}[status], "attempts an hour")
					assert.Less(t, len(store.writes())-writes, 60, "writes an hour")
					r := mustGet(t, store, "a")
					assert.Contains(t, r.Problem, "the cutover failed")
					assert.Equal(t, "planned", r.Events[0].Text, "it does not push its history out")
					require.ErrorIs(t, stop(), context.Canceled)
				})
			})
		}
	}
}

func TestWhatBecomesOfARejectedCutoverIsNoticed(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fixture) {
		store := f.storeWith(t, f.plan("a"))
		require.NoError(t, NewFleet(nil, store).Approve(t.Context(), "a", GateCutover))
		f.Inject(livemigrationtest.Cutover, livemigrationtest.Status(403), 1_000_000)
		require.ErrorAs(t, NewFleet(f.client, store).Run(t.Context()), new(*IncompleteError))
		assert.Equal(t, StateExpired, mustGet(t, store, "a").State)
	})
}

// A cutover fails, and then the window closes: the record waits for its approval, and says so.
func TestWhatWaitsForAnApprovalSaysSoAfterARejectedCutover(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fixture) {
		store := f.storeWith(t, f.plan("a"))
		var asked, since atomic.Int32
		f.Inject(livemigrationtest.Cutover, livemigrationtest.Status(403), 1)
		stop, _ := background(t, NewFleet(f.client, store, WithPollInterval(5*time.Second, time.Hour),
			WithApproval(func(context.Context, Record, Gate) (bool, error) {
				since.Add(1)
				return asked.Add(1) == 1, nil
			})))
		time.Sleep(3 * time.Hour)
		since.Store(0)
		time.Sleep(time.Hour)
		r := mustGet(t, store, "a")
		require.ErrorIs(t, stop(), context.Canceled)
		assert.Equal(t, StateReady, r.State)
		assert.Contains(t, r.Problem, "waits for the approval of the cutover")
		assert.GreaterOrEqual(t, since.Load(), int32(59))
	})
}

func TestOneFailureLosesNoPlace(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fixture) {
		store := f.storeWith(t, f.plans(4)...)
		f.Inject(livemigrationtest.CreateMigration, livemigrationtest.Status(403), 1)
		require.NoError(t, NewFleet(f.client, store, WithApproval(always), WithLimit(1)).Run(t.Context()))
		assert.Equal(t, mustGet(t, store, "m-0000").MigrationID, f.Migrations()[1].ID, "it comes next, before those that are PLANNED")
	})
}

func TestManyFailuresStarveNobody(t *testing.T) {
	const bad = 100
	inBubble(t, func(t *testing.T, f *fixture) {
		plans := f.plans(bad + 1)
		for i := range plans {
			plans[i].Request.Source.ManagedAuthentication, plans[i].Request.Source.Username = false, "user"
		}
		last := plans[bad].Name
		store := f.storeWith(t, plans...)
		stop, _ := background(t, NewFleet(f.client, store,
			WithPassword(func(_ context.Context, plan Plan) (livemigration.Secret, error) {
				if plan.Name == last {
					return "hunter2", nil
				}
				return "", errors.New("the vault does not know it")
			})))
		time.Sleep(2 * time.Minute)
		require.ErrorIs(t, stop(), context.Canceled)
		assert.NotEqual(t, StatePlanned, mustGet(t, store, last).State)
	})
}

func TestADamagedFileIsToldAtItsBeginningAndItsDoublings(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fixture) {
		path := t.TempDir()
		dir := openDir(t, path)
		require.NoError(t, NewFleet(nil, dir).Add(t.Context(), f.plan("a")))
		var log bytes.Buffer
		stop, _ := background(t, NewFleet(f.client, dir, WithLogger(slog.New(slog.NewTextHandler(&log, nil)))))
		time.Sleep(time.Second)
		require.NoError(t, os.WriteFile(filepath.Join(path, "b.json"), []byte("{"), 0o600))
		time.Sleep(time.Hour)
		require.ErrorIs(t, stop(), context.Canceled)
		told := strings.Count(log.String(), "level=ERROR")
		assert.Positive(t, told)
		assert.Less(t, told, 10)
	})
}
