//go:build unix

package main

import (
	"flag"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/livemigration/livemigration-go"
	"github.com/livemigration/livemigration-go/livemigrationtest"
)

func TestDemonstration(t *testing.T) {
	t.Parallel()
	p := start(t, nil, nil, binary, "-yes")
	p.wait(exitDone)
	at := 0
	for _, want := range []string{
		"on an Atlas in memory", "link-token: written to", "source projects: cluster orders", "validation: SUCCESS",
		"migration: created", "Migration id: ", "replication: NEW", "replication: WORKING, lag", "ready for cutover (",
		"cutover: accepted", "completion: COMPLETE", "is COMPLETE.", "link-token removal: deleted", "Phase ", "total ",
	} {
		found := strings.Index(p.out.String()[at:], want)
		if found < 0 {
			t.Fatalf("no %q at its place in:\n%s", want, p.out)
		}
		at += found
	}
	for line := range strings.Lines(p.out.String()) {
		if strings.Count(p.out.String(), line) > 1 && strings.TrimSpace(line) != "" {
			t.Errorf("printed twice: %s", line)
		}
	}
}

func TestDemonstrationInterrupted(t *testing.T) {
	t.Parallel()
	p := start(t, nil, nil, binary, "-yes", "-api-version", "v1")
	p.waitFor("Migration id: ")
	p.signal(os.Interrupt)
	p.wait(exitInterrupted)
	p.wantOut("there is nothing to resume")
	if strings.Contains(p.out.String(), "-resume") {
		t.Errorf("it printed a command that cannot work:\n%s", p.out)
	}
}

func TestMigration(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"v2", "v1", "v1.0"} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			a := newAtlas(t)
			a.HoldNextMigration(42 * time.Second)
			tokenFile, debugLog := a.path("token"), a.path("debug.log")
			p := a.migrate(t, "-yes", "-api-version", version,
				"-token-file", tokenFile, "-access-list", "192.0.2.1, 198.51.100.0/24", "-debug-log", debugLog)
			p.waitFor("WORKING, lag 42s, not ready for cutover\n")
			token := strings.TrimSpace(readPrivate(t, tokenFile))
			p.secrets = append(p.secrets, token)
			if err := a.ReleaseMigration(a.Migrations()[0].ID); err != nil {
				t.Fatal(err)
			}
			p.wait(exitDone)
			p.wantOut("COMPLETE", "ready for cutover (", "link-token removal: deleted")
			log := readPrivate(t, debugLog)
			for _, secret := range append(p.secrets, "Authorization") {
				if strings.Contains(log, secret) {
					t.Errorf("%q is in the log", secret)
				}
			}
			if !strings.Contains(log, "Migrations.Create") {
				t.Errorf("the log says too little:\n%s", log)
			}
			if _, err := os.Stat(tokenFile); !os.IsNotExist(err) || a.LinkTokens() != 0 {
				t.Errorf("the link-token is still there: %v, %d at Atlas", err, a.LinkTokens())
			}
			prefix := "/api/atlas/" + strings.TrimSuffix(version, ".0")
			for _, r := range a.Requests() {
				if !strings.HasPrefix(r.Path, prefix) {
					t.Errorf("request %s, want the prefix %s", r, prefix)
				}
			}
		})
	}
}

// readPrivate reads a file that only its owner may.
func readPrivate(t *testing.T, path string) string {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode() != fs.FileMode(0o600) {
		t.Errorf("%s has mode %s", path, info.Mode())
	}
	body, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if len(body) == 0 {
		t.Errorf("%s is empty", path)
	}
	return string(body)
}

func TestConnectedOrganization(t *testing.T) {
	t.Parallel()
	a := connected(t)
	a.env = a.env[:len(a.env)-1] // the password is in the file
	path := a.requestFile(t)
	body, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	withPassword := strings.Replace(string(body), `"username"`, `"password":"`+a.Request().Source.Password.Reveal()+`","username"`, 1)
	if err := os.WriteFile(path, []byte(withPassword), 0o600); err != nil {
		t.Fatal(err)
	}
	p := a.start(t, "-request", path, "-yes")
	p.wait(exitDone)
	p.wantOut("Without -token-file no link-token is created", "COMPLETE")
	if a.LinkTokens() != 1 {
		t.Error("a link-token that this run has not created is gone")
	}
}

