package durable

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go"
	"github.com/livemigration/livemigration-go/livemigrationtest"
)

// world is an in-memory Atlas on virtual time, a client of it, and a store.
type world struct {
	*livemigrationtest.Server
	client *livemigration.Client
	store  *spy

	mu sync.Mutex
	// meet is asked before each request is sent. What it returns, if anything, is the response.
	meet func(*http.Request) (*http.Response, error)
}

// quick makes a migration last about ten minutes.
var quick = livemigrationtest.Timings{InitialSync: 5 * time.Minute}

// inWorld runs a test in a bubble. Jobs take about an hour.
func inWorld(t *testing.T, test func(*testing.T, *world), timings ...livemigrationtest.Timings) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		opts := []livemigrationtest.Option{livemigrationtest.WithInProcess(), livemigrationtest.WithSpeed(1)}
		for _, timing := range timings {
			opts = append(opts, livemigrationtest.WithTimings(timing))
		}
		w := &world{Server: livemigrationtest.NewServer(opts...), store: newSpy()}
		defer w.Close()
		w.client = w.newClient(t)
		test(t, w)
	})
}

func (w *world) newClient(t *testing.T) *livemigration.Client {
	t.Helper()
	client, err := w.NewClient(livemigration.WithTransportWrapper(func(base http.RoundTripper) http.RoundTripper {
		return roundTrip(func(req *http.Request) (*http.Response, error) { return w.through(base, req) })
	}))
	require.NoError(t, err)
	return client
}

// through sends a request, unless something else responds.
func (w *world) through(base http.RoundTripper, req *http.Request) (*http.Response, error) {
	w.mu.Lock()
	meet := w.meet
	w.mu.Unlock()
	if meet != nil {
		if resp, err := meet(req); resp != nil || err != nil {
			return resp, err
		}
	}
	return base.RoundTrip(req)
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

func (w *world) onRequest(meet func(*http.Request) (*http.Response, error)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.meet = meet
}

// plan is a plan that the server takes, with clusters, a host and a source project that no other plan has.
func (w *world) plan(name string) Plan {
	return Plan{Name: name, ProjectID: w.ProjectID(), Request: request(name)}
}

func request(name string) livemigration.MigrationRequest {
	sum := 0
	for _, c := range name {
		sum = sum*31 + int(c)
	}
	return livemigration.MigrationRequest{
		Source: livemigration.Source{
			ProjectID:   livemigration.ProjectID(fmt.Sprintf("5c7e8f90%016x", sum)),
			ClusterName: "from-" + name, ManagedAuthentication: true, SSL: true,
		},
		Destination:    livemigration.Destination{ClusterName: "to-" + name},
		MigrationHosts: []string{"vm-" + name + ".example.com"},
	}
}

func (w *world) plans(n int) (plans []Plan) {
	for i := range n {
		plans = append(plans, w.plan(fmt.Sprintf("m-%04d", i)))
	}
	return plans
}

// sent is how many requests of an operation have arrived.
func (w *world) sent(op livemigrationtest.Operation) (n int) {
	for _, r := range w.Recorded() {
		if r.Operation == op {
			n++
		}
	}
	return n
}

// jobs are the migrations of a record's destination.
func (w *world) jobs(name string) (ids []livemigration.MigrationID) {
	for _, job := range w.Migrations() {
		if job.Destination.ClusterName == "to-"+name {
			ids = append(ids, job.ID)
		}
	}
	return ids
}

// fleet is a fleet on the store of the world.
func (w *world) fleet(t *testing.T, opts ...Option) *Fleet {
	t.Helper()
	return fleetOn(t, w.store, opts...)
}

func fleetOn(t *testing.T, store Store, opts ...Option) *Fleet {
	t.Helper()
	fleet, err := NewFleet(store, opts...)
	require.NoError(t, err)
	return fleet
}

// add stores records of plans.
func (w *world) add(t *testing.T, plans ...Plan) {
	t.Helper()
	require.NoError(t, w.fleet(t).Add(t.Context(), plans...))
	w.store.forget()
}

// put stores a record as a plan's record would be after change.
func (w *world) put(t *testing.T, plan Plan, change func(*Record)) Record {
	t.Helper()
	r := NewRecord(plan, time.Now())
	change(&r)
	saved, err := w.store.Save(t.Context(), r)
	require.NoError(t, err)
	return saved
}

func (w *world) get(t *testing.T, name string) Record {
	t.Helper()
	r, err := w.store.Memory.Load(t.Context(), name)
	require.NoError(t, err)
	return r
}

func (w *world) states(t *testing.T) map[State]int {
	t.Helper()
	records, err := w.store.Memory.List(t.Context())
	require.NoError(t, err)
	states := make(map[State]int)
	for _, r := range records {
		states[r.State]++
	}
	return states
}

// inBackground runs a fleet. It returns what ends it, and where its error arrives.
func inBackground(t *testing.T, f *Fleet, client *livemigration.Client) (stop func() error, ended <-chan error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- f.Run(ctx, client) }()
	return func() error {
		cancel()
		return <-done
	}, done
}

// yes approves every cutover.
func yes() Option {
	return WithCutoverApproval(func(context.Context, Record) (bool, error) { return true, nil })
}

var errDisk = errors.New("no space left on device")

// spy is a store that sees what is saved, and fails or waits as it is told to.
type spy struct {
	*Memory
	mu     sync.Mutex
	saves  []Record
	before func(op string, r Record) error // of a save, load, list or delete: an error takes its place
	after  func(r Record) error            // of a save that was carried out
	lost   chan struct{}
	free   bool // the lock of the run is free, whatever happens
}

func newSpy() *spy { return &spy{Memory: NewMemory()} }

// onCall sets what happens before each call. nil: nothing.
func (s *spy) onCall(before func(op string, r Record) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.before = before
}

func (s *spy) call(op string, r Record) error {
	s.mu.Lock()
	before := s.before
	s.mu.Unlock()
	if before == nil {
		return nil
	}
	return before(op, r)
}

func (s *spy) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.saves = nil
}

func (s *spy) saved() []Record {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Record(nil), s.saves...)
}

func (s *spy) Save(ctx context.Context, r Record) (Record, error) {
	if err := s.call("save", r); err != nil {
		return r, err
	}
	saved, err := s.Memory.Save(ctx, r)
	if err != nil {
		return r, err
	}
	s.mu.Lock()
	s.saves = append(s.saves, saved)
	after := s.after
	s.mu.Unlock()
	if after != nil {
		if err := after(saved); err != nil {
			return r, err
		}
	}
	return saved, nil
}

func (s *spy) Load(ctx context.Context, name string) (Record, error) {
	if err := s.call("load", Record{Plan: Plan{Name: name}}); err != nil {
		return Record{}, err
	}
	return s.Memory.Load(ctx, name)
}

func (s *spy) List(ctx context.Context) ([]Record, error) {
	if err := s.call("list", Record{}); err != nil {
		return nil, err
	}
	return s.Memory.List(ctx)
}

func (s *spy) Changed(ctx context.Context, known map[string]int64) ([]Record, []string, error) {
	if err := s.call("list", Record{}); err != nil {
		return nil, nil, err
	}
	return s.Memory.Changed(ctx, known)
}

func (s *spy) Lock(ctx context.Context, what string) (<-chan struct{}, func() error, error) {
	s.mu.Lock()
	free, lost := s.free, s.lost
	s.mu.Unlock()
	if free && what == lockRun {
		return lost, func() error { return nil }, nil
	}
	_, unlock, err := s.Memory.Lock(ctx, what)
	return lost, unlock, err
}
