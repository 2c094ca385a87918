// Command demo moves forty clusters with Temporal: a server in this process, an in-memory Atlas and three workers as
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
	"github.com/livemigration/livemigration-go/test/temporal/internal/estate"
	"github.com/livemigration/livemigration-go/test/temporal/internal/temporalserver"
)

const (
	namespace  = "demo"
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

func demo() error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, timeToLive)
	defer cancel()

	folder, err := os.MkdirTemp("", "demo")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	atlas, err := estate.StartAtlas(ctx, folder, clusters, speed)
	if err != nil {
		return err
	}
	defer atlas.Stop()
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
	fmt.Println("Temporal listens on", server.Address())

	plans, err := atlas.Plans(ctx, true)
	if err != nil {
		return err
	}
	for _, plan := range plans {
		if err := start(ctx, c, plan); err != nil {
			return err
		}
	}
	fmt.Printf("started %d migrations, two on each migration host\n", len(plans))
	running, err := startWorkers(server, atlas)
	defer func() {
		for _, worker := range running {
			_ = worker.Process.Kill()
			_ = worker.Wait()
		}
	}()
	if err != nil {
		return err
	}
	return watch(ctx, c, plans, running[0])
}

// start starts a migration and approves its cutover in advance: nobody writes to its source.
func start(ctx context.Context, c client.Client, plan durable.Plan) error {
	if _, err := livemigrationtemporal.Start(ctx, c, plan); err != nil {
		return err
	}
	return livemigrationtemporal.Approve(ctx, c, plan.Name, durable.GateCutover, "demo", time.Time{})
}

func startWorkers(server *temporalserver.Server, atlas *estate.Atlas) (started []*exec.Cmd, err error) {
	for range workers {
		worker, err := estate.StartWorker(estate.WorkerOptions{
			Address: server.Address(), Namespace: namespace, Atlas: atlas.Variables, Poll: poll,
		})
		if err != nil {
			return started, err
		}
		fmt.Println("started worker", worker.Process.Pid)
		started = append(started, worker)
	}
	return started, nil
}

// watch prints the states until all are COMPLETE. On the way it kills a worker, while the second half replicates: one that
// was killed during a creation would leave an UNCLEAR migration, and a person would have to look.
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
		if stuck := states[durable.StateUnclear] + states[durable.StateFailed] + states[durable.StateExpired]; stuck > 0 && stuck+done == len(plans) {
			return fmt.Errorf("%d migrations wait for a person to look: %s", stuck, estate.Line(states))
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
