package crash

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/livemigration/livemigration-go"
	"github.com/livemigration/livemigration-go/durable"
)

// limit is how many migrations the programs have under way at a time.
const limit = 10

// ExitIncomplete is the status of the command worker when a person must settle a record.
const ExitIncomplete = 3

// Program migrates clusters. It is called again after each death, with the same plans, and continues from what is in the
// store. Poll is the time between two polls of a job.
type Program func(ctx context.Context, client *livemigration.Client, store durable.Store, plans []durable.Plan, poll time.Duration) error

// Fleet is a program on [durable.Fleet].
func Fleet(ctx context.Context, client *livemigration.Client, store durable.Store, plans []durable.Plan, poll time.Duration) error {
	approve := func(context.Context, durable.Record) (bool, error) { return true, nil }
	fleet, err := durable.NewFleet(store, durable.WithCutoverApproval(approve),
		durable.WithPollInterval(poll, poll), durable.WithLimit(limit))
	if err != nil {
		return err
	}
	if err := fleet.Add(ctx, plans...); err != nil {
		return err
	}
	for _, plan := range plans {
		if !plan.Request.DropDestinationData {
			continue
		}
		// ErrConflict: it was created in a life before.
		if err := fleet.Approve(ctx, plan.Name, durable.GateStart, "test", time.Time{}); err != nil && !errors.Is(err, durable.ErrConflict) {
			return err
		}
	}
	return fleet.Run(ctx, client)
}

// IDAfterCreate is a program without intents: it stores the id of a job once Create has returned it.
func IDAfterCreate(ctx context.Context, client *livemigration.Client, store durable.Store, plans []durable.Plan, poll time.Duration) error {
	errs := make([]error, len(plans))
	turns := make(chan struct{}, limit)
	var migrations sync.WaitGroup
	for i, plan := range plans {
		migrations.Go(func() {
			turns <- struct{}{}
			defer func() { <-turns }()
			errs[i] = migrate(ctx, client, store, plan, livemigration.WithPollInterval(poll, poll))
		})
	}
	migrations.Wait()
	return errors.Join(errs...)
}

func migrate(ctx context.Context, client *livemigration.Client, store durable.Store, plan durable.Plan, poll livemigration.WaitOption) error {
	record, err := store.Load(ctx, plan.Name)
	if errors.Is(err, durable.ErrNotFound) {
		record, err = durable.NewRecord(plan, time.Now()), nil
	}
	if err != nil || record.State == durable.StateComplete {
		return err
	}
	if record.MigrationID == "" {
		created, err := client.Migrations.Create(ctx, plan.ProjectID, plan.Request)
		if err != nil {
			return err
		}
		record.State, record.MigrationID = durable.StateReplicating, created.ID
		if record, err = store.Save(ctx, record); err != nil {
			return err
		}
	}
	job, err := client.Migrations.WaitReadyForCutover(ctx, plan.ProjectID, record.MigrationID, poll)
	if err != nil {
		return err
	}
	if job.Status != livemigration.MigrationComplete { // a life before has cut it over
		if err := client.Migrations.Cutover(ctx, plan.ProjectID, record.MigrationID); err != nil {
			return err
		}
		if _, err := client.Migrations.WaitComplete(ctx, plan.ProjectID, record.MigrationID, poll); err != nil {
			return err
		}
	}
	record.State = durable.StateComplete
	_, err = store.Save(ctx, record)
	return err
}
