// Command scale measures what migrations cost on Temporal: a hundred workflows on one server with three workers, for a
// while in which they replicate. It prints requests to Atlas a minute, and events and bytes of history.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"

	"github.com/livemigration/livemigration-go/durable"
	"github.com/livemigration/livemigration-go/livemigrationtemporal"
	"github.com/livemigration/livemigration-go/livemigrationtest"
	"github.com/livemigration/livemigration-go/test/temporal/internal/estate"
	"github.com/livemigration/livemigration-go/test/temporal/internal/temporalserver"
)

const namespace = "scale"

type settings struct {
	migrations, workers int
	during, poll        time.Duration
}

func main() {
	if estate.IsWorker() {
		exitOn(estate.RunWorker())
		return
	}
	var s settings
	flag.IntVar(&s.migrations, "migrations", 100, "`number` of workflows")
	flag.IntVar(&s.workers, "workers", 3, "`number` of worker processes")
	flag.DurationVar(&s.during, "during", 2*time.Minute, "for how long to measure")
	flag.DurationVar(&s.poll, "poll", time.Minute, "longest time between two looks at a job")
	flag.Parse()
	exitOn(measure(s))
}

func exitOn(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "scale:", err)
		os.Exit(1)
	}
}

func measure(s settings) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, s.during+5*time.Minute)
	defer cancel()
	atlas := livemigrationtest.NewServer(livemigrationtest.WithSpeed(1), livemigrationtest.WithPublishedRateLimits(),
		livemigrationtest.WithTimings(livemigrationtest.Timings{Validation: 5 * time.Second, Scheduling: time.Second, InitialSync: 24 * time.Hour}))
	defer atlas.Close()
	server, err := temporalserver.Start(temporalserver.Options{Namespaces: []string{namespace}})
	if err != nil {
		return err
	}
	defer server.Stop()
	c, err := server.Dial(ctx, client.Options{Namespace: namespace, Logger: estate.Silence{}})
	if err != nil {
		return err
	}
	defer c.Close()
	stopWorkers, err := startWorkers(s, server, atlas)
	defer stopWorkers()
	if err != nil {
		return err
	}
	plans, began := plansOf(atlas, s.migrations), time.Now()
	for _, plan := range plans {
		if _, err := livemigrationtemporal.Start(ctx, c, plan); err != nil {
			return err
		}
	}
	for states := map[durable.State]int(nil); states[durable.StateReplicating] < len(plans); {
		if states, err = estate.States(ctx, c, plans); err != nil {
			return err
		}
		if err := pause(ctx, time.Second); err != nil {
			return fmt.Errorf("waiting until all replicate: %w: %s", err, estate.Line(states))
		}
	}
	fmt.Printf("%d migrations, %d workers: all replicate after %s, with %d requests to Atlas\n",
		len(plans), s.workers, time.Since(began).Round(time.Second), len(atlas.Recorded()))
	if err := report(ctx, c, "to replicate"); err != nil {
		return err
	}
	before := len(atlas.Recorded())
	if err := pause(ctx, s.during); err != nil {
		return err
	}
	perMinute := float64(len(atlas.Recorded())-before) / s.during.Minutes()
	limited := 0
	for _, request := range atlas.Recorded() {
		if request.StatusCode == 429 {
			limited++
		}
	}
	fmt.Printf("while they replicate, with looks at most every %s: %.0f requests a minute; %d of all requests were over the rate limit\n", s.poll, perMinute, limited)
	return report(ctx, c, fmt.Sprintf("after %s more", s.during))
}

func startWorkers(s settings, server *temporalserver.Server, atlas *livemigrationtest.Server) (stop func(), err error) {
	var running []*exec.Cmd
	stop = func() {
		for _, worker := range running {
			_ = worker.Process.Kill()
			_ = worker.Wait()
		}
	}
	public, private := atlas.APIKey()
	for range s.workers {
		worker, err := estate.StartWorker(estate.WorkerOptions{
			Address: server.Address(), Namespace: namespace, Poll: s.poll,
			Atlas: []string{
				"MONGODB_ATLAS_BASE_URL=" + atlas.URL(),
				"MONGODB_ATLAS_PUBLIC_API_KEY=" + public, "MONGODB_ATLAS_PRIVATE_API_KEY=" + private.Reveal(),
			},
		})
		if err != nil {
			return stop, err
		}
		running = append(running, worker)
	}
	return stop, nil
}

func plansOf(atlas *livemigrationtest.Server, n int) (plans []durable.Plan) {
	for i := range n {
		request := atlas.SampleRequest()
		request.Source.ManagedAuthentication, request.Source.Username, request.Source.Password = false, "reader", ""
		request.Source.ClusterName, request.Destination.ClusterName = fmt.Sprintf("from-%d", i), fmt.Sprintf("to-%d", i)
		request.MigrationHosts = []string{fmt.Sprintf("vm-%d.example.com", i)}
		plans = append(plans, durable.Plan{Name: fmt.Sprintf("m-%05d", i), ProjectID: atlas.ProjectID(), Request: request})
	}
	return plans
}

// report prints what the histories of one kind of workflow have on average.
func report(ctx context.Context, c client.Client, when string) error {
	for _, kind := range []string{"MigrationWorkflow", "LockWorkflow"} {
		response, err := c.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{
			PageSize: 1000, Query: fmt.Sprintf("WorkflowType = '%s' and ExecutionStatus = 'Running'", kind),
		})
		if err != nil {
			return err
		}
		var events, bytes, n int
		for _, info := range response.GetExecutions() {
			id := info.GetExecution()
			history := c.GetWorkflowHistory(ctx, id.GetWorkflowId(), id.GetRunId(), false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
			for history.HasNext() {
				event, err := history.Next()
				if err != nil {
					return err
				}
				events, bytes = events+1, bytes+event.Size()
			}
			if n++; n == 20 {
				break
			}
		}
		if n > 0 {
			fmt.Printf("  %s: %d events and %d KiB of history in each %s\n", when, events/n, bytes/n/1024, kind)
		}
	}
	return nil
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}
