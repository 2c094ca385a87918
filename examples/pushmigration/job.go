package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/livemigration/livemigration-go"
	"github.com/livemigration/livemigration-go/durable"
)

// name is that of the one record in the state directory.
const name = "migration"

// job is one migration from its link-token to its cutover.
type job struct {
	opts     *options
	show     *display
	prompt   *prompter // nil without a terminal
	logger   *slog.Logger
	client   *livemigration.Client
	source   *livemigration.SourceClient // nil: a person pastes the link-token
	request  livemigration.MigrationRequest
	password livemigration.Secret
	fleet    *durable.Fleet
}

func execute(ctx context.Context, opts *options, std stdio) error {
	j := &job{opts: opts, prompt: newPrompter(std), show: newDisplay(std.out), logger: slog.New(slog.DiscardHandler)}
	defer j.show.close()
	if !opts.yes && j.prompt == nil && !j.settles() {
		return usagef("there is no terminal to confirm the cutover on: add -yes to run without being asked")
	}
	if opts.debugLog != "" {
		file, err := os.OpenFile(opts.debugLog, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
		if err != nil {
			return usagef("-debug-log: %s", err)
		}
		defer file.Close()
		j.logger = slog.New(slog.NewTextHandler(file, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	open := openReal
	if opts.demo {
		open = openDemo
	}
	end, err := open(j)
	if err != nil {
		return err
	}
	defer end()
	store, err := durable.OpenDir(opts.state)
	if err != nil {
		return usagef("-state: %s", text(err))
	}
	j.fleet = durable.NewFleet(j.client, store, j.fleetOptions()...)
	return j.explain(ctx, j.run(ctx))
}

// openReal makes the clients from the environment.
func openReal(j *job) (_ func(), err error) {
	if j.request, j.password, err = loadRequest(j.opts); err != nil {
		return nil, err
	}
	if j.client, err = livemigration.NewClientFromEnv(j.clientOptions()...); err != nil {
		return nil, usagef("%s", text(err))
	}
	if key := os.Getenv(sourceKeyVariable); j.opts.link && key != "" {
		opts := []livemigration.Option{livemigration.WithLogger(j.logger)}
		if j.opts.sourceURL != "" {
			opts = append(opts, livemigration.WithBaseURL(j.opts.sourceURL))
		}
		if j.source, err = livemigration.NewSourceClient(livemigration.APIKey(key, os.Getenv(sourcePrivVariable)), opts...); err != nil {
			return nil, usagef("source side: %s", text(err))
		}
	}
	return func() { j.client.CloseIdleConnections() }, nil
}

func (j *job) clientOptions() []livemigration.Option {
	opts := []livemigration.Option{
		livemigration.WithAPIVersion(j.opts.version), livemigration.WithUserAgent("pushmigration-example/1.0"), livemigration.WithLogger(j.logger),
	}
	if j.opts.baseURL != "" {
		opts = append(opts, livemigration.WithBaseURL(j.opts.baseURL))
	}
	return opts
}

func (j *job) fleetOptions() []durable.Option {
	opts := []durable.Option{
		durable.WithLogger(j.logger), durable.WithOnChange(j.show.record),
		durable.WithPassword(func(ctx context.Context, _ durable.Plan) (livemigration.Secret, error) { return j.askPassword(ctx) }),
	}
	if j.opts.yes {
		opts = append(opts, durable.WithApproval(func(context.Context, durable.Record, durable.Gate) (bool, error) { return true, nil }))
	}
	if j.opts.poll > 0 {
		opts = append(opts, durable.WithPollInterval(j.opts.poll, j.opts.poll))
	}
	return opts
}

func (j *job) settles() bool { return j.opts.adopt != "" || j.opts.restart || j.opts.abandon }

// run takes the migration from where it is to its end.
func (j *job) run(ctx context.Context) error {
	if j.opts.abandon {
		return j.fleet.Abandon(ctx, name)
	}
	if err := j.prepare(ctx); err != nil {
		return err
	}
	watching, stop := context.WithCancelCause(ctx)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		j.watch(watching, stop)
	}()
	err := j.fleet.Run(watching)
	if cause := context.Cause(watching); errors.Is(cause, errDeclined) {
		err = cause
	}
	stop(nil)
	<-watched
	if err != nil {
		return err
	}
	return j.disconnect(ctx)
}

// prepare stores the request, unless it is stored, and does what a person has decided. A request that differs from the
// stored one is a conflict. That shows before anything is created.
func (j *job) prepare(ctx context.Context) error {
	plan := durable.Plan{Name: name, ProjectID: j.opts.project, Request: j.request}
	record, known, err := j.stored(ctx)
	switch {
	case err != nil:
		return err
	case j.opts.restart:
		return j.restart(ctx, record.State, plan)
	case known || j.opts.adopt != "":
		return j.resume(ctx, known, plan)
	}
	if err := plan.Validate(); err != nil {
		return err
	}
	if err := j.connect(ctx); err != nil {
		return err
	}
	return j.fleet.Add(ctx, plan)
}

// stored is the record in the state directory, if there is one.
func (j *job) stored(ctx context.Context) (record durable.Record, known bool, err error) {
	records, err := j.fleet.Records(ctx)
	for _, r := range records {
		if r.Plan.Name != name {
			return r, false, usagef("-state %s holds the migration %q, which is not one of this program", j.opts.state, r.Plan.Name)
		}
		record, known = r, true
	}
	return record, known, err
}

// resume continues with a record, with the migration that a person has found when there is one.
func (j *job) resume(ctx context.Context, known bool, plan durable.Plan) error {
	if known {
		err := j.fleet.Add(ctx, plan) // nothing, when it is the same
		if errors.Is(err, durable.ErrConflict) {
			return usagef("-request %s, project %s: another request than that of the migration in -state %s.\n"+
				"Give that request again. Or add -restart: this one then takes its place, if nothing\nruns in Atlas. For another migration use another -state",
				j.opts.requestFile, plan.ProjectID, j.opts.state)
		}
		if err != nil {
			return err
		}
	}
	if j.opts.adopt == "" {
		return nil
	}
	id, err := livemigration.ParseMigrationID(j.opts.adopt)
	if err != nil {
		return usagef("-adopt: %s", text(err))
	}
	return j.fleet.Adopt(ctx, name, id)
}

// restart begins from the beginning, with the request as it is now. What is PLANNED is there already.
func (j *job) restart(ctx context.Context, from durable.State, plan durable.Plan) error {
	if from != durable.StatePlanned {
		if err := j.fleet.Restart(ctx, name); err != nil {
			return err
		}
	}
	return j.fleet.Replace(ctx, plan)
}

// watch shows how far the job is, and asks a person for the approvals that it lacks.
func (j *job) watch(ctx context.Context, stop context.CancelCauseFunc) {
	ticker := time.NewTicker(cmp.Or(min(j.opts.poll, time.Second), time.Second))
	defer ticker.Stop()
	for {
		if records, err := j.fleet.Records(ctx); err == nil && len(records) == 1 {
			record := records[0]
			j.show.progress(record)
			if gate := record.Gate(); gate != "" && j.prompt != nil && !j.opts.yes {
				j.show.pause()
				yes, err := j.prompt.ask(ctx, warning(record, gate), question[gate])
				if err == nil && !yes {
					stop(errDeclined)
					return
				}
				if err == nil {
					_ = j.fleet.Approve(ctx, name, gate) // when it fails, the gate is still lacking and is asked for again
				}
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

var errDeclined = errors.New("not confirmed")

var question = map[durable.Gate]string{
	durable.GateStart:   "Destroy them and start the migration?",
	durable.GateCutover: "Have all writes to the source stopped, and shall it be cut over?",
}

func warning(r durable.Record, gate durable.Gate) string {
	q := &r.Plan.Request
	if gate == durable.GateStart {
		return fmt.Sprintf("The migration of cluster %s destroys all data in cluster\n%s of Atlas project %s.",
			q.Source.ClusterName, q.Destination.ClusterName, r.Plan.ProjectID)
	}
	return fmt.Sprintf("Cluster %s is copied to cluster %s and in sync.\n"+
		"Stop all writes to the source now: what is written to it after the cutover\ndoes not reach the destination.",
		q.Source.ClusterName, q.Destination.ClusterName)
}

func (j *job) askPassword(ctx context.Context) (livemigration.Secret, error) {
	if j.password != "" {
		return j.password, nil
	}
	if j.prompt == nil {
		return "", fmt.Errorf("set $%s", passwordVariable)
	}
	j.show.pause()
	password, err := j.prompt.password(ctx, "Password of "+j.request.Source.Username+" at the source: ")
	j.password = password
	return password, err
}

// tokenName is that of the file with the link-token in the state directory.
const tokenName = "link-token"

func (j *job) tokenFile() string { return filepath.Join(j.opts.state, tokenName) }
