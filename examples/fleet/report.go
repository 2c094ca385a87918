package main

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"time"

	"github.com/livemigration/livemigration-go/durable"
)

var head = []string{
	"name", "state", "source_cluster", "destination_cluster", "project", "migration",
	"planned_at", "started_at", "ready_at", "cutover_at", "ended_at", "problem_kind", "problem",
}

// report is the command report.
func (t *tool) report(ctx context.Context, _ []string) error {
	fleet, err := t.open()
	if err != nil {
		return err
	}
	records, damaged := fleet.Records(ctx)
	if t.output == "json" {
		encoder := json.NewEncoder(t.out)
		encoder.SetIndent("", "  ")
		return errors.Join(encoder.Encode(append([]durable.Record{}, records...)), damaged)
	}
	rows := [][]string{head}
	for _, r := range records {
		rows = append(rows, row(r))
	}
	return errors.Join(csv.NewWriter(t.out).WriteAll(rows), damaged)
}

// row is in the order of head.
func row(r durable.Record) []string {
	fields := []string{
		r.Plan.Name, string(r.State), r.Plan.Request.Source.ClusterName, r.Plan.Request.Destination.ClusterName,
		string(r.Plan.ProjectID), string(r.MigrationID),
	}
	for _, at := range []time.Time{r.PlannedAt, r.StartedAt, r.ReadyAt, r.CutoverAt, r.EndedAt} {
		text := ""
		if !at.IsZero() {
			text = at.Format(time.RFC3339)
		}
		fields = append(fields, text)
	}
	if r.Problem == nil {
		return append(fields, "", "")
	}
	return append(fields, string(r.Problem.Kind), r.Problem.Text)
}
