// Command getmigration reads one migration job and shows how to tell apart the errors of a call.
//
//	getmigration                    a job on the in-memory Atlas
//	getmigration PROJECT MIGRATION  with the credentials of the environment, as for Atlas's own tools
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"

	"github.com/livemigration/livemigration-go"
	"github.com/livemigration/livemigration-go/livemigrationtest"
)

const help = `getmigration reads one migration job, and tells apart what can go wrong with that.

Usage:
  getmigration                    a job on the in-memory Atlas
  getmigration PROJECT MIGRATION  a job of the Atlas of the environment

Flags:
  -h  show this

Environment:
  MONGODB_ATLAS_CLIENT_ID        the service account
  MONGODB_ATLAS_CLIENT_SECRET    its secret
  MONGODB_ATLAS_PUBLIC_API_KEY   without a service account: the API key
  MONGODB_ATLAS_PRIVATE_API_KEY  its private part
  MONGODB_ATLAS_BASE_URL         Atlas, as scheme and host (default: the public one)

Exit status: 0 done, 1 failed, 2 wrong usage.
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	status := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}

// run is the program. It returns the exit status: 0 done, 1 failed, 2 wrong usage.
func run(ctx context.Context, args []string, out, errOut io.Writer) int {
	flags := flag.NewFlagSet("getmigration", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	err := flags.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		_, err = io.WriteString(out, help)
	case err != nil:
		_, _ = fmt.Fprintf(errOut, "getmigration: %s\n\n%s", err, help)
		return 2
	case flags.NArg() == 0:
		err = showDemo(ctx, out)
	case flags.NArg() == 2:
		err = showReal(ctx, out, livemigration.ProjectID(flags.Arg(0)), livemigration.MigrationID(flags.Arg(1)))
	default:
		_, _ = fmt.Fprintln(errOut, "usage: getmigration [PROJECT MIGRATION], -h shows more")
		return 2
	}
	if err != nil {
		_, _ = fmt.Fprintln(errOut, "getmigration: "+explain(err))
		return 1
	}
	return 0
}

func showReal(ctx context.Context, out io.Writer, project livemigration.ProjectID, id livemigration.MigrationID) error {
	client, err := livemigration.NewClientFromEnv()
	if err != nil {
		return err
	}
	return show(ctx, out, client, project, id)
}

// showDemo starts an in-memory Atlas and a migration on it.
func showDemo(ctx context.Context, out io.Writer) error {
	server := livemigrationtest.NewServer()
	defer server.Close()
	client, err := server.NewClient()
	if err != nil {
		return err
	}
	created, err := client.Migrations.Create(ctx, server.ProjectID(), server.SampleRequest())
	if err != nil {
		return err
	}
	server.Advance(server.Timings().Scheduling)
	_, _ = fmt.Fprintln(out, "Without arguments: a migration on the in-memory Atlas.")
	return show(ctx, out, client, server.ProjectID(), created.ID)
}

func show(ctx context.Context, out io.Writer, client *livemigration.Client, project livemigration.ProjectID, id livemigration.MigrationID) error {
	m, err := client.Migrations.Get(ctx, project, id)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(out, m)
	return err
}

// explain says what each class of error means to the caller. The client has already retried what may pass by itself.
//
// Calls that create something, and the cutover, have one class more, [livemigration.OutcomeUnknownError]: there the
// caller has to look in Atlas before it calls again.
func explain(err error) string {
	var invalid *livemigration.InvalidRequestError
	var api *livemigration.APIError
	switch {
	case errors.As(err, &invalid): // nothing was sent
		return "wrong argument: " + joined(invalid.Violations)
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return "stopped before Atlas responded: " + err.Error()
	case errors.As(err, &api):
		return explainResponse(api)
	default: // no usable response: the network, or before it a client that could not be made
		return err.Error()
	}
}

// explainResponse is about what Atlas, or a gateway before it, responded.
func explainResponse(err *livemigration.APIError) string {
	switch {
	case errors.Is(err, livemigration.ErrUnauthorized):
		return "the credentials are wrong"
	case errors.Is(err, livemigration.ErrForbidden) && err.Code == "IP_ADDRESS_NOT_ON_ACCESS_LIST":
		return "the access list of the credentials does not have this address: " + err.Detail
	case errors.Is(err, livemigration.ErrForbidden):
		return "the credentials lack a role: " + err.Detail
	case errors.Is(err, livemigration.ErrNotFound):
		return "there is no such project or migration: " + err.Detail
	case errors.Is(err, livemigration.ErrBadRequest):
		return fmt.Sprintf("Atlas rejected the request: %s %s", err.Detail, joined(err.Fields))
	case errors.Is(err, livemigration.ErrVersionGone):
		return "Atlas no longer speaks this version of its API: update the library"
	case errors.Is(err, livemigration.ErrRateLimited):
		return fmt.Sprintf("too many requests, after %d attempts: wait %s", err.Attempts, err.RetryAfter)
	case errors.Is(err, livemigration.ErrServer):
		return fmt.Sprintf("Atlas has a problem (request %q): try again later", err.RequestID)
	default:
		return err.Error()
	}
}

func joined(violations []livemigration.FieldViolation) string {
	parts := make([]string, len(violations))
	for i, v := range violations {
		parts[i] = v.String()
	}
	return strings.Join(parts, "; ")
}
