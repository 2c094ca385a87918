// Command minimal moves the clusters of a JSON file of plans to Atlas, and cuts over at night. After a crash, or Ctrl-C, the
// same command continues.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"time"

	"github.com/livemigration/livemigration-go"
	"github.com/livemigration/livemigration-go/durable"
)

func main() {
	file, state := flag.String("plans", "plans.json", "JSON array of plans"), flag.String("state", "state", "directory of the records")
	hours, poll := flag.String("window", "22:00-04:00", "when to cut over"), flag.Duration("poll", time.Minute, "longest time between two looks")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := move(ctx, *file, *state, *hours, *poll); err != nil {
		log.Fatal(err) // names the records that need a person
	}
}

func move(ctx context.Context, file, state, hours string, poll time.Duration) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var plans []durable.Plan
	if err := json.Unmarshal(data, &plans); err != nil {
		return err
	}
	window, err := durable.ParseWindow(hours, time.Local)
	if err != nil {
		return err
	}
	client, err := livemigration.NewClientFromEnv()
	if err != nil {
		return err
	}
	dir, err := durable.OpenDir(state)
	if err != nil {
		return err
	}
	fleet := durable.NewFleet(client, dir, durable.WithPollInterval(poll/10, poll),
		durable.WithApproval(func(_ context.Context, _ durable.Record, gate durable.Gate) (bool, error) {
			return gate == durable.GateCutover && window.Open(time.Now()), nil // writes to the sources stop before it opens
		}),
		durable.WithOnChange(func(r durable.Record) { fmt.Println(r.Plan.Name, r.State, r.Problem) }))
	if err := fleet.Add(ctx, plans...); err != nil { // a plan that is known already is nothing
		return err
	}
	return fleet.Run(ctx)
}
