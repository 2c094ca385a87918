package temporal

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"

	"github.com/livemigration/livemigration-go/durable"
	"github.com/livemigration/livemigration-go/livemigrationtemporal"
	"github.com/livemigration/livemigration-go/livemigrationtest"
	"github.com/livemigration/livemigration-go/test/temporal/internal/estate"
	"github.com/livemigration/livemigration-go/test/temporal/internal/temporalserver"
)

const (
	// poll is the longest time between two polls of a worker.
	poll = time.Second
	// patience is how long a test waits for something. It is long for busy machines.
	patience = 8 * time.Minute
)

func TestMain(m *testing.M) {
	if estate.IsWorker() {
		if err := estate.RunWorker(); err != nil {
			fmt.Fprintln(os.Stderr, "worker:", err)
			os.Exit(1)
		}
		return
	}
	flag.Parse()
	_ = flag.Set("test.parallel", "32") // they wait for Temporal's timeouts, and do not compute
	code := m.Run()
	if common.server != nil {
		_ = common.server.Stop()
	}
	os.Exit(code)
}

// common is the server that most tests share. Each has a namespace of its own.
var common struct {
	once       sync.Once
	server     *temporalserver.Server
	err        error
	namespaces []string
	used       atomic.Int32
}

// lab is a namespace of a Temporal server, with an in-memory Atlas.
type lab struct {
	client.Client
	server    *temporalserver.Server
	namespace string
	atlas     *livemigrationtest.Server
}

// newLab is a lab on the common server.
func newLab(t *testing.T, opts ...livemigrationtest.Option) *lab {
	t.Helper()
	skipIfShort(t)
	common.once.Do(func() {
		for i := range 32 {
			common.namespaces = append(common.namespaces, fmt.Sprintf("test-%d", i))
		}
		common.server, common.err = temporalserver.Start(temporalserver.Options{Namespaces: common.namespaces})
	})
	require.NoError(t, common.err)
	l := &lab{server: common.server, namespace: common.namespaces[common.used.Add(1)-1], atlas: newAtlas(t, opts...)}
	l.dial(t)
	return l
}

// newLabOn is a lab on a server of its own.
func newLabOn(t *testing.T, options temporalserver.Options) *lab {
	t.Helper()
	skipIfShort(t)
	options.Namespaces = []string{"test"}
	server, err := temporalserver.Start(options)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Stop()) })
	l := &lab{server: server, namespace: "test", atlas: newAtlas(t)}
	l.dial(t)
	return l
}

func skipIfShort(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("starts a Temporal server, and waits for its timeouts")
	}
}

func (l *lab) dial(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c, err := l.server.Dial(ctx, client.Options{Namespace: l.namespace, Logger: estate.Silence{}, Identity: "test"})
	require.NoError(t, err)
	t.Cleanup(c.Close)
	l.Client = c
}

// newAtlas is an in-memory Atlas whose jobs take seconds.
func newAtlas(t *testing.T, opts ...livemigrationtest.Option) *livemigrationtest.Server {
	t.Helper()
	opts = append([]livemigrationtest.Option{livemigrationtest.WithSpeed(1), livemigrationtest.WithTimings(livemigrationtest.Timings{
		Validation: time.Second, Scheduling: time.Second, InitialSync: 2 * time.Second, Finishing: time.Second,
	})}, opts...)
	atlas := livemigrationtest.NewServer(opts...)
	t.Cleanup(atlas.Close)
	return atlas
}

// process starts a worker process. It is killed when the test ends.
func (l *lab) process(t *testing.T, crash *estate.Crash) *exec.Cmd {
	t.Helper()
	started, err := estate.StartWorker(estate.WorkerOptions{
		Address: l.server.Address(), Namespace: l.namespace, Atlas: l.atlas, Poll: poll, Crash: crash,
	})
	require.NoError(t, err)
	t.Cleanup(func() {
		_ = started.Process.Kill()
		_ = started.Wait()
	})
	return started
}

// work starts a worker in this process, with what register gives it: everything if it is nil.
func (l *lab) work(t *testing.T, register func(livemigrationtemporal.Registry, *durable.Driver)) (stop func()) {
	t.Helper()
	atlas, err := l.atlas.NewClient()
	require.NoError(t, err)
	driver, err := estate.NewDriver(atlas, poll)
	require.NoError(t, err)
	w := worker.New(l.Client, livemigrationtemporal.TaskQueue, worker.Options{
		WorkerStopTimeout: time.Second, DeadlockDetectionTimeout: time.Minute, // a busy machine is no deadlock
	})
	if register == nil {
		register = livemigrationtemporal.Register
	}
	register(w, driver)
	require.NoError(t, w.Start())
	stop = sync.OnceFunc(w.Stop)
	t.Cleanup(stop)
	return stop
}

// start starts migrations.
func (l *lab) start(t *testing.T, plans ...durable.Plan) {
	t.Helper()
	for _, plan := range plans {
		_, err := livemigrationtemporal.Start(t.Context(), l.Client, plan)
		require.NoError(t, err)
	}
}

// signal sends a command as Temporal's command line does.
func (l *lab) signal(t *testing.T, name string, command any) {
	t.Helper()
	require.NoError(t, l.SignalWorkflow(t.Context(), livemigrationtemporal.WorkflowID(name), "", "command", command))
}

func (l *lab) approve(t *testing.T, name string) {
	t.Helper()
	require.NoError(t, command(t, func() error {
		return livemigrationtemporal.Approve(t.Context(), l.Client, name, durable.GateCutover, "ann", time.Time{})
	}))
}

// command sends a command until a worker has answered. On a busy machine none may be fast enough for Temporal.
func command(t *testing.T, send func() error) (err error) {
	t.Helper()
	eventually(t, func() bool {
		err = send()
		var notReady *serviceerror.WorkflowNotReady
		return !errors.As(err, &notReady)
	})
	return err
}

// waitFor waits until a migration is in one of the states.
func (l *lab) waitFor(t *testing.T, name string, states ...durable.State) (record durable.Record) {
	t.Helper()
	eventually(t, func() bool {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if state, err := estate.State(ctx, l.Client, name); err != nil || !slices.Contains(states, state) {
			return false // no server at the moment
		}
		seen, err := livemigrationtemporal.Record(ctx, l.Client, name)
		if err != nil {
			return false // no worker at the moment
		}
		record = seen
		return slices.Contains(states, record.State) && record.Begun == nil
	})
	return record
}

func eventually(t *testing.T, condition func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !condition(); time.Sleep(poll) {
		require.Less(t, time.Now(), end, "this takes too long")
	}
}

// complete waits until migrations are COMPLETE, and checks that each was created and cut over once.
func (l *lab) complete(t *testing.T, plans ...durable.Plan) {
	t.Helper()
	for _, plan := range plans {
		record := l.waitFor(t, plan.Name, durable.StateComplete, durable.StateFailed, durable.StateUnclear)
		require.Equal(t, durable.StateComplete, record.State, record.Problem)
	}
	require.Len(t, l.atlas.Migrations(), len(plans))
	cutovers := 0
	for _, request := range l.atlas.Recorded(livemigrationtest.Cutover) {
		if request.StatusCode != 429 { // which Atlas has not done
			cutovers++
		}
	}
	require.Equal(t, len(plans), cutovers)
	l.assertHistories(t)
}
