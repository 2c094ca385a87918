package durable

import (
	"context"
	"fmt"
	"sync"
)

// Memory is a [Store] for tests. It ends with its program.
type Memory struct {
	mu      sync.Mutex
	records map[string]Record
	locked  bool
}

// NewMemory returns an empty store.
func NewMemory() *Memory { return &Memory{records: make(map[string]Record)} }

// List returns all records, by name.
func (m *Memory) List(ctx context.Context) ([]Record, error) {
	return m.Changed(ctx, func(string) int64 { return 0 })
}

// Changed returns the records whose revision differs from what known returns.
func (m *Memory) Changed(ctx context.Context, known func(name string) int64) ([]Record, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("durable: list records: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	var records []Record
	for _, r := range m.records {
		if r.Revision != known(r.Plan.Name) {
			records = append(records, r.clone())
		}
	}
	sortByName(records)
	return records, nil
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
		return Record{}, notFound(name)
	}
	return r.clone(), nil
}

// Save stores a record.
func (m *Memory) Save(ctx context.Context, r Record) (Record, error) {
	if err := ctx.Err(); err != nil {
		return r, fmt.Errorf("durable: save %q: %w", r.Plan.Name, err)
	}
	if err := r.Validate(); err != nil {
		return r, fmt.Errorf("durable: save a record: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	stored, exists := m.records[key(r.Plan.Name)]
	if err := checkRevision(r, stored, exists); err != nil {
		return r, err
	}
	r.Revision++
	m.records[key(r.Plan.Name)] = r.clone()
	return r, nil
}

// Lock takes the lock of a run.
func (m *Memory) Lock(ctx context.Context) (unlock func() error, err error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("durable: lock the store: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.locked {
		return nil, fmt.Errorf("durable: lock the store: %w", ErrRunning)
	}
	m.locked = true
	var once sync.Once
	return func() error {
		once.Do(func() {
			m.mu.Lock()
			defer m.mu.Unlock()
			m.locked = false
		})
		return nil
	}, nil
}
