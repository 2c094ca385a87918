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
	*Memory
	base http.RoundTripper
	kill context.CancelFunc

	mu     sync.Mutex
	events int
	dieAt  int // 0: never
}

// event reports whether the program still lives.
func (l *life) event() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.dieAt > 0 && l.events >= l.dieAt {
		return false
	}
	l.events++
	if l.events == l.dieAt {
		l.kill()
		return false
	}
	return true
}

func (l *life) Save(ctx context.Context, r Record) (Record, error) {
	if !l.event() {
		return r, errDead
	}
	saved, err := l.Memory.Save(ctx, r)
	if !l.event() {
		return r, errDead
	}
	return saved, err
}

func (l *life) RoundTrip(req *http.Request) (*http.Response, error) {
	if !l.event() {
		return nil, errDead
	}
	resp, err := l.base.RoundTrip(req)
	if !l.event() {
		if err == nil {
			_ = resp.Body.Close()
		}
		return nil, errDead
	}
	return resp, err
}

// live runs a fleet until it ends or dies, and returns how many events there were.
func live(t *testing.T, server *livemigrationtest.Server, store *Memory, dieAt int) (events int, err error) {
	ctx, kill := context.WithCancel(t.Context())
	defer kill()
	l := &life{Memory: store, kill: kill, dieAt: dieAt}
	client, err := server.NewClient(livemigration.WithTransportWrapper(func(base http.RoundTripper) http.RoundTripper {
		l.base = base
		return l
	}))
	require.NoError(t, err)
	err = NewFleet(client, l, WithApproval(always)).Run(ctx)
	return l.events, err
}

// liveOn runs programs that die at the given events, and then others until the end, with a person who looks in Atlas after
// each. It returns the events of the first one.
func liveOn(t *testing.T, dieAt ...int) (events int) {
	inBubble(t, func(t *testing.T, _ *fixture) {
		server := livemigrationtest.NewServer(livemigrationtest.WithInProcess(), livemigrationtest.WithSpeed(1),
			livemigrationtest.WithTimings(livemigrationtest.Timings{InitialSync: time.Minute}))
		defer server.Close()
		f := &fixture{Server: server}
		store := NewMemory()
		require.NoError(t, NewFleet(nil, store).Add(t.Context(), f.plans(2)...))
		for i := 0; ; i++ {
			require.Less(t, i, 20)
			at := 0
			if i < len(dieAt) {
				at = dieAt[i]
			}
			n, err := live(t, server, store, at)
			if i == 0 {
				events = n
			}
			checkJobs(t, server, store)
			if err == nil {
				break
			}
			settleUnclear(t, server, store)
		}
		assert.Equal(t, map[State]int{StateComplete: 2}, statesOf(t, store))
		assert.Len(t, server.Migrations(), 2)
	})
	return events
}

// checkJobs makes sure that no cluster is migrated twice, and that no job is lost: either a record names it, or the record
// that has begun to create it says so.
func checkJobs(t *testing.T, server *livemigrationtest.Server, store Store) {
	records, err := store.List(t.Context())
	require.NoError(t, err)
	jobs := make(map[string][]livemigration.MigrationID)
	for _, job := range server.Migrations() {
		jobs[job.MigrationHosts[0]] = append(jobs[job.MigrationHosts[0]], job.ID)
	}
	for _, r := range records {
		host := r.Plan.Request.MigrationHosts[0]
		require.LessOrEqual(t, len(jobs[host]), 1, "migrated twice")
		for _, id := range jobs[host] {
			require.True(t, r.MigrationID == id || r.Begun == ActionCreate || r.State == StateUnclear, "job %s is lost: %+v", id, r)
		}
	}
}

// settleUnclear is the person who looks in Atlas.
func settleUnclear(t *testing.T, server *livemigrationtest.Server, store Store) {
	records, err := store.List(t.Context())
	require.NoError(t, err)
	for _, r := range records {
		if r.State != StateUnclear {
			continue
		}
		settle := NewFleet(nil, store).Restart
		for _, job := range server.Migrations() {
			if job.MigrationHosts[0] == r.Plan.Request.MigrationHosts[0] {
				settle = func(ctx context.Context, name string) error { return NewFleet(nil, store).Adopt(ctx, name, job.ID) }
			}
		}
		require.NoError(t, settle(t.Context(), r.Plan.Name))
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
	for range 100 {
		first, second := 1+random.IntN(events), 1+random.IntN(events)
		t.Run(fmt.Sprint(first, " ", second), func(t *testing.T) { liveOn(t, first, second) })
	}
}
