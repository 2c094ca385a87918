package crash

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/livemigration/livemigration-go"
	"github.com/livemigration/livemigration-go/durable"
)

// The environment of a worker: the test binary as a program that migrates, for a test to kill.
const (
	workerEnv  = "CRASH_WORKER" // which program it is
	stateEnv   = "CRASH_STATE"  // the directory of its records
	projectEnv = "CRASH_PROJECT"

	workerPoll = 100 * time.Millisecond
	// exitIncomplete is the status of a worker when a person must settle a record.
	exitIncomplete = 3
)

var workers = map[string]program{"fleet": fleet, "without intents": idAfterCreate}

// work is the main function of a worker. It prints a line of JSON for each write that the store has reported as successful.
func work(ctx context.Context) (status int) {
	err := migrateAll(ctx)
	var incomplete *durable.IncompleteError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &incomplete):
		return exitIncomplete
	default:
		fmt.Fprintln(os.Stderr, "worker:", err)
		return 1
	}
}

func migrateAll(ctx context.Context) error {
	client, err := livemigration.NewClientFromEnv()
	if err != nil {
		return err
	}
	dir, err := durable.OpenDir(os.Getenv(stateEnv))
	if err != nil {
		return err
	}
	plans := plansInto(livemigration.ProjectID(os.Getenv(projectEnv)), migrations)
	return workers[os.Getenv(workerEnv)](ctx, client, talker{dir}, plans, workerPoll)
}

// talker prints each write that succeeded.
type talker struct{ *durable.Dir }

func (t talker) Save(ctx context.Context, r durable.Record) (durable.Record, error) {
	saved, err := t.Dir.Save(ctx, r)
	if err != nil {
		return saved, err
	}
	line, err := json.Marshal(savedRecord{saved.Plan.Name, saved.Revision, saved.MigrationID})
	if err != nil {
		return saved, err
	}
	_, err = os.Stdout.Write(append(line, '\n')) // in one write, because other goroutines write too
	return saved, err
}
