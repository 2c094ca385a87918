package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/livemigration/livemigration-go"
	"github.com/livemigration/livemigration-go/durable"
)

// The times between two polls of a migration: at first, and later.
const (
	shortestPoll = 5 * time.Second
	defaultPoll  = time.Minute
)

// runFleet is the command run.
func (t *tool) runFleet(ctx context.Context, _ []string) error {
	opts, err := t.fleetOptions()
	if err != nil {
		return err
	}
	client, err := livemigration.NewClientFromEnv(livemigration.WithUserAgent("fleet-example/1.0"))
	if err != nil {
		return err
	}
	defer client.CloseIdleConnections()
	fleet, err := t.open(opts...)
	if err != nil {
		return err
	}
	work := fleet.Run
	if t.serve {
		work = fleet.Serve
	}
	if err := work(ctx, client); err != nil {
		return err
	}
	records, err := fleet.Records(ctx)
	return errors.Join(err, t.printf("%s\n", totals(records)))
}

func (t *tool) fleetOptions() ([]durable.Option, error) {
	opts := []durable.Option{
		durable.WithPassword(password), durable.WithOnChange(t.showChange), durable.WithLimit(t.limit),
		durable.WithPollInterval(min(shortestPoll, t.poll), t.poll),
	}
	if t.yes {
		opts = append(opts, durable.WithCutoverApproval(func(context.Context, durable.Record) (bool, error) { return true, nil }))
	}
	if t.maxLag != 0 {
		opts = append(opts, durable.WithMaxLag(t.maxLag))
	}
	if t.windows == "" {
		return opts, nil
	}
	var windows []durable.Window
	for text := range strings.SplitSeq(t.windows, ";") {
		window, err := durable.ParseWindow(text, time.Local)
		if err != nil {
			return nil, fmt.Errorf("-window: %w", err)
		}
		windows = append(windows, window)
	}
	return append(opts, durable.WithCutoverWindow(windows...)), nil
}

// showChange prints a record whose state or problem has changed.
func (t *tool) showChange(_ context.Context, r durable.Record) {
	_ = t.printf("%s  %s\n", time.Now().Format(time.TimeOnly), r)
}

// password reads the password of a source user from the environment.
func password(_ context.Context, plan durable.Plan) (livemigration.Secret, error) {
	own := "SOURCE_PASSWORD_" + strings.ToUpper(strings.NewReplacer(".", "_", "-", "_").Replace(plan.Name))
	for _, name := range []string{own, "SOURCE_PASSWORD"} {
		if value := os.Getenv(name); value != "" {
			return livemigration.Secret(value), nil
		}
	}
	return "", fmt.Errorf("neither %s nor SOURCE_PASSWORD is set", own)
}
