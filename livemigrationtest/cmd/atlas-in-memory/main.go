// Command atlas-in-memory runs an in-memory Atlas as a process: for tests of command-line tools, and for
// demonstrations.
//
//	atlas-in-memory [-addr ADDRESS] [-speed X] [-source[=ADDRESS]] [-clusters N] [-service-account]
//
// It prints the environment variables that a tool needs to use it, one NAME=value a line, and then serves until it gets
// an interrupt or SIGTERM. Then it exits with 0. A wrong flag is status 2, every other failure 1. All that it holds is
// made up, its keys too, and gone when it ends.
//
// With its output in a file, a POSIX shell takes the variables from there:
//
//	export $(cat atlas.env)
//
// AvailableProjects.List lists no source project until a link-token has been created, and with -source none until the
// source organization has been connected too.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/livemigration/livemigration-go/livemigrationtest"
)

// Exit statuses.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run serves until the context ends.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	s, err := parse(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return exitDone
	case err != nil:
		return exitUsage // parse has said why
	}
	if err := serve(ctx, s, stdout); err != nil {
		_, _ = fmt.Fprintln(stderr, "atlas-in-memory:", err)
		return exitFailed
	}
	return exitDone
}

func serve(ctx context.Context, s settings, stdout io.Writer) error {
	srv := livemigrationtest.NewServer(s.options()...)
	defer srv.Close()

	sites := []*site{{addr: s.addr, handler: srv.Handler()}}
	if s.source.on {
		sites = append(sites, &site{addr: cmp.Or(s.source.addr, anyAddr), handler: srv.SourceHandler()})
	}
	failed := make(chan error, len(sites))
	for _, site := range sites {
		if err := site.start(failed); err != nil {
			return err
		}
		defer site.stop()
	}
	if err := printVariables(stdout, srv, s, sites); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return nil
	case err := <-failed:
		return err
	}
}

// site is an address and what is served there.
type site struct {
	addr    string
	handler http.Handler
	url     string // once it has started
	server  *http.Server
}

// start listens and serves. An error that ends it later goes to failed.
func (s *site) start(failed chan<- error) error {
	listener, err := net.Listen("tcp", s.addr)
	if err != nil {
		return err
	}
	s.url = "http://" + listener.Addr().String()
	s.server = &http.Server{Handler: s.handler, ReadHeaderTimeout: 10 * time.Second}
	go func() {
		if err := s.server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			failed <- err
		}
	}()
	return nil
}

func (s *site) stop() { _ = s.server.Close() }
