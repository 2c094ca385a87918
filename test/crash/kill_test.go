package crash

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go/durable"
	"github.com/livemigration/livemigration-go/livemigrationtest"
)

const (
	// latency is how long a response is in flight.
	latency = 20 * time.Millisecond
	// A process dies after its mostRequests-th request at the latest, and up to mostDelay later.
	mostRequests, mostDelay = 24, 40 * time.Millisecond
)

// trigger counts the requests of a process, and kills it some time after one of them.
type trigger struct {
	next http.Handler

	mu    sync.Mutex
	left  int // requests until the process dies, 0: it does not
	delay time.Duration
	kill  func()
	timer *time.Timer
}

func (tr *trigger) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	tr.count()
	tr.next.ServeHTTP(w, req)
}

func (tr *trigger) count() {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	if tr.left == 0 {
		return
	}
	if tr.left--; tr.left == 0 {
		tr.timer = time.AfterFunc(tr.delay, tr.kill)
	}
}

func (tr *trigger) set(requests int, delay time.Duration, kill func()) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.left, tr.delay, tr.kill = requests, delay, kill
}

// stop makes sure that no process is killed from now on.
func (tr *trigger) stop() {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.left = 0
	if tr.timer != nil {
		tr.timer.Stop()
	}
}

// rig is a server, and the processes that use it, one after the other.
type rig struct {
	server  *livemigrationtest.Server
	trigger *trigger
	dir     *durable.Dir
	audit   *audit
	env     []string
}

func newRig(t *testing.T, worker string) *rig {
	server := livemigrationtest.NewServer(livemigrationtest.WithSpeed(1), livemigrationtest.WithTimings(livemigrationtest.Timings{
		Validation: latency, Scheduling: latency, InitialSync: 20 * latency, Finishing: latency,
	}))
	t.Cleanup(server.Close)
	server.Inject(livemigrationtest.AnyOperation, livemigrationtest.SlowBody(latency), 1_000_000)
	tr := &trigger{next: server.Handler()}
	front := httptest.NewServer(tr)
	t.Cleanup(front.Close)
	path := filepath.Join(t.TempDir(), "state")
	dir, err := durable.OpenDir(path)
	require.NoError(t, err)
	public, private := server.APIKey()
	return &rig{
		server: server, trigger: tr, dir: dir, audit: newAudit(plansInto(server.ProjectID(), migrations)),
		env: []string{
			workerEnv + "=" + worker, stateEnv + "=" + path, projectEnv + "=" + string(server.ProjectID()),
			"MONGODB_ATLAS_BASE_URL=" + front.URL, "MONGODB_ATLAS_PUBLIC_API_KEY=" + public,
			"MONGODB_ATLAS_PRIVATE_API_KEY=" + private.Reveal(),
		},
	}
}

// live starts a process, which dies some time after so many requests; 0: it does not. It returns its status, -1 when it was
// killed.
func (r *rig) live(t *testing.T, requests int, delay time.Duration) int {
	t.Helper()
	process := exec.CommandContext(t.Context(), os.Args[0])
	process.Env = r.env
	var stdout, stderr bytes.Buffer
	process.Stdout, process.Stderr = &stdout, &stderr
	r.trigger.stop()
	require.NoError(t, process.Start())
	r.trigger.set(requests, delay, func() { _ = process.Process.Kill() }) // an error: it has ended
	_ = process.Wait()                                                    // its status is checked below
	r.trigger.stop()
	status := process.ProcessState.ExitCode()
	require.Contains(t, []int{0, exitIncomplete, -1}, status, stderr.String())
	for line := range bytes.Lines(stdout.Bytes()) {
		var w savedRecord
		if line[len(line)-1] == '\n' { // a process that is killed may break off
			require.NoError(t, json.Unmarshal(line, &w))
			r.audit.wrote(w)
		}
	}
	return status
}

// run kills processes, and lets the last ones finish.
func (r *rig) run(t *testing.T) figures {
	chance := rand.New(rand.NewPCG(*seed, 0))
	var lives, died, settled int
	for finished := false; !finished; lives++ {
		require.Less(t, lives, kills+mostLives)
		requests, delay := 0, time.Duration(0)
		if died < kills {
			requests, delay = 1+chance.IntN(mostRequests), time.Duration(chance.Int64N(int64(mostDelay)))
		}
		status := r.live(t, requests, delay)
		if status == -1 {
			died++
		}
		finished = status == 0
		r.audit.compare(r.server.Migrations(), r.records(t))
		r.age(t)
		settled += settle(t, r.server, r.dir)
	}
	f := r.audit.end(r.server.Migrations(), r.records(t))
	f.Lives, f.Deaths, f.Settled = lives, died, settled
	return f
}

// age makes actions in progress older than the time for which a late request is possible. No request is left, and nobody
// wants to wait for it.
func (r *rig) age(t *testing.T) {
	t.Helper()
	for _, record := range r.records(t) {
		for _, intent := range []*durable.Intent{record.Begun, record.Unclear} {
			if intent != nil {
				intent.At = intent.At.Add(-requestLife)
			}
		}
		if record.Begun == nil && record.Unclear == nil {
			continue
		}
		_, err := r.dir.Save(t.Context(), record)
		require.NoError(t, err)
	}
}

func (r *rig) records(t *testing.T) []durable.Record {
	t.Helper()
	records, err := r.dir.List(t.Context())
	require.NoError(t, err)
	return records
}

// TestKill kills processes by SIGKILL at random moments.
func TestKill(t *testing.T) {
	t.Logf("seed %d", *seed)
	t.Run("fleet", func(t *testing.T) {
		f := newRig(t, "fleet").run(t)
		unharmed(t, f)
		assert.Equal(t, kills, f.Deaths)
		assert.Equal(t, migrations, f.Jobs)
		report(t, rowKill, f)
	})
	t.Run("without intents", func(t *testing.T) {
		f := newRig(t, "without intents").run(t)
		assert.Equal(t, kills, f.Deaths)
		assert.Positive(t, f.Twice)
		report(t, rowNaiveKill, f)
	})
}
