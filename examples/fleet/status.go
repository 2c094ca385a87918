package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
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
	switch {
	case t.output == "json":
		err = encode(t.out, append([]durable.Record{}, records...))
	case len(names) > 0:
		err = t.histories(records)
	default:
		err = t.overview(records)
	}
	if err != nil || damaged != nil || !t.watch {
		return errors.Join(err, damaged)
	}
	return t.follow(ctx, fleet, records, names)
}

func encode(out io.Writer, value any) error {
	encoder := json.NewEncoder(out)
	encoder.SetIndent("", "  ")
	return encoder.Encode(value)
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
	now := time.Now()
	for _, r := range records {
		lag, expires, problem := "", "", ""
		if r.Migration != nil && !r.State.Final() {
			if d, known := r.Migration.Lag(); known {
				lag = short(d)
			}
		}
		if r.State == durable.StateReady {
			expires = short(r.ReadyAt.Add(cutoverPeriod).Sub(now))
		}
		if r.Problem != nil {
			problem = cut(r.Problem.Text, 80)
		}
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s ago\t%s\t%s\t%s\n", r.Plan.Name, r.State, short(now.Sub(r.UpdatedAt)), lag, expires, problem)
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
		if err = errors.Join(err, t.showSteps(r)); err != nil {
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

// showSteps prints the commands for a person, where one is needed.
func (t *tool) showSteps(r durable.Record) error {
	name := r.Plan.Name
	var steps [][2]string
	gate := r.Gate(time.Now())
	switch {
	case r.State == durable.StateUnclear:
		steps = [][2]string{{"adopt " + name + " ID", "if the migration is in Atlas"}, {"restart " + name, "if it is not"}}
	case r.State == durable.StateFailed, r.State == durable.StateExpired:
		steps = [][2]string{
			{"restart " + name, "when the reason is gone"},
			{"add -replace FILE", "with another plan of that name"},
			{"abandon " + name, "to leave it alone"},
		}
	case gate == durable.GateStart:
		steps = [][2]string{{"approve -gate start " + name, "to let it start"}}
	case gate == durable.GateCutover:
		steps = [][2]string{{"approve " + name, "when all writes to the source have stopped"}}
	}
	if r.State == durable.StateComplete || r.State == durable.StateAbandoned || r.Problem == nil && len(steps) == 0 {
		return nil
	}
	err := t.printf("%s\n", r)
	table := tabwriter.NewWriter(t.out, 0, 0, 2, ' ', 0)
	for _, step := range steps {
		_, _ = fmt.Fprintf(table, "  fleet -state %q %s\t%s\n", t.state, step[0], step[1])
	}
	return errors.Join(err, table.Flush())
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

func cut(text string, most int) string {
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most-1]) + "…"
	}
	return text
}

// short is a duration without what does not matter, such as 45s, 52m or 119h.
func short(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", d/time.Second)
	case d < 10*time.Hour:
		return strings.TrimSuffix(d.Truncate(time.Minute).String(), "0s")
	default:
		return fmt.Sprintf("%dh", d/time.Hour)
	}
}
