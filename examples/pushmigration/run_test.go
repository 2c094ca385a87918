//go:build unix

package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/livemigration/livemigration-go"
	"github.com/livemigration/livemigration-go/durable"
	"github.com/livemigration/livemigration-go/livemigrationtest"
)

func (a *atlas) wantOneJob(t *testing.T, status livemigration.MigrationStatus) {
	t.Helper()
	if jobs := a.Migrations(); len(jobs) != 1 || jobs[0].Status != status {
		t.Errorf("jobs: %v, want one that is %s", jobs, status)
	}
}

func TestAWholeMigration(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		opts    []livemigrationtest.Option
		without []string
		want    string
	}{
		"connected by the program": {[]livemigrationtest.Option{livemigrationtest.WithAutoConnect(false)}, nil, "SYNCED"},
		"connected by a person":    {nil, []string{sourceKeyVariable, sourcePrivVariable}, "Paste the link-token into Cloud Manager"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newAtlas(t, tc.opts...).without(tc.without...)
			log := filepath.Join(a.dir, "log")
			out := a.run(t, exitDone, a.args("-link", "-yes", "-debug-log", log)...)
			wants(t, out, "link-token created", tc.want, "VALIDATING", "REPLICATING, migration "+string(a.Migrations()[0].ID), "migration COMPLETE", "link-token deleted")
			a.wantOneJob(t, livemigration.MigrationComplete)
			if a.LinkTokenCount() != 0 {
				t.Error("the link-token is left behind")
			}
			wants(t, a.run(t, exitDone, a.args("-link", "-yes")...), "is COMPLETE")
			a.wantOneJob(t, livemigration.MigrationComplete)
			for line := range strings.Lines(out) {
				if len(strings.TrimSpace(line)) > columns && !strings.Contains(line, a.dir) {
					t.Errorf("a line of more than %d columns: %q", columns, line)
				}
			}
			a.noSecretOnDisk(t)
		})
	}
}

// noSecretOnDisk looks into everything that the program has written.
func (a *atlas) noSecretOnDisk(t *testing.T) {
	t.Helper()
	err := filepath.WalkDir(a.dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		for _, secret := range a.secrets {
			if strings.Contains(string(data), secret) {
				t.Errorf("%s holds a secret", path)
			}
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// The same command again continues, however the program ended.
func TestResumed(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		signal syscall.Signal
		status int
	}{"killed": {syscall.SIGKILL, -1}, "interrupted": {syscall.SIGINT, exitInterrupted}, "ended": {syscall.SIGTERM, exitInterrupted}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newAtlas(t)
			a.HoldNextMigration(0)
			p := a.start(t, a.args("-link", "-yes")...)
			p.until("REPLICATING")
			if err := p.cmd.Process.Signal(tc.signal); err != nil {
				t.Fatal(err)
			}
			out := p.wait(tc.status)
			if tc.status == exitInterrupted {
				wants(t, out, "interrupted; the state is kept in", "the same command continues")
			}
			if err := a.ReleaseMigration(a.Migrations()[0].ID); err != nil {
				t.Fatal(err)
			}
			wants(t, a.run(t, exitDone, a.args("-link", "-yes")...), "COMPLETE", "link-token deleted")
			a.wantOneJob(t, livemigration.MigrationComplete)
		})
	}
}

func TestUnclearIsSettledByAPerson(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]livemigrationtest.Fault{
		"there is a job": livemigrationtest.ResetAfterRequest(), "there is none": livemigrationtest.ResetBeforeRequest(),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newAtlas(t)
			a.Inject(livemigrationtest.CreateMigration, fault, 1)
			out := a.run(t, exitUnclear, a.args("-link", "-yes")...)
			q := a.SampleRequest()
			wants(t, out, "it is not known whether Atlas has started the migration", "in project "+string(a.ProjectID()),
				"cluster "+q.Destination.ClusterName, "from cluster "+q.Source.ClusterName, "-adopt ID", "-restart")
			a.run(t, exitUnclear, a.args("-link", "-yes")...) // nothing changes by itself
			settle := []string{"-restart"}
			if jobs := a.Migrations(); len(jobs) == 1 {
				settle = []string{"-adopt", string(jobs[0].ID)}
			}
			wants(t, a.run(t, exitDone, a.args(append(settle, "-link", "-yes")...)...), "COMPLETE")
			a.wantOneJob(t, livemigration.MigrationComplete)
		})
	}
}

