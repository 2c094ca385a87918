package crash

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go"
	"github.com/livemigration/livemigration-go/durable"
	"github.com/livemigration/livemigration-go/livemigrationtest"
)

const (
	// poll and phase make each phase of a job last two polls, whatever chance does to the time between them, so that every
	// run has as many events.
	poll  = time.Minute
	phase = 78 * time.Second
	// patience is how long a life may last that does not die.
	patience = 24 * time.Hour
	// mostLives is how many lives a program may need to finish.
	mostLives = 20
)

// scenario is a program and what it has to do.
type scenario struct {
	program    program
	migrations int
	newStore   func(*testing.T) store
	wrap       func(durable.Store) durable.Store // nil: none
}

// death is when a life ends, and for how long there is no other one.
type death struct {
	event int
	down  time.Duration
}

// site is where programs live and die.
type site struct {
	scenario
	server *livemigrationtest.Server
	store  store
	plans  []durable.Plan
	audit  *audit
}

// run lets programs die one after the other, and the last one finish. It returns how many events the first one had.
func (s scenario) run(t *testing.T, deaths ...death) (f figures, events int) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		server := livemigrationtest.NewServer(livemigrationtest.WithInProcess(), livemigrationtest.WithSpeed(1),
			livemigrationtest.WithTimings(livemigrationtest.Timings{Validation: phase, Scheduling: -1, InitialSync: phase, Finishing: phase}))
		defer server.Close()
		plans := plansInto(server.ProjectID(), s.migrations)
		site := &site{s, server, s.newStore(t), plans, newAudit(plans)}
		var lives, died, settled int
		for finished := false; !finished && lives < mostLives; lives++ {
			var next death
			if lives < len(deaths) {
				next = deaths[lives]
			}
			l, err := site.live(t, next.event)
			if lives == 0 {
				events = l.events
			}
			if l.dead {
				died++
			} else {
				finished = err == nil
				requireIncomplete(t, err)
			}
			site.audit.compare(server.Migrations(), site.records(t))
			time.Sleep(next.down)
			settled += settle(t, server, site.store)
		}
		f = site.audit.end(server.Migrations(), site.records(t))
		f.Lives, f.Deaths, f.Settled = lives, died, settled
	})
	return f, events
}

// requireIncomplete checks that a program that has not died has done what it can.
func requireIncomplete(t *testing.T, err error) {
	t.Helper()
	var incomplete *durable.IncompleteError
	if err != nil && !errors.As(err, &incomplete) {
		require.NoError(t, err)
	}
}

// live starts a program, and returns when it has ended.
func (s *site) live(t *testing.T, dieAt int) (*life, error) {
	ctx, kill := context.WithTimeout(t.Context(), patience)
	defer kill()
	l := &life{store: s.store, wrote: s.audit.wrote, kill: kill, dieAt: dieAt}
	client, err := s.server.NewClient(livemigration.WithTransportWrapper(func(base http.RoundTripper) http.RoundTripper {
		l.base = base
		return l
	}))
	require.NoError(t, err)
	var store durable.Store = l
	if s.wrap != nil {
		store = s.wrap(l)
	}
	err = s.program(ctx, client, store, s.plans, poll)
	return l, err
}

func (s *site) records(t *testing.T) []durable.Record {
	t.Helper()
	records, err := s.store.List(t.Context())
	require.NoError(t, err)
	return records
}
