// Command getmigration reads one migration job and shows how to tell apart the errors of a call.
//
//	getmigration                    a job on the in-memory Atlas
//	getmigration PROJECT MIGRATION  with the credentials of the environment: MONGODB_ATLAS_CLIENT_ID and MONGODB_ATLAS_CLIENT_SECRET,
//	                                or an API key
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"

	"github.com/livemigration/livemigration-go"
	"github.com/livemigration/livemigration-go/livemigrationtest"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	status := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}

// run is the program. It returns the exit status: 0 done, 1 failed, 2 wrong usage.
func run(ctx context.Context, args []string, out, errOut io.Writer) int {
	var err error
	switch {
	case len(args) == 0:
		err = showDemo(ctx, out)
	case len(args) == 2:
		err = showReal(ctx, out, livemigration.ProjectID(args[0]), livemigration.MigrationID(args[1]))
	default:
		_, _ = fmt.Fprintln(errOut, "usage: getmigration [PROJECT MIGRATION], with credentials in the environment")
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
	return show(ctx, out, client, server.ProjectID(), created.ID)
}

func show(
	ctx context.Context, out io.Writer, client *livemigration.Client, project livemigration.ProjectID, id livemigration.MigrationID,
) error {
	m, err := client.Migrations.Get(ctx, project, id)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(out, m)
	return err
}

// explain says what each class of error means to the caller. The client has already retried what may pass by itself.
//
// Calls that create something have one class more, [livemigration.OutcomeUnknownError]: check in Atlas before you call again.
func explain(err error) string {
	var api *livemigration.APIError
	is := func(target error) bool { return errors.Is(err, target) }
	switch {
	case is(livemigration.ErrInvalidRequest): // nothing was sent; InvalidRequestError names the fields
		return "wrong argument: " + err.Error()
	case is(context.Canceled), is(context.DeadlineExceeded):
		return "stopped before Atlas responded: " + err.Error()
	case !errors.As(err, &api): // no usable response: the network, or a client that could not be created
		return err.Error()
	case is(livemigration.ErrUnauthorized), is(livemigration.ErrForbidden):
		return fmt.Sprintf("the credentials are wrong, lack a role, or their access list lacks this address: %s %s", api.Code, api.Detail)
	case is(livemigration.ErrNotFound):
		return "there is no such project or migration: " + api.Detail
	case is(livemigration.ErrVersionGone):
		return "Atlas has removed this version of its API: update the library"
	case is(livemigration.ErrRateLimited):
		return fmt.Sprintf("too many requests, after %d attempts: wait %s", api.Attempts, api.RetryAfter)
	case is(livemigration.ErrServer):
		return fmt.Sprintf("Atlas has a problem (request %q): try again later", api.RequestID)
	default:
		return "Atlas rejected the request: " + err.Error()
	}
}