func TestValidateOnly(t *testing.T) {
	t.Parallel()
	a := connected(t)
	p := a.migrate(t, "-validate-only")
	p.wait(exitDone)
	p.wantOut("validation: SUCCESS")
	if len(a.Migrations()) != 0 {
		t.Error("it started a migration")
	}
}

func TestFailedValidation(t *testing.T) {
	t.Parallel()
	a := newAtlas(t)
	a.FailNextValidation("the source user lacks a role")
	p := a.migrate(t, "-yes", "-token-file", a.path("token"))
	p.wait(exitFailed)
	p.wantErr("failed: the source user lacks a role")
	p.wantOut("The link-token still exists")
	if len(a.Migrations()) != 0 || a.LinkTokens() != 1 {
		t.Errorf("%d migrations, %d link-tokens", len(a.Migrations()), a.LinkTokens())
	}
	p = a.shell(t, p.command("-delete-link-token"))
	p.wait(exitDone)
	if a.LinkTokens() != 0 || exists(t, a.path("token")) {
		t.Error("the printed command did not delete the link-token and its file")
	}
}

// A run that failed is begun again with the link-token that is there.
func TestTokenFileOfFurtherRun(t *testing.T) {
	t.Parallel()
	a := newAtlas(t)
	a.FailNextValidation("the source user lacks a role")
	p := a.migrate(t, "-yes", "-token-file", a.path("token"))
	p.wait(exitFailed)
	p.wantOut("add -delete-link-token")
	a.ResetRequests()
	p = a.migrate(t, "-yes", "-token-file", a.path("token"), "-delete-link-token")
	p.wait(exitDone)
	p.wantOut("COMPLETE", a.path("token")+" removed")
	if slices.Contains(a.calls(), livemigrationtest.CreateLinkToken) {
		t.Error("it created another link-token")
	}
	if a.LinkTokens() != 0 || exists(t, a.path("token")) {
		t.Error("the link-token or its file is still there")
	}
}

func TestDeletionWithoutFile(t *testing.T) {
	t.Parallel()
	a := connected(t)
	p := a.start(t, "-delete-link-token", "-yes", "-token-file", a.path("token"))
	p.wait(exitDone)
	p.wantOut("deleted; " + a.path("token") + " did not exist")
}

func TestDemonstrationRemovesTokenFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "token")
	p := start(t, nil, nil, binary, "-yes", "-token-file", path)
	p.waitFor("Migration id: ")
	p.signal(os.Interrupt)
	p.wait(exitInterrupted)
	if exists(t, path) {
		t.Error("the file outlives its link-token")
	}
}

func exists(t *testing.T, path string) bool {
	t.Helper()
	_, err := os.Lstat(path)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return err == nil
}

func TestEndOfMigration(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		end  func(*atlas, livemigration.MigrationID) error
		want string
	}{
		"failed":  {func(a *atlas, id livemigration.MigrationID) error { return a.FailMigration(id) }, " failed\n"},
		"expired": {func(a *atlas, id livemigration.MigrationID) error { return a.ExpireMigration(id) }, " expired: "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := connected(t)
			a.HoldNextMigration(time.Minute)
			p := a.migrate(t, "-yes")
			p.waitFor("lag 1m0s")
			if err := test.end(a, a.Migrations()[0].ID); err != nil {
				t.Fatal(err)
			}
			p.wait(exitFailed)
			p.wantErr(test.want)
			if strings.Contains(p.out.String(), "-resume") {
				t.Errorf("it offers to resume what has ended:\n%s", p.out)
			}
		})
	}
}

func TestInterruptAndResume(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		signal os.Signal
		args   []string
	}{
		"SIGINT":  {os.Interrupt, nil},
		"SIGTERM": {syscall.SIGTERM, []string{"-api-version", "v1", "-timeout", "1h"}},
		"SIGHUP":  {syscall.SIGHUP, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newAtlas(t)
			a.HoldNextMigration(time.Minute)
			p := a.migrate(t, append(test.args, "-yes", "-token-file", a.path("token"), "-access-list", "192.0.2.1",
				"-debug-log", a.path("debug.log"))...)
			p.waitFor("Migration id: ")
			p.signal(test.signal)
			p.wait(exitInterrupted)
			id := string(a.Migrations()[0].ID)
			p.wantErr("interrupted; migration " + id + " goes on in Atlas")
			resume := p.command("-resume " + id)
			if strings.Contains(resume, "-timeout") {
				t.Errorf("the command gives up again: %s", resume)
			}
			if err := a.ReleaseMigration(a.Migrations()[0].ID); err != nil {
				t.Fatal(err)
			}
			a.ResetRequests()
			p = a.shell(t, resume)
			p.wait(exitDone)
			p.wantOut("Going on with migration "+id, "COMPLETE", a.path("token")+" removed")
			if len(a.Migrations()) != 1 || a.LinkTokens() != 0 {
				t.Errorf("%d migrations, %d link-tokens", len(a.Migrations()), a.LinkTokens())
			}
			if exists(t, a.path("token")) {
				t.Error("the file of the link-token is still there")
			}
		})
	}
}

