package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/livemigration/livemigration-go/durable"
)

// cutoverPeriod is how long Atlas keeps a migration that is ready for cutover in sync.
const cutoverPeriod = 120 * time.Hour

// status is the command status.
func (t *tool) status(ctx context.Context, names []string) error {
	fleet, err := t.open()
	if err != nil {
		return err
	}
	records, damaged := fleet.Records(ctx)
	records, err = choose(records, names)
	if err != nil {
		return errors.Join(err, damaged)
	}
	if len(names) > 0 {
		err = t.histories(records)
	} else {
		err = t.overview(records)
	}
	if err != nil || damaged != nil || !t.watch {
		return errors.Join(err, damaged)
	}
	return t.follow(ctx, fleet, records, names)
}

func choose(records []durable.Record, names []string) (chosen []durable.Record, err error) {
	if len(names) == 0 {
		return records, nil
	}
	for _, name := range names {
		i := slices.IndexFunc(records, func(r durable.Record) bool { return strings.EqualFold(r.Plan.Name, name) })
		if i < 0 {
			return nil, fmt.Errorf("%q: %w", name, durable.ErrNotFound)
		}
		chosen = append(chosen, records[i])
	}
	return chosen, nil
}

// overview is a table, with totals below it.
func (t *tool) overview(records []durable.Record) error {
	table := tabwriter.NewWriter(t.out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "NAME\tSTATE\tCHANGED\tLAG\tEXPIRES IN\tPROBLEM") // Flush returns its errors
	for _, r := range records {
		lag, expires, problem := "", "", ""
		if r.Migration != nil && r.Migration.LagTimeSeconds != nil && !r.State.Final() {
			lag = fmt.Sprintf("%ds", *r.Migration.LagTimeSeconds)
		}
		if r.State == durable.StateReady {
			expires = fmt.Sprintf("%.0fh", time.Until(r.ReadyAt.Add(cutoverPeriod)).Hours())
		}
		if r.Problem != nil {
			problem = r.Problem.Text
		}
		changed := r.UpdatedAt.Local().Format(time.DateTime)
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%.80s\n", r.Plan.Name, r.State, changed, lag, expires, problem)
	}
	return errors.Join(table.Flush(), t.printf("%s\n", totals(records)))
}

// histories show what is known about records.
func (t *tool) histories(records []durable.Record) error {
	for _, r := range records {
		source, destination := r.Plan.Request.Source, r.Plan.Request.Destination
		err := t.printf("%s: cluster %s of project %s to cluster %s of project %s on %s\n", r, source.ClusterName, source.ProjectID,
			destination.ClusterName, r.Plan.ProjectID, strings.Join(r.Plan.Request.MigrationHosts, ", "))
		for _, event := range r.Events {
			err = errors.Join(err, t.printf("  %s  %s\n", event.Time.Local().Format(time.DateTime), event.Text))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// follow prints each record whose state or problem has changed, until all have ended or the context ends.
func (t *tool) follow(ctx context.Context, fleet *durable.Fleet, records []durable.Record, names []string) error {
	shown := make(map[string]string, len(records))
	for _, r := range records {
		shown[r.Plan.Name] = r.String()
	}
	for slices.ContainsFunc(records, func(r durable.Record) bool { return !r.State.Final() }) {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Second):
		}
		all, err := fleet.Records(ctx)
		if err == nil {
			records, err = choose(all, names)
		}
		if err != nil && ctx.Err() == nil {
			return err
		}
		for _, r := range records {
			if text := r.String(); shown[r.Plan.Name] != text {
				shown[r.Plan.Name] = text
				if err := t.printf("%s  %s\n", time.Now().Format(time.TimeOnly), text); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// totals are how many records there are in each state.
func totals(records []durable.Record) string {
	var order []string
	number := make(map[string]int)
	for _, r := range records {
		state := string(r.State)
		if number[state]++; number[state] == 1 {
			order = append(order, state)
		}
	}
	for i, state := range order {
		order[i] = fmt.Sprintf("%d %s", number[state], state)
	}
	return count(len(records), "migration") + ": " + strings.Join(order, ", ")
}

func count(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}
