package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/livemigration/livemigration-go"
	"github.com/livemigration/livemigration-go/durable"
)

// add is the command add. Plans that are stored already and equal change nothing.
func (t *tool) add(ctx context.Context, files []string) error {
	plans, err := readPlans(files)
	if err != nil {
		return err
	}
	dir, err := durable.OpenDir(t.state)
	if err != nil {
		return err
	}
	fleet, err := durable.NewFleet(dir)
	if err != nil {
		return err
	}
	t.started = true
	if err := fleet.Add(ctx, plans...); err != nil {
		return err
	}
	records, err := fleet.Records(ctx)
	if err != nil {
		return err
	}
	var others []string
	for _, r := range records {
		if !slices.ContainsFunc(plans, func(p durable.Plan) bool { return strings.EqualFold(p.Name, r.Plan.Name) }) {
			others = append(others, fmt.Sprintf("%s (%s)", r.Plan.Name, r.State))
		}
	}
	if len(others) > 0 {
		if err := t.printf("no longer in %s: %s\n", strings.Join(files, ", "), strings.Join(others, ", ")); err != nil {
			return err
		}
	}
	return t.printf("%s of %s in %s\n", count(len(plans), "plan"), strings.Join(files, ", "), t.state)
}

func (t *tool) approve(ctx context.Context, names []string) error {
	if t.lasts < 0 {
		return errors.New("-for must not be negative")
	}
	until := time.Time{}
	if t.lasts > 0 {
		until = time.Now().Add(t.lasts)
	}
	return t.each(names, t.gate+" approved", func(fleet *durable.Fleet, name string) error {
		return fleet.Approve(ctx, name, durable.Gate(t.gate), t.by, until)
	})
}

func (t *tool) revoke(ctx context.Context, names []string) error {
	return t.each(names, "approval of the "+t.gate+" revoked", func(fleet *durable.Fleet, name string) error {
		return fleet.Revoke(ctx, name, durable.Gate(t.gate), t.by)
	})
}

func (t *tool) restart(ctx context.Context, names []string) error {
	return t.each(names, "planned again", func(fleet *durable.Fleet, name string) error { return fleet.Restart(ctx, name) })
}

func (t *tool) adopt(ctx context.Context, args []string) error {
	id, err := livemigration.ParseMigrationID(args[1])
	if err != nil {
		return err
	}
	return t.each(args[:1], "adopted", func(fleet *durable.Fleet, name string) error { return fleet.Adopt(ctx, name, id) })
}

func (t *tool) abandon(ctx context.Context, names []string) error {
	return t.each(names, "abandoned", func(fleet *durable.Fleet, name string) error { return fleet.Abandon(ctx, name) })
}

func (t *tool) remove(ctx context.Context, names []string) error {
	return t.each(names, "removed", func(fleet *durable.Fleet, name string) error { return fleet.Remove(ctx, name) })
}

// each changes records one after the other. When one fails, the others are changed all the same.
func (t *tool) each(names []string, done string, change func(*durable.Fleet, string) error) error {
	fleet, err := t.open()
	if err != nil {
		return err
	}
	var failed []error
	for _, name := range names {
		err := change(fleet, name)
		if err == nil {
			err = t.printf("%s: %s\n", name, done)
		}
		failed = append(failed, err)
	}
	return errors.Join(failed...)
}
