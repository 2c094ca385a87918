// Command starter starts migrations as Temporal workflows. An operator uses it to see them and to decide.
//
//	starter start plans.json          one migration for each plan; a plan that was started before is left alone
//	starter show NAME
//	starter approve NAME cutover      stop all writes to the source first
//	starter revoke NAME cutover
//	starter adopt NAME MIGRATION-ID   for one that is UNCLEAR
//	starter restart NAME
//	starter abandon NAME
//	starter start-again NAME          if its workflow was terminated
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"go.temporal.io/sdk/client"

	"github.com/livemigration/livemigration-go"
	"github.com/livemigration/livemigration-go/durable"
	"github.com/livemigration/livemigration-go/livemigrationtemporal"
)

var errUsage = errors.New("usage: starter start FILE | show NAME | approve NAME start|cutover | revoke NAME start|cutover |\n" +
	"       adopt NAME MIGRATION-ID | restart NAME | abandon NAME | start-again NAME")

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) < 2 {
		return errUsage
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c, err := client.DialContext(ctx, client.Options{
		HostPort:  cmp.Or(os.Getenv("TEMPORAL_ADDRESS"), client.DefaultHostPort),
		Namespace: cmp.Or(os.Getenv("TEMPORAL_NAMESPACE"), client.DefaultNamespace),
	})
	if err != nil {
		return err
	}
	defer c.Close()
	verb, name, more := args[0], args[1], args[2:]
	by := cmp.Or(os.Getenv("USER"), "starter")
	switch {
	case verb == "start" && len(more) == 0:
		return start(ctx, c, name)
	case verb == "show" && len(more) == 0:
		return show(ctx, c, name)
	case verb == "approve" && len(more) == 1:
		return livemigrationtemporal.Approve(ctx, c, name, durable.Gate(more[0]), by, time.Time{})
	case verb == "revoke" && len(more) == 1:
		return livemigrationtemporal.Revoke(ctx, c, name, durable.Gate(more[0]), by)
	case verb == "adopt" && len(more) == 1:
		return livemigrationtemporal.Adopt(ctx, c, name, livemigration.MigrationID(more[0]))
	case verb == "restart" && len(more) == 0:
		return livemigrationtemporal.Restart(ctx, c, name)
	case verb == "abandon" && len(more) == 0:
		return livemigrationtemporal.Abandon(ctx, c, name)
	case verb == "start-again" && len(more) == 0:
		record, err := livemigrationtemporal.Record(ctx, c, name)
		if err == nil {
			_, err = livemigrationtemporal.StartAgain(ctx, c, record)
		}
		return err
	default:
		return errUsage
	}
}

// start reads plans from a file, which is a JSON array, and starts them.
func start(ctx context.Context, c client.Client, file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var plans []durable.Plan
	if err := json.Unmarshal(text, &plans); err != nil {
		return fmt.Errorf("read %s: %w", file, err)
	}
	for _, plan := range plans {
		_, err := livemigrationtemporal.Start(ctx, c, plan)
		switch {
		case errors.Is(err, durable.ErrConflict):
			fmt.Println(plan.Name, "was started before")
		case err != nil:
			return err
		default:
			fmt.Println(plan.Name, "started as", livemigrationtemporal.WorkflowID(plan.Name))
		}
	}
	return nil
}

// show prints a record.
func show(ctx context.Context, c client.Client, name string) error {
	record, err := livemigrationtemporal.Record(ctx, c, name)
	if err != nil {
		return err
	}
	encoder := json.NewEncoder(os.Stdout)
	encoder.SetIndent("", "  ")
	return encoder.Encode(record)
}
