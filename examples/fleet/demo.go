package main

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/livemigration/livemigration-go"
	"github.com/livemigration/livemigration-go/durable"
	"github.com/livemigration/livemigration-go/livemigrationtest"
)

const (
	demoPlans = 40
	demoHosts = 6
	// crashAt is the creation whose response is late, and in the meantime the worker is killed.
	crashAt  = 12
	lateness = 25 * time.Second
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

// newDemoAtlas has a source project for each host. The source project serves one migration at a time.
func newDemoAtlas() *livemigrationtest.Server {
	projects := make([]livemigration.AvailableProject, demoHosts)
	opts := []livemigrationtest.Option{
		livemigrationtest.WithSpeed(demoSpeed), livemigrationtest.WithOneAtATime(),
		livemigrationtest.WithTimings(livemigrationtest.Timings{
			Validation: 15 * time.Minute, Scheduling: 15 * time.Minute, InitialSync: 75 * time.Minute, Finishing: 15 * time.Minute,
		}),
	}
	for n := range demoPlans {
		p := &projects[n%demoHosts]
		p.Deployments = append(p.Deployments, livemigration.Deployment{Name: demoName(n) + "-old", Managed: true, TLSEnabled: true})
	}
	for i := range projects {
		projects[i].Name, projects[i].ProjectID = fmt.Sprintf("Estate %d", i+1), sourceProject(i)
		projects[i].MigrationHosts = []string{demoHost(i)}
		if i == 0 {
			opts = append(opts, livemigrationtest.WithSourceProjects(projects[i]))
		} else {
			opts = append(opts, livemigrationtest.WithSourceOrganization(projects[i]))
		}
	}
	atlas := livemigrationtest.NewServer(opts...)
	atlas.Inject(livemigrationtest.CreateMigration, livemigrationtest.SlowBody(lateness).After(crashAt-1), 1)
	return atlas
}

func demoName(n int) string { return fmt.Sprintf("db-%02d", n+1) }

func demoHost(i int) string { return fmt.Sprintf("host-%d.example.com", i+1) }

func sourceProject(i int) livemigration.ProjectID {
	return livemigration.ProjectID(fmt.Sprintf("5c7e8f90f1ee7000000%05x", i+1))
}

// writePlans writes the CSV file of the demo.
func (d *demo) writePlans(path string) error {
	rows := [][]string{{"name", "project", "source_project", "source_cluster", "destination_cluster", "host", "managed", "ssl", "drop"}}
	for n := range demoPlans {
		drop := "no"
		if n == dropped {
			drop = "yes"
		}
		rows = append(rows, []string{
			demoName(n), string(d.atlas.ProjectID()), string(sourceProject(n % demoHosts)), demoName(n) + "-old", demoName(n),
			demoHost(n % demoHosts), "yes", "yes", drop,
		})
	}
	var text strings.Builder
	if err := csv.NewWriter(&text).WriteAll(rows); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(text.String()), 0o600)
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
	// The crash comes while the response to one creation is late and nothing else is being created.
	err = d.await(ctx, func(records []durable.Record) bool {
		begun := 0
		for _, r := range records {
			if r.Begun != nil && r.Begun.Action == durable.ActionCreate {
				begun++
			}
		}
		return begun == 1 && len(d.atlas.Migrations()) >= crashAt
	})
	killed := worker.Process.Kill()
	_ = worker.Wait() // killed
	if err = errors.Join(err, killed); err != nil {
		return err
	}
	d.say("the worker was killed with SIGKILL; Atlas had just created a migration, and the response is lost")
	d.say("the same command again")
	if worker, err = d.start(ctx); err != nil {
		return err
	}
	err = d.act(ctx)
	_ = worker.Cancel() // an error is a worker that has ended
	_ = worker.Wait()   // its status is the one of an interruption
	if err != nil {
		return err
	}
	return d.finish(ctx)
}

// act is what happens while the second worker runs, until all migrations are complete.
func (d *demo) act(ctx context.Context) error {
	if err := d.settle(ctx); err != nil {
		return err
	}
	waitsForStart := func(records []durable.Record) bool {
		return slices.ContainsFunc(records, func(r durable.Record) bool { return r.Gate(time.Now()) == durable.GateStart })
	}
	if err := d.await(ctx, waitsForStart); err != nil {
		return err
	}
	if err := d.command(ctx, "approve", "-gate", "start", demoName(dropped)); err != nil {
		return err
	}
	d.say("an outage: Atlas responds with 503 to everything")
	outage := livemigrationtest.Status(http.StatusServiceUnavailable).WithRetryAfter(time.Second)
	d.atlas.Inject(livemigrationtest.AnyOperation, outage, 1_000_000)
	err := pause(ctx, 3*time.Second)
	d.atlas.ClearFaults()
	d.say("the outage is over")
	if err != nil {
		return err
	}
	return d.await(ctx, func(records []durable.Record) bool {
		return !slices.ContainsFunc(records, func(r durable.Record) bool { return r.State != durable.StateComplete })
	})
}

// settle is the person who looks in Atlas for each migration whose creation is unclear. A record is not restarted within
// two minutes of a creation that may still arrive.
func (d *demo) settle(ctx context.Context) error {
	for settled := 0; ; {
		var unclear []durable.Record
		err := d.await(ctx, func(records []durable.Record) bool {
			unclear = slices.DeleteFunc(records, func(r durable.Record) bool { return r.State != durable.StateUnclear })
			return len(unclear) > 0 || settled > 0
		})
		if err != nil || len(unclear) == 0 {
			return err
		}
		record := unclear[0]
		jobs := d.atlas.Migrations()
		i := slices.IndexFunc(jobs, func(m livemigrationtest.Migration) bool {
			return m.Source.ClusterName == record.Plan.Request.Source.ClusterName
		})
		if i >= 0 {
			d.say("%s is UNCLEAR; a person has found its migration in Atlas", record.Plan.Name)
			err = d.command(ctx, "adopt", record.Plan.Name, string(jobs[i].ID))
		} else if time.Since(record.Unclear.At) > 2*time.Minute {
			d.say("%s is UNCLEAR; a person has found no migration in Atlas", record.Plan.Name)
			err = d.command(ctx, "restart", record.Plan.Name)
		} else {
			settled--
			err = pause(ctx, time.Second)
		}
		if settled++; err != nil {
			return err
		}
	}
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
	args := []string{"run", "-serve", "-yes", "-brief", "4s", "-poll", "150ms"}
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
	worker.Stdout = d.out
	worker.Cancel = func() error { return worker.Process.Signal(os.Interrupt) }
	worker.WaitDelay = 10 * time.Second
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

// await polls the records until they are as wanted.
func (d *demo) await(ctx context.Context, wanted func([]durable.Record) bool) error {
	for {
		records, err := d.fleet.Records(ctx)
		if err != nil || wanted(records) {
			return err
		}
		if err := pause(ctx, 200*time.Millisecond); err != nil {
			return err
		}
	}
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
