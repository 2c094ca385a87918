package main

import (
	"context"
	"errors"
	"fmt"
	"net"

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
	if ctx.Err() != nil && !timedOut(ctx) {
		f.status = exitInterrupted
	}
	return f
}

func timedOut(ctx context.Context) bool { return errors.Is(context.Cause(ctx), errTimedOut) }

func (r *runner) message(ctx context.Context, err error) string {
	stopped := ctx.Err() != nil && errors.Is(err, ctx.Err())
	switch {
	case errors.Is(err, livemigration.ErrOutcomeUnknown):
		return "it is not known whether Atlas has carried out a request: " + text(err)
	case errors.Is(err, errDeclined):
		return "not confirmed"
	case stopped && timedOut(ctx):
		return fmt.Sprintf("gave up after %s, as -timeout says%s", r.opts.timeout, r.goesOn())
	case stopped:
		return "interrupted" + r.goesOn()
	default:
		return explain(err)
	}
}

// goesOn ends the message of a run that ended before its migration.
func (r *runner) goesOn() string {
	if r.opts.demo || !r.running() {
		return ""
	}
	return fmt.Sprintf("; migration %s goes on in Atlas", r.migration)
}

func (r *runner) running() bool { return r.migration != "" && !r.ended }

// explain puts what usually helps before the errors whose own text does not say it.
func explain(err error) string {
	for _, known := range []struct {
		class   error
		meaning string
	}{
		{livemigration.ErrUnauthorized, "Atlas refused the API key, check MONGODB_ATLAS_PUBLIC_API_KEY and MONGODB_ATLAS_PRIVATE_API_KEY"},
		{livemigration.ErrForbidden, "the API key may not do this: it needs the role Organization Owner and, where it has an access list, this address on it"},
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
