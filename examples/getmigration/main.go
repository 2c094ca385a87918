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
	"strings"

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
		_, _ = fmt.Fprintln(errOut, "usage: getmigration [PROJECT MIGRATION]; with both, MONGODB_ATLAS_CLIENT_ID and MONGODB_ATLAS_CLIENT_SECRET are needed")
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
// Calls that create something have one class more, [livemigration.OutcomeUnknownError]: check in Atlas before you call again.
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
	default: // no usable response: the network, or a client that could not be created
		return err.Error()
	}
}

// explainResponse is about what Atlas, or a gateway before it, responded.
func explainResponse(err *livemigration.APIError) string {
	switch {
	case errors.Is(err, livemigration.ErrUnauthorized):
		return "the credentials are wrong, lack a role, or do not have this address on their access list"
	case errors.Is(err, livemigration.ErrForbidden) && err.Code == "IP_ADDRESS_NOT_ON_ACCESS_LIST":
		return "the access list of the credentials does not have this address: " + err.Detail
	case errors.Is(err, livemigration.ErrForbidden):
		return "the credentials lack a role: " + err.Detail
	case errors.Is(err, livemigration.ErrNotFound):
		return "there is no such project or migration: " + err.Detail
	case errors.Is(err, livemigration.ErrBadRequest):
		return fmt.Sprintf("Atlas rejected the request: %s %s", err.Detail, joined(err.Fields))
	case errors.Is(err, livemigration.ErrVersionGone):
		return "Atlas has removed this version of its API: update the library"
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
