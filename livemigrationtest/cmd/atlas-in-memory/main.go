// Command atlas-in-memory runs an in-memory Atlas as a process: for tests of command-line tools, and for
// demonstrations. See its flag -h.
//
// It prints the environment variables that a tool needs to use it, one NAME=value a line, and then serves until it gets
// an interrupt or SIGTERM. Then it exits with 0. A wrong flag is status 2, every other failure 1. Everything in it is
// made up, including its keys, and gone when it ends.
//
// With its output in a file, a POSIX shell takes the variables from there:
//
//	export $(cat atlas.env)
//
// GET /_inmemory/migrations on its address, without credentials, returns the migrations that were created as a JSON
// array: from where to where, by which key, and their history.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/livemigration/livemigration-go"
	"github.com/livemigration/livemigration-go/livemigrationtest"
)

const exitDone, exitFailed, exitUsage = 0, 1, 2

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run serves until the context ends.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	s, err := parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		_, _ = io.WriteString(stdout, s.usage())
		return exitDone
	case err != nil:
		_, _ = fmt.Fprintf(stderr, "atlas-in-memory: %v (see -h)\n", err)
		return exitUsage
	}
	if err := serve(ctx, s, stdout); err != nil {
		_, _ = fmt.Fprintln(stderr, "atlas-in-memory:", err)
		return exitFailed
	}
	return exitDone
}

func serve(ctx context.Context, s *settings, stdout io.Writer) error {
	srv := livemigrationtest.NewServer(s.options()...)
	defer srv.Close()
	for _, inject := range s.faults {
		inject(srv)
	}
	failed := make(chan error, 2)
	listen := func(addr string, handler http.Handler) (url string, stop func(), err error) {
		listener, err := net.Listen("tcp", addr)
		if err != nil {
			return "", nil, err
		}
		server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
		go func() {
			if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
				failed <- err
			}
		}()
		return "http://" + listener.Addr().String(), func() { _ = server.Close() }, nil
	}
	atlas, stop, err := listen(s.addr, withMigrations(srv))
	if err != nil {
		return err
	}
	defer stop()
	source := ""
	if s.source != "" {
		url, stop, err := listen(s.source, srv.SourceHandler())
		if err != nil {
			return err
		}
		defer stop()
		source = url
	}
	if _, err := io.WriteString(stdout, s.variables(srv, atlas, source)); err != nil {
		return fmt.Errorf("print the variables: %w", err)
	}
	select {
	case <-ctx.Done():
		return nil
	case err := <-failed:
		return err
	}
}

// withMigrations adds what a test asks about the server to Atlas.
func withMigrations(srv *livemigrationtest.Server) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", srv.Handler())
	mux.HandleFunc("GET /_inmemory/migrations", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		out := json.NewEncoder(w)
		out.SetIndent("", "  ")
		_ = out.Encode(srv.Migrations())
	})
	return mux
}

// variables are what a tool needs, each under the name that Atlas's own tools read. The source side has no such names.
func (s *settings) variables(srv *livemigrationtest.Server, atlas, source string) string {
	var b strings.Builder
	side := func(prefix, url string, key, account func() (string, livemigration.Secret)) {
		get, name, secret := key, "PUBLIC_API_KEY", "PRIVATE_API_KEY"
		if s.serviceAccount {
			get, name, secret = account, "CLIENT_ID", "CLIENT_SECRET"
		}
		public, private := get()
		fmt.Fprintf(&b, "%sBASE_URL=%s\n%[1]s%[3]s=%s\n%[1]s%[5]s=%s\n", prefix, url, name, public, secret, private.Reveal())
	}
	side("MONGODB_ATLAS_", atlas, srv.APIKey, srv.ServiceAccount)
	fmt.Fprintf(&b, "MONGODB_ATLAS_ORG_ID=%s\nMONGODB_ATLAS_PROJECT_ID=%s\n", srv.OrgID(), srv.ProjectID())
	if source == "" {
		return b.String()
	}
	side("SOURCE_", source, srv.SourceAPIKey, srv.SourceServiceAccount)
	for i, id := range srv.SourceOrgIDs() {
		name := "SOURCE_ORG_ID"
		if i > 0 {
			name += "_" + strconv.Itoa(i+1)
		}
		fmt.Fprintf(&b, "%s=%s\n", name, id)
	}
	return b.String()
}
