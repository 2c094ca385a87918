package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/livemigration/livemigration-go/durable"
	"github.com/livemigration/livemigration-go/livemigrationtest"
)

const (
	demoPlans = 40
	demoHosts = 6
	// crashAt is the creation whose response is late, and in the meantime the worker is killed.
	crashAt  = 12
	lateness = 25 * time.Second
	// demoTimeout ends a demo whose worker does not work.
	demoTimeout = 5 * time.Minute
	// demoSpeed makes an hour of a migration a second.
	demoSpeed = 3600
	// dropped is the plan that destroys what is in its destination, so its start needs an approval.
	dropped = 7
)

// demo is a fleet at work: this process is Atlas and the person, another one is the worker, which is killed and started
// again.
type demo struct {
	*tool
	atlas *livemigrationtest.Server
	fleet *durable.Fleet
}

// demo is the command demo.
func (t *tool) demo(ctx context.Context, _ []string) (err error) {
	t.started = true
	ctx, cancel := context.WithTimeout(ctx, demoTimeout)
	defer cancel()
	dir, err := os.MkdirTemp("", "fleet-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	t.state = filepath.Join(dir, "state")
	d := &demo{tool: t, atlas: newDemoAtlas()}
	defer d.atlas.Close()
	return d.play(ctx, filepath.Join(dir, "plans.csv"))
}

// newDemoAtlas is slow to respond to one creation.
func newDemoAtlas() *livemigrationtest.Server {
	atlas := livemigrationtest.NewServer(livemigrationtest.WithSpeed(demoSpeed), livemigrationtest.WithOneAtATime(),
		livemigrationtest.WithTimings(livemigrationtest.Timings{
			Validation: 15 * time.Minute, Scheduling: 15 * time.Minute, InitialSync: 75 * time.Minute, Finishing: 15 * time.Minute,
		}))
	atlas.Inject(livemigrationtest.CreateMigration, livemigrationtest.SlowBody(lateness).After(crashAt-1), 1)
	return atlas
}

func demoName(n int) string { return fmt.Sprintf("db-%02d", n+1) }

// writePlans writes the CSV file of the demo.
func (d *demo) writePlans(path string) error {
	text := "name,project,source_project,source_cluster,destination_cluster,host,managed,ssl,drop\n"
	for n := range demoPlans {
		drop := "no"
		if n == dropped {
			drop = "yes"
		}
		text += fmt.Sprintf("%[1]s,%[2]s,5c7e8f90f1ee7000000%05[3]x,%[1]s-old,%[1]s,host-%[3]d.example.com,yes,yes,%[4]s\n",
			demoName(n), d.atlas.ProjectID(), n%demoHosts+1, drop)
	}
	return os.WriteFile(path, []byte(text), 0o600)
}

// play is the demo from the beginning to the end.
func (d *demo) play(ctx context.Context, plans string) (err error) {
	if err := d.writePlans(plans); err != nil {
		return err
	}
	d.say("%d migrations, %d hosts; each host and each source project serves one at a time", demoPlans, demoHosts)
	if err := d.command(ctx, "add", plans); err != nil {
		return err
	}
	if d.fleet, err = d.open(); err != nil {
		return err
	}
	worker, err := d.start(ctx)
	if err != nil {
		return err
	}
	err = d.awaitCrash(ctx)
	_ = worker.Process.Kill() // an error is a worker that has ended
	_ = worker.Wait()         // killed
	if err != nil {
		return err
	}
	d.say("the worker was killed with SIGKILL; Atlas had just created a migration, and the response is lost")
	d.say("the same command again")
	if worker, err = d.start(ctx); err != nil {
		return err
	}
	if err = d.act(ctx); err == nil {
		d.say("all migrations are complete; Ctrl-C ends the worker")
	}
	_ = worker.Cancel()
	_ = worker.Wait() // its status says that it was interrupted
	if err != nil {
		return err
	}
	return d.finish(ctx)
}

// awaitCrash waits until the response to one creation is late and nothing else is being created.
func (d *demo) awaitCrash(ctx context.Context) error {
	for {
		records, err := d.fleet.Records(ctx)
		begun := 0
		for _, r := range records {
			if r.Begun != nil && r.Begun.Action == durable.ActionCreate {
				begun++
			}
		}
		if err != nil || begun == 1 && len(d.atlas.Migrations()) >= crashAt {
			return err
		}
		if err := pause(ctx, 200*time.Millisecond); err != nil {
			return err
		}
	}
}

// act is the person who decides while the second worker runs, until all migrations are complete.
func (d *demo) act(ctx context.Context) error {
	for shown := time.Now(); ; {
		records, err := d.fleet.Records(ctx)
		done := true
		for _, r := range records {
			done = done && r.State == durable.StateComplete
			switch {
			case err != nil:
			case r.State == durable.StateUnclear:
				err = d.settle(ctx, r)
			case r.Gate(time.Now()) == durable.GateStart:
				if err = d.command(ctx, "approve", "-gate", "start", r.Plan.Name); err == nil {
					err = d.outage(ctx)
				}
			}
		}
		if err != nil || done {
			return err
		}
		if time.Since(shown) > 4*time.Second {
			shown = time.Now()
			d.say("%s", totals(records))
		}
		if err := pause(ctx, 200*time.Millisecond); err != nil {
			return err
		}
	}
}

// settle is the person who looks in Atlas for a migration whose creation is unclear. A record cannot be restarted within two
// minutes of a creation that may still arrive.
func (d *demo) settle(ctx context.Context, r durable.Record) error {
	for _, job := range d.atlas.Migrations() {
		if job.Source.ClusterName == r.Plan.Request.Source.ClusterName {
			d.say("%s is UNCLEAR; a person has found its migration in Atlas", r.Plan.Name)
			return d.command(ctx, "adopt", r.Plan.Name, string(job.ID))
		}
	}
	d.say("%s is UNCLEAR; a person has found no migration in Atlas", r.Plan.Name)
	if err := pause(ctx, time.Until(r.Unclear.At.Add(2*time.Minute+time.Second))); err != nil {
		return err
	}
	return d.command(ctx, "restart", r.Plan.Name)
}

func (d *demo) outage(ctx context.Context) error {
	d.say("an outage: Atlas responds with 503 to everything")
	fault := livemigrationtest.Status(http.StatusServiceUnavailable).WithRetryAfter(time.Second)
	d.atlas.Inject(livemigrationtest.AnyOperation, fault, 1_000_000)
	defer d.atlas.ClearFaults()
	if err := pause(ctx, 3*time.Second); err != nil {
		return err
	}
	d.say("the outage is over")
	return nil
}

// finish counts the jobs.
func (d *demo) finish(ctx context.Context) error {
	if err := d.command(ctx, "status"); err != nil {
		return err
	}
	jobs := len(d.atlas.Migrations())
	if err := d.printf("The in-memory Atlas has %d jobs for %d plans.\n", jobs, demoPlans); err != nil {
		return err
	}
	if jobs != demoPlans {
		return fmt.Errorf("there are %d jobs", jobs)
	}
	return nil
}

// start starts the worker: the command run, as a user would.
func (d *demo) start(ctx context.Context) (*exec.Cmd, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	args := []string{"run", "-serve", "-yes", "-poll", "150ms"}
	d.say("$ fleet %s", strings.Join(args, " "))
	worker := exec.CommandContext(ctx, program, append([]string{"-state", d.state}, args...)...)
	for _, variable := range os.Environ() {
		if !strings.HasPrefix(variable, "MONGODB_ATLAS_") {
			worker.Env = append(worker.Env, variable)
		}
	}
	public, private := d.atlas.APIKey()
	worker.Env = append(worker.Env, "MONGODB_ATLAS_BASE_URL="+d.atlas.URL(), "MONGODB_ATLAS_PUBLIC_API_KEY="+public,
		"MONGODB_ATLAS_PRIVATE_API_KEY="+private.Reveal())
	worker.Cancel = func() error { return worker.Process.Signal(os.Interrupt) }
	worker.WaitDelay, worker.Stderr = 10*time.Second, d.log
	return worker, worker.Start()
}

func (d *demo) say(format string, args ...any) {
	_ = d.printf("%s  %s\n", time.Now().Format(time.TimeOnly), fmt.Sprintf(format, args...))
}

// command does a command as a user would, beside the worker.
func (d *demo) command(ctx context.Context, args ...string) error {
	d.say("$ fleet %s", strings.Join(args, " "))
	if status := run(ctx, append([]string{"fleet", "-state", d.state}, args...), d.out, d.log); status != exitDone {
		return fmt.Errorf("exit status %d", status)
	}
	return nil
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
