package crash

import (
	"context"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/livemigration/livemigration-go/durable"
)

// lateIntent is a store that swaps the intent of a creation and its request: it writes the intent when the request has
// been sent, just before the result.
type lateIntent struct {
	durable.Store
	mu      sync.Mutex
	pending map[string]durable.Record
}

func newLateIntent(s durable.Store) durable.Store {
	return &lateIntent{Store: s, pending: make(map[string]durable.Record)}
}

func (s *lateIntent) Save(ctx context.Context, r durable.Record) (durable.Record, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.Begun != nil && r.Begun.Action == durable.ActionCreate {
		s.pending[r.Plan.Name] = r
		r.Revision++
		return r, nil
	}
	if intent, ok := s.pending[r.Plan.Name]; ok {
		if _, err := s.Store.Save(ctx, intent); err != nil {
			return r, err
		}
		delete(s.pending, r.Plan.Name)
	}
	return s.Store.Save(ctx, r)
}

// TestHarnessNoticesALateIntent breaks the order of intent and request on purpose. Were there no difference, the other
// tests would show nothing.
func TestHarnessNoticesALateIntent(t *testing.T) {
	s := scenario{program: fleet, migrations: 3, newStore: inMemory, wrap: newLateIntent}
	whole, _ := s.run(t)
	unharmed(t, whole)
	f := s.everyPoint(t, anything)
	assert.Positive(t, f.Twice)
	assert.Positive(t, f.Lost)
	report(t, rowLateIntent, f)
}