func TestAFailedMigration(t *testing.T) {
	t.Parallel()
	a := newAtlas(t)
	a.FailNextMigration()
	wants(t, a.run(t, exitFailed, a.args("-link", "-yes")...), "the migration is FAILED", "-restart")
	a.FailNextValidation("no disk")
	wants(t, a.run(t, exitFailed, a.args("-link", "-yes", "-restart")...), "the migration is FAILED", "no disk")
	wants(t, a.run(t, exitDone, a.args("-link", "-yes", "-restart")...), "COMPLETE")
	wants(t, a.run(t, exitUsage, a.args("-yes", "-adopt", "x")...), "-adopt: invalid request: migration id")
}

// edit changes the request file.
func (a *atlas) edit(t *testing.T, old, replacement string) {
	t.Helper()
	path := filepath.Join(a.dir, "request.json")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	edited := strings.Replace(string(data), old, replacement, 1)
	if edited == string(data) {
		t.Fatalf("no %q in %s", old, data)
	}
	if err := os.WriteFile(path, []byte(edited), 0o600); err != nil {
		t.Fatal(err)
	}
}

const (
	dropped = `"dropDestinationData":true`
	kept    = `"dropDestinationData":false`
)

// An edited request file is neither ignored nor taken by itself. With -restart it takes the place of the old one.
func TestAnEditedRequest(t *testing.T) {
	t.Parallel()
	a := newAtlas(t)
	a.edit(t, kept, dropped)
	a.Inject(livemigrationtest.CreateValidation, livemigrationtest.Status(403), 1000)
	p := a.start(t, a.args("-yes", "-link")...)
	p.until("creating the validation failed")
	if err := p.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	p.wait(exitInterrupted)
	a.ClearFaults()

	a.edit(t, dropped, kept)
	for range 2 {
		out := a.run(t, exitUsage, a.args("-yes", "-link")...)
		wants(t, out, "project "+string(a.ProjectID())+": another request than that of the migration", "add -restart")
	}
	if n := a.RequestCount(livemigrationtest.CreateLinkToken); n != 1 {
		t.Errorf("%d link-tokens were created", n)
	}
	a.run(t, exitDone, a.args("-yes", "-link", "-restart")...)
	a.wantOneJob(t, livemigration.MigrationComplete)
	a.wantDropped(t, false)
}

// The request as it is now also takes the place of one that failed, or of which nobody knew.
func TestAnEditedRequestAfterAFailure(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		fail   func(*atlas)
		status int
	}{
		"FAILED": {func(a *atlas) { a.FailNextValidation("no disk") }, exitFailed},
		"UNCLEAR": {func(a *atlas) {
			a.Inject(livemigrationtest.CreateMigration, livemigrationtest.ResetBeforeRequest(), 1)
		}, exitUnclear},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newAtlas(t)
			a.edit(t, kept, dropped)
			tc.fail(a)
			a.run(t, tc.status, a.args("-yes", "-link")...)
			a.edit(t, dropped, kept)
			wants(t, a.run(t, exitUsage, a.args("-yes", "-link")...), "another request than that of the migration")
			a.run(t, exitDone, a.args("-yes", "-link", "-restart")...)
			a.wantOneJob(t, livemigration.MigrationComplete)
			a.wantDropped(t, false)
		})
	}
}

// wantDropped looks into the last creation.
func (a *atlas) wantDropped(t *testing.T, want bool) {
	t.Helper()
	requests := a.Recorded(livemigrationtest.OfOperation(livemigrationtest.CreateMigration))
	body := string(requests[len(requests)-1].Body)
	if got := strings.Contains(body, dropped); got != want {
		t.Errorf("dropDestinationData is %v, want %v", got, want)
	}
}

// A directory that cannot be read, or is somebody else's, is left alone, and nothing is created in Atlas.
func TestAStateOfSomebodyElse(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{"migration": "migration.json", "orders": `holds the migration "orders"`} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newAtlas(t)
			dir, err := durable.OpenDir(filepath.Join(a.dir, "state"))
			if err != nil {
				t.Fatal(err)
			}
			plan := durable.Plan{Name: name, ProjectID: a.ProjectID(), Request: a.SampleRequest()}
			plan.Request.Source.Password = ""
			if err := durable.NewFleet(nil, dir).Add(t.Context(), plan); err != nil {
				t.Fatal(err)
			}
			if name == "migration" {
				if err := os.WriteFile(filepath.Join(a.dir, "state", "migration.json"), []byte("{"), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			p := a.start(t, a.args("-yes", "-link")...)
			_ = p.cmd.Wait() // its status follows
			if p.cmd.ProcessState.Success() {
				t.Error("it succeeded")
			}
			wants(t, p.output(), want)
			if len(a.Recorded()) != 0 {
				t.Errorf("%d requests", len(a.Recorded()))
			}
		})
	}
}

