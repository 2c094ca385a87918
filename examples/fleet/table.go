package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/livemigration/livemigration-go/durable"
)

// syncTime is for how long Atlas keeps a migration in sync that is ready for cutover.
const syncTime = 120 * time.Hour

// maxName is how much room a name has in the table.
const maxName = 24

// order is how states are sorted: what needs a person comes first, what needs nobody last.
var order = []durable.State{
	durable.StateUnclear, durable.StateFailed, durable.StateExpired, durable.StateReady, durable.StateFinishing,
	durable.StateReplicating, durable.StateValidated, durable.StateValidating, durable.StatePlanned,
	durable.StateComplete, durable.StateAbandoned,
}

// table shows records, one a line and no line longer than width. With a height it has at most that many lines, and says
// what it leaves out.
func table(records []durable.Record, now time.Time, width, height int) []string {
	records = slices.Clone(records)
	slices.SortStableFunc(records, func(a, b durable.Record) int {
		return cmp.Compare(slices.Index(order, a.State), slices.Index(order, b.State))
	})
	foot := fold("", counts(records), width, "  ")
	shown := records
	if most := max(0, height-len(foot)-2); height > 0 && len(records) > most {
		shown = records[:most]
		foot = append([]string{cut(fmt.Sprintf("and %d more: %s", len(records)-most, states(records[most:])), width)}, foot...)
	}
	name := len("NAME")
	for _, r := range shown {
		name = min(max(name, len(r.Plan.Name)), maxName)
	}
	row := func(plan, state, lag, left, waits string) string {
		line := fmt.Sprintf("%-*s  %-11s  %-6s  %-6s  %s", name, cut(plan, name), state, lag, left, waits)
		return strings.TrimRight(cut(line, width), " ")
	}
	lines := []string{row("NAME", "STATE", "LAG", "LEFT", "WAITS FOR")}
	for _, r := range shown {
		lines = append(lines, row(r.Plan.Name, string(r.State), lag(r), left(r, now), waitsFor(r)))
	}
	lines = append(lines, foot...)
	if height > 0 {
		lines = lines[:min(height, len(lines))]
	}
	return lines
}

// counts is "40 migrations: 12 COMPLETE, 28 PLANNED".
func counts(records []durable.Record) string {
	switch len(records) {
	case 0:
		return "no migrations"
	case 1:
		return "1 migration: " + states(records)
	default:
		return fmt.Sprintf("%d migrations: %s", len(records), states(records))
	}
}

// states counts the records in each state.
func states(records []durable.Record) string {
	found := make(map[durable.State]int)
	for _, r := range records {
		found[r.State]++
	}
	var parts []string
	for _, state := range order {
		if found[state] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", found[state], state))
		}
	}
	return strings.Join(parts, ", ")
}

func lag(r durable.Record) string {
	if r.Migration == nil || r.State != durable.StateReplicating && r.State != durable.StateReady {
		return ""
	}
	d, known := r.Migration.Lag()
	if !known {
		return ""
	}
	return short(d)
}

// left is what is left of the time in which a migration can be cut over.
func left(r durable.Record, now time.Time) string {
	if r.State != durable.StateReady || r.ReadySince.IsZero() {
		return ""
	}
	return short(max(0, r.ReadySince.Add(syncTime).Sub(now)))
}

// waitsFor says in a few words what comes next, or what keeps it from coming. What matters most comes first.
func waitsFor(r durable.Record) string {
	if problem, waits := strings.CutPrefix(r.Problem, "waits for the "); waits {
		what, holder, held := strings.Cut(problem, ", which ")
		if held && r.Gate() == "" {
			holder, _, _ = strings.Cut(holder, " has (")
			return holder + " (" + what + ")"
		}
		what, _, _ = strings.Cut(what, ";")
		return what
	}
	if doing, status, failed := strings.Cut(r.Problem, " failed with "); failed {
		status, _, _ = strings.Cut(status, ".")
		return status + " (" + doing + ")"
	}
	if r.Problem != "" {
		return r.Problem
	}
	switch r.State {
	case durable.StatePlanned, durable.StateValidated:
		return "its turn"
	case durable.StateValidating:
		return "the validation"
	case durable.StateReplicating:
		return "the synchronization"
	case durable.StateReady:
		return "the cutover"
	case durable.StateFinishing:
		return "the end of the cutover"
	default:
		return ""
	}
}
