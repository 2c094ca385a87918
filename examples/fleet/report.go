package main

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/livemigration/livemigration-go/durable"
)

// report is the command report.
func (t *tool) report(ctx context.Context, _ []string) error {
	fleet, err := t.open()
	if err != nil {
		return err
	}
	records, damaged := fleet.Records(ctx)
	var b strings.Builder
	fmt.Fprintf(&b, "# Migrations\n\n%s.\n\n", counts(records))
	writeTable(&b, records)
	t.writeRest(&b, records)
	if err := t.println(strings.TrimRight(b.String(), "\n")); err != nil {
		return err
	}
	return damaged
}

// writeTable says how long the phases of each record took.
func writeTable(b *strings.Builder, records []durable.Record) {
	b.WriteString("| migration | from | to | state | check | sync | ready | cutover | total |\n")
	b.WriteString("| --- | --- | --- | --- | ---: | ---: | ---: | ---: | ---: |\n")
	for _, r := range records {
		p := phasesOf(r)
		fmt.Fprintf(b, "| %s | %s | %s | %s | %s | %s | %s | %s | %s |\n", r.Plan.Name,
			r.Plan.Request.Source.ClusterName, r.Plan.Request.Destination.ClusterName, r.State,
			between(p.validating, p.validated), between(p.replicating, p.ready), between(p.ready, p.finishing),
			between(p.finishing, p.complete), between(p.validating, p.complete))
	}
}

// writeRest lists what is left to do.
func (t *tool) writeRest(b *strings.Builder, records []durable.Record) {
	b.WriteString("\n## What is left to do\n\n")
	left := false
	for _, r := range records {
		if r.State == durable.StateComplete || r.State == durable.StateAbandoned {
			continue
		}
		left = true
		text := fmt.Sprintf("**%s** is %s: %s.", r.Plan.Name, r.State, strings.TrimSuffix(cmp.Or(r.Problem, "it waits for "+waitsFor(r)), "."))
		b.WriteString(strings.Join(fold("- ", text, defaultWidth, ""), "\n") + "\n")
		for _, step := range t.steps(r) {
			fmt.Fprintf(b, "  - %s\n    `%s`\n", step.when, step.command)
		}
	}
	if !left {
		b.WriteString("- Point the applications at the new clusters.\n")
		b.WriteString("- Delete the link-tokens of the organization when no other migration runs.\n")
	}
}

// phases are when a record entered its states, in the last attempt.
type phases struct{ validating, validated, replicating, ready, finishing, complete time.Time }

// phasesOf reads the history: an event that enters a state begins with its name.
func phasesOf(r durable.Record) (p phases) {
	for _, event := range r.Events {
		state, _, _ := strings.Cut(event.Text, ":")
		switch durable.State(state) {
		case durable.StatePlanned:
			p = phases{}
		case durable.StateValidating:
			p.validating = event.Time
		case durable.StateValidated:
			p.validated = event.Time
		case durable.StateReplicating:
			if p.replicating.IsZero() {
				p.replicating = event.Time
			}
		case durable.StateReady:
			p.ready = event.Time
		case durable.StateFinishing:
			p.finishing = event.Time
		case durable.StateComplete:
			p.complete = event.Time
		}
	}
	return p
}

func between(from, to time.Time) string {
	if from.IsZero() || to.IsZero() {
		return ""
	}
	return short(to.Sub(from))
}
