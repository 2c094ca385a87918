package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/livemigration/livemigration-go"
	"github.com/livemigration/livemigration-go/durable"
)

// shortestPoll is the time between two looks at first.
const shortestPoll = 5 * time.Second

// runFleet is the command run.
func (t *tool) runFleet(ctx context.Context, _ []string) error {
	fleet, err := t.open()
	if err != nil {
		return err
	}
	t.started = false
	if err := havePasswords(ctx, fleet); err != nil {
		return err
	}
	approval, err := t.approval()
	if err != nil {
		return err
	}
	// A fleet tries again by itself. A call that gives up soon lets it say early what does not go on.
	client, err := livemigration.NewClientFromEnv(livemigration.WithUserAgent("fleet-example"),
		livemigration.WithRetryPolicy(livemigration.RetryPolicy{MaxAttempts: 2}))
	if err != nil {
		return err
	}
	defer client.CloseIdleConnections()
	dir, err := durable.OpenDir(t.state)
	if err != nil {
		return err
	}
	t.started = true

	view := t.newView(func() []durable.Record {
		records, _ := fleet.Records(context.WithoutCancel(ctx)) // those that can be read; Run names the others
		return records
	})
	fleet = durable.NewFleet(client, dir, approval, durable.WithPassword(password), durable.WithLimit(t.limit),
		durable.WithPollInterval(min(shortestPoll, t.poll), t.poll), durable.WithOnChange(view.change))
	if t.notes {
		go showNotes(t.in, view)
	}
	end := view.begin(ctx)
	err = fleet.Run(ctx)
	end()
	return t.verdict(ctx, fleet, err)
}

// showNotes ends with stdin, or with the program.
func showNotes(in io.Reader, view view) {
	for lines := bufio.NewScanner(in); lines.Scan(); {
		view.note(lines.Text())
	}
}

// approval approves cutovers in the window, and leaves the start gate to the command approve.
func (t *tool) approval() (durable.Option, error) {
	if t.window == "" {
		return nil, nil // no option
	}
	window, err := durable.ParseWindow(t.window, nil)
	if err != nil {
		return nil, fmt.Errorf("-window: %w", err)
	}
	return durable.WithApproval(func(_ context.Context, _ durable.Record, gate durable.Gate) (bool, error) {
		return gate == durable.GateCutover && window.Open(time.Now()), nil
	}), nil
}

// verdict says what is left to do after a run.
func (t *tool) verdict(ctx context.Context, fleet *durable.Fleet, err error) error {
	var incomplete *durable.IncompleteError
	if !errors.As(err, &incomplete) {
		if err != nil {
			return err
		}
		records, err := fleet.Records(ctx)
		return errors.Join(err, t.println(counts(records)))
	}
	for _, record := range incomplete.Records {
		for _, line := range t.todo(record, width(t.out)) {
			if err := t.println(line); err != nil {
				return err
			}
		}
	}
	return errors.New("not complete: " + states(incomplete.Records))
}

// havePasswords names the first password that a run would need and not have.
func havePasswords(ctx context.Context, fleet *durable.Fleet) error {
	records, err := fleet.Records(ctx)
	if err != nil {
		return err
	}
	for _, r := range records {
		if r.State.Final() || r.Plan.Request.Source.Username == "" {
			continue
		}
		if _, err := password(ctx, r.Plan); err != nil {
			return fmt.Errorf("%s: %w", r.Plan.Name, err)
		}
	}
	return nil
}

// password reads the password of a source user from the environment.
func password(_ context.Context, plan durable.Plan) (livemigration.Secret, error) {
	own := "SOURCE_PASSWORD_" + strings.Map(func(r rune) rune {
		if r == '.' || r == '-' {
			return '_'
		}
		return r
	}, strings.ToUpper(plan.Name))
	for _, name := range []string{own, "SOURCE_PASSWORD"} {
		if value := os.Getenv(name); value != "" {
			return livemigration.Secret(value), nil
		}
	}
	return "", fmt.Errorf("neither %s nor SOURCE_PASSWORD is set", own)
}
