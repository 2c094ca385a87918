package durable

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Creations start before validations, each by name, and cutovers before both.
func TestStartOrder(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		for name, state := range map[string]State{"d": StatePlanned, "a": StatePlanned, "c": StateValidated, "b": StateValidated} {
			plan := w.plan(name)
			plan.Request.MigrationHosts = []string{"vm.example.com"} // one at a time
			w.put(t, plan, func(r *Record) { r.State = state })
		}
		require.NoError(t, w.fleet(t, yes()).Run(t.Context(), w.client))
		var order []string
		for _, job := range w.Migrations() {
			order = append(order, job.Destination.ClusterName)
		}
		assert.Equal(t, []string{"to-b", "to-c", "to-a", "to-d"}, order)
	})
}

func TestWhatWaitsForApprovalDoesNotCount(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.add(t, w.plans(3)...)
		stop, _ := inBackground(t, w.fleet(t, WithLimit(1)), w.client)
		time.Sleep(4 * time.Hour)
		assert.Equal(t, map[State]int{StateReady: 3}, w.states(t))
		require.ErrorIs(t, stop(), context.Canceled)
	})
}

// An estate on one host is validated in one night, and started in waves.
func TestHoldStart(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		plans := w.plans(5)
		for i := range plans {
			plans[i].HoldStart = true
			plans[i].Request.MigrationHosts = []string{"vm.example.com"}
			plans[i].Request.Source.ProjectID = plans[0].Request.Source.ProjectID
		}
		w.add(t, plans...)
		fleet := w.fleet(t, yes())
		_, ended := inBackground(t, fleet, w.client)
		time.Sleep(time.Hour)
		require.Equal(t, map[State]int{StateValidated: 5}, w.states(t))
		records, err := fleet.Records(t.Context())
		require.NoError(t, err)
		for _, r := range records {
			require.NotNil(t, r.Problem)
			assert.Equal(t, ProblemWaitingForApproval, r.Problem.Kind)
		}
		for _, plan := range plans {
			require.NoError(t, fleet.Approve(t.Context(), plan.Name, GateStart, "kim", time.Time{}))
		}
		require.NoError(t, <-ended)
		assert.Equal(t, map[State]int{StateComplete: 5}, w.states(t))
	})
}

// Two plans of one source project are never run at the same time, unless they say so.
func TestOneSourceProjectServesOneMigration(t *testing.T) {
	for _, parallel := range []bool{false, true} {
		t.Run(fmt.Sprint(parallel), func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				plans := w.plans(6)
				for i := range plans {
					plans[i].Request.Source.ProjectID = plans[0].Request.Source.ProjectID
					plans[i].Parallel = parallel
				}
				w.add(t, plans...)
				most := 0
				_, ended := inBackground(t, w.fleet(t, yes()), w.client)
				for range 3 * 60 {
					time.Sleep(time.Minute)
					states := w.states(t)
					most = max(most, states[StateReplicating]+states[StateReady]+states[StateFinishing])
				}
				require.NoError(t, <-ended)
				assert.Equal(t, map[bool]int{false: 1, true: 6}[parallel], most)
			}, quick)
		})
	}
}

// A slow WithOnChange delays nothing, and one that hangs is left after 30 seconds.
func TestWithOnChangeDelaysNobody(t *testing.T) {
	for name, wait := range map[string]time.Duration{"slow": 20 * time.Second, "hanging": 1000 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				w.add(t, w.plans(3)...)
				var calls, whileRunning atomic.Int32
				running := atomic.Bool{}
				running.Store(true)
				released := make(chan struct{})
				fleet := w.fleet(t, yes(), WithOnChange(func(_ context.Context, r Record) {
					calls.Add(1)
					assert.GreaterOrEqual(t, w.get(t, r.Plan.Name).Revision, r.Revision, "it has been stored")
					if running.Load() {
						whileRunning.Add(1)
					}
					select {
					case <-time.After(wait):
					case <-released:
					}
				}))
				begun := time.Now()
				require.NoError(t, fleet.Run(t.Context(), w.client))
				running.Store(false)
				assert.Less(t, time.Since(begun), 2*time.Hour)
				assert.Equal(t, map[State]int{StateComplete: 3}, w.states(t))
				assert.Greater(t, whileRunning.Load(), int32(15), "it is told while the run goes on")
				close(released)
			})
		})
	}
}
