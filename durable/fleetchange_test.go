package durable

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go"
	"github.com/livemigration/livemigration-go/livemigrationtest"
)

// Once the cutover has begun it can neither be approved nor revoked: nil means that nothing follows.
func TestRevokeWhileTheCutoverBegins(t *testing.T) {
	for name, early := range map[string]bool{"before its intent is stored": true, "after": false} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				w.add(t, w.plan("a"))
				person := w.fleet(t)
				require.NoError(t, person.Approve(t.Context(), "a", GateCutover, "kim", time.Time{}))
				var revoked error
				once := sync.Once{}
				revoke := func() {
					once.Do(func() { revoked = fleetOn(t, w.store.Memory).Revoke(t.Context(), "a", GateCutover, "lee") })
				}
				begins := func(r Record) bool { return r.Begun != nil && r.Begun.Action == ActionCutover }
				w.store.onCall(func(op string, r Record) error {
					if early && op == "save" && begins(r) {
						revoke()
					}
					return nil
				})
				w.store.after = func(r Record) error {
					if !early && begins(r) {
						revoke()
					}
					return nil
				}
				stop, ended := inBackground(t, w.fleet(t), w.client)
				time.Sleep(3 * time.Hour)
				if early {
					require.NoError(t, revoked)
					require.ErrorIs(t, stop(), context.Canceled)
					assert.Zero(t, w.sent(livemigrationtest.Cutover))
					assert.Equal(t, StateReady, w.get(t, "a").State)
					return
				}
				require.ErrorIs(t, revoked, ErrConflict)
				require.NoError(t, <-ended)
				assert.Equal(t, 1, w.sent(livemigrationtest.Cutover))
			})
		})
	}
}

// Two processes do the same at the same moment: one gets ErrConflict.
func TestTwoAtOneMoment(t *testing.T) {
	path := t.TempDir()
	processes := make([]*Fleet, 2)
	for i := range processes {
		dir, err := OpenDir(path)
		require.NoError(t, err)
		processes[i] = fleetOn(t, dir)
	}
	both := func(do func(i int, f *Fleet) error) (failed int) {
		errs := make([]error, len(processes))
		var work sync.WaitGroup
		for i, fleet := range processes {
			work.Go(func() { errs[i] = do(i, fleet) })
		}
		work.Wait()
		for _, err := range errs {
			if err != nil {
				require.ErrorIs(t, err, ErrConflict)
				failed++
			}
		}
		return failed
	}
	for n := range 20 {
		name := func(i int) string { return fmt.Sprintf("m-%d-%d", n, i) }
		assert.Equal(t, 1, both(func(i int, f *Fleet) error {
			return f.Add(t.Context(), somePlan(name(i), func(p *Plan) { p.Request.Destination.ClusterName = fmt.Sprint("to-", n) }))
		}), "one destination")
		id := livemigration.MigrationID(fmt.Sprintf("6560f2a49c1b7e03d5%06x", n))
		for i := range processes {
			putIn(t, processes[0].store, somePlan(fmt.Sprint("unclear-", name(i))), StateUnclear)
		}
		assert.Equal(t, 1, both(func(i int, f *Fleet) error { return f.Adopt(t.Context(), "unclear-"+name(i), id) }), "one ID")
	}
}

func TestWaitingForThePlans(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		_, unlock, err := w.store.Lock(t.Context(), lockPlans)
		require.NoError(t, err)
		time.AfterFunc(time.Minute, func() { _ = unlock() })
		begun := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, w.fleet(t).Add(ctx, w.plan("a")), context.DeadlineExceeded)
		require.NoError(t, w.fleet(t).Add(t.Context(), w.plan("a")))
		assert.GreaterOrEqual(t, time.Since(begun), time.Minute)
		lost := make(chan struct{})
		close(lost)
		w.store.lost = lost
		require.ErrorIs(t, w.fleet(t).Add(t.Context(), w.plan("b")), ErrLockLost)
	})
}

func TestAStoreThatIsAlwaysStale(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.add(t, w.plan("a"))
		w.store.onCall(func(op string, _ Record) error { return map[string]error{"save": ErrStale}[op] })
		stop, _ := inBackground(t, w.fleet(t), w.client)
		time.Sleep(time.Hour)
		assert.Empty(t, w.Recorded())
		require.ErrorIs(t, w.fleet(t).Abandon(t.Context(), "a"), ErrStale)
		require.ErrorIs(t, stop(), context.Canceled)
	})
}