func TestResumeAfterCutover(t *testing.T) {
	t.Parallel()
	a := connected(t)
	a.migrate(t, "-yes").wait(exitDone)
	a.ResetRequests()
	p := a.start(t, "-resume", string(a.Migrations()[0].ID), "-yes")
	p.wait(exitDone)
	p.wantOut("replication: had been cut over", "COMPLETE")
	if slices.Contains(a.calls(), livemigrationtest.Cutover) {
		t.Error("it cut over again")
	}
	if a.LinkTokens() != 1 {
		t.Error("it deleted the link-token without -delete-link-token")
	}
}

func TestResumeUnknown(t *testing.T) {
	t.Parallel()
	a := newAtlas(t)
	p := a.start(t, "-resume", "000000000000000000000000", "-yes")
	p.wait(exitFailed)
	p.wantErr("Atlas does not know this")
}

// An interrupt while the migration is being created must not lose its id.
func TestInterruptDuringCreation(t *testing.T) {
	t.Parallel()
	a := connected(t)
	a.Inject(livemigrationtest.CreateMigration, livemigrationtest.SlowBody(time.Second), 1)
	p := a.migrate(t, "-yes")
	p.waitFor("migration: started\n")
	p.signal(os.Interrupt)
	p.wait(exitInterrupted)
	p.wantOut("stopping: waiting for the answer of Atlas", "Migration id: "+string(a.Migrations()[0].ID), "-resume")
}

func TestSecondInterrupt(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		operation livemigrationtest.Operation
		phase     string
		wantOut   []string
	}{
		"link-token": {livemigrationtest.CreateLinkToken, "link-token", []string{"Check by hand", "-delete-link-token", "-token-file"}},
		"migration":  {livemigrationtest.CreateMigration, "migration", []string{"Check by hand", "-resume ID", "The link-token still exists"}},
		"cutover":    {livemigrationtest.Cutover, "cutover", []string{"The cutover may have begun", "The link-token still exists"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newAtlas(t)
			a.Inject(test.operation, livemigrationtest.SlowBody(time.Hour), 1)
			p := a.migrate(t, "-yes", "-token-file", a.path("token"))
			p.waitFor(test.phase + ": started\n")
			p.signal(os.Interrupt)
			p.waitFor("stopping: waiting for the answer of Atlas")
			p.signal(os.Interrupt)
			p.wait(exitInterrupted)
			p.wantErr("interrupted twice")
			p.wantOut(test.wantOut...)
			if test.operation == livemigrationtest.Cutover {
				id := string(a.Migrations()[0].ID)
				p.wantErr("migration " + id + " goes on in Atlas")
				a.ClearFaults() // the interrupts may have come before the request
				a.shell(t, p.command("-resume "+id)).wait(exitDone)
			}
		})
	}
}

// A second interrupt also ends a run that has not come to its context yet.
func TestSecondInterruptBeforeTheRun(t *testing.T) {
	t.Parallel()
	a := newAtlas(t)
	fifo := a.path("fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	p := a.start(t, "-yes", "-request", fifo)
	writer, err := os.OpenFile(fifo, os.O_WRONLY, 0) // returns when the program reads
	if err != nil {
		t.Fatal(err)
	}
	defer writer.Close()
	for range 2 {
		p.signal(os.Interrupt)
		time.Sleep(100 * time.Millisecond) // two signals at once are one
	}
	p.wait(exitInterrupted)
	p.wantErr("interrupted twice")
}

// What the run does when -timeout ends it must not show in what it says.
func TestTimeout(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		prepare func(*atlas)
		args    []string
	}{
		"between two looks": {func(*atlas) {}, []string{"-poll", "1h"}},
		"during a look":     {fault(livemigrationtest.GetMigration, livemigrationtest.SlowBody(time.Hour)), nil},
		"during an outage": {func(a *atlas) {
			a.Inject(livemigrationtest.GetMigration, livemigrationtest.Status(http.StatusServiceUnavailable), 1000)
		}, []string{"-poll", "1ms"}},
		"before the first look": {func(*atlas) {}, []string{"-timeout", "1ns"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := connected(t)
			a.HoldNextMigration(time.Minute)
			id := string(a.startMigration(t))
			test.prepare(a)
			p := a.start(t, append([]string{"-resume", id, "-yes", "-timeout", "2s"}, test.args...)...)
			p.wait(exitFailed)
			p.wantErr("gave up after ", "as -timeout says; migration "+id+" goes on in Atlas")
			if command := p.command("-resume " + id); strings.Contains(command, "-timeout") {
				t.Errorf("the command gives up again: %s", command)
			}
		})
	}
}

