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
	"syscall"
	"time"

	"github.com/livemigration/livemigration-go"
)

// Exit statuses.
const (
	exitDone        = 0
	exitFailed      = 1 // a migration is not complete, or the command failed
	exitUsage       = 2 // wrong flags, arguments, plans or environment
	exitInterrupted = 130
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args, os.Stdin, os.Stdout, os.Stderr))
}

// tool is what the flags say, and where input and output go.
type tool struct {
	in       io.Reader
	out, log io.Writer
	started  bool // errors before that are about usage

	state, output, gate, window string
	limit                       int
	poll                        time.Duration
	brief                       time.Duration
	notes                       bool
	speed                       float64
}

// run runs one command and returns the exit status.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	t := &tool{in: stdin, out: stdout, log: stderr}
	err := t.command().Run(ctx, args)
	switch {
	case err == nil:
		return exitDone
	case errors.Is(err, context.Canceled):
		_, _ = fmt.Fprintln(t.log, "fleet: interrupted; the same command continues")
		return exitInterrupted
	}
	for _, line := range fold("fleet: ", err.Error(), defaultWidth, "") {
		_, _ = fmt.Fprintln(t.log, line)
	}
	if !t.started || errors.Is(err, livemigration.ErrInvalidConfig) || errors.Is(err, livemigration.ErrInvalidRequest) {
		return exitUsage
	}
	return exitFailed
}

// println writes a line of a result.
func (t *tool) println(text string) error {
	_, err := fmt.Fprintln(t.out, text)
	return err
}
