package main

import (
	"cmp"
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
	unheard bool   // stdout has failed already
}

func (f *failure) Error() string { return f.message }

// usagef makes the failure of a program that was called in a way that cannot work.
func usagef(format string, args ...any) error {
	return &failure{status: exitUsage, message: fmt.Sprintf(format, args...)}
}

// run is the program. It returns the exit status. Once again is closed, it waits for nothing any more.
func run(ctx context.Context, again <-chan struct{}, args []string, std stdio) int {
	opts, err := parseOptions(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		err = printUsage(std.out)
	case err == nil:
		err = execute(ctx, again, opts, std)
	}
	return report(err, std)
}

// report prints the end of the program and returns its exit status.
func report(err error, std stdio) int {
	if err == nil {
		return exitDone
	}
	_, _ = fmt.Fprintln(std.err, "pushmigration: "+err.Error())
	var f *failure
	if !errors.As(err, &f) {
		return exitFailed
	}
	if f.rest == "" {
		return f.status
	}
	if !f.unheard {
		_, err = io.WriteString(std.out, f.rest)
	}
	if f.unheard || err != nil {
		_, _ = io.WriteString(std.err, f.rest)
	}
	return f.status
}

func execute(ctx context.Context, again <-chan struct{}, opts *options, std stdio) error {
	r := &runner{opts: opts}
	done := make(chan error, 1)
	go func() { done <- r.execute(ctx, std) }()
	select {
	case err := <-done:
		return err
	case <-again:
		return r.abandoned()
	}
}

// execute checks what the options refer to, and only then begins.
func (r *runner) execute(ctx context.Context, std stdio) error {
	opts := r.opts
	r.prompt = newPrompter(std)
	if what := opts.asks(); what != "" && r.prompt == nil {
		return usagef("there is no terminal to confirm %s on: add -yes to go on without being asked", what)
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
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	out := &outlet{to: std.out, stop: stop}
	r.request, r.out, r.display = target.request, out, newDisplay(std.out, out)
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
	err = cmp.Or(r.run(ctx), out.err())
	if opts.demo && r.tokenFile != "" {
		_ = os.Remove(r.tokenFile) // the link-token in it ends with this program
	}
	if err != nil {
		return r.verdict(ctx, err)
	}
	r.signOff(ctx)
	return nil
}

// signOff revokes the access token of a service account, after a run that has succeeded: whether that works does not
// change what has been achieved.
func (r *runner) signOff(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, grace)
	defer cancel()
	if err := r.client.Close(ctx); err != nil {
		r.say("The access token could not be revoked, and expires by itself: %s", text(err))
	}
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
	if opts.deleteLinkToken && opts.tokenFile != "" {
		if err := checkTokenFile(opts.tokenFile, opts.requestFile != ""); err != nil {
			return nil, err
		}
	}
	if opts.requestFile != "" {
		t.request, err = loadRequest(opts.requestFile, opts, os.Getenv(passwordVariable))
	}
	return t, err
}
