// Command scale measures what migrations cost on Temporal: a hundred workflows on one server, for a while in which they
// replicate and are polled at durable's default intervals. It prints the table of docs/temporal.md.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"

	"github.com/livemigration/livemigration-go/durable"
	"github.com/livemigration/livemigration-go/livemigrationtemporal"
	"github.com/livemigration/livemigration-go/livemigrationtest"
	"github.com/livemigration/livemigration-go/test/temporal/internal/estate"
)

type settings struct {
	migrations, workers int
	during              time.Duration
}

func main() {
	if estate.IsWorker() {
		exitOn(estate.RunWorker())
		return
	}
	var s settings
	flag.IntVar(&s.migrations, "migrations", 100, "`number` of workflows")
	flag.IntVar(&s.workers, "workers", 3, "`number` of worker processes")
	flag.DurationVar(&s.during, "during", 6*time.Minute, "for how long they replicate; the requests of the last minute count")
	flag.Parse()
	exitOn(measure(s))
}

func exitOn(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "scale:", err)
		os.Exit(1)
	}
}

func measure(s settings) (err error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, s.during+10*time.Minute)
	defer cancel()
	timings := livemigrationtest.Timings{Validation: 5 * time.Second, Scheduling: time.Second, InitialSync: 24 * time.Hour}
	atlas := livemigrationtest.NewServer(livemigrationtest.WithSpeed(1), livemigrationtest.WithPublishedRateLimits(),
		livemigrationtest.WithTimings(timings))
	defer atlas.Close()
	lab, err := estate.NewLab(ctx, atlas, s.workers, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lab.Close()) }()
	plans, began := estate.Plans(atlas, s.migrations, s.migrations), time.Now()
	for _, plan := range plans {
		if _, err := livemigrationtemporal.Start(ctx, lab.Client, plan); err != nil {
			return err
		}
	}
	for states := map[durable.State]int(nil); states[durable.StateReplicating] < len(plans); {
		if states, err = estate.States(ctx, lab.Client, plans); err != nil {
			return err
		}
		if err := pause(ctx, time.Second); err != nil {
			return fmt.Errorf("waiting until all replicate: %w: %s", err, estate.Line(states))
		}
	}
	fmt.Printf("| %d migrations, %d workers | |\n| --- | ---: |\n", len(plans), s.workers)
	fmt.Printf("| until all of them replicate | %s |\n", time.Since(began).Round(time.Second))
	fmt.Printf("| requests to Atlas until then | %d |\n", len(atlas.Recorded()))
	if err := report(ctx, lab.Client, "until then"); err != nil {
		return err
	}
	if err := pause(ctx, s.during-time.Minute); err != nil {
		return err
	}
	before := len(atlas.Recorded())
	if err := pause(ctx, time.Minute); err != nil {
		return err
	}
	lastMinute := len(atlas.Recorded()) - before
	limited := 0
	for _, request := range atlas.Recorded() {
		if request.StatusCode == http.StatusTooManyRequests {
			limited++
		}
	}
	fmt.Printf("| requests in the last of %.0f minutes in which they replicate | %d |\n", s.during.Minutes(), lastMinute)
	fmt.Printf("| requests over Atlas's rate limit, of %d | %d |\n", len(atlas.Recorded()), limited)
	return report(ctx, lab.Client, "then")
}

// report prints what the histories of each kind of workflow have on average.
func report(ctx context.Context, c client.Client, when string) error {
	for _, kind := range []string{"MigrationWorkflow", "LockWorkflow"} {
		response, err := c.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{
			PageSize: 20, Query: fmt.Sprintf("WorkflowType = '%s' and ExecutionStatus = 'Running'", kind),
		})
		if err != nil {
			return err
		}
		var events, bytes int
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
		}
		n := max(1, len(response.GetExecutions()))
		fmt.Printf("| history of a %s %s | %d events, %d KiB |\n", kind, when, events/n, bytes/n/1024)
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
