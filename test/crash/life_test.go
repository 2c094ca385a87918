package crash

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go/durable"
	"github.com/livemigration/livemigration-go/livemigrationtest"
)

var errDead = errors.New("the program has died")

// store is what both stores of durable are.
type store interface {
	durable.Store
	durable.Changer
}

// life is one run of a program, from its start to its death. Its events: it is about to write a record, it has written it, it
// is about to send a request, the server has processed the request. At the event dieAt it dies: nothing that it does from
// then on has an effect, and it learns nothing more.
type life struct {
	store store
	wrote func(savedRecord)
	base  http.RoundTripper
	kill  context.CancelFunc
	dieAt int // 0: never

	mu     sync.Mutex
	events int
	dead   bool
}

// event reports whether the program lives on.
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

func (l *life) Save(ctx context.Context, r durable.Record) (durable.Record, error) {
	if !l.event() {
		return r, errDead
	}
	saved, err := l.store.Save(ctx, r)
	if err == nil {
		l.wrote(savedRecord{saved.Plan.Name, saved.Revision, saved.MigrationID})
	}
	if !l.event() {
		return r, errDead
	}
	return saved, err
}

func (l *life) List(ctx context.Context) ([]durable.Record, error) {
	if !l.lives() {
		return nil, errDead
	}
	return l.store.List(ctx)
}

func (l *life) Changed(ctx context.Context, known map[string]int64) (changed []durable.Record, gone []string, err error) {
	if !l.lives() {
		return nil, nil, errDead
	}
	return l.store.Changed(ctx, known)
}

func (l *life) Load(ctx context.Context, name string) (durable.Record, error) {
	if !l.lives() {
		return durable.Record{}, errDead
	}
	return l.store.Load(ctx, name)
}

func (l *life) Delete(ctx context.Context, name string, revision int64) error {
	if !l.lives() {
		return errDead
	}
	return l.store.Delete(ctx, name, revision)
}

func (l *life) Lock(ctx context.Context, what string) (<-chan struct{}, func() error, error) {
	return l.store.Lock(ctx, what)
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

// requestLife is how long a create request may be in flight after its program has died.
const requestLife = 2 * time.Minute

// settle is the person who checks the Atlas UI for each UNCLEAR record, and adopts the migration that is there or restarts the
// record.
func settle(t *testing.T, server *livemigrationtest.Server, store durable.Store) (settled int) {
	t.Helper()
	records, err := store.List(t.Context())
	require.NoError(t, err)
	person, err := durable.NewFleet(store)
	require.NoError(t, err)
	for _, r := range records {
		if r.State != durable.StateUnclear {
			continue
		}
		settled++
		require.Contains(t, r.Problem.Text, r.Plan.Request.Destination.ClusterName, "it says where to check")
		if id := unnamed(r.Plan, server.Migrations(), records); id != "" {
			require.NoError(t, person.Adopt(t.Context(), r.Plan.Name, id))
			continue
		}
		time.Sleep(time.Until(r.Unclear.At.Add(requestLife)))
		require.NoError(t, person.Restart(t.Context(), r.Plan.Name))
	}
	return settled
}
