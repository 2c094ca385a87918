// Command wrapper is a command-line tool that wraps the library: subcommands, flags with environment variables, output for
// people and for programs, and an exit status for each kind of error.
//
// Run it with -h for its commands.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/urfave/cli/v3"

	"github.com/livemigration/livemigration-go"
)

// tool is what the flags say, and the client.
type tool struct {
	out, log     io.Writer
	client       *livemigration.Client
	started      bool // errors before that are about usage
	project      livemigration.ProjectID
	migration    livemigration.MigrationID
	output, file string
	poll         time.Duration
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args, os.Stdout, os.Stderr))
}

// run runs one command and returns the exit status.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	t := &tool{out: stdout, log: stderr}
	err := t.command().Run(ctx, args)
	if err == nil {
		return 0
	}
	t.printError(err)
	return t.status(err)
}

// status is the exit status of an error. An unknown outcome comes first, since such an error may also be any of the others.
func (t *tool) status(err error) int {
	is := func(target error) bool { return errors.Is(err, target) }
	switch {
	case is(livemigration.ErrOutcomeUnknown):
		return 3 // Atlas may have processed the request: check there first
	case !t.started, is(livemigration.ErrInvalidRequest), is(livemigration.ErrInvalidConfig):
		return 2 // wrong flags, environment or request: nothing was sent
	case is(context.Canceled):
		return 130 // Ctrl-C or SIGTERM: a job continues in Atlas
	case is(livemigration.ErrValidationFailed), is(livemigration.ErrMigrationFailed), is(livemigration.ErrMigrationExpired):
		return 6 // the job has failed
	case is(livemigration.ErrUnauthorized), is(livemigration.ErrForbidden):
		return 4 // the credentials
	case livemigration.Retryable(err):
		return 5 // try again later
	default:
		return 1 // everything else, such as a request that Atlas rejected
	}
}

// printError writes to stderr. ErrorJSON is the JSON of any error.
func (t *tool) printError(err error) {
	if t.output == "json" {
		_, _ = fmt.Fprintf(t.log, "%s\n", livemigration.ErrorJSON(err))
		return
	}
	for line := range strings.Lines(err.Error()) {
		_, _ = fmt.Fprintln(t.log, "wrapper: "+strings.TrimPrefix(strings.TrimSpace(line), "livemigration: "))
	}
}

// print writes a result to stdout, unless there is an error.
func (t *tool) print(result any, err error) error {
	if err == nil && t.output == "json" {
		return json.NewEncoder(t.out).Encode(result)
	}
	if err == nil {
		_, err = fmt.Fprintln(t.out, result)
	}
	return err
}

// command is the tree of commands. Its flags fill in t.
func (t *tool) command() *cli.Command {
	project := idFlag("project", "MONGODB_ATLAS_PROJECT_ID", "Atlas project", &t.project, livemigration.ParseProjectID)
	migration := idFlag("migration", "MIGRATION_ID", "migration", &t.migration, livemigration.ParseMigrationID)
	file := &cli.StringFlag{
		Name: "request", Usage: "`FILE` with the migration as JSON; the password is in SOURCE_PASSWORD", Required: true, Destination: &t.file,
	}
	return &cli.Command{
		Name: "wrapper", Usage: "migrate clusters to Atlas", HideHelpCommand: true, Writer: t.out, ErrWriter: t.log,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "output", Value: "text", Usage: "`FORMAT`: text or json", Destination: &t.output,
				Validator: func(format string) error {
					if format != "text" && format != "json" {
						return errors.New("must be text or json")
					}
					return nil
				}},
			&cli.DurationFlag{Name: "poll", Value: 10 * time.Second, Usage: "`TIME` between two polls of a job", Destination: &t.poll},
		},
		Commands: []*cli.Command{
			t.subcommand("validate", "check a migration without starting it", t.validate, project, file),
			t.subcommand("migrate", "start a migration", t.migrate, project, file),
			t.subcommand("status", "show a migration", t.show, project, migration),
			t.subcommand("watch", "show a migration until it is ready for cutover or complete", t.watch, project, migration),
			t.subcommand("cutover", "cut over a migration (stop writes to the source first)", t.cutover, project, migration),
		},
		OnUsageError:   usageError,
		ExitErrHandler: func(context.Context, *cli.Command, error) {}, // run decides the exit status
		Action: func(_ context.Context, c *cli.Command) error {
			return fmt.Errorf("unknown or missing command %q, see wrapper -h", c.Args().First())
		},
	}
}

