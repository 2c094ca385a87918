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
	if err := havePasswords(ctx, fleet); err != nil {
		t.started = false
		return err
	}
	stop := t.printTotals(ctx, fleet)
	work := fleet.Run
	if t.serve {
		work = fleet.Serve
	}
	err = work(ctx, client)
	stop()
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
	if t.brief == 0 || r.Problem != nil && r.Problem.Kind == durable.ProblemNeedsAttention {
		_ = t.printf("%s  %s\n", time.Now().Format(time.TimeOnly), r)
	}
}

// printTotals does so until stop is called.
func (t *tool) printTotals(ctx context.Context, fleet *durable.Fleet) (stop func()) {
	if t.brief <= 0 {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ticker := time.NewTicker(t.brief); ; {
			select {
			case <-ctx.Done():
				ticker.Stop()
				return
			case <-ticker.C:
				records, _ := fleet.Records(ctx) // the ones that can be read; the end of the run names the others
				_ = t.printf("%s  %s\n", time.Now().Format(time.TimeOnly), totals(records))
			}
		}
	}()
	return func() {
		cancel()
		<-done
	}
}

// incompleteError is a run that has ended with migrations that need a person.
type incompleteError struct{ text string }

func (e *incompleteError) Error() string { return e.text }

// verdict says what is left to do after a run.
func (t *tool) verdict(ctx context.Context, fleet *durable.Fleet, err error) error {
	var incomplete *durable.IncompleteError
	if errors.As(err, &incomplete) {
		for _, r := range incomplete.Records {
			if err := t.showSteps(r); err != nil {
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

// havePasswords names the passwords that a run would need and not have.
func havePasswords(ctx context.Context, fleet *durable.Fleet) error {
	records, _ := fleet.Records(ctx) // the run names the ones that cannot be read
	var missing []error
	for _, r := range records {
		source := r.Plan.Request.Source
		if r.State.Final() || source.Username == "" || source.ManagedAuthentication {
			continue
		}
		if _, err := password(ctx, r.Plan); err != nil {
			missing = append(missing, fmt.Errorf("%s: %w", r.Plan.Name, err))
		}
	}
	return errors.Join(missing...)
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
