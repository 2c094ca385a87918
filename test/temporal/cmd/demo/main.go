// Command demo moves forty clusters with Temporal: a server and an in-memory Atlas in this process, and three workers as
// processes of their own. One worker is killed in the middle. The last line says that all are COMPLETE.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"time"

	"go.temporal.io/sdk/client"

	"github.com/livemigration/livemigration-go/durable"
	"github.com/livemigration/livemigration-go/livemigrationtemporal"
	"github.com/livemigration/livemigration-go/livemigrationtest"
	"github.com/livemigration/livemigration-go/test/temporal/internal/estate"
)

const (
	clusters   = 40
	workers    = 3
	speed      = 400 // an hour of the initial sync takes nine seconds
	poll       = time.Second
	killAtLast = clusters * 3 / 4 // migrations that are COMPLETE
	showEvery  = 2 * time.Second
	timeToLive = 10 * time.Minute
)

func main() {
	run := demo
	if estate.IsWorker() {
		run = estate.RunWorker
	}
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func demo() (err error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, timeToLive)
	defer cancel()
	atlas := livemigrationtest.NewServer(livemigrationtest.WithSpeed(speed))
	defer atlas.Close()
	lab, err := estate.NewLab(ctx, atlas, workers, poll)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lab.Close()) }()
	fmt.Printf("Temporal listens on %s, with %d workers\n", lab.Server.Address(), workers)

	plans := estate.Plans(atlas, clusters, clusters/2)
	for _, plan := range plans {
		if _, err := livemigrationtemporal.Start(ctx, lab.Client, plan); err != nil {
			return err
		}
		// In advance: nobody writes to these sources.
		if err := livemigrationtemporal.Approve(ctx, lab.Client, plan.Name, durable.GateCutover, "demo", time.Time{}); err != nil {
			return err
		}
	}
	fmt.Printf("started %d migrations, two on each migration host\n", len(plans))
	return watch(ctx, lab.Client, plans, lab.Workers[0])
}

// watch prints the states until all are COMPLETE. On the way it kills a worker, while the second half replicates: one that
// was killed during a create request would leave an UNCLEAR migration, and a person would have to look in Atlas.
func watch(ctx context.Context, c client.Client, plans []durable.Plan, victim *exec.Cmd) error {
	killed := false
	for {
		states, err := estate.States(ctx, c, plans)
		if err != nil && ctx.Err() == nil {
			return err
		}
		done := states[durable.StateComplete]
		fmt.Println(estate.Line(states))
		if done == len(plans) {
			fmt.Printf("all %d are COMPLETE\n", done)
			return nil
		}
		stuck := states[durable.StateUnclear] + states[durable.StateFailed] + states[durable.StateExpired]
		if stuck > 0 && stuck+done == len(plans) {
			return fmt.Errorf("%d migrations wait for a person: %s", stuck, estate.Line(states))
		}
		if quiet := done >= clusters/2 && done+states[durable.StateReplicating] == len(plans); !killed && (quiet || done >= killAtLast) {
			killed = true
			fmt.Println("killed worker", victim.Process.Pid)
			_ = victim.Process.Kill()
		}
		select {
		case <-ctx.Done():
			return errors.Join(errors.New("not all are COMPLETE"), context.Cause(ctx))
		case <-time.After(showEvery):
		}
	}
}