func (t *tool) subcommand(name, usage string, action func(context.Context) error, flags ...cli.Flag) *cli.Command {
	return &cli.Command{
		Name: name, Usage: usage, Flags: flags, OnUsageError: usageError,
		Action: func(ctx context.Context, c *cli.Command) (err error) {
			if c.Args().Present() {
				return fmt.Errorf("unexpected argument %q", c.Args().First())
			}
			for _, f := range flags {
				if id, is := f.(*cli.StringFlag); is && id.Validator != nil && !c.IsSet(id.Name) {
					return fmt.Errorf("neither -%s nor %s is set", id.Name, id.Sources.EnvKeys()[0])
				}
			}
			// Credentials and base URL come from the environment.
			t.client, err = livemigration.NewClientFromEnv(livemigration.WithUserAgent("wrapper/1.0"),
				livemigration.WithWaitDefaults(livemigration.WithPollInterval(t.poll, t.poll)))
			if err != nil {
				return err
			}
			t.started = true
			return action(ctx)
		},
	}
}

// usageError keeps the usage from being printed: an error is one line.
func usageError(_ context.Context, _ *cli.Command, err error, _ bool) error { return err }

// idFlag is a flag, or a variable, that one of the library's Parse functions reads. An empty variable counts as missing.
func idFlag[T ~string](name, env, what string, into *T, parse func(string) (T, error)) cli.Flag {
	if os.Getenv(env) == "" {
		_ = os.Unsetenv(env)
	}
	return &cli.StringFlag{
		Name: name, Usage: "`ID` of the " + what, Sources: cli.EnvVars(env),
		Validator: func(text string) (err error) {
			*into, err = parse(text)
			return err
		},
	}
}

// request reads the file. Unknown fields are rejected: a misspelled dropDestinationData must not go unnoticed.
func (t *tool) request() (r livemigration.MigrationRequest, err error) {
	text, err := os.ReadFile(t.file)
	if err == nil {
		decoder := json.NewDecoder(bytes.NewReader(text))
		decoder.DisallowUnknownFields()
		err = decoder.Decode(&r)
	}
	if err != nil {
		t.started = false
		return r, fmt.Errorf("-request %s: %w", t.file, err)
	}
	if r.Source.Username != "" {
		r.Source.Password = livemigration.Secret(os.Getenv("SOURCE_PASSWORD"))
	}
	return r, nil
}

func (t *tool) validate(ctx context.Context) error {
	request, err := t.request()
	if err != nil {
		return err
	}
	created, err := t.client.Validations.Create(ctx, t.project, request)
	if err != nil {
		return err
	}
	return t.print(t.client.Validations.Wait(ctx, t.project, created.ID))
}

func (t *tool) migrate(ctx context.Context) error {
	request, err := t.request()
	if err != nil {
		return err
	}
	return t.print(t.client.Migrations.Create(ctx, t.project, request))
}

func (t *tool) show(ctx context.Context) error {
	return t.print(t.client.Migrations.Get(ctx, t.project, t.migration))
}

// watch ends when the migration is ready for cutover, or has ended.
func (t *tool) watch(ctx context.Context) error {
	return t.follow(ctx, func(m *livemigration.Migration) bool { return m.ReadyForCutover })
}

func (t *tool) cutover(ctx context.Context) error {
	if err := t.client.Migrations.Cutover(ctx, t.project, t.migration); err != nil {
		return err
	}
	return t.follow(ctx, func(*livemigration.Migration) bool { return false })
}

// follow prints each state. A migration that has failed is an error.
func (t *tool) follow(ctx context.Context, enough func(*livemigration.Migration) bool) error {
	for m, err := range t.client.Migrations.Watch(ctx, t.project, t.migration) {
		if err = t.print(m, err); err != nil {
			return err
		}
		if m.Status == livemigration.MigrationFailed || m.Status == livemigration.MigrationExpired {
			return &livemigration.MigrationFailedError{Migration: m}
		}
		if enough(m) {
			return nil
		}
	}
	return nil
}
