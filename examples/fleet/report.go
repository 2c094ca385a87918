package main

import (
	"context"
	"encoding/csv"
	"errors"
	"time"

	"github.com/livemigration/livemigration-go"
	"github.com/livemigration/livemigration-go/durable"
)

// row is a record in a report.
type row struct {
	Name        string                    `json:"name"`
	State       durable.State             `json:"state"`
	Source      string                    `json:"source_cluster"`
	Destination string                    `json:"destination_cluster"`
	Project     livemigration.ProjectID   `json:"project"`
	Migration   livemigration.MigrationID `json:"migration,omitempty"`
	PlannedAt   time.Time                 `json:"planned_at"`
	StartedAt   time.Time                 `json:"started_at,omitzero"`
	ReadyAt     time.Time                 `json:"ready_at,omitzero"`
	CutoverAt   time.Time                 `json:"cutover_at,omitzero"`
	EndedAt     time.Time                 `json:"ended_at,omitzero"`
	Problem     *durable.Problem          `json:"problem,omitempty"`
}

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
	rows := make([]row, len(records))
	for i, r := range records {
		rows[i] = row{
			r.Plan.Name, r.State, r.Plan.Request.Source.ClusterName, r.Plan.Request.Destination.ClusterName, r.Plan.ProjectID, r.MigrationID,
			r.PlannedAt, r.StartedAt, r.ReadyAt, r.CutoverAt, r.EndedAt, r.Problem,
		}
	}
	if t.output == "json" {
		return errors.Join(encode(t.out, rows), damaged)
	}
	lines := [][]string{head}
	for _, r := range rows {
		lines = append(lines, r.fields())
	}
	return errors.Join(csv.NewWriter(t.out).WriteAll(lines), damaged)
}

// fields are in the order of head.
func (r row) fields() []string {
	fields := []string{r.Name, string(r.State), r.Source, r.Destination, string(r.Project), string(r.Migration)}
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