// What people and other processes store while a fleet runs is noticed at once, and never lost.
func TestChangesWhileAFleetRuns(t *testing.T) {
	for _, kind := range []string{"the same fleet", "another process", "another process, a store that only lists"} {
		t.Run(kind, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				// A scan a second notices it. A record that is being polled at that instant is picked a second later.
				store, noticed := Store(w.store), 3*time.Second
				if kind == "another process, a store that only lists" {
					store, noticed = struct{ Store }{w.store}, 33*time.Second
				}
				fleet := fleetOn(t, store)
				other := fleetOn(t, w.store.Memory)
				if kind == "the same fleet" {
					other, noticed = fleet, time.Millisecond
				}
				w.add(t, w.plans(3)...)
				_, ended := inBackground(t, fleet, w.client)
				time.Sleep(2*time.Hour + time.Second/2)
				require.Equal(t, map[State]int{StateReady: 3}, w.states(t))

				require.NoError(t, other.Add(t.Context(), w.plan("new")))
				time.Sleep(noticed)
				assert.Equal(t, StateValidating, w.get(t, "new").State)
				require.NoError(t, other.Approve(t.Context(), "m-0000", GateCutover, "kim", time.Time{}))
				time.Sleep(noticed)
				assert.Equal(t, StateFinishing, w.get(t, "m-0000").State)
				require.NoError(t, other.Abandon(t.Context(), "m-0001"))
				require.NoError(t, w.FailMigration(w.get(t, "m-0002").MigrationID))
				time.Sleep(2 * time.Hour)
				require.Equal(t, StateFailed, w.get(t, "m-0002").State)
				require.NoError(t, other.Restart(t.Context(), "m-0002"))
				require.NoError(t, other.Remove(t.Context(), "m-0001"))
				time.Sleep(2 * time.Hour)
				records, err := fleet.Records(t.Context())
				require.NoError(t, err)
				assert.Len(t, records, 3, "what was removed is gone")
				assert.Len(t, w.jobs("m-0002"), 2)
				for _, name := range []string{"m-0002", "new"} {
					require.NoError(t, other.Approve(t.Context(), name, GateCutover, "kim", time.Time{}))
				}
				require.NoError(t, <-ended)
				assert.Equal(t, map[State]int{StateComplete: 3}, w.states(t))
			})
		})
	}
}

// A person changes a record at the moment at which its intent is stored.
func TestChangeWhileAnActionBegins(t *testing.T) {
	abandon := func(r Record) (Record, error) { return r.Abandon(time.Now()) }
	approve := func(r Record) (Record, error) { return r.Approve(GateCutover, "kim", time.Time{}, time.Now()) }
	move := func(r Record) (Record, error) {
		plan := r.Plan.clone()
		plan.Request.MigrationHosts = []string{"elsewhere.example.com"}
		return r.Replace(plan, time.Now())
	}
	for name, c := range map[string]struct {
		begins Action
		after  bool // the intent is stored
		change func(Record) (Record, error)
		state  State
		sent   []int // validations, migrations, cutovers
	}{
		"approved before the creation":    {ActionCreate, false, approve, StateComplete, []int{1, 1, 1}},
		"approved during the creation":    {ActionCreate, true, approve, StateComplete, []int{1, 1, 1}},
		"abandoned before the validation": {ActionValidate, false, abandon, StateAbandoned, []int{0, 0, 0}},
		"abandoned before the creation":   {ActionCreate, false, abandon, StateAbandoned, []int{1, 0, 0}},
		"abandoned during the creation":   {ActionCreate, true, abandon, StateAbandoned, []int{1, 1, 0}},
		"abandoned before the cutover":    {ActionCutover, false, abandon, StateAbandoned, []int{1, 1, 0}},
		"replaced before the validation":  {ActionValidate, false, move, StateComplete, []int{1, 1, 1}},
		"replaced during the validation":  {ActionValidate, true, move, StateComplete, []int{2, 1, 1}},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				w.add(t, w.plan("a"))
				done := false
				interfere := func(r Record) {
					if done || r.Begun == nil || r.Begun.Action != c.begins {
						return
					}
					done = true
					changed, err := c.change(w.get(t, "a"))
					require.NoError(t, err)
					_, err = w.store.Memory.Save(t.Context(), changed)
					require.NoError(t, err)
				}
				w.store.onCall(func(op string, r Record) error {
					if op == "save" && !c.after {
						interfere(r)
					}
					return nil
				})
				w.store.after = func(r Record) error {
					if c.after {
						interfere(r)
					}
					return nil
				}
				require.NoError(t, w.fleet(t, yes()).Run(t.Context(), w.client))
				require.True(t, done)
				r := w.get(t, "a")
				assert.Equal(t, c.state, r.State)
				assert.Equal(t, c.sent, []int{
					w.sent(livemigrationtest.CreateValidation), w.sent(livemigrationtest.CreateMigration), w.sent(livemigrationtest.Cutover),
				})
				assert.Nil(t, r.Begun)
				for _, job := range w.Migrations() {
					assert.Equal(t, job.ID, r.MigrationID)
					assert.Equal(t, r.Plan.Request.MigrationHosts, job.MigrationHosts)
				}
			})
		})
	}
}

// What is read while an action is in progress counts when the action has ended, not at the next listing.
func TestAChangeThatIsReadDuringAPoll(t *testing.T) {
	fleet := fleetOn(t, NewMemory())
	r := newRun(t.Context(), fleet, nil, true)
	defer r.notifier.close()
	polled := recordIn(StateReady)
	r.take(polled)
	e := r.entries["a"]
	e.busy, e.doing = true, ActionCheck
	r.busy, r.polling = 1, 1
	approved := approvedCutover().with(func(r *Record) { r.Revision++ })
	r.take(approved)
	assert.Equal(t, polled, e.record, "the result of the poll comes first")
	r.settle(result{entry: e, record: polled})
	assert.Equal(t, approved, e.record)
	assert.Nil(t, e.later)
}
