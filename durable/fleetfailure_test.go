package durable

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go"
	"github.com/livemigration/livemigration-go/livemigrationtest"
)

// responding responds to every request. Without a code it is a gateway that does.
func responding(status int, code string) func(*http.Request) (*http.Response, error) {
	return func(req *http.Request) (*http.Response, error) {
		body := "<html>"
		if code != "" {
			body = fmt.Sprintf(`{"error": %d, "errorCode": %q, "reason": "r", "detail": "a detail"}`, status, code)
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

// exceptCreations lets creations pass: of one that gets no response, or a 5xx, nobody knows what became.
func exceptCreations(fail func(*http.Request) (*http.Response, error)) func(*http.Request) (*http.Response, error) {
	return func(req *http.Request) (*http.Response, error) {
		if req.Method == http.MethodPost && strings.HasSuffix(req.URL.Path, "/liveMigrations") {
			return nil, nil
		}
		return fail(req)
	}
}

// Whatever Atlas or the network answer for an hour, at whatever action: nothing ends, nothing is UNCLEAR, and it is never
// silent.
func TestFleetOutlivesAnHourOf(t *testing.T) {
	for name, c := range map[string]struct {
		fail func(*http.Request) (*http.Response, error)
		kind ProblemKind
	}{
		"401":         {responding(401, "UNEXPECTED_ERROR"), ProblemNeedsAttention},
		"402":         {responding(402, "NO_PAYMENT_INFORMATION_FOUND"), ProblemNeedsAttention},
		"403":         {responding(403, "IP_ADDRESS_NOT_ON_ACCESS_LIST"), ProblemNeedsAttention},
		"foreign 404": {responding(404, "GROUP_NOT_FOUND"), ProblemNeedsAttention},
		"an upgrade":  {responding(405, "WRITES_NOT_ALLOWED_DURING_APP_UPGRADES"), ProblemRetrying},
		"409":         {responding(409, "CONFLICT"), ProblemRetrying},
		"410":         {responding(410, "VERSION_GONE"), ProblemRetrying},
		"429":         {responding(429, "RATE_LIMITED"), ProblemRetrying},
		"503":         {exceptCreations(responding(503, "")), ProblemRetrying},
		"resets":      {exceptCreations(resetting), ProblemRetrying},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				const n = 8
				w.add(t, w.plans(n)...)
				fleet := w.fleet(t, yes(), WithLimit(3))
				_, ended := inBackground(t, fleet, w.client)
				seen := 0
				for range 4 { // migrations are in all states when it begins
					time.Sleep(19 * time.Minute)
					w.onRequest(c.fail)
					time.Sleep(time.Hour)
					records, err := fleet.Records(t.Context())
					require.NoError(t, err)
					for _, r := range records {
						assert.NotContains(t, []State{StateFailed, StateUnclear, StateExpired}, r.State)
						if r.Problem != nil && r.Problem.Kind == c.kind && r.Problem.Operation != "" {
							seen++
						}
					}
					w.onRequest(nil)
				}
				require.NoError(t, <-ended)
				assert.Equal(t, map[State]int{StateComplete: n}, w.states(t))
				assert.Len(t, w.Migrations(), n)
				assert.GreaterOrEqual(t, seen, 4)
			}, livemigrationtest.Timings{InitialSync: 30 * time.Minute})
		})
	}
}

// The disk is full for five minutes around a creation. Its ID is stored when there is space again.
func TestAKnownIDOutlivesAFullDisk(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.add(t, w.plans(3)...)
		var told []Record
		fleet := w.fleet(t, WithLimit(1), WithOnChange(func(_ context.Context, r Record) { told = append(told, r) }))
		fillDisk(w)
		stop, ended := inBackground(t, fleet, w.client)
		for len(w.Migrations()) == 0 {
			time.Sleep(time.Second)
		}
		id, sent := w.Migrations()[0].ID, len(w.Requests())
		time.Sleep(5 * time.Minute)
		assert.Len(t, w.Migrations(), 1)
		assert.LessOrEqual(t, len(w.Requests())-sent, 1, "nothing begins meanwhile")
		record, err := fleet.Record(t.Context(), "m-0000")
		require.NoError(t, err)
		assert.Contains(t, record.Problem.Text, errDisk.Error())
		_, err = fleet.Records(t.Context())
		require.ErrorIs(t, err, errDisk)
		assert.Equal(t, id, record.MigrationID)
		require.NotEmpty(t, told)
		last := told[len(told)-1]
		assert.Equal(t, id, last.MigrationID, "WithOnChange is told the ID")
		assert.Equal(t, ProblemNeedsAttention, last.Problem.Kind)

		w.store.onCall(nil)
		time.Sleep(3 * time.Second)
		assert.Equal(t, id, w.get(t, "m-0000").MigrationID)
		assert.Equal(t, StateReplicating, w.get(t, "m-0000").State)
		_, err = fleet.Records(t.Context())
		require.NoError(t, err)
		select {
		case err := <-ended:
			require.NoError(t, err)
		default:
			require.ErrorIs(t, stop(), context.Canceled)
		}
	})
}