// The time for the answer of a request that changes something is over after -timeout is.
func TestTimeoutDuringCutover(t *testing.T) {
	t.Parallel()
	a := connected(t)
	id := a.startMigration(t)
	a.Inject(livemigrationtest.Cutover, livemigrationtest.SlowBody(time.Hour), 1)
	p := a.start(t, "-resume", string(id), "-yes", "-timeout", "5s")
	p.waitFor("stopping: waiting for the answer of Atlas")
	p.wait(exitFailed)
	p.wantErr("gave up after 5s, as -timeout says; migration " + string(id) + " goes on in Atlas")
	p.wantOut("The cutover may have begun")
	p.command("-resume " + string(id))
}

func TestOutcomeUnknown(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		operation livemigrationtest.Operation
		wantOut   []string
	}{
		"link-token": {livemigrationtest.CreateLinkToken, []string{"Check by hand", "-delete-link-token"}},
		"migration":  {livemigrationtest.CreateMigration, []string{"Check by hand", "Cluster0", "-resume ID", "The link-token still exists"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newAtlas(t)
			a.Inject(test.operation, livemigrationtest.ResetAfterRequest(), 1)
			p := a.migrate(t, "-yes", "-token-file", a.path("token"))
			p.wait(exitFailed)
			p.wantErr("it is not known whether")
			p.wantOut(test.wantOut...)
			if len(a.Migrations()) > 1 || a.LinkTokens() != 1 {
				t.Errorf("%d migrations, %d link-tokens", len(a.Migrations()), a.LinkTokens())
			}
		})
	}
}

func TestOutcomeOfCutoverUnknown(t *testing.T) {
	t.Parallel()
	a := connected(t)
	a.Inject(livemigrationtest.Cutover, livemigrationtest.ResetAfterRequest(), 1) // the repetition is refused
	p := a.migrate(t, "-yes")
	p.wait(exitFailed)
	p.wantErr("it is not known whether")
	p.wantOut("The cutover may have begun")
	p = a.shell(t, p.command("-resume"))
	p.wait(exitDone)
	p.wantOut("COMPLETE")
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		status int
		want   string
	}{
		"unauthorized": {http.StatusUnauthorized, "Atlas refused the API key"},
		"forbidden":    {http.StatusForbidden, "Organization Owner"},
		"gone":         {http.StatusGone, "no longer speaks this version"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newAtlas(t)
			a.Inject(livemigrationtest.AnyOperation, livemigrationtest.Status(test.status), 10)
			p := a.migrate(t, "-yes", "-token-file", a.path("token"))
			p.wait(exitFailed)
			p.wantErr(test.want)
			if _, err := os.Stat(a.path("token")); !os.IsNotExist(err) {
				t.Errorf("a token file without a token: %v", err)
			}
		})
	}
}

func TestWrongCredentials(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		newAtlas func(*testing.T) *atlas
		want     string
	}{
		"API key":         {func(t *testing.T) *atlas { return newAtlas(t) }, "Atlas refused the API key, check MONGODB_ATLAS_PUBLIC_API_KEY"},
		"service account": {newAccountAtlas, "Atlas refused the service account, check MONGODB_ATLAS_CLIENT_ID"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := test.newAtlas(t)
			a.env = append(a.env, a.secretVariable+"=wrong")
			p := a.migrate(t, "-yes")
			p.secrets = append(p.secrets, "=wrong")
			p.wait(exitFailed)
			p.wantErr(test.want, "401")
		})
	}
}

