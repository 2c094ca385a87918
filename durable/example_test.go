package durable_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/livemigration/livemigration-go"
	"github.com/livemigration/livemigration-go/durable"
	"github.com/livemigration/livemigration-go/livemigrationtest"
)

// fast makes the hours of a migration pass in a moment, and polls as often.
func fast() (*livemigrationtest.Server, *livemigration.Client, durable.Option) {
	server := livemigrationtest.NewServer(livemigrationtest.WithInProcess(), livemigrationtest.WithSpeed(20_000))
	client, err := server.NewClient()
	if err != nil {
		log.Fatal(err)
	}
	return server, client, durable.WithPollInterval(time.Millisecond, 5*time.Millisecond)
}

// examplePlan is a plan for the server. Yours comes from a file.
func examplePlan(server *livemigrationtest.Server, name string) durable.Plan {
	request := server.SampleRequest()
	request.Source.Password = "" // it is not part of a plan
	request.Source.ClusterName, request.Destination.ClusterName = name+"-old", name
	return durable.Plan{Name: name, ProjectID: server.ProjectID(), Request: request}
}

func readPassword(context.Context, durable.Plan) (livemigration.Secret, error) {
	return "from a vault", nil
}

func ExampleFleet() {
	server, client, poll := fast()
	defer server.Close()
	ctx := context.Background()

	fleet, err := durable.NewFleet(durable.NewMemory(), poll,
		durable.WithPassword(readPassword),
		durable.WithMaxLag(time.Minute),
		durable.WithOnChange(func(_ context.Context, r durable.Record) {
			if r.State != durable.StateReady {
				fmt.Println(r.Plan.Name, r.State)
			}
		}),
	)
	if err != nil {
		log.Fatal(err)
	}
	if err := fleet.Add(ctx, examplePlan(server, "billing")); err != nil {
		fmt.Println(err)
	}
	// Writes to the source have stopped. Approve may come from another process, and later.
	if err := fleet.Approve(ctx, "billing", durable.GateCutover, "kim", time.Now().Add(time.Hour)); err != nil {
		fmt.Println(err)
	}
	fmt.Println(fleet.Run(ctx, client))
	// Output:
	// billing VALIDATING
	// billing VALIDATED
	// billing REPLICATING
	// billing FINISHING
	// billing COMPLETE
	// <nil>
}

// A creation whose response is lost is never sent again by itself. A person looks in the Atlas UI, and says what is there.
func ExampleFleet_Adopt() {
	server, client, poll := fast()
	defer server.Close()
	ctx := context.Background()
	server.Inject(livemigrationtest.CreateMigration, livemigrationtest.ResetAfterRequest(), 1)

	fleet, err := durable.NewFleet(durable.NewMemory(), poll, durable.WithPassword(readPassword),
		durable.WithCutoverApproval(func(context.Context, durable.Record) (bool, error) { return true, nil }))
	if err != nil {
		log.Fatal(err)
	}
	if err := fleet.Add(ctx, examplePlan(server, "billing")); err != nil {
		fmt.Println(err)
	}
	var incomplete *durable.IncompleteError
	if errors.As(fleet.Run(ctx, client), &incomplete) {
		for _, r := range incomplete.Records {
			fmt.Println(r.Plan.Name, r.State)
		}
	}
	found := server.Migrations()[0].ID // by a person, in the Atlas UI
	fmt.Println(fleet.Adopt(ctx, "billing", found))
	fmt.Println(fleet.Run(ctx, client))
	fmt.Println(len(server.Migrations()), "migration")
	// Output:
	// billing UNCLEAR
	// <nil>
	// <nil>
	// 1 migration
}

// Move is a whole engine. It moves the records of a store to their end, one after the other, until ctx ends. by names this run
// and no other one.
func Move(ctx context.Context, store durable.Store, driver *durable.Driver, by string) error {
	for {
		records, err := store.List(ctx)
		if err != nil {
			return err
		}
		for _, record := range records {
			// ErrStale: the record was changed meanwhile, and is acted on a second later.
			if err := step(ctx, store, driver, record, by); err != nil && !errors.Is(err, durable.ErrStale) {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Second):
		}
	}
}

// step does what is due for a record: begin, save, do, apply, save.
func step(ctx context.Context, store durable.Store, driver *durable.Driver, record durable.Record, by string) (err error) {
	if record.Begun != nil { // by a run that was killed, or whose result could not be stored
		_, err = store.Save(ctx, record.Recover(time.Now()))
		return err
	}
	action := record.Next(time.Now())
	if action == durable.ActionNone || time.Now().Before(record.NextCheckAt) {
		return nil
	}
	begun := record.Begin(action, by, time.Now())
	if action.Changes() {
		if begun, err = store.Save(ctx, begun); err != nil {
			return err
		}
	}
	result := driver.Do(ctx, begun)
	for stored := begun; ; {
		_, err = store.Save(context.WithoutCancel(ctx), stored.Apply(result, time.Now()))
		if !errors.Is(err, durable.ErrStale) {
			return err
		}
		if stored, err = store.Load(context.WithoutCancel(ctx), record.Plan.Name); err != nil {
			return err
		}
	}
}

// An engine that you write: Move is all of it.
func ExampleDriver() {
	ctx := context.Background()
	client, err := livemigration.NewClientFromEnv()
	if err != nil {
		log.Fatal(err)
	}
	store, err := durable.OpenDir("state")
	if err != nil {
		log.Fatal(err)
	}
	driver, err := durable.NewDriver(client, durable.WithPassword(readPassword))
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(Move(ctx, store, driver, "2026-03-01 10:00 on vm7"))
}
