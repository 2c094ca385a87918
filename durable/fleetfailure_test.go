package durable

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go"
	"github.com/livemigration/livemigration-go/livemigrationtest"
)

// outage makes all requests fail in a way for a time.
type outage struct {
	base   http.RoundTripper
	active atomic.Bool
	fail   func(*http.Request) (*http.Response, error)
}

func (o *outage) RoundTrip(req *http.Request) (*http.Response, error) {
	if o.active.Load() {
		return o.fail(req)
	}
	return o.base.RoundTrip(req)
}

func responding(status int, code string) func(*http.Request) (*http.Response, error) {
	return func(req *http.Request) (*http.Response, error) {
		body := "<html>" // of a gateway
		if code != "" {
			body = `{"error": 1, "errorCode": "` + code + `", "detail": "weather"}`
		}
		return &http.Response{
			StatusCode: status, Header: http.Header{"Content-Type": {"application/json"}}, Request: req,
			ContentLength: int64(len(body)), Body: io.NopCloser(strings.NewReader(body)),
		}, nil
	}
}

func resetting(*http.Request) (*http.Response, error) {
	return nil, &os.SyscallError{Syscall: "read", Err: syscall.ECONNRESET}
}

func TestFleetOutlivesAnHourOf(t *testing.T) {
	for name, fail := range map[string]func(*http.Request) (*http.Response, error){
		"401": responding(401, "UNEXPECTED_ERROR"), "403": responding(403, "IP_ADDRESS_NOT_ON_ACCESS_LIST"),
		"503": responding(503, ""), "resets": resetting,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server := livemigrationtest.NewServer(livemigrationtest.WithInProcess(), livemigrationtest.WithSpeed(1))
				defer server.Close()
				weather := &outage{fail: fail}
				client, err := server.NewClient(livemigration.WithTransportWrapper(func(base http.RoundTripper) http.RoundTripper {
					weather.base = base
					return weather
				}))
				require.NoError(t, err)
				f := &fixture{server, client}
				const n = 30
				store := f.storeWith(t, f.plans(n)...)
				var log bytes.Buffer
				fleet := NewFleet(client, store, WithApproval(always), WithLimit(7), WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
				_, ended := background(t, fleet)
				troubled, unclear := 0, 0
				for range 5 { // migrations are in all states when it begins
					time.Sleep(47 * time.Minute)
					weather.active.Store(true)
					time.Sleep(time.Hour)
					records, err := fleet.Records(t.Context())
					require.NoError(t, err)
					for _, r := range records {
						assert.NotEqual(t, StateFailed, r.State)
						if r.troubled() && r.State != StateUnclear {
							troubled++
						}
					}
					weather.active.Store(false)
				}
				err = <-ended
				for state, count := range statesOf(t, store) {
					if state == StateUnclear {
						unclear = count
					}
				}
				require.NoError(t, err)
				assert.Zero(t, unclear)
				assert.Equal(t, map[State]int{StateComplete: n}, statesOf(t, store))
				assert.Len(t, f.Migrations(), n)
				assert.Greater(t, troubled, 10, "it is never silent")
				assert.Contains(t, log.String(), "level=WARN")
			})
		})
	}
}

func TestFleetOutlivesABriefFailureOfItsStore(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fixture) {
		store := f.storeWith(t, f.plans(3)...)
		_, ended := background(t, NewFleet(f.client, store, WithApproval(always)))
		for range 200 {
			store.failWith(func(Record) error { return errors.New("disk full") })
			time.Sleep(20 * time.Second)
			store.failWith(nil)
			time.Sleep(13 * time.Second)
		}
		require.NoError(t, <-ended)
		assert.Len(t, f.Migrations(), 3)
	})
}

func TestFleetEndsWhenItsStoreFails(t *testing.T) {
	errFull := errors.New("disk full")
	inBubble(t, func(t *testing.T, f *fixture) {
		store := f.storeWith(t, f.plan("a"))
		var log bytes.Buffer
		fleet := NewFleet(f.client, store, WithApproval(always), WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
		store.failWith(func(r Record) error {
			if r.State == StateReplicating {
				return errFull
			}
			return nil
		})
		begun := time.Now()
		err := fleet.Run(t.Context())
		require.ErrorIs(t, err, errFull)
		assert.Less(t, time.Since(begun), 5*time.Minute)
		stored := mustGet(t, store, "a")
		assert.Equal(t, ActionCreate, stored.Begun, "the record stays begun")
		assert.Contains(t, log.String(), "level=ERROR")
		assert.Contains(t, log.String(), string(f.Migrations()[0].ID), "the id is at least in the log")

		store.failWith(nil)
		var incomplete *IncompleteError
		require.ErrorAs(t, NewFleet(f.client, store).Run(t.Context()), &incomplete)
		assert.Equal(t, StateUnclear, incomplete.Records[0].State)
		assert.Len(t, f.Migrations(), 1)
	})
	inBubble(t, func(t *testing.T, f *fixture) {
		store := f.storeWith(t, f.plan("a"))
		store.failWith(func(r Record) error { return errFull })
		require.ErrorIs(t, NewFleet(f.client, store).Run(t.Context()), errFull)
		assert.Empty(t, f.Recorded(), "nothing is sent of which the intent is not stored")
	})
}

func TestSaveThatWasCarriedOutAllTheSame(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fixture) {
		store := f.storeWith(t, f.plan("a"))
		liar := &lyingStore{Memory: store.Memory}
		require.NoError(t, NewFleet(f.client, liar, WithApproval(always)).Run(t.Context()))
		assert.Equal(t, StateComplete, mustGet(t, store, "a").State)
		assert.Len(t, f.Migrations(), 1)
		assert.Equal(t, 1, f.count(livemigrationtest.CreateMigration))
		assert.Greater(t, liar.lies, 5)
	})
}