// fillDisk makes saves fail from the first creation on.
func fillDisk(w *world) {
	w.store.onCall(func(op string, r Record) error {
		if op == "save" && len(w.Migrations()) > 0 {
			return errDisk
		}
		return nil
	})
}

// The disk stays full, the store cannot be listed either, and the program is told to end: the ID is tried for 30 seconds more,
// and is in the error.
func TestAKnownIDIsInTheError(t *testing.T) {
	for name, listable := range map[string]bool{"listable": true, "not listable": false} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				w.add(t, w.plan("a"))
				w.store.onCall(func(op string, r Record) error {
					if len(w.Migrations()) > 0 && (op != "list" || !listable) {
						return errDisk
					}
					return nil
				})
				var log bytes.Buffer
				stop, ended := inBackground(t, w.fleet(t, WithLogger(slog.New(slog.NewJSONHandler(&log, nil)))), w.client)
				time.Sleep(20 * time.Minute)
				select {
				case err := <-ended:
					require.NoError(t, err, "it ended")
				default:
				}
				begun := time.Now()
				err := stop()
				assert.GreaterOrEqual(t, time.Since(begun), 29*time.Second)
				assert.LessOrEqual(t, time.Since(begun), 32*time.Second)
				require.ErrorIs(t, err, context.Canceled)
				var unsaved *UnsavedError
				require.ErrorAs(t, err, &unsaved)
				require.Len(t, unsaved.Records, 1)
				assert.Equal(t, w.Migrations()[0].ID, unsaved.Records[0].MigrationID)
				assert.Contains(t, err.Error(), string(w.Migrations()[0].ID))
				assert.Contains(t, log.String(), string(w.Migrations()[0].ID))
				assert.Len(t, w.Migrations(), 1)
			})
		})
	}
}

// While the store cannot save, nothing begins, and Run goes on.
func TestNothingBeginsOnAFullDisk(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.add(t, w.plans(5)...)
		w.store.onCall(func(op string, _ Record) error { return map[string]error{"save": errDisk}[op] })
		_, ended := inBackground(t, w.fleet(t, yes()), w.client)
		time.Sleep(time.Hour)
		assert.Empty(t, w.Requests())
		w.store.onCall(nil)
		require.NoError(t, <-ended)
		assert.Equal(t, map[State]int{StateComplete: 5}, w.states(t))
	})
}

func TestAStoreThatCannotBeListedEndsTheRun(t *testing.T) {
	for name, bare := range map[string]bool{"that tells changes": false, "that only lists": true} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				w.add(t, w.plan("a"))
				var store Store = w.store
				if bare {
					store = struct{ Store }{w.store}
				}
				_, ended := inBackground(t, fleetOn(t, store), w.client)
				for range 10 { // it does not add up
					time.Sleep(31 * time.Second)
					w.store.onCall(func(op string, _ Record) error { return map[string]error{"list": errDisk}[op] })
					time.Sleep(31 * time.Second)
					w.store.onCall(nil)
				}
				time.Sleep(31 * time.Second)
				select {
				case err := <-ended:
					require.NoError(t, err, "it ended")
				default:
				}
				w.store.onCall(func(op string, _ Record) error { return map[string]error{"list": errDisk}[op] })
				begun := time.Now()
				require.ErrorIs(t, <-ended, errDisk)
				assert.GreaterOrEqual(t, time.Since(begun), time.Minute)
				assert.Less(t, time.Since(begun), 2*time.Minute)
			})
		})
	}
}

// A save that was carried out although it failed is recognized: the intent is this run's, and it is sent once.
func TestASaveThatSeemedToFail(t *testing.T) {
	for _, loads := range []bool{true, false} {
		t.Run(fmt.Sprint("loads ", loads), func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				w.add(t, w.plan("a"))
				var down atomic.Bool
				w.store.after = func(r Record) error {
					if r.Begun == nil || down.Load() {
						return nil
					}
					down.Store(!loads)
					time.AfterFunc(time.Minute, func() { down.Store(false) })
					return errDisk
				}
				w.store.onCall(func(op string, _ Record) error {
					if op == "load" && down.Load() {
						return errDisk
					}
					return nil
				})
				if !loads { // what was stored cannot be asked for, and becomes known later: it was not sent
					go func() {
						time.Sleep(10 * time.Minute)
						w.store.mu.Lock()
						defer w.store.mu.Unlock()
						w.store.after = nil
					}()
				}
				require.NoError(t, w.fleet(t, yes()).Run(t.Context(), w.client))
				assert.Equal(t, StateComplete, w.get(t, "a").State)
				assert.Len(t, w.Migrations(), 1)
				assert.NotContains(t, fmt.Sprint(w.get(t, "a").Events), "UNCLEAR")
			})
		})
	}
}