// The service account is preferred to the API key, which would be refused here, and its token does not outlive the run.
func TestServiceAccount(t *testing.T) {
	t.Parallel()
	a := newAccountAtlas(t)
	a.env = append(a.env, publicKeyVariable+"=public", privateKeyVariable+"=wrong")
	p := a.migrate(t, "-yes", "-token-file", a.path("token"))
	p.wait(exitDone)
	p.wantOut("is COMPLETE.", "link-token removal: deleted")
	if calls := a.calls(); calls[0] != livemigrationtest.IssueToken || calls[len(calls)-1] != livemigrationtest.RevokeToken || a.LiveTokens() != 0 {
		t.Errorf("%d access tokens are left after %v", a.LiveTokens(), calls)
	}
}

// What comes of the token at the end does not change what the run has achieved.
func TestTokenIsNotRevoked(t *testing.T) {
	t.Parallel()
	a := newAccountAtlas(t)
	a.Inject(livemigrationtest.RevokeToken, livemigrationtest.Status(http.StatusServiceUnavailable), 1)
	p := a.migrate(t, "-yes", "-token-file", a.path("token"))
	p.wait(exitDone)
	p.wantOut("is COMPLETE.", "The access token could not be revoked, and expires by itself: POST /api/oauth/revoke: 503")
	if a.PendingFaults() != 0 {
		t.Error("it has not tried to")
	}
}

// A run of which the token dies goes on with another one.
func TestTokenExpires(t *testing.T) {
	t.Parallel()
	a := newAccountAtlas(t)
	a.HoldNextMigration(time.Minute)
	p := a.migrate(t, "-yes", "-token-file", a.path("token"))
	p.waitFor("lag 1m0s")
	a.ExpireTokens()
	if err := a.ReleaseMigration(a.Migrations()[0].ID); err != nil {
		t.Fatal(err)
	}
	p.wait(exitDone)
	p.wantOut("is COMPLETE.")
}

func TestUnreachable(t *testing.T) {
	t.Parallel()
	const address = "127.0.0.1:1" // a port that no other test is given
	a := newAtlas(t)
	p := a.migrate(t, "-yes", "-base-url", "http://"+address)
	p.wait(exitFailed)
	p.wantErr("Atlas cannot be reached", address)
	p.wantOut("retry: dial tcp")
}

func TestSourceIsMissing(t *testing.T) {
	t.Parallel()
	t.Run("not connected", func(t *testing.T) {
		t.Parallel()
		a := newAtlas(t)
		p := a.migrate(t, "-yes")
		p.wait(exitFailed)
		p.wantErr("no source organization is connected")
	})
	t.Run("waits with a link-token", func(t *testing.T) {
		t.Parallel()
		a := newAtlas(t)
		path := a.requestFile(t, func(r *livemigration.MigrationRequest) { r.Source.ClusterName = "oders" })
		p := a.start(t, "-request", path, "-yes", "-token-file", a.path("token"))
		p.waitFor("waiting: source project Production has no cluster oders; it has orders, events\n")
		p.signal(os.Interrupt)
		p.wait(exitInterrupted)
		p.wantOut("The link-token still exists")
	})
}

func TestTokenFileExists(t *testing.T) {
	t.Parallel()
	a := newAtlas(t)
	path := a.path("token")
	if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := a.migrate(t, "-yes", "-token-file", path)
	p.wait(exitUsage)
	p.wantErr("exists already")
	if p.out.String() != "" {
		t.Errorf("something had begun:\n%s", p.out)
	}
	if body := readPrivate(t, path); body != "precious" || len(a.Requests()) != 0 {
		t.Errorf("the file holds %q now, and %d requests were made", body, len(a.Requests()))
	}
}

func TestWithoutTerminal(t *testing.T) {
	t.Parallel()
	a := connected(t)
	p := a.migrate(t)
	p.wait(exitUsage)
	p.wantErr("add -yes")
	if n := len(a.Requests()); n != 0 {
		t.Errorf("%d requests were made before that", n)
	}
}