// The in-memory Atlas of a demonstration ends with it.
func TestADemonstrationInAUsedDirectory(t *testing.T) {
	t.Parallel()
	for _, left := range []string{"migration.json", tokenName} {
		t.Run(left, func(t *testing.T) {
			t.Parallel()
			a := &atlas{dir: t.TempDir()}
			if err := os.WriteFile(filepath.Join(a.dir, left), nil, 0o600); err != nil {
				t.Fatal(err)
			}
			a.env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + a.dir}
			wants(t, a.run(t, exitUsage, "-yes", "-state", a.dir), "this is a demonstration", "remove the directory, or leave out -state")
		})
	}
}

func TestAbandoned(t *testing.T) {
	t.Parallel()
	a := newAtlas(t)
	a.Inject(livemigrationtest.CreateMigration, livemigrationtest.ResetAfterRequest(), 1)
	a.run(t, exitUnclear, a.args("-link", "-yes")...)
	wants(t, a.run(t, exitDone, a.args("-abandon")...), "The migration is ABANDONED. In Atlas nothing has changed.")
	wants(t, a.run(t, exitUsage, a.args("-restart", "-yes")...), "-state")
}

func TestALinkTokenThatMayExist(t *testing.T) {
	t.Parallel()
	a := newAtlas(t, livemigrationtest.WithAutoConnect(false))
	a.Inject(livemigrationtest.CreateLinkToken, livemigrationtest.ResetAfterRequest(), 1)
	wants(t, a.run(t, exitUnclear, a.args("-link", "-yes")...), "a link-token of organization "+string(a.OrgID())+" may have been created")
	wants(t, a.run(t, exitUnclear, a.args("-link", "-yes")...), "a run before may have created a link-token", "link-token, before you run this again")
	if a.LinkTokenCount() != 1 {
		t.Errorf("%d link-tokens", a.LinkTokenCount())
	}
}

func TestUsage(t *testing.T) {
	t.Parallel()
	a := newAtlas(t)
	for name, tc := range map[string]struct {
		args []string
		want string
	}{
		"an argument":         {a.args("x"), `unexpected argument "x"`},
		"an unknown flag":     {a.args("-resume"), "flag provided but not defined: -resume"},
		"no request":          {[]string{"-yes", "-poll", "1s"}, "-request is missing"},
		"a malformed id":      {a.args("-yes", "-project", "x"), "-project or $MONGODB_ATLAS_PROJECT_ID: invalid request: project id has 1 character"},
		"no terminal":         {a.args(), "there is no terminal to confirm the cutover on: add -yes"},
		"another version":     {a.args("-yes", "-api-version", "v3"), "API version must be v2 or v1.0"},
		"two ways to settle":  {a.args("-restart", "-abandon"), "only one can be given"},
		"no such file":        {[]string{"-yes", "-request", "nowhere"}, "nowhere"},
		"a malformed address": {a.args("-yes", "-base-url", "nonsense"), "WithBaseURL: the base URL must be absolute"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wants(t, a.run(t, exitUsage, tc.args...), tc.want)
		})
	}
	wants(t, a.run(t, exitDone, "-h"), "pushmigration carries a push live migration through")
}

func TestWhatAtlasRejects(t *testing.T) {
	t.Parallel()
	a := newAtlas(t)
	wants(t, a.run(t, exitFailed, a.args("-yes", "-org", "ffffffffffffffffffffffff")...), "No organization with ID ffffffffffffffffffffffff exists")
	b := newAtlas(t).without("MONGODB_ATLAS_PRIVATE_API_KEY")
	b.env = append(b.env, "MONGODB_ATLAS_PRIVATE_API_KEY=wrong")
	wants(t, b.run(t, exitFailed, b.args("-yes")...), "the credentials are wrong")
	c := newAtlas(t, livemigrationtest.WithAutoConnect(false))
	wants(t, c.run(t, exitUsage, c.args("-yes")...), "the source cannot be migrated", "-link connects a source organization")
}
