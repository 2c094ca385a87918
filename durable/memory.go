package durable

import (
	"context"
	"fmt"
	"sync"
)

// Memory is a [Store] for tests. It ends with its program.
type Memory struct {
	mu      sync.Mutex
	records map[string]Record // by key
	highest int64             // the highest revision so far, of any record
	locks   map[string]bool
}

// NewMemory returns an empty store.
func NewMemory() *Memory {
	return &Memory{records: make(map[string]Record), locks: make(map[string]bool)}
}

// List returns all records, by name.
func (m *Memory) List(ctx context.Context) ([]Record, error) {
	records, _, err := m.Changed(ctx, nil)
	return records, err
}

// Changed returns the records whose revisions are not the known ones, and the names of the known ones that are gone.
func (m *Memory) Changed(ctx context.Context, known map[string]int64) (changed []Record, gone []string, err error) {
	if err := ctx.Err(); err != nil {
		return nil, nil, fmt.Errorf("durable: list records: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	same := make(map[string]bool, len(known))
	for name, revision := range known {
		r, exists := m.records[key(name)]
		if !exists {
			gone = append(gone, name)
		}
		same[key(name)] = exists && r.Revision == revision
	}
	changed = make([]Record, 0, len(m.records)-min(len(same), len(m.records)))
	for name, r := range m.records {
		if !same[name] {
			changed = append(changed, r.clone())
		}
	}
	sortByName(changed)
	return changed, gone, nil
}

// Load returns a record.
func (m *Memory) Load(ctx context.Context, name string) (Record, error) {
	if err := ctx.Err(); err != nil {
		return Record{}, fmt.Errorf("durable: load %q: %w", name, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	r, ok := m.records[key(name)]
	if !ok {
		return Record{}, fmt.Errorf("durable: load %q: %w", name, ErrNotFound)
	}
	return r.clone(), nil
}

// Save stores a record.
func (m *Memory) Save(ctx context.Context, r Record) (Record, error) {
	saved, err := m.save(ctx, r)
	if err != nil {
		return r, fmt.Errorf("durable: save %q: %w", r.Plan.Name, err)
	}
	return saved, nil
}

func (m *Memory) save(ctx context.Context, r Record) (Record, error) {
	if err := ctx.Err(); err != nil {
		return r, err
	}
	if err := r.Validate(); err != nil {
		return r, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	stored, exists := m.records[key(r.Plan.Name)]
	if err := checkRevision(r, stored, exists); err != nil {
		return r, err
	}
	if !exists {
		r.Revision = m.highest
	}
	r.Revision++
	m.highest = max(m.highest, r.Revision)
	m.records[key(r.Plan.Name)] = r.clone()
	return r, nil
}

// Delete deletes a record.
func (m *Memory) Delete(ctx context.Context, name string, revision int64) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("durable: delete %q: %w", name, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	stored, exists := m.records[key(name)]
	if err := checkDelete(revision, stored, exists); err != nil {
		return fmt.Errorf("durable: delete %q: %w", name, err)
	}
	delete(m.records, key(name))
	return nil
}

// Lock takes a lock. It cannot be lost.
func (m *Memory) Lock(ctx context.Context, what string) (lost <-chan struct{}, unlock func() error, err error) {
	if err := ctx.Err(); err != nil {
		return nil, nil, fmt.Errorf("durable: lock the store: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.locks[what] {
		return nil, nil, fmt.Errorf("durable: lock the store: %w", ErrRunning)
	}
	m.locks[what] = true
	return nil, sync.OnceValue(func() error {
		m.mu.Lock()
		defer m.mu.Unlock()
		delete(m.locks, what)
		return nil
	}), nil
}
