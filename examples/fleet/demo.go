package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/livemigration/livemigration-go/durable"
)

// demo is a fleet at work: this process is Atlas and the person, another one is the worker, which is killed and started
// again.
type demo struct {
	*tool
	atlas   *demoAtlas
	dir     string
	crashed chan struct{}

	mu     sync.Mutex
	worker *exec.Cmd
	notes  io.WriteCloser // shown above the table of the worker; nil: there is no worker
}

func checkSpeed(speed float64) error {
	if speed > 0 && speed <= 10 {
		return nil
	}
	return errors.New("must be more than 0 and at most 10")
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
	d := &demo{tool: t, dir: dir, crashed: make(chan struct{})}
	if d.atlas, err = newDemoAtlas(t.speed, d.kill); err != nil {
		return err
	}
	defer d.atlas.close()
	return d.play(ctx)
}

// play is the demo from the beginning to the end.
func (d *demo) play(ctx context.Context) error {
	plans := filepath.Join(d.dir, "plans.csv")
	if err := d.atlas.writePlans(plans); err != nil {
		return err
	}
	d.say(fmt.Sprintf("%d migrations, %d hosts; each host serves one at a time", demoMigrations, demoHosts))
	if err := d.command(ctx, "add", plans); err != nil {
		return err
	}
	ended, err := d.start(ctx)
	if err != nil {
		return err
	}
	select {
	case <-d.crashed:
		<-ended // killed
	case err := <-ended:
		return fmt.Errorf("the worker ended too early: %w", err)
	}
	d.say("the worker was killed with SIGKILL; Atlas had just created a migration, and the response is lost")
	d.say("the same command again")
	if ended, err = d.start(ctx); err != nil {
		return err
	}
	acted := make(chan error, 1)
	watching, stop := context.WithCancel(ctx)
	go func() { acted <- d.act(watching) }()
	err = <-ended
	stop()
	if actErr := <-acted; actErr != nil && !errors.Is(actErr, context.Canceled) {
		err = errors.Join(err, actErr)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return errors.Join(err, d.finish(ctx))
}

// act is what happens while the second worker runs.
func (d *demo) act(ctx context.Context) error {
	for _, scene := range []func(context.Context) error{d.settle, d.approveStart, d.outage} {
		if err := scene(ctx); err != nil {
			return err
		}
	}
	return nil
}

// settle is the person who looks in Atlas for the migration of which nobody knows.
func (d *demo) settle(ctx context.Context) error {
	unclear, err := d.await(ctx, func(r durable.Record) bool { return r.State == durable.StateUnclear })
	if err != nil {
		return err
	}
	if err := d.pause(ctx, 2*time.Second); err != nil {
		return err
	}
	for _, job := range d.atlas.Migrations() {
		if job.Source.ClusterName == unclear.Plan.Request.Source.ClusterName {
			d.say("a person has found it in Atlas")
			return d.command(ctx, "adopt", unclear.Plan.Name, string(job.ID))
		}
	}
	return d.command(ctx, "restart", unclear.Plan.Name)
}

// approveStart is the person who lets the data of a destination be destroyed.
func (d *demo) approveStart(ctx context.Context) error {
	waiting, err := d.await(ctx, func(r durable.Record) bool { return r.Gate() == durable.GateStart })
	if err != nil {
		return err
	}
	return d.command(ctx, "approve", "-gate", string(durable.GateStart), waiting.Plan.Name)
}

// outage keeps everybody from Atlas for a while.
func (d *demo) outage(ctx context.Context) error {
	if err := d.pause(ctx, 2*time.Second); err != nil {
		return err
	}
	d.say("an outage: Atlas responds with 503 to everything")
	d.atlas.away.Store(true)
	err := d.pause(ctx, 3*time.Second)
	d.atlas.away.Store(false)
	d.say("the outage is over")
	return err
}

// finish prints how long the migrations took, and counts the jobs.
func (d *demo) finish(ctx context.Context) error {
	fleet, err := d.open()
	if err != nil {
		return err
	}
	records, err := fleet.Records(ctx)
	if err != nil {
		return err
	}
	if err := d.println(summary(records)); err != nil {
		return err
	}
	jobs := len(d.atlas.Migrations())
	if err := d.println(fmt.Sprintf("\nThe in-memory Atlas has %d jobs for %d plans.", jobs, demoMigrations)); err != nil {
		return err
	}
	if jobs != demoMigrations {
		return fmt.Errorf("there are %d jobs", jobs)
	}
	return nil
}

// await looks at the records until there is one of that kind.
func (d *demo) await(ctx context.Context, kind func(durable.Record) bool) (durable.Record, error) {
	fleet, err := d.open()
	for err == nil {
		var records []durable.Record
		if records, err = fleet.Records(ctx); err != nil {
			break
		}
		for _, r := range records {
			if kind(r) {
				return r, nil
			}
		}
		err = d.pause(ctx, 200*time.Millisecond)
	}
	return durable.Record{}, err
}

// pause waits for so long at the usual speed.
func (d *demo) pause(ctx context.Context, usual time.Duration) error {
	timer := time.NewTimer(d.scaled(usual))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

func (d *demo) scaled(usual time.Duration) time.Duration {
	return time.Duration(float64(usual) / d.speed)
}

// longest is how many records the summary has at most.
const longest = 8

// summary is the report of those records that took clearly longer than the others.
func summary(records []durable.Record) string {
	total := func(r durable.Record) time.Duration {
		p := phasesOf(r)
		return p.complete.Sub(p.validating)
	}
	records = slices.Clone(records)
	slices.SortStableFunc(records, func(a, b durable.Record) int { return cmp.Compare(total(b), total(a)) })
	usual := total(records[len(records)/2])
	n := 0
	for n < min(longest, len(records)) && 2*total(records[n]) > 3*usual {
		n++
	}
	var b strings.Builder
	fmt.Fprintf(&b, "\nA migration took about %s.", short(usual))
	if n > 0 {
		b.WriteString(" These took longer:\n\n")
		writeTable(&b, records[:n])
	}
	return strings.TrimRight(b.String(), "\n")
}