func TestUsage(t *testing.T) {
	t.Parallel()
	a := newAtlas(t)
	file := func(name, body string) string {
		path := a.path(name)
		if err := os.WriteFile(path, []byte(body), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	const id = "000000000000000000000000"
	request := a.requestFile(t)
	for name, test := range map[string]struct {
		env  []string
		args []string
		want string
	}{
		"unknown flag":         {nil, []string{"-cutover"}, "-cutover"},
		"argument":             {nil, []string{"-yes", "now"}, `"now"`},
		"version":              {nil, []string{"-api-version", "v3"}, "must be v2 or v1.0"},
		"negative poll":        {nil, []string{"-poll", "-1s"}, "-poll"},
		"no keys":              {nil, []string{"-yes", "-request", request}, "not set: MONGODB_ATLAS_PUBLIC_API_KEY"},
		"only a base URL":      {nil, []string{"-yes", "-base-url", a.URL()}, "incomplete configuration"},
		"only a client id":     {[]string{clientIDVariable + "=x"}, []string{"-yes"}, "not set: MONGODB_ATLAS_CLIENT_SECRET"},
		"only a client secret": {[]string{clientSecretVariable + "=x"}, []string{"-yes"}, "not set: MONGODB_ATLAS_CLIENT_ID"},
		"half a service account beside a key": {append(slices.Clone(a.env), clientIDVariable+"=x"), []string{"-yes", "-request", request},
			"not set: MONGODB_ATLAS_CLIENT_SECRET"},
		"no request":            {a.env, []string{"-yes"}, "missing: -request"},
		"no such file":          {a.env, []string{"-yes", "-request", a.path("none")}, "no such file"},
		"unknown field":         {a.env, []string{"-yes", "-request", file("1", `{"source":{"clustername":"a","ssll":true}}`)}, `"ssll"`},
		"two objects":           {a.env, []string{"-yes", "-request", file("2", `{} {}`)}, "after the JSON object"},
		"invalid request":       {a.env, []string{"-yes", "-request", file("3", `{}`)}, "source.clusterName is required"},
		"another project":       {a.env, []string{"-yes", "-request", request, "-project", id}, "destination.groupId is not the project"},
		"malformed project":     {a.env, []string{"-yes", "-request", request, "-project", "x"}, "-project: "},
		"base URL":              {a.env, []string{"-yes", "-request", request, "-base-url", "http://example.com"}, "must begin with https://"},
		"resume and request":    {a.env, []string{"-yes", "-request", request, "-resume", id}, "leave -request out"},
		"resume and token file": {a.env, []string{"-yes", "-token-file", "x", "-resume", id}, "add -delete-link-token"},
		"no such token file": {a.env, []string{"-yes", "-request", request, "-delete-link-token", "-token-file", a.path("none")},
			"-token-file "},
		"another file than the token's": {a.env, []string{"-yes", "-delete-link-token", "-token-file", request}, "does not hold a link-token"},
		"a folder for a token file":     {a.env, []string{"-yes", "-delete-link-token", "-token-file", a.dir}, "does not hold a link-token"},
		"token file in no folder": {a.env, []string{"-yes", "-request", request, "-token-file", filepath.Join(a.dir, "no", "token")},
			"-token-file "},
		"access list": {a.env, []string{"-yes", "-request", request, "-token-file", a.path("t"), "-access-list", "192.0.2.1,192.0.2.0/33"},
			`flag -access-list: "192.0.2.0/33" is not an address`},
		"access list with a gap": {a.env, []string{"-yes", "-request", request, "-token-file", a.path("t"), "-access-list", "192.0.2.1,"},
			"-access-list"},
		"access list without a new token": {a.env, []string{"-yes", "-delete-link-token", "-access-list", "192.0.2.1"}, "leave -access-list out"},
		"deletion without a terminal":     {a.env, []string{"-delete-link-token"}, "add -yes"},
		"no access list": {a.env, []string{"-yes", "-request", request, "-api-version", "v1", "-token-file", a.path("t")},
			"add -access-list"},
		"log in no folder": {a.env, []string{"-yes", "-request", request, "-debug-log", filepath.Join(a.dir, "no", "log")}, "-debug-log"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := start(t, a.secrets(), test.env, binary, test.args...)
			p.wait(exitUsage)
			p.wantErr(test.want)
			if p.out.String() != "" {
				t.Errorf("something had begun:\n%s", p.out)
			}
		})
	}
	t.Cleanup(func() {
		if n := len(a.Requests()); n != 0 {
			t.Errorf("%d requests were made", n)
		}
	})
}

func TestHelp(t *testing.T) {
	t.Parallel()
	p := start(t, nil, nil, binary, "-h")
	p.wait(exitDone)
	(&options{}).flagSet().VisitAll(func(f *flag.Flag) { p.wantOut("  -" + f.Name + " ") })
	p.wantOut(clientIDVariable, clientSecretVariable, publicKeyVariable, privateKeyVariable)
}
