package crash

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/livemigration/livemigration-go"
	"github.com/livemigration/livemigration-go/durable"
)

// limit is how many migrations the programs have in progress at a time.
const limit = 10

// program migrates clusters. It is called again after each death, with the same plans, and continues from the records in the
// store. poll is the time between two polls of a migration.
type program func(ctx context.Context, client *livemigration.Client, store durable.Store, plans []durable.Plan, poll time.Duration) error

// fleet is a program on [durable.Fleet].
func fleet(ctx context.Context, client *livemigration.Client, store durable.Store, plans []durable.Plan, poll time.Duration) error {
	approve := func(context.Context, durable.Record) (bool, error) { return true, nil }
	f, err := durable.NewFleet(store, durable.WithCutoverApproval(approve),
		durable.WithPollInterval(poll, poll), durable.WithLimit(limit))
	if err != nil {
		return err
	}
	if err := f.Add(ctx, plans...); err != nil {
		return err
	}
	for _, plan := range plans {
		if !plan.Request.DropDestinationData {
			continue
		}
		// ErrConflict: an earlier life created it.
		if err := f.Approve(ctx, plan.Name, durable.GateStart, "test", time.Time{}); err != nil && !errors.Is(err, durable.ErrConflict) {
			return err
		}
	}
	return f.Run(ctx, client)
}

// idAfterCreate is a program without intents: it stores the ID of a migration once Create has returned it.
func idAfterCreate(ctx context.Context, client *livemigration.Client, store durable.Store, plans []durable.Plan, poll time.Duration) error {
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
	if job.Status != livemigration.MigrationComplete { // an earlier life cut it over
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

// plansInto returns n plans, each with its own cluster and host, except that the third one waits for the host of the first. Every
// second plan drops the data of its destination, so it has two gates.
func plansInto(project livemigration.ProjectID, n int) []durable.Plan {
	plans := make([]durable.Plan, n)
	for i := range plans {
		host := i
		if i == 2 {
			host = 0
		}
		plans[i] = durable.Plan{
			Name: fmt.Sprintf("m-%02d", i), ProjectID: project,
			Request: livemigration.MigrationRequest{
				Source: livemigration.Source{
					ProjectID:             livemigration.ProjectID(fmt.Sprintf("5c7e8f90f1ee70000000%04x", i)),
					ClusterName:           fmt.Sprintf("from-%02d", i),
					ManagedAuthentication: true, SSL: true,
				},
				Destination:         livemigration.Destination{ClusterName: fmt.Sprintf("to-%02d", i)},
				MigrationHosts:      []string{fmt.Sprintf("vm-%02d.example.com", host)},
				DropDestinationData: i%2 == 1,
			},
		}
	}
	return plans
}
