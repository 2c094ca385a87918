package temporal

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"

	"github.com/livemigration/livemigration-go/durable"
	"github.com/livemigration/livemigration-go/livemigrationtemporal"
	"github.com/livemigration/livemigration-go/livemigrationtest"
	"github.com/livemigration/livemigration-go/test/temporal/internal/estate"
	"github.com/livemigration/livemigration-go/test/temporal/internal/temporalserver"
)

// poll is the longest time between two looks of a worker.
const poll = 200 * time.Millisecond

func TestMain(m *testing.M) {
	if !estate.IsWorker() {
		flag.Parse()
		_ = flag.Set("test.parallel", "32") // they wait for Temporal's timeouts, and do not compute
		os.Exit(m.Run())
	}
	if err := estate.RunWorker(); err != nil {
		fmt.Fprintln(os.Stderr, "worker:", err)
		os.Exit(1)
	}
}

// startServer starts a Temporal server with a namespace.
func startServer(t *testing.T, options temporalserver.Options) *temporalserver.Server {
	t.Helper()
	if testing.Short() {
		t.Skip("needs a Temporal server")
	}
	server, err := temporalserver.Start(options)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Stop()) })
	return server
}

func dial(t *testing.T, server *temporalserver.Server, namespace string) client.Client {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	c, err := server.Dial(ctx, client.Options{Namespace: namespace, Logger: estate.Silence{}, Identity: "test"})
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}

// newAtlas is an in-memory Atlas whose jobs take seconds.
func newAtlas(t *testing.T, opts ...livemigrationtest.Option) *livemigrationtest.Server {
	t.Helper()
	second := func(n time.Duration) time.Duration { return n * time.Second }
	opts = append([]livemigrationtest.Option{livemigrationtest.WithSpeed(1), livemigrationtest.WithTimings(livemigrationtest.Timings{
		Validation: second(1), Scheduling: second(1), InitialSync: second(2), Finishing: second(1),
	})}, opts...)
	atlas := livemigrationtest.NewServer(opts...)
	t.Cleanup(atlas.Close)
	return atlas
}

// variables are what a worker process needs to use an Atlas.
func variables(atlas *livemigrationtest.Server) []string {
	public, private := atlas.APIKey()
	return []string{
		"MONGODB_ATLAS_BASE_URL=" + atlas.URL(),
		"MONGODB_ATLAS_PUBLIC_API_KEY=" + public, "MONGODB_ATLAS_PRIVATE_API_KEY=" + private.Reveal(),
	}
}

// startWorker starts a worker process. It is killed when the test ends.
func startWorker(t *testing.T, server *temporalserver.Server, namespace string, atlas *livemigrationtest.Server, crash *estate.Crash) *exec.Cmd {
	t.Helper()
	worker, err := estate.StartWorker(estate.WorkerOptions{
		Address: server.Address(), Namespace: namespace, Atlas: variables(atlas), Crash: crash, Poll: poll,
	})
	require.NoError(t, err)
	t.Cleanup(func() {
		_ = worker.Process.Kill()
		_ = worker.Wait()
	})
	return worker
}

// planOf is a plan with clusters of its own on a migration host.
func planOf(atlas *livemigrationtest.Server, name string) durable.Plan {
	request := atlas.SampleRequest()
	request.Source.ManagedAuthentication, request.Source.Username, request.Source.Password = false, "reader", ""
	return durable.Plan{Name: name, ProjectID: atlas.ProjectID(), Request: request}
}

// waitFor waits until a migration is in one of the states.
func waitFor(t *testing.T, c client.Client, name string, limit time.Duration, states ...durable.State) durable.Record {
	t.Helper()
	var record durable.Record
	require.Eventually(t, func() bool {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		seen, err := livemigrationtemporal.Record(ctx, c, name)
		if err != nil {
			return false // no worker, or no server, at the moment
		}
		record = seen
		for _, state := range states {
			if record.State == state && record.Begun == nil {
				return true
			}
		}
		return false
	}, limit, 300*time.Millisecond, "%s is %v (%v)", name, &record.State, &record.Problem)
	return record
}
