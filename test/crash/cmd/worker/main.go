// Command worker is a program that migrates, for a test to kill.
//
//	worker -state DIR -project ID -migrations N [-without-intents]
//
// It reads its credentials and the address of Atlas from the environment. For each write of which the store says that it
// succeeded it prints a line of JSON. It exits with 0 when all migrations are COMPLETE, with 3 when a person must settle
// some, and with 1 after any other error.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"time"

	"github.com/livemigration/livemigration-go"
	"github.com/livemigration/livemigration-go/durable"
	"github.com/livemigration/livemigration-go/test/crash"
)

// poll is the time between two polls of a job.
const poll = 100 * time.Millisecond

func main() {
	err := run(context.Background())
	var incomplete *durable.IncompleteError
	switch {
	case err == nil:
		return
	case errors.As(err, &incomplete):
		os.Exit(crash.ExitIncomplete)
	default:
		fmt.Fprintln(os.Stderr, "worker:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	state := flag.String("state", "", "`directory` of the records")
	project := flag.String("project", "", "`id` of the destination project")
	migrations := flag.Int("migrations", 1, "how many migrations there are")
	withoutIntents := flag.Bool("without-intents", false, "store the id of a job after Create, and nothing before")
	flag.Parse()
	projectID, err := livemigration.ParseProjectID(*project)
	if err != nil {
		return err
	}
	client, err := livemigration.NewClientFromEnv()
	if err != nil {
		return err
	}
	dir, err := durable.OpenDir(*state)
	if err != nil {
		return err
	}
	program := crash.Fleet
	if *withoutIntents {
		program = crash.IDAfterCreate
	}
	return program(ctx, client, talker{dir}, crash.Plans(projectID, *migrations), poll)
}

// talker prints each write that succeeded.
type talker struct{ *durable.Dir }

func (t talker) Save(ctx context.Context, r durable.Record) (durable.Record, error) {
	saved, err := t.Dir.Save(ctx, r)
	if err != nil {
		return saved, err
	}
	line, err := json.Marshal(crash.Write{Name: saved.Plan.Name, Revision: saved.Revision, MigrationID: saved.MigrationID})
	if err != nil {
		return saved, err
	}
	_, err = os.Stdout.Write(append(line, '\n')) // in one write, since others may write, too
	return saved, err
}
