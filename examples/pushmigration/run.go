package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"github.com/livemigration/livemigration-go"
)

// The exit statuses.
const (
	exitDone        = 0
	exitFailed      = 1
	exitUsage       = 2
	exitInterrupted = 130
)

// stdio is what the program reads from and writes to.
type stdio struct {
	in       io.Reader
	out, err io.Writer
}

// failure is an end of the program other than success.
type failure struct {
	status  int
	message string // the one line, on stderr, that says why
	rest    string // on stdout after it: what is left at Atlas and how to go on; may be empty
}

func (f *failure) Error() string { return f.message }

// usagef makes the failure of a program that was called in a way that cannot work.
func usagef(format string, args ...any) error {
	return &failure{status: exitUsage, message: fmt.Sprintf(format, args...)}
}

// run is the program. It returns the exit status.
func run(ctx context.Context, args []string, std stdio) int {
	opts, err := parseOptions(args)
	if errors.Is(err, flag.ErrHelp) {
		printUsage(std.out)
		return exitDone
	}
	if err == nil {
		err = execute(ctx, opts, std)
	}
	if err == nil {
		return exitDone
	}
	_, _ = fmt.Fprintln(std.err, "pushmigration: "+err.Error())
	var f *failure
	if !errors.As(err, &f) {
		return exitFailed
	}
	_, _ = io.WriteString(std.out, f.rest)
	return f.status
}

// execute checks what the options refer to, and only then begins.
func execute(ctx context.Context, opts *options, std stdio) error {
	prompt := newPrompter(std)
	if opts.asks() && prompt == nil {
		return usagef("there is no terminal to confirm the cutover on: add -yes to go on without being asked")
	}
	target, err := openTarget(opts)
	if err != nil {
		return err
	}
	defer target.close()
	if opts.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, opts.timeout, errTimedOut)
		defer cancel()
	}
	r := &runner{opts: opts, request: target.request, out: std.out, prompt: prompt, display: newDisplay(std.out)}
	logger, closeLog, err := openLog(opts.debugLog, r.display.state)
	if err != nil {
		return err
	}
	defer closeLog()
	r.client, err = livemigration.NewClient(target.credentials, opts.clientOptions(logger)...)
	if err != nil {
		return usagef("%s", text(err))
	}
	if opts.demo {
		r.say("Nothing is configured: this is a demonstration, on an Atlas in memory at %s,\n"+
			"in which 1 second stands for %d minutes.", opts.baseURL, demoSpeed/60)
	}
	if err := r.run(ctx); err != nil {
		return r.verdict(ctx, err)
	}
	return nil
}

// target is where a run goes, and with what.
type target struct {
	credentials livemigration.Credentials
	request     livemigration.MigrationRequest
	close       func()
}

// openTarget reads what the options refer to or, with nothing configured, starts the Atlas in memory and points the
// options to it.
func openTarget(opts *options) (*target, error) {
	if opts.demo {
		return startDemo(opts)
	}
	credentials, err := livemigration.CredentialsFromEnv()
	if err != nil {
		return nil, usagef("incomplete configuration: %s", text(err))
	}
	t := &target{credentials: credentials, close: func() {}}
	if opts.requestFile != "" {
		t.request, err = loadRequest(opts.requestFile, opts, os.Getenv(passwordVariable))
	}
	return t, err
}
