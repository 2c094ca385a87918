package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/livemigration/livemigration-go"
	"github.com/livemigration/livemigration-go/durable"
)

// explain turns how the run ended into words and an exit status.
func (j *job) explain(ctx context.Context, err error) error {
	var usage *failure
	var left *durable.IncompleteError
	switch {
	case err == nil:
		j.summary()
		return nil
	case errors.As(err, &usage), errors.Is(err, errDeclined):
		return err
	case ctx.Err() != nil && errors.Is(err, ctx.Err()):
		return &failure{exitInterrupted, "interrupted" + j.howOn()}
	case errors.As(err, &left):
		return j.incomplete(left.Records[0])
	case livemigration.MayHaveCreated(err):
		return &failure{exitUnclear, text(err)}
	case errors.Is(err, durable.ErrRunning):
		return usagef("another pushmigration works in -state %s", j.opts.state)
	case errors.Is(err, durable.ErrConflict):
		return usagef("-state %s: %s", j.opts.state, text(err))
	case errors.Is(err, livemigration.ErrUnauthorized):
		return fmt.Errorf("the credentials are wrong: %s", text(err))
	case errors.Is(err, livemigration.ErrForbidden):
		return fmt.Errorf("the credentials need the role Organization Owner and, where they have an access list, this address on it: %s", text(err))
	default:
		return errors.New(text(err))
	}
}

// howOn says what a person does to continue.
func (j *job) howOn() string {
	if j.opts.demo {
		return "; the in-memory Atlas ends with this program"
	}
	return "; the state is kept in " + j.opts.state + ", and the same command continues. What runs in Atlas runs on there"
}

// incomplete is a migration that needs a person.
func (j *job) incomplete(r durable.Record) error {
	if r.State != durable.StateUnclear {
		return fmt.Errorf("the migration is %s: %s\nTo start it from the beginning: pushmigration … -restart", r.State, lastEvent(r))
	}
	q := &r.Plan.Request
	return &failure{exitUnclear, fmt.Sprintf("it is not known whether Atlas has started the migration: %s\n\n"+
		"Look in Atlas, in project %s, whether cluster %s\nis the destination of a live migration from cluster %s. Then run the same command with\n\n"+
		"  -adopt ID   when there is one, with its id\n"+
		"  -restart    when there is none\n\n"+
		"Do not start it by hand before you know: Atlas would run two migrations.",
		r.Problem, r.Plan.ProjectID, q.Destination.ClusterName, q.Source.ClusterName)}
}

func lastEvent(r durable.Record) string {
	if len(r.Events) == 0 {
		return r.Problem
	}
	return r.Events[len(r.Events)-1].Text
}

// summary prints what happened when.
func (j *job) summary() {
	records, err := j.fleet.Records(context.Background())
	if err != nil || len(records) != 1 {
		return
	}
	r := records[0]
	if r.State != durable.StateComplete { // after -abandon
		j.show.line("The migration is %s. In Atlas nothing has changed.", r.State)
		return
	}
	var b strings.Builder
	for i, event := range r.Events {
		took := ""
		if i > 0 {
			took = short(event.Time.Sub(r.Events[i-1].Time))
		}
		fmt.Fprintf(&b, "%s %8s  %s\n", event.Time.Local().Format(time.TimeOnly), took, cut(event.Text, columns-20))
	}
	j.show.line("\nWhat happened:\n%s\nCluster %s is %s: cluster %s of project\n%s has its data.",
		b.String(), r.Plan.Request.Source.ClusterName, r.State, r.Plan.Request.Destination.ClusterName, r.Plan.ProjectID)
	if !j.opts.demo {
		j.show.line("The state is not needed any more:\n%s", j.opts.state)
	}
}

// short shows tenths only where they say something.
func short(d time.Duration) string {
	if d < time.Minute {
		return fmt.Sprintf("%.1fs", d.Seconds())
	}
	return d.Round(time.Second).String()
}
