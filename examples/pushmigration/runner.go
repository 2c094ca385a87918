package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"text/tabwriter"
	"time"

	"github.com/livemigration/livemigration-go"
)

// runner takes one migration through its phases.
type runner struct {
	opts    *options
	client  *livemigration.Client
	request livemigration.MigrationRequest // the zero value without -request
	out     io.Writer
	prompt  *prompter // nil without a terminal
	display display

	records []record

	standing
	noted atomic.Pointer[standing] // a copy, for other goroutines; nil before the run begins
}

// standing is what there is on account of a run.
type standing struct {
	migration  livemigration.MigrationID // empty: none was started
	ended      bool                      // the migration
	linkToken  bool                      // there is one that is deleted in the end
	tokenFile  string                    // its file; empty: none
	unanswered question                  // it is not known whether Atlas has carried it out
}

// question is a request that changes something and is not simply made again.
type question int

const (
	nothing question = iota
	createToken
	createMigration
	cutover
)

// note is the only way to change the standing.
func (r *runner) note(change func(*standing)) {
	change(&r.standing)
	now := r.standing
	r.noted.Store(&now)
}

// record is one line of the closing table.
type record struct {
	phase, result string
	duration      time.Duration
}

// run goes through the phases in order. Each begins only when those before it have succeeded.
func (r *runner) run(ctx context.Context) error {
	started := time.Now()
	r.note(func(s *standing) {
		if r.opts.deleteLinkToken {
			s.linkToken, s.tokenFile = true, r.opts.tokenFile
		}
	})
	for _, phase := range r.plan() {
		if err := phase(ctx); err != nil {
			return err
		}
	}
	r.printTable(time.Since(started))
	if r.linkToken && !r.opts.demo { // after -validate-only
		r.say("\n%s", r.linkTokenRest())
	}
	return nil
}

func (r *runner) plan() []func(context.Context) error {
	switch {
	case r.opts.onlyDeletes():
		return []func(context.Context) error{r.confirmDeletion, r.deleteLinkToken}
	case r.opts.validateOnly:
		return []func(context.Context) error{r.createLinkToken, r.findSource, r.validate}
	case r.opts.resume != "":
		return []func(context.Context) error{r.adopt, r.replicate, r.cutOver, r.complete, r.deleteLinkToken}
	default:
		return []func(context.Context) error{
			r.createLinkToken, r.findSource, r.validate, r.start, r.replicate, r.cutOver, r.complete, r.deleteLinkToken,
		}
	}
}

// phase shows and records a piece of work. Nothing begins once the context has ended.
func (r *runner) phase(ctx context.Context, name string, work func() (result string, err error)) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	r.display.begin(name)
	started := time.Now()
	result, err := work()
	r.display.end(result, err)
	if err != nil {
		return err
	}
	r.records = append(r.records, record{name, result, time.Since(started)})
	return nil
}

// grace is for how long a request that changes something goes on when the program is interrupted: without its answer,
// a migration may run whose id nobody knows.
const grace = 10 * time.Second

// decide makes such a request, unless nobody can see any more that it begins.
func (r *runner) decide(ctx context.Context, what question, send func(context.Context) error) error {
	if cause := context.Cause(ctx); errors.As(cause, new(*outputError)) {
		return cause
	}
	r.note(func(s *standing) { s.unanswered = what })
	ctx, cancel := r.outlasting(ctx)
	defer cancel()
	err := send(ctx)
	unknown := errors.Is(err, livemigration.ErrOutcomeUnknown)
	cutOff := what == cutover && err != nil && ctx.Err() != nil // the client calls only creations unknown then
	if !unknown && !cutOff {
		r.note(func(s *standing) { s.unanswered = nothing })
	}
	return err
}

// outlasting returns a context that ends that much later than ctx, for the same cause.
func (r *runner) outlasting(ctx context.Context) (context.Context, context.CancelFunc) {
	longer, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		r.display.state(fmt.Sprintf("stopping: waiting for the answer of Atlas, for %s at the most", grace))
		select {
		case <-time.After(grace):
			cancel(context.Cause(ctx))
		case <-longer.Done():
		}
	})
	return longer, func() {
		stop()
		cancel(nil)
	}
}

// say prints a line between two phases.
func (r *runner) say(format string, args ...any) { _, _ = fmt.Fprintf(r.out, format+"\n", args...) }

func (r *runner) printTable(total time.Duration) {
	table := tabwriter.NewWriter(r.out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "\nPhase\tDuration\tResult")
	for _, rec := range r.records {
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\n", rec.phase, formatDuration(rec.duration), rec.result)
	}
	_, _ = fmt.Fprintf(table, "total\t%s\t\n", formatDuration(total))
	_ = table.Flush()
}

// formatDuration shows tenths only where they say something.
func formatDuration(d time.Duration) string {
	if d < time.Minute {
		return fmt.Sprintf("%.1fs", d.Seconds())
	}
	return d.Round(time.Second).String()
}
