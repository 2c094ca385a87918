package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"

	"github.com/livemigration/livemigration-go"
)

var (
	errTimedOut = errors.New("-timeout is over")
	errDeclined = errors.New("not confirmed")
)

// verdict turns the error of a run into the end of the program.
func (r *runner) verdict(ctx context.Context, err error) error {
	var usage *failure
	if errors.As(err, &usage) {
		return err
	}
	f := &failure{status: exitFailed, message: r.message(ctx, err), rest: r.rest(err)}
	cause := context.Cause(ctx)
	f.unheard = errors.As(cause, new(*outputError))
	if errors.Is(cause, context.Canceled) { // without another cause it was a signal
		f.status = exitInterrupted
	}
	return f
}

// abandoned is the end of a run that still goes on in its own goroutine.
func (r *runner) abandoned() error {
	f := &failure{status: exitInterrupted, message: "interrupted twice"}
	if noted := r.noted.Load(); noted != nil {
		r.display.halt()
		seen := &runner{opts: r.opts, request: r.request, standing: *noted}
		f.message += seen.goesOn()
		f.rest = seen.rest(nil)
	}
	return f
}

// stopped reports whether the error only says that the context has ended. A failure that passes by itself says no more
// than that either.
func stopped(ctx context.Context, err error) bool {
	return ctx.Err() != nil && (errors.Is(err, ctx.Err()) || errors.Is(err, context.Cause(ctx)) ||
		errors.Is(err, livemigration.ErrServer) || errors.Is(err, livemigration.ErrRateLimited))
}

func (r *runner) message(ctx context.Context, err error) string {
	switch {
	case errors.Is(err, livemigration.ErrOutcomeUnknown):
		return "it is not known whether Atlas has carried out a request: " + text(err)
	case errors.Is(err, errDeclined):
		return "not confirmed"
	case stopped(ctx, err):
		return r.stopMessage(context.Cause(ctx)) + r.goesOn()
	default:
		return explain(err)
	}
}

func (r *runner) stopMessage(cause error) string {
	var output *outputError
	switch {
	case errors.As(cause, &output):
		return output.Error()
	case errors.Is(cause, errTimedOut):
		return fmt.Sprintf("gave up after %s, as -timeout says", r.opts.timeout)
	default:
		return "interrupted"
	}
}

// goesOn ends the message of a run that was ended.
func (r *runner) goesOn() string {
	switch {
	case r.opts.demo || r.migration == "":
		return ""
	case r.ended:
		return fmt.Sprintf("; migration %s has ended", r.migration)
	default:
		return fmt.Sprintf("; migration %s goes on in Atlas", r.migration)
	}
}

func (r *runner) running() bool { return r.migration != "" && !r.ended }

// explain puts what usually helps before the errors whose own text does not say it.
func explain(err error) string {
	for _, known := range []struct {
		class   error
		meaning string
	}{
		{livemigration.ErrUnauthorized, "Atlas refused the " + credentialsInUse()},
		{livemigration.ErrForbidden, "the credentials may not do this: they need the role Organization Owner and, where they have an access list, this address on it"},
		{livemigration.ErrNotFound, "Atlas does not know this, check the ids"},
		{livemigration.ErrVersionGone, "Atlas no longer speaks this version of its API, a newer release of this program is needed"},
		{livemigration.ErrRateLimited, "Atlas asks for fewer requests, try again later"},
		{livemigration.ErrServer, "Atlas has a problem, try again later"},
	} {
		if errors.Is(err, known.class) {
			return known.meaning + ": " + text(err)
		}
	}
	var network net.Error
	if errors.As(err, &network) {
		return "Atlas cannot be reached: " + text(err)
	}
	return text(err)
}

// credentialsInUse names the credentials of the run, and where they come from. Of both kinds the client takes the service
// account.
func credentialsInUse() string {
	if strings.TrimSpace(os.Getenv(clientIDVariable)) != "" {
		return "service account, check " + clientIDVariable + " and " + clientSecretVariable
	}
	return "API key, check " + publicKeyVariable + " and " + privateKeyVariable
}
