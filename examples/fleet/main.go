// Command fleet moves many clusters to Atlas: it reads plans, and works on them until each migration has ended. It can be
// killed at any moment and started again with the same command.
//
// Run it with -h for its commands, and with the command demo to see it work on an in-memory Atlas.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/livemigration/livemigration-go"
	"github.com/livemigration/livemigration-go/durable"
)

// Exit statuses.
const (
	exitDone        = 0
	exitFailed      = 1 // the command failed
	exitUsage       = 2 // wrong flags, arguments, plans or environment
	exitIncomplete  = 3 // the run has ended, and migrations need a person
	exitInterrupted = 130
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	os.Exit(run(ctx, os.Args, os.Stdout, os.Stderr))
}

// tool is what the flags say, and where the output goes.
type tool struct {
	out, log io.Writer
	started  bool // errors before that are about usage

	state, output, gate, by, windows string
	limit                            int
	poll, maxLag, lasts              time.Duration
	yes, serve, watch                bool
}

// run runs one command and returns the exit status.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	t := &tool{out: stdout, log: stderr}
	err := t.command().Run(ctx, args)
	var incomplete *durable.IncompleteError
	var unsaved *durable.UnsavedError
	switch {
	case err == nil:
		return exitDone
	case errors.Is(err, context.Canceled) && !errors.As(err, &unsaved):
		_, _ = fmt.Fprintln(t.log, "fleet: interrupted; the same command continues")
		return exitInterrupted
	}
	text := err.Error()
	if errors.As(err, &incomplete) {
		_, text, _ = strings.Cut(text, "\n") // the records that cannot be read
		for _, r := range incomplete.Records {
			_, _ = fmt.Fprintln(t.log, "fleet:", r)
		}
		_, _ = fmt.Fprintln(t.log, "fleet: not complete:", totals(incomplete.Records))
	}
	for line := range strings.Lines(text) {
		line = strings.TrimPrefix(strings.TrimPrefix(strings.TrimSpace(line), "durable: "), "livemigration: ")
		_, _ = fmt.Fprintln(t.log, "fleet: "+line)
	}
	switch {
	case incomplete != nil:
		return exitIncomplete
	case !t.started, errors.Is(err, livemigration.ErrInvalidConfig), errors.Is(err, livemigration.ErrInvalidRequest):
		return exitUsage
	default:
		return exitFailed
	}
}

// printf writes to stdout.
func (t *tool) printf(format string, args ...any) error {
	_, err := fmt.Fprintf(t.out, format, args...)
	return err
}
