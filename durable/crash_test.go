package durable

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go"
	"github.com/livemigration/livemigration-go/livemigrationtest"
)

var errDead = errors.New("the program has died")

// life is one run of a program, which dies at its k-th event: before or after a write, before a request, or after the
// server has carried it out. What it does later has no effect.
type life struct {
	*spy
	kill context.CancelFunc

	mu     sync.Mutex
	events int
	dieAt  int // 0: never
	dead   bool
}

// event reports whether the program still lives.
func (l *life) event() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.dead {
		return false
	}
	l.events++
	if l.events == l.dieAt {
		l.dead = true
		l.kill()
	}
	return !l.dead
}

func (l *life) lives() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.dead
}

func (l *life) die() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.dead = true
	l.kill()
}

func (l *life) Save(ctx context.Context, r Record) (Record, error) {
	if !l.event() {
		return r, errDead
	}
	saved, err := l.spy.Save(ctx, r)
	if !l.event() {
		return r, errDead
	}
	return saved, err
}

func (l *life) Load(ctx context.Context, name string) (Record, error) {
	if !l.lives() {
		return Record{}, errDead
	}
	return l.spy.Load(ctx, name)
}

// client is a client of the program.
func (l *life) client(t *testing.T, w *world) *livemigration.Client {
	t.Helper()
	client, err := w.NewClient(livemigration.WithTransportWrapper(func(base http.RoundTripper) http.RoundTripper {
		return roundTrip(func(req *http.Request) (*http.Response, error) {
			if !l.event() {
				return nil, errDead
			}
			resp, err := w.through(base, req)
			if !l.event() {
				if err == nil {
					_ = resp.Body.Close()
				}
				return nil, errDead
			}
			return resp, err
		})
	}))
	require.NoError(t, err)
	return client
}

// live runs a fleet until it ends or dies, and returns how many events there were.
func live(t *testing.T, w *world, dieAt int) (events int, err error) {
	ctx, kill := context.WithCancel(t.Context())
	defer kill()
	l := &life{spy: w.store, kill: kill, dieAt: dieAt}
	w.store.free = true // the lock of a program ends with it
	err = fleetOn(t, l, yes()).Run(ctx, l.client(t, w))
	return l.events, err
}

// liveOn runs programs that die at the given events, and then others until the end, with a person who acts on what is UNCLEAR
// after each. It returns the events of the first one.
func liveOn(t *testing.T, dieAt ...int) (events int) {
	inWorld(t, func(t *testing.T, w *world) {
		w.add(t, w.plans(2)...)
		for i := 0; ; i++ {
			require.Less(t, i, 20)
			at := 0
			if i < len(dieAt) {
				at = dieAt[i]
			}
			n, err := live(t, w, at)
			if i == 0 {
				events = n
			}
			checkJobs(t, w)
			if err == nil {
				break
			}
			decideUnclear(t, w)
		}
		assert.Equal(t, map[State]int{StateComplete: 2}, w.states(t))
		assert.Len(t, w.Migrations(), 2)
	}, livemigrationtest.Timings{InitialSync: time.Minute})
	return events
}

// checkJobs checks that no cluster is migrated twice, and that no job is lost: either a record names it, or the record that
// has begun to create it says so.
func checkJobs(t *testing.T, w *world) {
	t.Helper()
	records, err := w.store.Memory.List(t.Context())
	require.NoError(t, err)
	for _, r := range records {
		jobs := w.jobs(r.Plan.Name)
		require.LessOrEqual(t, len(jobs), 1, "migrated twice")
		for _, id := range jobs {
			creating := r.Begun != nil && r.Begun.Action == ActionCreate
			require.True(t, r.MigrationID == id || creating || r.State == StateUnclear, "job %s is lost: %+v", id, r)
		}
	}
}

// decideUnclear is the person who looks in the Atlas UI, two minutes later.
func decideUnclear(t *testing.T, w *world) {
	t.Helper()
	records, err := w.store.Memory.List(t.Context())
	require.NoError(t, err)
	person := fleetOn(t, w.store.Memory)
	for _, r := range records {
		if r.State != StateUnclear {
			continue
		}
		assert.Contains(t, r.Problem.Text, r.Plan.Request.Destination.ClusterName, "it says where to look")
		if jobs := w.jobs(r.Plan.Name); len(jobs) > 0 {
			require.NoError(t, person.Adopt(t.Context(), r.Plan.Name, jobs[0]))
			continue
		}
		time.Sleep(time.Until(r.Unclear.At.Add(restartPatience)))
		require.NoError(t, person.Restart(t.Context(), r.Plan.Name))
	}
}

func TestCrashAtEveryPoint(t *testing.T) {
	events := liveOn(t)
	require.Greater(t, events, 50)
	for k := 1; k <= events; k++ {
		t.Run(fmt.Sprint(k), func(t *testing.T) { liveOn(t, k) })
	}
}

func TestCrashTwice(t *testing.T) {
	events := liveOn(t)
	random := rand.New(rand.NewPCG(1, 2))
	for range 60 {
		first, second := 1+random.IntN(events), 1+random.IntN(events)
		t.Run(fmt.Sprint(first, " ", second), func(t *testing.T) { liveOn(t, first, second) })
	}
}
