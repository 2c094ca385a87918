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
	for _, want := range []string{"WORKING", "lag 1h0m1s"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in:\n%s", want, out.String())
		}
	}
}

func TestRunAgainstAServer(t *testing.T) {
	server := livemigrationtest.NewServer()
	defer server.Close()
	client, err := server.NewClient()
	if err != nil {
		t.Fatal(err)
	}
	created, err := client.Migrations.Create(t.Context(), server.ProjectID(), server.SampleRequest())
	if err != nil {
		t.Fatal(err)
	}
	public, private := server.APIKey()
	id, secret := server.ServiceAccount()
	project, known := string(server.ProjectID()), string(created.ID)
	const unknown = "000000000000000000000000"
	for name, env := range map[string]environment{
		"API key":         {public, private.Reveal(), "", ""},
		"service account": {"", "", id, secret.Reveal()},
		"both":            {public, "wrong", id, secret.Reveal()},
	} {
		t.Run(name, func(t *testing.T) {
			env.set(t, server.URL())
			var out, errOut strings.Builder
			if status := run(t.Context(), []string{project, known}, &out, &errOut); status != 0 || !strings.Contains(out.String(), known) {
				t.Errorf("known job: status %d, stdout %q, stderr %q", status, out.String(), errOut.String())
			}
			wantFailure(t, 1, "there is no such project or migration", project, unknown)
			wantFailure(t, 1, "wrong argument: migration id ", project, "x")
			wantFailure(t, 2, "usage:", unknown)
			wantFailure(t, 2, "usage:", unknown, unknown, unknown)
		})
	}
	for name, test := range map[string]struct {
		env  environment
		want string
	}{
		"wrong private key":      {environment{public, "wrong", "", ""}, "the credentials are wrong"},
		"wrong client secret":    {environment{"", "", id, "wrong"}, "the credentials are wrong"},
		"no credentials":         {environment{}, "not set: MONGODB_ATLAS_PUBLIC_API_KEY"},
		"half a service account": {environment{public, private.Reveal(), id, ""}, "not set: MONGODB_ATLAS_CLIENT_SECRET"},
	} {
		t.Run(name, func(t *testing.T) {
			test.env.set(t, server.URL())
			wantFailure(t, 1, test.want, project, known)
		})
	}
}

// environment is what the environment has of an API key and of a service account.
type environment struct{ public, private, id, secret string }

// set sets all variables that the program reads. An empty one counts as not set.
func (e environment) set(t *testing.T, baseURL string) {
	t.Helper()
	for name, value := range map[string]string{
		"MONGODB_ATLAS_PUBLIC_API_KEY": e.public, "MONGODB_ATLAS_PRIVATE_API_KEY": e.private,
		"MONGODB_ATLAS_PUBLIC_KEY": "", "MONGODB_ATLAS_PRIVATE_KEY": "",
		"MONGODB_ATLAS_CLIENT_ID": e.id, "MONGODB_ATLAS_CLIENT_SECRET": e.secret,
		"MONGODB_ATLAS_BASE_URL": baseURL,
	} {
		t.Setenv(name, value)
	}
}

// wantFailure runs the program and wants the status, and one line on stderr that holds the text.
func wantFailure(t *testing.T, status int, text string, args ...string) {
	t.Helper()
	var out, errOut strings.Builder
	if got := run(t.Context(), args, &out, &errOut); got != status {
		t.Errorf("%q: status %d, want %d", args, got, status)
	}
	if got := errOut.String(); !strings.Contains(got, text) || strings.Count(got, "\n") != 1 {
		t.Errorf("%q: stderr %q, want one line with %q", args, got, text)
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
			for _, want := range []string{"getmigration PROJECT MIGRATION", "-h", "MONGODB_ATLAS_PRIVATE_API_KEY", "MONGODB_ATLAS_CLIENT_SECRET", "MONGODB_ATLAS_BASE_URL"} {
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
		"bad request":  {status(http.StatusBadRequest).WithDetail("No."), "Atlas rejected the request: No."},
		"gone":         {status(http.StatusGone), "update the library"},
		"rate limit":   {status(http.StatusTooManyRequests).WithRetryAfter(7 * time.Second), "after 5 attempts: wait 7s"},
		"server":       {status(http.StatusInternalServerError), "Atlas has a problem"},
		"gateway":      {livemigrationtest.RawStatus(http.StatusBadGateway, "text/html", "<html>"), "Atlas has a problem"},
		"other status": {status(http.StatusTeapot), "418"},
		"network":      {livemigrationtest.ResetAfterRequest(), "after 5 attempts"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { // on virtual time, repeats wait for nobody
				server := livemigrationtest.NewServer(livemigrationtest.WithInProcess())
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
	server := livemigrationtest.NewServer(livemigrationtest.WithInProcess())
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