// lyingStore carries each Save out, and says the first time that it failed.
type lyingStore struct {
	*Memory
	lies int
	last int64
}

func (s *lyingStore) Save(ctx context.Context, r Record) (Record, error) {
	saved, err := s.Memory.Save(ctx, r)
	if err == nil && saved.Revision > s.last {
		s.last = saved.Revision
		s.lies++
		return r, errors.New("the directory cannot be synced")
	}
	return saved, err
}

func TestFleetDoesNotBeginWithADamagedFile(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fixture) {
		path := t.TempDir()
		dir := openDir(t, path)
		require.NoError(t, NewFleet(nil, dir).Add(t.Context(), f.plans(2)...))
		broken := filepath.Join(path, "m-0001.json")
		text, err := os.ReadFile(broken)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(broken, text[:50], 0o600))
		fleet := NewFleet(f.client, dir, WithApproval(always))
		require.ErrorContains(t, fleet.Run(t.Context()), broken)
		records, err := fleet.Records(t.Context())
		require.ErrorContains(t, err, broken)
		assert.Len(t, records, 1)
		require.ErrorContains(t, fleet.Add(t.Context(), f.plan("new")), broken)
		require.NoError(t, fleet.Approve(t.Context(), "m-0000", GateCutover), "the others can be used")
		assert.Empty(t, f.Recorded())
		require.NoError(t, os.WriteFile(broken, text, 0o600))
		require.NoError(t, fleet.Run(t.Context()))
	})
}

func TestFleetGoesOnBesideAFileThatIsDamagedMeanwhile(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fixture) {
		path := t.TempDir()
		dir := openDir(t, path)
		require.NoError(t, NewFleet(nil, dir).Add(t.Context(), f.plan("a")))
		_, ended := background(t, NewFleet(f.client, dir, WithApproval(always)))
		time.Sleep(time.Second)
		require.NoError(t, os.WriteFile(filepath.Join(path, "b.json"), []byte("{"), 0o600))
		require.NoError(t, <-ended)
		assert.Equal(t, StateComplete, mustGet(t, dir, "a").State)
	})
}

func TestClockThatIsSetBack(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fixture) {
		store := f.storeWith(t, f.plan("a"))
		r := mustGet(t, store, "a")
		r.CheckAt = time.Now().Add(1000 * time.Hour)
		mustSave(t, store, r)
		begun := time.Now()
		require.NoError(t, NewFleet(f.client, store, WithApproval(always)).Run(t.Context()))
		assert.Less(t, time.Since(begun), 2*time.Hour)
	})
}

func TestLooksAreSpreadOutAfterARestart(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fixture) {
		const n = 600
		store := NewMemory()
		created, err := f.client.Migrations.Create(t.Context(), f.ProjectID(), planFor("a").Request)
		require.NoError(t, err)
		for _, plan := range f.plans(n) {
			mustSave(t, store, recordIn(StateReplicating).with(func(r *Record) {
				r.Plan, r.Revision, r.MigrationID, r.CheckAt = plan, 0, created.ID, time.Now().Add(-time.Hour)
			}))
		}
		f.ResetRequests()
		begun := time.Now()
		stop, _ := background(t, NewFleet(f.client, store, WithPollInterval(10*time.Second, 10*time.Second)))
		time.Sleep(7 * time.Second) // and no second look yet
		require.ErrorIs(t, stop(), context.Canceled)
		perSecond := make(map[time.Duration]int)
		for _, r := range f.Recorded() {
			perSecond[r.Time.Sub(begun).Truncate(time.Second)]++
		}
		assert.Equal(t, begun, f.Recorded()[0].Time, "the first one comes at once")
		assert.Len(t, perSecond, 7)
		for second, looks := range perSecond {
			assert.InDelta(t, n/10, looks, 2, second)
		}
	})
}

func TestPasswordFailureHoldsNobodyUp(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fixture) {
		plans := f.plans(20)
		for i := range plans {
			plans[i].Request.Source.ManagedAuthentication, plans[i].Request.Source.Username = false, "user"
		}
		store := f.storeWith(t, plans...)
		stop, _ := background(t, NewFleet(f.client, store, WithApproval(always), WithLimit(2),
			WithPassword(func(_ context.Context, plan Plan) (livemigration.Secret, error) {
				if plan.Name < "m-0010" {
					return "", errors.New("the vault does not know it")
				}
				return "hunter2", nil
			})))
		time.Sleep(8 * time.Hour)
		require.ErrorIs(t, stop(), context.Canceled)
		assert.Equal(t, map[State]int{StatePlanned: 10, StateComplete: 10}, statesOf(t, store))
		assert.Contains(t, mustGet(t, store, "m-0000").Problem, "the vault does not know it")
	})
}
