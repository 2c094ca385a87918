package storetest

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"maps"
	"os"
	"os/exec"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/livemigration/livemigration-go/durable"
)

// mutantEnv names the fault of the store that a process of this test binary tests.
const mutantEnv = "STORETEST_MUTANT"

// TestStore is what each process does. Without a fault the store passes.
func TestStore(t *testing.T) {
	spoil := func(*mutant) {}
	if name := os.Getenv(mutantEnv); name != "" {
		spoil = mutants[name].spoil
	}
	spoiled := func() *mutant {
		m := sound()
		spoil(m)
		return m
	}
	Run(t, func(*testing.T) durable.Store { return spoiled() })
	t.Run("lost", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) { // its minutes pass at once
			Lost(t, func(*testing.T) (durable.Store, func()) {
				m := spoiled()
				return m, m.loseLock
			})
		})
	})
}

func TestEachFaultIsFound(t *testing.T) {
	for _, name := range slices.Sorted(maps.Keys(mutants)) {
		t.Run(name, func(t *testing.T) {
			process := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestStore$", "-test.v")
			process.Env = append(os.Environ(), mutantEnv+"="+name)
			output, err := process.CombinedOutput()
			var failed *exec.ExitError
			if !errors.As(err, &failed) {
				t.Fatalf("the process ended with %v:\n%s", err, output)
			}
			test := bytes.ReplaceAll([]byte(mutants[name].foundBy), []byte(" "), []byte("_"))
			if !bytes.Contains(output, append([]byte("--- FAIL: TestStore/"), test...)) {
				t.Fatalf("the test %q has not found it:\n%s", mutants[name].foundBy, output)
			}
		})
	}
}

// mutant is a good store, some of whose functions are replaced.
type mutant struct {
	*durable.Memory
	list    func(ctx context.Context) ([]durable.Record, error)
	load    func(ctx context.Context, name string) (durable.Record, error)
	save    func(ctx context.Context, r durable.Record) (durable.Record, error)
	remove  func(ctx context.Context, name string, revision int64) error
	changed func(ctx context.Context, known map[string]int64) ([]durable.Record, []string, error)

	lockAs    func(what string) string
	onLock    func(lost chan struct{})
	onLoss    func(lost chan struct{})
	unlockAny bool
	lost      chan struct{} // of the last lock
	unlock    func() error
}

func sound() *mutant {
	m := &mutant{
		lockAs: func(what string) string { return what },
		onLock: func(chan struct{}) {},
		onLoss: func(lost chan struct{}) { close(lost) },
	}
	m.clear()
	return m
}

func (m *mutant) clear() {
	m.Memory = durable.NewMemory()
	m.list, m.load, m.save, m.remove, m.changed = m.Memory.List, m.Memory.Load, m.Memory.Save, m.Memory.Delete, m.Memory.Changed
}

func (m *mutant) List(ctx context.Context) ([]durable.Record, error) { return m.list(ctx) }

func (m *mutant) Load(ctx context.Context, name string) (durable.Record, error) {
	return m.load(ctx, name)
}

func (m *mutant) Save(ctx context.Context, r durable.Record) (durable.Record, error) {
	return m.save(ctx, r)
}

func (m *mutant) Delete(ctx context.Context, name string, revision int64) error {
	return m.remove(ctx, name, revision)
}

func (m *mutant) Changed(ctx context.Context, known map[string]int64) ([]durable.Record, []string, error) {
	return m.changed(ctx, known)
}

// Lock is the lock of the embedded store, but can be lost.
func (m *mutant) Lock(ctx context.Context, what string) (<-chan struct{}, func() error, error) {
	_, unlock, err := m.Memory.Lock(ctx, m.lockAs(what))
	if err != nil {
		return nil, nil, err
	}
	m.lost, m.unlock = make(chan struct{}), unlock
	m.onLock(m.lost)
	return m.lost, func() error {
		if m.unlockAny {
			return m.unlock()
		}
		return unlock()
	}, nil
}

func (m *mutant) loseLock() {
	_ = m.unlock()
	m.onLoss(m.lost)
}

// overwrite saves a record whatever is stored.
func (m *mutant) overwrite(ctx context.Context, r durable.Record) (durable.Record, error) {
	for {
		stored, _ := m.Memory.Load(ctx, r.Plan.Name)
		revision := r.Revision
		r.Revision = stored.Revision
		saved, err := m.Memory.Save(ctx, r)
		if !errors.Is(err, durable.ErrStale) || stored.Plan.Name != "" && stored.Plan.Name != r.Plan.Name {
			return saved, err
		}
		r.Revision = revision
	}
}

func sizeOf(r durable.Record) (size int) {
	for _, event := range r.Events {
		size += len(event.Text)
	}
	return size
}

