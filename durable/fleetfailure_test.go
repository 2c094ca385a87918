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
				const n = 5
				w.add(t, w.plans(n)...)
				fleet := w.fleet(t, yes(), WithLimit(2))
				_, ended := inBackground(t, fleet, w.client)
				seen := 0
				for range 3 { // migrations are in all states when it starts
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
				assert.GreaterOrEqual(t, seen, 3)
			}, livemigrationtest.Timings{InitialSync: 30 * time.Minute})
		})
	}
}

// After a corrected key and a restart everything with a Problem is tried at once.
func TestProblemsAreTriedAtOnceByANewRun(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.add(t, w.plans(10)...)
		stop, _ := inBackground(t, w.fleet(t, WithLimit(10)), w.client)
		time.Sleep(10 * time.Minute)
		require.Equal(t, map[State]int{StateReplicating: 10}, w.states(t))
		w.onRequest(responding(401, "UNEXPECTED_ERROR"))
		time.Sleep(time.Hour)
		require.ErrorIs(t, stop(), context.Canceled)
		w.onRequest(nil)
		fleet := w.fleet(t, WithLimit(10))
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
