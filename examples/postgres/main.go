// Command postgres moves the clusters of a JSON file of plans to Atlas, and cuts over at night. Its records are in PostgreSQL:
// start it on two machines, and the second one continues when the first one fails. store.go is the part to copy.
package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"flag"
	"log"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"

	"github.com/livemigration/livemigration-go"
	"github.com/livemigration/livemigration-go/durable"
)

func main() {
	file, hours := flag.String("plans", "plans.json", "JSON array of plans"), flag.String("window", "22:00-04:00", "when to cut over")
	database := flag.String("database", os.Getenv("DATABASE_URL"), "URL of the database; default: DATABASE_URL")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	client, err := livemigration.NewClientFromEnv()
	if err == nil {
		err = serve(ctx, client, *database, *file, *hours)
	}
	if err != nil && !errors.Is(err, context.Canceled) {
		log.Fatal(err)
	}
}

// serve works on all records of the database until the context ends.
func serve(ctx context.Context, client *livemigration.Client, database, file, hours string, opts ...durable.Option) (err error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var plans []durable.Plan
	if err := json.Unmarshal(text, &plans); err != nil {
		return err
	}
	window, err := durable.ParseWindow(hours, time.Local)
	if err != nil {
		return err
	}
	db, err := sql.Open("pgx", database)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	store, err := OpenStore(ctx, db)
	if err != nil {
		return err
	}
	opts = append(opts, durable.WithCutoverWindow(window), durable.WithLogger(slog.Default()),
		durable.WithCutoverApproval(func(context.Context, durable.Record) (bool, error) { return true, nil })) // writes have stopped by then
	fleet, err := durable.NewFleet(store, opts...)
	if err != nil {
		return err
	}
	if err := fleet.Add(ctx, plans...); err != nil { // known plans change nothing
		return err
	}
	return fleet.Serve(ctx, client)
}