// mutants are faults, and the tests that find them.
var mutants = map[string]struct {
	foundBy string
	spoil   func(*mutant)
}{
	"lists one page": {"list", func(m *mutant) {
		m.list = func(ctx context.Context) ([]durable.Record, error) {
			records, err := m.Memory.List(ctx)
			return records[:min(1000, len(records))], err
		}
	}},
	"lists one page of what has changed": {"list", func(m *mutant) {
		m.changed = func(ctx context.Context, known map[string]int64) ([]durable.Record, []string, error) {
			records, gone, err := m.Memory.Changed(ctx, known)
			return records[:min(1000, len(records))], gone, err
		}
	}},
	"lists pages of so many bytes": {"large records survive", func(m *mutant) {
		m.list = func(ctx context.Context) ([]durable.Record, error) {
			records, err := m.Memory.List(ctx)
			for i, size := 0, 0; i < len(records); i++ {
				if size += sizeOf(records[i]); size > 1<<20 {
					return records[:i], err
				}
			}
			return records, err
		}
	}},
	"cuts bodies": {"large records survive", func(m *mutant) {
		m.save = func(ctx context.Context, r durable.Record) (durable.Record, error) {
			for sizeOf(r) >= 1<<16 {
				r.Events = r.Events[:len(r.Events)/2]
			}
			return m.Memory.Save(ctx, r)
		}
	}},
	"cuts times": {"every field survives", func(m *mutant) {
		m.load = func(ctx context.Context, name string) (durable.Record, error) {
			r, err := m.Memory.Load(ctx, name)
			r.CutoverAt = r.CutoverAt.Truncate(time.Microsecond)
			return r, err
		}
	}},
	"distinguishes case": {"names ignore case", func(m *mutant) {
		m.load = func(ctx context.Context, name string) (durable.Record, error) {
			r, err := m.Memory.Load(ctx, name)
			if r.Plan.Name != name {
				return durable.Record{}, errors.Join(durable.ErrNotFound, err)
			}
			return r, err
		}
	}},
	"takes any record": {"unfit records are rejected", func(m *mutant) {
		m.save = func(ctx context.Context, r durable.Record) (durable.Record, error) {
			if r.Validate() != nil {
				return r, nil
			}
			return m.Memory.Save(ctx, r)
		}
	}},
	"shares what it returns": {"what is loaded is a copy", func(m *mutant) {
		var mu sync.Mutex
		shared := make(map[int64]durable.Record)
		m.load = func(ctx context.Context, name string) (durable.Record, error) {
			r, err := m.Memory.Load(ctx, name)
			mu.Lock()
			defer mu.Unlock()
			if err == nil && shared[r.Revision].Revision == 0 {
				shared[r.Revision] = r
			}
			return shared[r.Revision], err
		}
	}},
	"ignores revisions": {"revisions", func(m *mutant) { m.save = m.overwrite }},
	"compares in one step and stores in another": {"one of many wins", func(m *mutant) {
		m.save = func(ctx context.Context, r durable.Record) (durable.Record, error) {
			stored, err := m.Memory.Load(ctx, r.Plan.Name)
			if ctx.Err() == nil && !errors.Is(err, durable.ErrNotFound) && stored.Revision != r.Revision {
				return r, durable.ErrStale
			}
			time.Sleep(time.Millisecond)
			return m.overwrite(ctx, r)
		}
	}},
	"uses a revision twice": {"no revision twice", func(m *mutant) {
		m.remove = func(ctx context.Context, name string, revision int64) error {
			if err := m.Memory.Delete(ctx, name, revision); err != nil {
				return err
			}
			if records, err := m.Memory.List(ctx); err == nil && len(records) == 0 {
				remove := m.remove
				m.clear() // its counter begins again
				m.remove = remove
			}
			return nil
		}
	}},
	"forgets deletions": {"delete", func(m *mutant) {
		m.remove = func(ctx context.Context, name string, _ int64) error {
			_, err := m.Memory.Load(ctx, name)
			return err
		}
	}},
	"deletes any revision": {"delete", func(m *mutant) {
		m.remove = func(ctx context.Context, name string, _ int64) error {
			r, err := m.Memory.Load(ctx, name)
			if err != nil {
				return err
			}
			return m.Memory.Delete(ctx, name, r.Revision)
		}
	}},
	"lists what is deleted": {"delete", func(m *mutant) {
		var deleted []durable.Record
		m.remove = func(ctx context.Context, name string, revision int64) error {
			r, _ := m.Memory.Load(ctx, name)
			err := m.Memory.Delete(ctx, name, revision)
			if err == nil {
				deleted = append(deleted, r)
			}
			return err
		}
		m.list = func(ctx context.Context) ([]durable.Record, error) {
			records, err := m.Memory.List(ctx)
			return append(records, deleted...), err
		}
	}},
	"does not tell what is gone": {"changed", func(m *mutant) {
		m.changed = func(ctx context.Context, known map[string]int64) ([]durable.Record, []string, error) {
			changed, _, err := m.Memory.Changed(ctx, known)
			return changed, nil, err
		}
	}},
	"tells only what is newer": {"changed", func(m *mutant) {
		m.changed = func(ctx context.Context, known map[string]int64) ([]durable.Record, []string, error) {
			changed, gone, err := m.Memory.Changed(ctx, known)
			return slices.DeleteFunc(changed, func(r durable.Record) bool { return r.Revision < known[r.Plan.Name] }), gone, err
		}
	}},
	"tells a change later": {"changed at once", func(m *mutant) {
		calls := 0
		m.changed = func(ctx context.Context, known map[string]int64) ([]durable.Record, []string, error) {
			calls++
			if calls > 20 && calls%2 == 0 {
				return nil, nil, ctx.Err()
			}
			return m.Memory.Changed(ctx, known)
		}
	}},
	"ignores contexts": {"ended contexts", func(m *mutant) {
		m.list = func(context.Context) ([]durable.Record, error) { return m.Memory.List(context.Background()) }
	}},
	"excludes nobody": {"lock", func(m *mutant) {
		m.lockAs = func(string) string { return rand.Text() }
	}},
	"has one lock for all names":  {"lock", func(m *mutant) { m.lockAs = func(string) string { return "lock" } }},
	"reports each lock as lost":   {"lock", func(m *mutant) { m.onLock = func(lost chan struct{}) { close(lost) } }},
	"never reports a lost lock":   {"lost", func(m *mutant) { m.onLoss = func(chan struct{}) {} }},
	"unlocks the lock of another": {"lost", func(m *mutant) { m.unlockAny = true }},
}
