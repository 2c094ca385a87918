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
	err = work(ctx, client)
	return t.verdict(ctx, fleet, err)
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

// incompleteError is a run that has ended with migrations that need a person.
type incompleteError struct{ text string }

func (e *incompleteError) Error() string { return e.text }

// verdict says what is left to do after a run. The problem of a record says what a person can do.
func (t *tool) verdict(ctx context.Context, fleet *durable.Fleet, err error) error {
	var incomplete *durable.IncompleteError
	if errors.As(err, &incomplete) {
		for _, r := range incomplete.Records {
			if err := t.printf("%s\n", r); err != nil {
				return err
			}
		}
		_, others, _ := strings.Cut(err.Error(), "\n") // the records that cannot be read
		return &incompleteError{strings.TrimSpace("not complete: " + totals(incomplete.Records) + "\n" + others)}
	}
	if err != nil {
		return err
	}
	records, err := fleet.Records(ctx)
	return errors.Join(err, t.printf("%s\n", totals(records)))
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
