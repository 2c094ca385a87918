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

// fast makes the hours of a migration pass in a moment, and looks as often.
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

	night := durable.Window{From: "22:00", To: "04:00", Location: time.UTC}
	now := func() time.Time { return time.Date(2026, 3, 1, 23, 0, 0, 0, time.UTC) }
	fleet := durable.NewFleet(client, durable.NewMemory(), poll,
		durable.WithPassword(readPassword),
		durable.WithApproval(func(_ context.Context, r durable.Record, gate durable.Gate) (bool, error) {
			return gate == durable.GateCutover && night.Open(now()), nil // writes to the source stop at 22:00
		}),
		durable.WithOnChange(func(r durable.Record) {
			if r.State != durable.StateReady {
				fmt.Println(r.Plan.Name, r.State)
			}
		}),
	)
	if err := fleet.Add(ctx, examplePlan(server, "billing")); err != nil {
		fmt.Println(err)
	}
	fmt.Println(fleet.Run(ctx))
	// Output:
	// billing VALIDATING
	// billing VALIDATED
	// billing REPLICATING
	// billing FINISHING
	// billing COMPLETE
	// <nil>
}

// A creation whose response is lost is never sent again by itself. A person looks in Atlas, and says what is there.
func ExampleFleet_Adopt() {
	server, client, poll := fast()
	defer server.Close()
	ctx := context.Background()
	server.Inject(livemigrationtest.CreateMigration, livemigrationtest.ResetAfterRequest(), 1)

	fleet := durable.NewFleet(client, durable.NewMemory(), poll, durable.WithPassword(readPassword),
		durable.WithApproval(func(context.Context, durable.Record, durable.Gate) (bool, error) { return true, nil }))
	if err := fleet.Add(ctx, examplePlan(server, "billing")); err != nil {
		fmt.Println(err)
	}
	var incomplete *durable.IncompleteError
	if errors.As(fleet.Run(ctx), &incomplete) {
		for _, r := range incomplete.Records {
			fmt.Println(r.Plan.Name, r.State)
		}
	}
	found := server.Migrations()[0].ID // by a person, in the Atlas user interface
	fmt.Println(fleet.Adopt(ctx, "billing", found))
	fmt.Println(fleet.Run(ctx))
	fmt.Println(len(server.Migrations()), "migration")
	// Output:
	// billing UNCLEAR
	// <nil>
	// <nil>
	// 1 migration
}

// An engine of one's own, here for one record and a store in memory.
func ExampleDriver() {
	server, client, poll := fast()
	defer server.Close()
	ctx, store := context.Background(), durable.NewMemory()
	driver := durable.NewDriver(client, poll, durable.WithPassword(readPassword))

	record := durable.NewRecord(examplePlan(server, "billing"), time.Now()).Approve(durable.GateCutover, time.Now())
	save := func(r durable.Record) durable.Record {
		saved, err := store.Save(ctx, r)
		if err != nil {
			fmt.Println(err) // a conflict: load, merge, and save again
		}
		return saved
	}
	for record = save(record); record.Next() != durable.ActionNone; {
		time.Sleep(time.Until(record.CheckAt))
		action := record.Next()
		begun := record.Begin(action, time.Now())
		if action.Changes() {
			fmt.Println(action)
			begun = save(begun)
		}
		done, err := driver.Do(ctx, begun)
		if err != nil {
			fmt.Println(err)
		}
		if action.Changes() || done.News(record) {
			done = save(done)
		}
		record = done
	}
	fmt.Println(record.State)
	// Output:
	// validate
	// create
	// cut over
	// COMPLETE
}

// What becomes of a record whose program was killed while it created the migration.
func ExampleRecord_Recover() {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	record := durable.NewRecord(durable.Plan{Name: "billing"}, now)
	record.State = durable.StateValidated

	begun := record.Begin(durable.ActionCreate, now)
	fmt.Println(begun.Next() == durable.ActionNone)
	fmt.Println(begun.Recover(now).State)
	// Output:
	// true
	// UNCLEAR
}

func ExampleParseWindow() {
	window, err := durable.ParseWindow("22:00-04:00", time.UTC)
	fmt.Println(window, err)
	fmt.Println(window.Open(time.Date(2026, 3, 1, 23, 30, 0, 0, time.UTC)))
	fmt.Println(window.Open(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)))
	// Output:
	// 22:00-04:00 <nil>
	// true
	// false
}
