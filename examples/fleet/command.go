package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/urfave/cli/v3"

	"github.com/livemigration/livemigration-go/durable"
)

// command is the tree of commands. Its flags fill in t.
func (t *tool) command() *cli.Command {
	state := &cli.StringFlag{
		Name: "state", Value: "fleet-state", Usage: "`DIR` of the records",
		Sources: cli.EnvVars("FLEET_STATE"), Destination: &t.state,
	}
	output := &cli.StringFlag{
		Name: "output", Value: "csv", Usage: "`FORMAT`: csv or json", Destination: &t.output, Validator: oneOf("csv", "json"),
	}
	gate := &cli.StringFlag{
		Name: "gate", Value: string(durable.GateCutover), Usage: "`GATE`: cutover or start",
		Destination: &t.gate, Validator: oneOf(string(durable.GateCutover), string(durable.GateStart)),
	}
	by := &cli.StringFlag{
		Name: "by", Value: "unknown user", Usage: "`NAME` of the person who decides", Sources: cli.EnvVars("USER", "USERNAME"),
		Destination: &t.by,
	}
	lasts := &cli.DurationFlag{
		Name: "for", Usage: "`TIME` after which the approval ends", HideDefault: true, Destination: &t.lasts,
	}
	watch := &cli.BoolFlag{Name: "watch", Usage: "go on and show each change, until all records have ended", Destination: &t.watch}
	add := t.subcommand("add", "FILE...", "add the plans of CSV or JSON files", t.add)
	add.Description = planFiles()
	return &cli.Command{
		Name: "fleet", Usage: "move many clusters to Atlas", HideHelpCommand: true, Writer: t.out, ErrWriter: t.log,
		Flags: []cli.Flag{state},
		Commands: []*cli.Command{
			add,
			t.subcommand("run", "", "work until nothing is left to do", t.runFleet, t.runFlags()...),
			t.subcommand("status", "[NAME...]", "show all records, or the history of some", t.status, watch),
			t.subcommand("approve", "NAME...", "approve the cutovers of migrations", t.approve, gate, by, lasts),
			t.subcommand("revoke", "NAME...", "take approvals back", t.revoke, gate, by),
			t.subcommand("restart", "NAME...", "plan records again that are UNCLEAR, FAILED or EXPIRED", t.restart),
			t.subcommand("adopt", "NAME ID", "give an UNCLEAR record the migration that was found in Atlas", t.adopt),
			t.subcommand("abandon", "NAME...", "leave migrations alone; in Atlas nothing changes", t.abandon),
			t.subcommand("remove", "NAME...", "delete records that are COMPLETE or ABANDONED, or have not started", t.remove),
			t.subcommand("report", "", "print all records, as CSV with their times or as JSON with all they contain", t.report, output),
			t.subcommand("demo", "", "show a fleet at work on an in-memory Atlas", t.demo),
		},
		OnUsageError:   usageError,
		ExitErrHandler: func(context.Context, *cli.Command, error) {}, // run decides the exit status
		Action: func(_ context.Context, c *cli.Command) error {
			if c.Args().Present() {
				return fmt.Errorf("unknown command %q, see fleet -h", c.Args().First())
			}
			return errors.New("missing command, see fleet -h")
		},
	}
}

func (t *tool) runFlags() []cli.Flag {
	return []cli.Flag{
		&cli.BoolFlag{Name: "yes", Usage: "approve all cutovers; writes to the sources must have stopped", Destination: &t.yes},
		&cli.StringFlag{
			Name: "window", Usage: "cut over at these `TIMES` only, separated by semicolons, such as \"Fri-Sun 22:00-04:00\"",
			Destination: &t.windows,
		},
		&cli.DurationFlag{Name: "max-lag", Usage: "cut over with at most this `LAG` only", HideDefault: true, Destination: &t.maxLag},
		&cli.IntFlag{Name: "limit", Value: 10, Usage: "`NUMBER` of migrations in progress at a time", Destination: &t.limit},
		&cli.DurationFlag{Name: "poll", Value: defaultPoll, Usage: "longest `TIME` between two polls of a migration", Destination: &t.poll},
		&cli.BoolFlag{Name: "serve", Usage: "do not end when nothing is left to do: wait for new records and changes", Destination: &t.serve},
	}
}

// subcommand is a command whose arguments are the ones that usage names: none, exactly "NAME ID", some ("NAME..."), or any.
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
		if slices.Contains(values, value) {
			return nil
		}
		return fmt.Errorf("must be one of %q", values)
	}
}

// open opens the records that exist. A typing error in -state must not make a directory.
func (t *tool) open(opts ...durable.Option) (*durable.Fleet, error) {
	dir, err := durable.OpenExistingDir(t.state)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("directory %q does not exist; add plans first: fleet add FILE...", t.state)
	}
	if err != nil {
		return nil, err
	}
	fleet, err := durable.NewFleet(dir, opts...)
	t.started = err == nil
	return fleet, err
}
