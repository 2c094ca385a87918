package main

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/livemigration/livemigration-go"
	"github.com/livemigration/livemigration-go/livemigrationtest"
)

func TestRunWithoutArguments(t *testing.T) {
	t.Parallel()
	var out, errOut strings.Builder
	if status := run(t.Context(), nil, &out, &errOut); status != 0 {
		t.Fatalf("status %d, stderr %q", status, errOut.String())
	}
	for _, want := range []string{"WORKING", "lag                1h0m1s", "ready for cutover  false"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in:\n%s", want, out.String())
		}
	}
}

func TestRunAgainstAServer(t *testing.T) {
	server := livemigrationtest.NewServer()
	defer server.Close()
	public, private := server.APIKey()
	for name, value := range map[string]string{
		"MONGODB_ATLAS_PUBLIC_API_KEY": public, "MONGODB_ATLAS_PRIVATE_API_KEY": private.Reveal(),
		"MONGODB_ATLAS_BASE_URL": server.URL(),
	} {
		t.Setenv(name, value)
	}
	const unknown = "000000000000000000000000"
	for name, test := range map[string]struct {
		args   []string
		status int
		want   string
	}{
		"unknown job":   {[]string{string(server.ProjectID()), unknown}, 1, "there is no such project or migration"},
		"malformed id":  {[]string{string(server.ProjectID()), "x"}, 1, "wrong argument: liveMigrationId "},
		"one argument":  {[]string{unknown}, 2, "usage:"},
		"three of them": {[]string{unknown, unknown, unknown}, 2, "usage:"},
	} {
		t.Run(name, func(t *testing.T) {
			var out, errOut strings.Builder
			if status := run(t.Context(), test.args, &out, &errOut); status != test.status {
				t.Errorf("status %d, want %d", status, test.status)
			}
			if got := errOut.String(); !strings.Contains(got, test.want) || strings.Count(got, "\n") != 1 {
				t.Errorf("stderr %q, want one line with %q", got, test.want)
			}
		})
	}
}

func TestHelp(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		args   []string
		status int
		stream int // where the help is
	}{
		"short":            {[]string{"-h"}, 0, 0},
		"long":             {[]string{"--help"}, 0, 0},
		"before arguments": {[]string{"-h", "a", "b"}, 0, 0},
		"unknown flag":     {[]string{"-project", "a"}, 2, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var streams [2]strings.Builder
			if status := run(t.Context(), test.args, &streams[0], &streams[1]); status != test.status {
				t.Errorf("status %d, want %d", status, test.status)
			}
			for _, want := range []string{"getmigration PROJECT MIGRATION", "-h", "MONGODB_ATLAS_PRIVATE_API_KEY", "MONGODB_ATLAS_BASE_URL"} {
				if !strings.Contains(streams[test.stream].String(), want) {
					t.Errorf("no %q in:\n%s", want, streams[test.stream].String())
				}
			}
			if other := streams[1-test.stream].String(); other != "" {
				t.Errorf("the other stream has %q", other)
			}
		})
	}
	var out, errOut strings.Builder
	run(t.Context(), []string{"-project"}, &out, &errOut)
	if !strings.Contains(errOut.String(), "not defined: -project\n") {
		t.Errorf("the flag is not named in %q", errOut.String())
	}
}

func TestExplain(t *testing.T) {
	t.Parallel()
	status := livemigrationtest.Status
	for name, test := range map[string]struct {
		fault livemigrationtest.Fault
		want  string
	}{
		"unauthorized": {status(http.StatusUnauthorized), "the credentials are wrong"},
		"access list":  {status(http.StatusForbidden).WithCode("IP_ADDRESS_NOT_ON_ACCESS_LIST"), "does not have this address"},
		"role":         {status(http.StatusForbidden).WithCode("USER_UNAUTHORIZED"), "lack a role"},
		"bad request":  {status(http.StatusBadRequest).WithDetail("No."), "Atlas refused the request: No."},
		"gone":         {status(http.StatusGone), "update the library"},
		"rate limit":   {status(http.StatusTooManyRequests).WithRetryAfter(7 * time.Second), "5 in vain: wait 7s"},
		"server":       {status(http.StatusInternalServerError), "Atlas has a problem"},
		"gateway":      {livemigrationtest.RawStatus(http.StatusBadGateway, "text/html", "<html>"), "Atlas has a problem"},
		"other status": {status(http.StatusTeapot), "418"},
		"network":      {livemigrationtest.ResetAfterRequest(), "after 5 attempts"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { // on virtual time, repeats wait for nobody
				server := livemigrationtest.NewServer(livemigrationtest.InProcess())
				defer server.Close()
				server.Inject(livemigrationtest.GetMigration, test.fault, 5)
				if got := explain(get(t.Context(), t, server)); !strings.Contains(got, test.want) {
					t.Errorf("got %q, want %q in it", got, test.want)
				}
			})
		})
	}
}

func TestExplainEndOfContext(t *testing.T) {
	t.Parallel()
	server := livemigrationtest.NewServer(livemigrationtest.InProcess())
	defer server.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := get(ctx, t, server)
	if got := explain(err); !errors.Is(err, context.Canceled) || !strings.HasPrefix(got, "stopped before") {
		t.Errorf("got %q for %v", got, err)
	}
}

func get(ctx context.Context, t *testing.T, server *livemigrationtest.Server) error {
	t.Helper()
	client, err := server.NewClient()
	if err != nil {
		t.Fatal(err)
	}
	_, err = client.Migrations.Get(ctx, server.ProjectID(), livemigration.MigrationID("000000000000000000000000"))
	if err == nil {
		t.Fatal("no error")
	}
	return err
}
