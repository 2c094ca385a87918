package durable

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go/livemigrationtest"
)

// interfere makes somebody else change the stored record just before it is first saved as one that when is true of.
func (s *spyStore) interfere(when func(Record) bool, change func(Record) Record) {
	done := false
	s.fail = func(r Record) error {
		if done || !when(r) {
			return nil
		}
		done = true
		stored, err := s.Memory.Load(context.Background(), r.Plan.Name)
		if err == nil {
			_, err = s.Memory.Save(context.Background(), change(stored))
		}
		return err
	}
}

// Somebody else changes a record at the moment at which its intent is stored.
func TestChangeWhileAnActionBegins(t *testing.T) {
	abandon := func(r Record) Record { return r.Abandon(time.Now()) }
	approve := func(r Record) Record { return r.Approve(GateCutover, time.Now()) }
	move := func(r Record) Record {
		plan := r.Plan.clone()
		plan.Request.MigrationHosts = []string{"elsewhere.example.com"}
		replaced, _ := r.Replace(plan, time.Now())
		return replaced
	}
	sent := func(f *fixture) []int {
		return []int{f.count(livemigrationtest.CreateValidation), f.count(livemigrationtest.CreateMigration), f.count(livemigrationtest.Cutover)}
	}
	for name, test := range map[string]struct {
		begins Action
		change func(Record) Record
		state  State
		sent   []int // validations, migrations, cutovers
	}{
		"approved before the creation":    {ActionCreate, approve, StateComplete, []int{1, 1, 1}},
		"abandoned before the validation": {ActionValidate, abandon, StateAbandoned, []int{0, 0, 0}},
		"abandoned before the creation":   {ActionCreate, abandon, StateAbandoned, []int{1, 0, 0}},
		"abandoned before the cutover":    {ActionCutover, abandon, StateAbandoned, []int{1, 1, 0}},
		"replaced before the validation":  {ActionValidate, move, StateComplete, []int{1, 1, 1}},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, f *fixture) {
				store := f.storeWith(t, f.plan("a"))
				store.interfere(func(r Record) bool { return r.Begun == test.begins }, test.change)
				require.NoError(t, NewFleet(f.client, store, WithApproval(always)).Run(t.Context()))
				r := mustGet(t, store, "a")
				assert.Equal(t, test.state, r.State)
				assert.Equal(t, test.sent, sent(f))
				assert.Empty(t, r.Begun)
				if name == "replaced before the validation" {
					assert.Equal(t, []string{"elsewhere.example.com"}, f.Migrations()[0].MigrationHosts)
				}
				if name == "approved before the creation" {
					assert.Equal(t, []Gate{GateCutover}, r.Approved)
				}
			})
		})
	}
}

// unlocked is a store whose lock does not hold, such as a lease that has run out. The revisions still tell who has begun.
type unlocked struct{ *Memory }

func (unlocked) Lock(context.Context) (func() error, error) { return func() error { return nil }, nil }

func (s unlocked) Save(ctx context.Context, r Record) (Record, error) {
	time.Sleep(10 * time.Millisecond)
	return s.Memory.Save(ctx, r)
}

func TestTwoRunsWithoutALockCreateOnce(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fixture) {
		const n = 10
		store := unlocked{NewMemory()}
		f.Inject(livemigrationtest.CreateMigration, livemigrationtest.SlowBody(time.Second), 1000)
		for _, plan := range f.plans(n) {
			mustSave(t, store, NewRecord(plan, time.Now()).with(func(r *Record) { r.State = StateValidated }))
		}
		first, _ := background(t, NewFleet(f.client, store))
		time.Sleep(time.Millisecond) // the revisions differ, and so do the times
		second, _ := background(t, NewFleet(f.client, store))
		time.Sleep(5 * time.Hour)
		_, _ = first(), second()
		assert.Equal(t, n, f.count(livemigrationtest.CreateMigration))
	})
}

func TestTwoAddTheSame(t *testing.T) {
	add := func(plan Plan) error {
		store := newSpyStore()
		done := false
		store.fail = func(r Record) error {
			if done {
				return nil
			}
			done = true
			_, err := store.Memory.Save(t.Context(), NewRecord(plan, t0))
			return err
		}
		return NewFleet(nil, store).Add(t.Context(), planFor("a"))
	}
	require.NoError(t, add(planFor("a")), "the same plan is nothing")
	require.ErrorIs(t, add(droppingPlan("a")), ErrConflict)
}

func TestStoreThatAlwaysConflicts(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fixture) {
		store := f.storeWith(t, f.plan("a"))
		store.failWith(func(Record) error { return ErrConflict })
		begun := time.Now()
		err := NewFleet(f.client, store).Run(t.Context())
		require.Error(t, err)
		assert.False(t, errors.Is(err, context.DeadlineExceeded))
		assert.Less(t, time.Since(begun), 10*time.Minute)
		assert.Empty(t, f.Recorded())
		require.ErrorIs(t, NewFleet(nil, store).Approve(t.Context(), "a", GateCutover), ErrConflict)
	})
}
