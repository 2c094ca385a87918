package unittest

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/livemigration/livemigration-go"
	"github.com/livemigration/livemigration-go/livemigrationtest"
)

// fixture is the in-memory Atlas with one migration on it.
type fixture struct {
	*livemigrationtest.Server
	mover     *Mover
	migration livemigration.MigrationID
	stopped   int // calls of StopWrites
}

// inBubble runs a test on virtual time: hours of waiting pass at once. A server in process opens no connection, and
// WithSpeed(1) makes its jobs go by the same virtual clock.
func inBubble(t *testing.T, test func(*testing.T, *fixture)) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server := livemigrationtest.NewServer(livemigrationtest.WithInProcess(), livemigrationtest.WithSpeed(1))
		defer server.Close()
		client, err := server.NewClient()
		if err != nil {
			t.Fatal(err)
		}
		created, err := client.Migrations.Create(t.Context(), server.ProjectID(), server.SampleRequest())
		if err != nil {
			t.Fatal(err)
		}
		f := &fixture{Server: server, migration: created.ID}
		f.mover = &Mover{Client: client, Project: server.ProjectID(), StopWrites: func(context.Context) error {
			f.stopped++
			return nil
		}}
		test(t, f)
	})
}

// status is what the migration has come to.
func (f *fixture) status() livemigration.MigrationStatus { return f.Migrations()[0].Status }

// cutovers counts the requests to cut over.
func (f *fixture) cutovers() (n int) {
	for _, r := range f.Recorded() {
		if r.Operation == livemigrationtest.Cutover {
			n++
		}
	}
	return n
}

func TestFinish(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fixture) {
		started := time.Now()
		if err := f.mover.Finish(t.Context(), f.migration); err != nil {
			t.Fatal(err)
		}
		if f.status() != livemigration.MigrationComplete || f.stopped != 1 || f.cutovers() != 1 {
			t.Errorf("status %s, %d stops, %d cutovers", f.status(), f.stopped, f.cutovers())
		}
		if took := time.Since(started); took < time.Hour {
			t.Errorf("took %s of virtual time, want more than the initial sync", took)
		}
	})
}

func TestFinishAgain(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fixture) {
		for range 2 {
			if err := f.mover.Finish(t.Context(), f.migration); err != nil {
				t.Fatal(err)
			}
		}
		if f.stopped != 1 || f.cutovers() != 1 {
			t.Errorf("%d stops, %d cutovers, want one of each", f.stopped, f.cutovers())
		}
	})
}

func TestFinishOutlivesAnOutage(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fixture) {
		f.Inject(livemigrationtest.GetMigration, livemigrationtest.Status(http.StatusServiceUnavailable).After(3), 20)
		if err := f.mover.Finish(t.Context(), f.migration); err != nil {
			t.Fatal(err)
		}
		if left := f.PendingFaultCount(); left != 0 {
			t.Errorf("%d faults have not struck", left)
		}
	})
}

func TestFinishDoesNotCutOver(t *testing.T) {
	errBusy := errors.New("busy")
	for name, test := range map[string]struct {
		prepare func(*fixture) error
		want    error
	}{
		"after a failure": {
			func(f *fixture) error { return f.FailMigration(f.migration) }, livemigration.ErrMigrationFailed,
		},
		"after expiry": {
			func(f *fixture) error { return f.ExpireMigration(f.migration) }, livemigration.ErrMigrationExpired,
		},
		"while writes go on": {
			func(f *fixture) error {
				f.mover.StopWrites = func(context.Context) error { return errBusy }
				return nil
			}, errBusy,
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, f *fixture) {
				if err := test.prepare(f); err != nil {
					t.Fatal(err)
				}
				if err := f.mover.Finish(t.Context(), f.migration); !errors.Is(err, test.want) {
					t.Errorf("error %v, want %v", err, test.want)
				}
				if f.cutovers() != 0 {
					t.Error("it cut over")
				}
			})
		})
	}
}

func TestFinishStopsWithItsContext(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fixture) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
		defer cancel()
		started := time.Now()
		if err := f.mover.Finish(ctx, f.migration); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v, want the end of the deadline", err)
		}
		if took := time.Since(started); took != 10*time.Minute {
			t.Errorf("took %s of virtual time", took)
		}
	})
}