// After a corrected key and a restart everything with a Problem is tried at once.
func TestProblemsAreTriedAtOnceByANewRun(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.add(t, w.plans(30)...)
		stop, _ := inBackground(t, w.fleet(t, WithLimit(30)), w.client)
		time.Sleep(10 * time.Minute)
		require.Equal(t, map[State]int{StateReplicating: 30}, w.states(t))
		w.onRequest(responding(401, "UNEXPECTED_ERROR"))
		time.Sleep(2 * time.Hour)
		require.ErrorIs(t, stop(), context.Canceled)
		w.onRequest(nil)
		fleet := w.fleet(t, WithLimit(30))
		stop, _ = inBackground(t, fleet, w.client)
		time.Sleep(2 * time.Second)
		records, err := fleet.Records(t.Context())
		require.NoError(t, err)
		for _, r := range records {
			assert.False(t, r.Problem.failing(), r)
		}
		require.ErrorIs(t, stop(), context.Canceled)
	})
}

// A network that swallows requests: the first attempt says so after its 30 seconds, and none waits for the others.
func TestAProblemShowsAfterTheFirstAttempt(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.add(t, w.plans(10)...)
		w.onRequest(func(req *http.Request) (*http.Response, error) {
			<-req.Context().Done()
			return nil, req.Context().Err()
		})
		fleet := w.fleet(t)
		stop, _ := inBackground(t, fleet, w.client)
		time.Sleep(35 * time.Second)
		records, err := fleet.Records(t.Context())
		require.NoError(t, err)
		for _, r := range records {
			require.NotNil(t, r.Problem, r)
			assert.Equal(t, ProblemRetrying, r.Problem.Kind)
		}
		require.ErrorIs(t, stop(), context.Canceled)
	})
}

// What Atlas asks to wait for is waited for, and no longer.
func TestRetryAfter(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.add(t, w.plans(2)...)
		const pause = 4 * time.Minute
		w.ForCluster("to-m-0000").Inject(livemigrationtest.CreateMigration, livemigrationtest.Status(429).WithRetryAfter(pause), 1)
		var refused, created time.Time
		w.onRequest(func(req *http.Request) (*http.Response, error) {
			if req.Method == http.MethodPost && strings.HasSuffix(req.URL.Path, "/liveMigrations") {
				if refused.IsZero() {
					refused = time.Now()
				}
				created = time.Now()
			}
			return nil, nil
		})
		stop, _ := inBackground(t, w.fleet(t, WithLimit(1)), w.client)
		time.Sleep(10 * time.Minute)
		require.ErrorIs(t, stop(), context.Canceled)
		require.Equal(t, StateReplicating, w.get(t, "m-0000").State)
		waited := w.get(t, "m-0000").StartedAt.Sub(refused)
		assert.GreaterOrEqual(t, waited, pause)
		assert.LessOrEqual(t, waited, pause+3*time.Second)
		assert.False(t, created.IsZero())
	})
}

// Many that fail do not keep others from being tried.
func TestManyFailuresStarveNobody(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		const bad = 100
		plans := w.plans(bad + 1)
		for i := range plans {
			plans[i].Request.Source.ManagedAuthentication, plans[i].Request.Source.Username = false, "user"
		}
		last := plans[bad].Name
		w.add(t, plans...)
		stop, _ := inBackground(t, w.fleet(t, WithPassword(func(_ context.Context, plan Plan) (livemigration.Secret, error) {
			if plan.Name == last {
				return "hunter2", nil
			}
			return "", errors.New("the vault does not know it")
		})), w.client)
		time.Sleep(3 * time.Minute)
		require.ErrorIs(t, stop(), context.Canceled)
		assert.NotEqual(t, StatePlanned, w.get(t, last).State)
	})
}

// The log tells what is tried again from what needs a person, with the keys of the client.
func TestLog(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		var log bytes.Buffer
		w.add(t, w.plan("a"))
		logger := slog.New(slog.NewTextHandler(&log, nil))
		stop, _ := inBackground(t, w.fleet(t, WithLogger(logger)), w.client)
		time.Sleep(10 * time.Minute)
		w.onRequest(responding(503, ""))
		time.Sleep(time.Hour)
		w.onRequest(responding(403, "IP_ADDRESS_NOT_ON_ACCESS_LIST"))
		time.Sleep(time.Hour)
		w.onRequest(nil)
		time.Sleep(10 * time.Minute)
		require.ErrorIs(t, stop(), context.Canceled)
		text := log.String()
		id := string(w.get(t, "a").MigrationID)
		for _, want := range []string{
			`level=INFO msg=state record=a state=VALIDATING project_id=` + string(w.ProjectID()) + ` validation_id=`,
			`level=INFO msg=state record=a state=REPLICATING`,
			`level=WARN msg=retrying record=a state=REPLICATING`, `problem=retrying`, `operation=Migrations.Get status=503`,
			`level=ERROR msg="needs attention" record=a state=REPLICATING`, `status=403 code=IP_ADDRESS_NOT_ON_ACCESS_LIST`,
			`level=INFO msg=waiting record=a state=READY`, `migration_id=` + id, `outage=`,
		} {
			assert.Contains(t, text, want)
		}
		assert.Less(t, strings.Count(text, "msg=retrying"), 10, "it is told again when the time has doubled")
		assert.GreaterOrEqual(t, strings.Count(text, "msg=retrying"), 4)
	})
}
