package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go"
	"github.com/livemigration/livemigration-go/durable"
	"github.com/livemigration/livemigration-go/durable/storetest"
	"github.com/livemigration/livemigration-go/livemigrationtest"
)

func TestStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) durable.Store { return openStore(t, newDatabase(t)) })
}

func TestStoreLosesItsLock(t *testing.T) {
	storetest.Lost(t, func(t *testing.T) (durable.Store, func()) {
		source := newDatabase(t)
		db := open(t, source)
		return openStore(t, source), func() { require.Equal(t, 1, terminate(t, db, "locks")) }
	})
}

func record(name string) durable.Record {
	return durable.NewRecord(durable.Plan{Name: name}, time.Now())
}

func TestStoresOfOneDatabase(t *testing.T) {
	source := newDatabase(t)
	one, two, elsewhere := openStore(t, source), openStore(t, source), openStore(t, newDatabase(t))
	a, err := one.Save(t.Context(), record("a"))
	require.NoError(t, err)
	changed, _, err := two.Changed(t.Context(), nil)
	require.NoError(t, err)
	require.Equal(t, []durable.Record{a}, changed)
	_, err = two.Save(t.Context(), a)
	require.NoError(t, err)
	_, err = one.Save(t.Context(), a)
	require.ErrorIs(t, err, durable.ErrStale)

	_, unlock, err := one.Lock(t.Context(), "run")
	require.NoError(t, err)
	_, _, err = two.Lock(t.Context(), "run")
	require.ErrorIs(t, err, durable.ErrRunning)
	_, unlockElsewhere, err := elsewhere.Lock(t.Context(), "run")
	require.NoError(t, err, "each schema has its locks")
	require.NoError(t, unlockElsewhere())
	require.NoError(t, unlock())
	require.NoError(t, unlock(), "a second time does nothing")
}

func TestUnreadableRecord(t *testing.T) {
	source := newDatabase(t)
	db, store := open(t, source), openStore(t, source)
	good, err := store.Save(t.Context(), record("good"))
	require.NoError(t, err)
	_, err = store.Save(t.Context(), record("bad"))
	require.NoError(t, err)
	_, err = db.ExecContext(t.Context(), `UPDATE livemigration_records SET record = '{"format": 2}' WHERE name = 'bad'`)
	require.NoError(t, err)
	records, err := store.List(t.Context())
	assert.Equal(t, []durable.Record{good}, records)
	require.ErrorContains(t, err, `the record "bad" cannot be read`)
	_, err = store.Load(t.Context(), "bad")
	require.ErrorContains(t, err, "bad")
	assert.NotErrorIs(t, err, durable.ErrNotFound)
}

// Changed must not count a change before others can see it.
func TestChangesInProgress(t *testing.T) {
	source := newDatabase(t)
	store := openStore(t, source)
	slow, err := open(t, source).BeginTx(t.Context(), nil)
	require.NoError(t, err)
	defer func() { _ = slow.Rollback() }()
	_, err = slow.ExecContext(t.Context(), `UPDATE livemigration_changes SET number = number + 1`)
	require.NoError(t, err)
	r := record("slow")
	r.Revision = 1
	text, err := r.MarshalJSON()
	require.NoError(t, err)
	_, err = slow.ExecContext(t.Context(), `INSERT INTO livemigration_records VALUES ('slow', 1, $1)`, string(text))
	require.NoError(t, err)
	saved := make(chan durable.Record, 1)
	go func() {
		r, err := store.Save(t.Context(), record("fast"))
		assert.NoError(t, err)
		saved <- r
	}()
	changed, _, err := store.Changed(t.Context(), nil)
	require.NoError(t, err)
	assert.Empty(t, changed)
	require.NoError(t, slow.Commit())
	fast := <-saved
	assert.EqualValues(t, 2, fast.Revision)
	changed, _, err = store.Changed(t.Context(), nil)
	require.NoError(t, err)
	assert.Len(t, changed, 2)
}

const estate = 200

func plans(server *livemigrationtest.Server) (plans []durable.Plan) {
	for i := range estate {
		plans = append(plans, durable.Plan{
			Name: fmt.Sprintf("m-%03d", i), ProjectID: server.ProjectID(),
			Request: livemigration.MigrationRequest{
				Source: livemigration.Source{
					ProjectID:   livemigration.ProjectID(fmt.Sprintf("5c7e8f90f1ee7000000%05x", i)),
					ClusterName: fmt.Sprint("from-", i), ManagedAuthentication: true, SSL: true,
				},
				Destination:    livemigration.Destination{ClusterName: fmt.Sprintf("m-%03d", i)},
				MigrationHosts: []string{fmt.Sprintf("vm-%d.example.com", i)},
			},
		})
	}
	return plans
}

// slow gives two runs time to do the same.
type slow struct{ base http.RoundTripper }

func (s slow) RoundTrip(req *http.Request) (*http.Response, error) {
	time.Sleep(200 * time.Millisecond)
	return s.base.RoundTrip(req)
}

// Two processes run the same fleet, and again and again one of them loses its lock, or both lose all connections. For a
// second or two after that, both work on the records.
func TestTwoRunsCreateNothingTwice(t *testing.T) {
	source := newDatabase(t)
	db := open(t, source)
	server := livemigrationtest.NewServer(livemigrationtest.WithInProcess(), livemigrationtest.WithSpeed(600))
	defer server.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	lostRuns := make(chan int, 2)
	for i := range 2 {
		store := openStore(t, source)
		fleet, err := durable.NewFleet(store, durable.WithLimit(estate), durable.WithPollInterval(time.Second, time.Second))
		require.NoError(t, err)
		if i == 0 {
			require.NoError(t, fleet.Add(ctx, plans(server)...))
		}
		client, err := server.NewClient(livemigration.WithTransportWrapper(func(base http.RoundTripper) http.RoundTripper {
			return slow{base}
		}))
		require.NoError(t, err)
		go func() {
			lost := 0
			for ctx.Err() == nil {
				switch err := fleet.Run(ctx, client); {
				case errors.Is(err, durable.ErrLockLost):
					lost++
				case errors.Is(err, durable.ErrRunning):
					time.Sleep(50 * time.Millisecond)
				}
			}
			lostRuns <- lost
		}()
	}
	store := openStore(t, source)
	for i, started := 0, 0; started < estate; i++ {
		require.NoError(t, ctx.Err(), "%d of %d are started", started, estate)
		time.Sleep(300 * time.Millisecond)
		records, err := store.List(ctx)
		if err != nil {
			continue // its connection was ended, too
		}
		started = 0
		for _, r := range records {
			if r.MigrationID != "" || r.State == durable.StateUnclear {
				started++
			}
		}
		if i%6 == 5 {
			terminate(t, db, map[bool]string{true: "all", false: "locks"}[i%18 == 17])
		}
	}
	cancel()
	lost := <-lostRuns + <-lostRuns
	t.Logf("a run lost its lock %d times", lost)
	assert.Positive(t, lost)

	jobs := make(map[string][]livemigration.MigrationID)
	for _, job := range server.Migrations() {
		jobs[job.Destination.ClusterName] = append(jobs[job.Destination.ClusterName], job.ID)
	}
	records, err := openStore(t, source).List(t.Context()) // on a connection that was not ended
	require.NoError(t, err)
	require.Len(t, records, estate)
	for _, r := range records {
		assert.LessOrEqual(t, len(jobs[r.Plan.Name]), 1, "%s was created twice", r.Plan.Name)
		if r.MigrationID != "" {
			assert.Equal(t, []livemigration.MigrationID{r.MigrationID}, jobs[r.Plan.Name])
		}
	}
}
