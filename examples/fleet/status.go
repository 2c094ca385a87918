package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/livemigration/livemigration-go/durable"
)

// status is the command status.
func (t *tool) status(ctx context.Context, names []string) error {
	fleet, err := t.open()
	if err != nil {
		return err
	}
	records, damaged := fleet.Records(ctx)
	if len(names) > 0 {
		if records, err = choose(records, names); err != nil {
			return err
		}
	}
	switch {
	case t.output == "json":
		encoder := json.NewEncoder(t.out)
		encoder.SetIndent("", "  ")
		err = encoder.Encode(append([]durable.Record{}, records...))
	case len(names) > 0:
		err = t.history(records)
	default:
		err = t.overview(records)
	}
	if err != nil {
		return err
	}
	return damaged
}

func choose(records []durable.Record, names []string) (chosen []durable.Record, err error) {
	for _, name := range names {
		i := slices.IndexFunc(records, func(r durable.Record) bool { return strings.EqualFold(r.Plan.Name, name) })
		if i < 0 {
			return nil, fmt.Errorf("%q: %w", name, durable.ErrNotFound)
		}
		chosen = append(chosen, records[i])
	}
	return chosen, nil
}

// overview is the table, and what a person has to do.
func (t *tool) overview(records []durable.Record) error {
	lines := table(records, time.Now(), width(t.out), 0)
	for _, r := range records {
		if r.State == durable.StateUnclear {
			lines = append(lines, t.todo(r, width(t.out))...)
		}
	}
	return t.println(strings.Join(lines, "\n"))
}

// history shows all that is known about records.
func (t *tool) history(records []durable.Record) error {
	for _, r := range records {
		source, destination := r.Plan.Request.Source, r.Plan.Request.Destination
		lines := []string{
			r.Plan.Name + ": " + string(r.State),
			fmt.Sprintf("  from %s in project %s", source.ClusterName, source.ProjectID),
			fmt.Sprintf("  to   %s in project %s", destination.ClusterName, r.Plan.ProjectID),
			"  on   " + strings.Join(r.Plan.Request.MigrationHosts, ", "),
		}
		if r.MigrationID != "" {
			lines = append(lines, "  migration "+string(r.MigrationID))
		}
		for _, event := range r.Events {
			lines = append(lines, fold(event.Time.Local().Format("  2006-01-02 15:04:05  "), event.Text, width(t.out), "")...)
		}
		if err := t.println(strings.Join(append(lines, t.todo(r, width(t.out))...), "\n")); err != nil {
			return err
		}
	}
	return nil
}

// todo says what a person has to do about a record. It is empty where that is nothing.
func (t *tool) todo(r durable.Record, width int) (lines []string) {
	steps := t.steps(r)
	if len(steps) == 0 && r.Problem == "" {
		return nil
	}
	lines = fold("", fmt.Sprintf("%s is %s: %s", r.Plan.Name, r.State, cmp.Or(r.Problem, waitsFor(r))), width, "  ")
	for _, step := range steps {
		lines = append(lines, "  "+step.when)
		lines = append(lines, foldCommand("    "+step.command, width)...)
	}
	return lines
}

// step is a command, and when it is the right one.
type step struct{ when, command string }

// steps are the commands that settle a record that waits for a person.
func (t *tool) steps(r durable.Record) []step {
	name := r.Plan.Name
	switch r.State {
	case durable.StateUnclear:
		return []step{
			{"if the migration is in Atlas:", t.line("adopt", name, "ID")},
			{"if it is not:", t.line("restart", name)},
		}
	case durable.StateFailed, durable.StateExpired:
		return []step{
			{"when the reason is gone:", t.line("restart", name)},
			{"with another plan of that name:", t.line("replace", "FILE")},
			{"to leave it:", t.line("abandon", name)},
		}
	}
	switch r.Gate() {
	case durable.GateCutover:
		return []step{{"when nothing is written to the source any more:", t.line("approve", name)}}
	case durable.GateStart:
		return []step{{"if the data of the destination may be destroyed:", t.line("approve", "-gate", "start", name)}}
	default:
		return nil
	}
}

// line is a command line for a shell.
func (t *tool) line(args ...string) string {
	state := t.state
	if strings.ContainsFunc(state, func(r rune) bool { return strings.ContainsRune(" \t\"'$`\\&;|<>()*?[]#~", r) }) {
		state = "'" + strings.ReplaceAll(state, "'", `'\''`) + "'"
	}
	return "fleet -state " + state + " " + strings.Join(args, " ")
}
