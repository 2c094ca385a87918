package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/livemigration/livemigration-go"
	"github.com/livemigration/livemigration-go/durable"
)

// name is the name of the one record in the state directory.
const name = "migration"

// job is one migration from its link-token to its cutover.
type job struct {
	*options
	client   *livemigration.Client
	source   *livemigration.SourceClient // nil: a person pastes the link-token
	plan     durable.Plan
	password livemigration.Secret
	fleet    *durable.Fleet
}

func execute(ctx context.Context, opts *options) error {
	j := &job{options: opts}
	open := j.openReal
	if j.demo {
		open = j.openDemo
	}
	end, err := open()
	if err != nil {
		return err
	}
	defer end()
	store, err := durable.OpenDir(j.state)
	if err != nil {
		return usagef("-state: %s", text(err))
	}
	if j.fleet, err = durable.NewFleet(store, j.fleetOptions()...); err != nil {
		return err
	}
	return j.explain(ctx, j.run(ctx))
}

// openReal reads the request, and makes the clients from the environment.
func (j *job) openReal() (end func(), err error) {
	if err := j.loadRequest(); err != nil {
		return nil, err
	}
	if j.client, err = livemigration.NewClientFromEnv(livemigration.WithUserAgent("pushmigration-example/1.0")); err != nil {
		return nil, usagef("%s", text(err))
	}
	if j.sourceOrg != "" {
		var opts []livemigration.Option
		if url := os.Getenv(sourceURLVariable); url != "" {
			opts = append(opts, livemigration.WithBaseURL(url))
		}
		key := livemigration.APIKey(os.Getenv(sourceKeyVariable), livemigration.Secret(os.Getenv(sourcePrivVariable)))
		if j.source, err = livemigration.NewSourceClient(key, opts...); err != nil {
			return nil, usagef("source side: %s", text(err))
		}
	}
	return j.client.CloseIdleConnections, nil
}

// loadRequest reads the request file, and takes its password out. Unknown fields are rejected: a misspelled
// dropDestinationData must not go unnoticed.
func (j *job) loadRequest() error {
	j.plan = durable.Plan{Name: name, ProjectID: j.project}
	data, err := os.ReadFile(j.request)
	if err != nil {
		return usagef("-request: %s", err)
	}
	decoder := json.NewDecoder(strings.NewReader(string(data)))
	decoder.DisallowUnknownFields()
	if err = decoder.Decode(&j.plan.Request); err == nil && decoder.More() {
		err = errors.New("there is something after the JSON object")
	}
	if err != nil {
		return usagef("-request %s: %s", j.request, err)
	}
	source := &j.plan.Request.Source
	j.password, source.Password = cmp.Or(livemigration.Secret(os.Getenv(passwordVariable)), source.Password), ""
	if err := j.plan.Validate(); err != nil {
		return usagef("-request %s: %s", j.request, text(err))
	}
	if source.Username != "" && j.password == "" {
		return usagef("the request has a source user: set %s", passwordVariable)
	}
	return nil
}

func (j *job) fleetOptions() []durable.Option {
	opts := []durable.Option{
		durable.WithOnChange(j.showChange),
		durable.WithPassword(func(context.Context, durable.Plan) (livemigration.Secret, error) { return j.password, nil }),
	}
	if j.yes {
		opts = append(opts, durable.WithCutoverApproval(func(context.Context, durable.Record) (bool, error) { return true, nil }))
	}
	if j.poll > 0 {
		opts = append(opts, durable.WithPollInterval(j.poll, j.poll))
	}
	return opts
}

func (j *job) showChange(_ context.Context, r durable.Record) {
	j.step("%s", strings.TrimPrefix(r.String(), name+" "))
	if gate := r.Gate(time.Now()); gate != "" && !j.yes {
		j.step("to approve it, in another terminal: fleet -state %s approve -gate %s %s", j.state, gate, name)
	}
}

// step prints what has happened, with the time.
func (j *job) step(format string, args ...any) {
	fmt.Printf("%s  %s\n", time.Now().Format(time.TimeOnly), fmt.Sprintf(format, args...))
}

// run takes the migration from where it is to its end.
func (j *job) run(ctx context.Context) error {
	if err := j.prepare(ctx); err != nil {
		return err
	}
	if j.yes && j.plan.Request.DropDestinationData { // an error is a migration that has started already
		_ = j.fleet.Approve(ctx, name, durable.GateStart, "-yes", time.Time{})
	}
	if err := j.fleet.Run(ctx, j.client); err != nil {
		return err
	}
	return j.disconnect(ctx)
}

// prepare stores the plan, unless it is stored. Where another plan is stored, that shows before anything is created.
func (j *job) prepare(ctx context.Context) error {
	_, err := j.fleet.Record(ctx, name)
	if errors.Is(err, durable.ErrNotFound) {
		err = j.connect(ctx)
	}
	if err != nil {
		return err
	}
	return j.fleet.Add(ctx, j.plan) // nothing, when it is the same
}

// explain turns how the run ended into words and an exit status.
func (j *job) explain(ctx context.Context, err error) error {
	var left *durable.IncompleteError
	var unsaved *durable.UnsavedError
	switch {
	case err == nil:
		return j.summary(ctx)
	case errors.As(err, &unsaved):
		return err
	case ctx.Err() != nil && errors.Is(err, ctx.Err()) && j.demo:
		return &failure{exitInterrupted, "interrupted; the in-memory Atlas ends with this program"}
	case ctx.Err() != nil && errors.Is(err, ctx.Err()):
		return &failure{exitInterrupted, "interrupted; the same command continues, with the state in " + j.state +
			".\nMigrations that are running in Atlas continue."}
	case errors.As(err, &left):
		status := exitFailed
		if left.Records[0].State == durable.StateUnclear {
			status = exitUnclear
		}
		return &failure{status, fmt.Sprintf("%s\nWith fleet -state %s you can adopt, restart, abandon and remove the record %q",
			left.Records[0], j.state, name)}
	case livemigration.MayHaveCreated(err):
		return &failure{exitUnclear, text(err)}
	case errors.Is(err, durable.ErrRunning), errors.Is(err, durable.ErrConflict):
		return usagef("-state %s: %s", j.state, text(err))
	default:
		return err
	}
}

// summary prints what happened when.
func (j *job) summary(ctx context.Context) error {
	r, err := j.fleet.Record(ctx, name)
	if err != nil {
		return err
	}
	fmt.Println()
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	before := r.PlannedAt
	for _, event := range r.Events {
		_, _ = fmt.Fprintf(table, "%s\t+%.1fs\t  %s\n", event.Time.Local().Format(time.TimeOnly), event.Time.Sub(before).Seconds(), event.Text)
		before = event.Time
	}
	if err := table.Flush(); err != nil {
		return err
	}
	fmt.Printf("\nThe migration of cluster %s to cluster %s of project %s is %s.\n",
		r.Plan.Request.Source.ClusterName, r.Plan.Request.Destination.ClusterName, r.Plan.ProjectID, r.State)
	if !j.demo {
		fmt.Println("You can delete the state directory: " + j.state)
	}
	return nil
}
