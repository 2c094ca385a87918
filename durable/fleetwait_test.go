package durable

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go/livemigrationtest"
)

func TestWhatWaitsForApprovalDoesNotCount(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fixture) {
		plans := f.plans(3)
		store := f.storeWith(t, plans...)
		stop, _ := background(t, NewFleet(f.client, store, WithLimit(1)))
		time.Sleep(4 * time.Hour)
		assert.Equal(t, map[State]int{StateReady: 3}, statesOf(t, store))
		require.ErrorIs(t, stop(), context.Canceled)
	})
}

func TestWhatWaitsForItsStartHoldsNoHost(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fixture) {
		plans := f.plans(2)
		plans[0].Request.DropDestinationData = true
		plans[1].Request.MigrationHosts = plans[0].Request.MigrationHosts
		store := f.storeWith(t, plans...)
		stop, _ := background(t, NewFleet(f.client, store, WithLimit(1)))
		time.Sleep(2 * time.Hour)
		assert.Equal(t, StateValidated, mustGet(t, store, "m-0000").State)
		assert.Contains(t, mustGet(t, store, "m-0000").Problem, "waits for the approval of the start")
		assert.Equal(t, StateReady, mustGet(t, store, "m-0001").State)

		require.NoError(t, NewFleet(nil, store).Approve(t.Context(), "m-0000", GateStart))
		time.Sleep(time.Hour)
		assert.Equal(t, StateValidated, mustGet(t, store, "m-0000").State, "the host is taken")
		require.NoError(t, NewFleet(nil, store).Approve(t.Context(), "m-0001", GateCutover))
		time.Sleep(2 * time.Hour)
		assert.Equal(t, StateReady, mustGet(t, store, "m-0000").State)
		require.ErrorIs(t, stop(), context.Canceled)
	})
}

func TestApprovalThatIsOutOfDateIsAskedForAgain(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fixture) {
		plans := f.plans(2)
		plans[1].Request.DropDestinationData = true
		plans[1].Exclusive = plans[0].Exclusive
		store := f.storeWith(t, plans...)
		closes := time.Now().Add(30 * time.Minute)
		stop, _ := background(t, NewFleet(f.client, store, WithApproval(func(_ context.Context, r Record, g Gate) (bool, error) {
			return g == GateCutover || time.Now().Before(closes), nil
		})))
		time.Sleep(4 * time.Hour)
		require.Equal(t, StateComplete, mustGet(t, store, "m-0000").State)
		late := mustGet(t, store, "m-0001")
		assert.Equal(t, StateValidated, late.State, "it got its turn after the window")
		assert.Empty(t, late.Approved)
		require.ErrorIs(t, stop(), context.Canceled)
	})
}

func TestApprovalIsAskedForEachMinute(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fixture) {
		var asked atomic.Int32
		store := f.storeWith(t, f.plan("a"))
		stop, _ := background(t, NewFleet(f.client, store, WithPollInterval(10*time.Minute, 20*time.Minute),
			WithApproval(func(context.Context, Record, Gate) (bool, error) {
				asked.Add(1)
				return false, nil
			})))
		time.Sleep(3 * time.Hour)
		require.Equal(t, StateReady, mustGet(t, store, "a").State)
		asked.Store(0)
		f.ResetRequests()
		time.Sleep(5 * time.Hour)
		assert.GreaterOrEqual(t, asked.Load(), int32(5*60))
		assert.LessOrEqual(t, f.count(livemigrationtest.GetMigration), 5*6)
		assert.GreaterOrEqual(t, f.count(livemigrationtest.GetMigration), 5*3, "being asked does not put off the looks")
		time.Sleep(200 * time.Hour)
		assert.Equal(t, StateExpired, mustGet(t, store, "a").State)
		require.ErrorAs(t, stop(), new(*IncompleteError))
	})
}

func TestChangesOfProblemAreTold(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fixture) {
		var told []string
		store := f.storeWith(t, f.plan("a"))
		fleet := NewFleet(f.client, store, WithOnChange(func(r Record) {
			assert.GreaterOrEqual(t, mustGet(t, store, "a").Revision, r.Revision, "it has been stored")
			head, _, _ := strings.Cut(r.Problem, ": ")
			told = append(told, strings.TrimSpace(fmt.Sprint(r.State, " ", head)))
		}))
		stop, _ := background(t, fleet)
		time.Sleep(10 * time.Minute)
		f.Inject(livemigrationtest.GetMigration, livemigrationtest.Status(403), 5)
		time.Sleep(10 * time.Minute)
		require.ErrorIs(t, stop(), context.Canceled)
		assert.Equal(t, []string{
			"VALIDATING", "VALIDATED", "REPLICATING",
			"REPLICATING reading the migration failed with 403 FORBIDDEN", "REPLICATING",
		}, told)
	})
}

// What two processes have added at the same moment is never migrated to the same cluster one after the other.
func TestSharedDestinationIsUsedOnce(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fixture) {
		store := f.storeWith(t, f.plan("a"))
		twin := f.plan("b")
		twin.Request.Destination.ClusterName = "TO-A"
		mustSave(t, store, NewRecord(twin, time.Now()))
		var incomplete *IncompleteError
		require.ErrorAs(t, NewFleet(f.client, store, WithApproval(always)).Run(t.Context()), &incomplete)
		require.Len(t, incomplete.Records, 1)
		assert.Equal(t, StatePlanned, incomplete.Records[0].State)
		assert.Contains(t, incomplete.Records[0].Problem, "waits for the destination cluster to-a")
		assert.Contains(t, incomplete.Records[0].Problem, "which a has (COMPLETE)")
		assert.Len(t, f.Migrations(), 1)
	})
}

func TestNamesThatDifferInCase(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fixture) {
		path := t.TempDir()
		dir := openDir(t, path)
		mustSave(t, dir, NewRecord(f.plan("a"), time.Now()))
		text, err := os.ReadFile(filepath.Join(path, "a.json"))
		require.NoError(t, err)
		copied := strings.Replace(string(text), `"name": "a"`, `"name": "A"`, 1)
		require.NoError(t, os.WriteFile(filepath.Join(path, "A.json"), []byte(copied), 0o600))
		if records, err := dir.List(t.Context()); err == nil && len(records) == 1 {
			return // the file system ignores case, and has replaced the file
		}
		require.ErrorContains(t, NewFleet(f.client, dir).Run(t.Context()), "differ in case only")
	})
}

func TestApprovalsAreNeverLost(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fixture) {
		const n = 60
		store := f.storeWith(t, f.plans(n)...)
		_, ended := background(t, NewFleet(f.client, store, WithLimit(n)))
		other, random := NewFleet(nil, store), rand.New(rand.NewPCG(3, 4))
		for i := range n { // in all states, and beside the writes of the run
			time.Sleep(time.Duration(random.Int64N(int64(2 * time.Minute))))
			require.NoError(t, other.Approve(t.Context(), fmt.Sprintf("m-%04d", i), GateCutover))
		}
		require.NoError(t, <-ended)
		assert.Equal(t, map[State]int{StateComplete: n}, statesOf(t, store))
	})
}
