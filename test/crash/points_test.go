package crash

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go/durable"
)

func inMemory(*testing.T) store { return durable.NewMemory() }

func inDir(t *testing.T) store {
	dir, err := durable.OpenDir(t.TempDir())
	require.NoError(t, err)
	return dir
}

// total adds up the figures of runs side by side.
type total struct {
	mu sync.Mutex
	figures
}

func (s *total) add(f figures) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.figures.add(f)
}

// everyPoint lets a program die at each of its events, each time in its own run.
func (s scenario) everyPoint(t *testing.T, check func(*testing.T, figures)) figures {
	var sum total
	t.Run("every", func(t *testing.T) {
		whole, events := s.run(t)
		require.Zero(t, whole.Deaths)
		require.Greater(t, events, 15*s.migrations)
		for k := 1; k <= events; k++ {
			t.Run(fmt.Sprint(k), func(t *testing.T) {
				t.Parallel()
				f, _ := s.run(t, death{event: k})
				check(t, f)
				sum.add(f)
			})
		}
	})
	return sum.figures
}

// unharmed checks that no harm was done.
func unharmed(t *testing.T, f figures) {
	assert.Zero(t, f.harm(), "%+v", f)
	assert.Equal(t, f.Clusters, f.Jobs)
}

func anything(*testing.T, figures) {}

func TestEveryPoint(t *testing.T) {
	for _, c := range []struct {
		name     string
		row      string
		scenario scenario
	}{
		{"memory", rowEveryPoint, scenario{program: fleet, migrations: 3, newStore: inMemory}},
		{"directory", rowEveryPointDir, scenario{program: fleet, migrations: 1, newStore: inDir}},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := c.scenario.everyPoint(t, func(t *testing.T, f figures) {
				unharmed(t, f)
				assert.Equal(t, 1, f.Deaths)
			})
			assert.Positive(t, f.Settled, "some deaths are between a request and its response")
			report(t, c.row, f)
		})
	}
}

func TestRandomPairs(t *testing.T) {
	t.Logf("seed %d", *seed)
	chance := rand.New(rand.NewPCG(*seed, 0))
	s := scenario{program: fleet, migrations: 3, newStore: inMemory}
	_, events := s.run(t)
	var sum total
	t.Run("pairs", func(t *testing.T) {
		for range pairs {
			down := func() time.Duration { return time.Duration(chance.IntN(120)) * time.Minute }
			first := 1 + chance.IntN(events)
			second := 1 + chance.IntN(max(1, events-first)) // the next life has about as many events as were left
			two := []death{{first, down()}, {second, down()}}
			t.Run(fmt.Sprint(two), func(t *testing.T) {
				t.Parallel()
				f, _ := s.run(t, two...)
				unharmed(t, f)
				sum.add(f)
			})
		}
	})
	assert.Greater(t, sum.Deaths, pairs*17/10, "most pairs are two deaths")
	report(t, rowPairs, sum.figures)
}

// TestEveryPointWithoutIntents shows what the same deaths do to a program that stores the ID after Create.
func TestEveryPointWithoutIntents(t *testing.T) {
	s := scenario{program: idAfterCreate, migrations: 3, newStore: inMemory}
	f := s.everyPoint(t, anything)
	assert.Positive(t, f.Twice)
	assert.Positive(t, f.Lost)
	assert.Positive(t, f.Crowded, "it does not know that two migrations share a host")
	report(t, rowNaive, f)
}
