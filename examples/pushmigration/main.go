// Command pushmigration carries a whole push live migration through: link-token, connection of the source organization,
// validation, migration, cutover. It is built on package durable: it keeps what it does in a directory, and the same
// command again continues where it was, after Ctrl-C, kill -9 or a reboot.
//
// With nothing configured it shows all of that on the in-memory Atlas. Run it with -h for its flags.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// The exit statuses.
const (
	exitDone        = 0
	exitFailed      = 1
	exitUsage       = 2
	exitUnclear     = 3
	exitInterrupted = 130
)

// stdio is what the program reads from and writes to.
type stdio struct {
	in       io.Reader
	out, err io.Writer
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once: what must survive is stored
	os.Exit(run(ctx, os.Args[1:], stdio{in: os.Stdin, out: os.Stdout, err: os.Stderr}))
}

// run is the program. It returns the exit status.
func run(ctx context.Context, args []string, std stdio) int {
	opts, err := parseOptions(args)
	if errors.Is(err, flag.ErrHelp) {
		_, err = io.WriteString(std.out, usage)
	} else if err == nil {
		err = execute(ctx, opts, std)
	}
	if err == nil {
		return exitDone
	}
	_, _ = fmt.Fprintln(std.err, "pushmigration: "+err.Error())
	var f *failure
	if errors.As(err, &f) {
		return f.status
	}
	return exitFailed
}

// failure is an end of the program with an exit status of its own.
type failure struct {
	status  int
	message string
}

func (f *failure) Error() string { return f.message }

func usagef(format string, args ...any) error {
	return &failure{exitUsage, fmt.Sprintf(format, args...)}
}
