package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/urfave/cli/v3"

	"github.com/livemigration/livemigration-go"
	"github.com/livemigration/livemigration-go/durable"
)

// command is the tree of commands. Its flags fill in t.
func (t *tool) command() *cli.Command {
	state := &cli.StringFlag{
		Name: "state", Value: "fleet-state", Usage: "`DIR` of the records",
		Sources: cli.EnvVars("FLEET_STATE"), Destination: &t.state,
	}
	return &cli.Command{
		Name: "fleet", Usage: "move many clusters to Atlas", HideHelpCommand: true, Writer: t.out, ErrWriter: t.log,
		Flags: []cli.Flag{state},
		Commands: []*cli.Command{
			described(t.subcommand("add", "FILE...", "add the plans of CSV or JSON files", t.add), planFiles),
			t.subcommand("run", "", "work until nothing is left to do", t.runFleet, t.runFlags()...),
			t.subcommand("status", "[NAME...]", "show all records, or the history of some", t.status, &cli.StringFlag{
				Name: "output", Value: "text", Usage: "`FORMAT`: text or json", Destination: &t.output, Validator: oneOf("text", "json"),
			}),
			t.subcommand("approve", "NAME...", "approve the cutovers of migrations", t.approve, &cli.StringFlag{
				Name: "gate", Value: string(durable.GateCutover), Usage: "`GATE`: cutover or start",
				Destination: &t.gate, Validator: oneOf(string(durable.GateCutover), string(durable.GateStart)),
			}),
			t.subcommand("adopt", "NAME ID", "give an UNCLEAR record the migration that was found in Atlas", t.adopt),
			t.subcommand("restart", "NAME...", "plan records again that are UNCLEAR, FAILED or EXPIRED", t.restart),
			described(t.subcommand("replace", "FILE...", "replace plans of which nothing runs", t.replace), planFiles),
			t.subcommand("abandon", "NAME...", "take records out; in Atlas nothing changes", t.abandon),
			t.subcommand("report", "", "print a report in Markdown", t.report),
			t.subcommand("demo", "", "show a fleet at work on an in-memory Atlas", t.demo, &cli.FloatFlag{
				Name: "speed", Value: 1, Usage: "how many `TIMES` as fast as usual, at most 10", Destination: &t.speed, Validator: checkSpeed,
			}),
		},
		OnUsageError:   usageError,
		ExitErrHandler: func(context.Context, *cli.Command, error) {}, // run decides the exit status
		Action: func(_ context.Context, c *cli.Command) error {
			if c.Args().Present() {
				return fmt.Errorf("unknown command %q, see fleet -h", c.Args().First())
			}
			c.Writer = t.log // it is what is wrong, and no result
			return errors.Join(cli.ShowRootCommandHelp(c), errors.New("missing command"))
		},
	}
}

func (t *tool) runFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "window", Usage: "approve cutovers at these `TIMES`, such as 22:00-04:00", Destination: &t.window},
		&cli.IntFlag{Name: "limit", Value: 10, Usage: "`NUMBER` of migrations under way at a time", Destination: &t.limit},
		&cli.DurationFlag{Name: "poll", Value: time.Minute, Usage: "longest `TIME` between two looks at a migration", Destination: &t.poll},
		&cli.DurationFlag{Name: "brief", Usage: "for logs: counts every `TIME`, only changes that need a person", HideDefault: true, Destination: &t.brief},
		&cli.BoolFlag{Name: "notes", Usage: "show the lines of stdin above the table", Destination: &t.notes},
	}
}

func described(c *cli.Command, description string) *cli.Command {
	c.Description = description
	return c
}

// subcommand is a command whose arguments are those that usage names: none, exactly "NAME ID", some ("NAME..."), or any.
func (t *tool) subcommand(name, arguments, usage string, action func(context.Context, []string) error, flags ...cli.Flag) *cli.Command {
	return &cli.Command{
		Name: name, ArgsUsage: arguments, Usage: usage, Flags: flags, OnUsageError: usageError,
		Action: func(ctx context.Context, c *cli.Command) error {
			n := c.Args().Len()
			switch {
			case arguments == "" && n > 0:
				return fmt.Errorf("%s: unexpected argument %q", name, c.Args().First())
			case arguments == "NAME ID" && n != 2, (arguments == "NAME..." || arguments == "FILE...") && n == 0:
				return fmt.Errorf("%s: the arguments must be %s", name, arguments)
			}
			return action(ctx, c.Args().Slice())
		},
	}
}

// usageError keeps the usage from being printed: an error is one line.
func usageError(_ context.Context, _ *cli.Command, err error, _ bool) error { return err }

func oneOf(values ...string) func(string) error {
	return func(value string) error {
		for _, known := range values {
			if value == known {
				return nil
			}
		}
		return fmt.Errorf("must be one of %q", values)
	}
}

// open opens the records that are there.
func (t *tool) open() (*durable.Fleet, error) {
	if _, err := os.Stat(t.state); err != nil {
		return nil, fmt.Errorf("no records in -state: %w; the command add makes it", err)
	}
	dir, err := durable.OpenDir(t.state)
	if err != nil {
		return nil, err
	}
	t.started = true
	return durable.NewFleet(nil, dir), nil
}

func (t *tool) add(ctx context.Context, files []string) error {
	plans, err := readPlans(files)
	if err != nil {
		return err
	}
	dir, err := durable.OpenDir(t.state)
	if err != nil {
		return err
	}
	t.started = true
	if err := durable.NewFleet(nil, dir).Add(ctx, plans...); err != nil {
		return err
	}
	if len(plans) == 1 {
		return t.println("1 plan is in " + t.state)
	}
	return t.println(fmt.Sprintf("%d plans are in %s", len(plans), t.state))
}

func (t *tool) approve(ctx context.Context, names []string) error {
	return t.each(names, "approved", func(fleet *durable.Fleet, name string) error {
		return fleet.Approve(ctx, name, durable.Gate(t.gate))
	})
}

func (t *tool) restart(ctx context.Context, names []string) error {
	return t.each(names, "planned again", func(fleet *durable.Fleet, name string) error { return fleet.Restart(ctx, name) })
}

func (t *tool) abandon(ctx context.Context, names []string) error {
	return t.each(names, "abandoned", func(fleet *durable.Fleet, name string) error { return fleet.Abandon(ctx, name) })
}

func (t *tool) adopt(ctx context.Context, args []string) error {
	id, err := livemigration.ParseMigrationID(args[1])
	if err != nil {
		return err
	}
	return t.each(args[:1], "adopted", func(fleet *durable.Fleet, name string) error { return fleet.Adopt(ctx, name, id) })
}

func (t *tool) replace(ctx context.Context, files []string) error {
	plans, err := readPlans(files)
	if err != nil {
		return err
	}
	byName, names := make(map[string]durable.Plan), []string(nil)
	for _, plan := range plans {
		byName[plan.Name], names = plan, append(names, plan.Name)
	}
	return t.each(names, "replaced", func(fleet *durable.Fleet, name string) error { return fleet.Replace(ctx, byName[name]) })
}

// each changes records one after the other. One that fails keeps no other from being changed.
func (t *tool) each(names []string, done string, change func(*durable.Fleet, string) error) error {
	fleet, err := t.open()
	if err != nil {
		return err
	}
	var failed []error
	for _, name := range names {
		if err := change(fleet, name); err != nil {
			failed = append(failed, err)
			continue
		}
		if err := t.println(name + ": " + done); err != nil {
			return err
		}
	}
	return errors.Join(failed...)
}
