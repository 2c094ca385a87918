package durable

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/livemigration/livemigration-go"
)

func (d *Driver) create(ctx context.Context, r *Record) error {
	request, err := d.request(ctx, r)
	var created *livemigration.Migration
	if err == nil {
		created, err = d.client.Migrations.Create(ctx, r.Plan.ProjectID, request, livemigration.WithGrace(grace))
	}
	if err != nil && ctx.Err() != nil && !livemigration.MayHaveCreated(err) {
		return err
	}
	return r.migrationCreated(created, err, stamp(time.Now()))
}

func (r *Record) migrationCreated(created *livemigration.Migration, err error, now time.Time) error {
	// Before any other test of the error: one that says that the job may exist can be a rejection, too, by an attempt before.
	if livemigration.MayHaveCreated(err) {
		r.mayHaveBeenCreated(err, now)
		return err
	}
	switch {
	case err == nil && created.ID.Validate() != nil:
		r.unclear(now, fmt.Sprintf("Atlas created the migration, and its response names it %q, which is no id", clean(string(created.ID))))
	case err == nil:
		r.runs(created.ID, created, now, "migration "+string(created.ID))
	case rejectedByAnyone(err): // not sent again by itself, although a gateway may have said so
		r.stop(StateFailed, now, creatingMigration.text(err))
	default:
		r.lapse(now)
		r.weather(creatingMigration, err, now)
	}
	return err
}

func (r *Record) mayHaveBeenCreated(err error, now time.Time) {
	var unknown *livemigration.OutcomeUnknownError
	if errors.As(err, &unknown) {
		if id := unknown.MigrationID(); id.Validate() == nil {
			r.runs(id, &livemigration.Migration{ID: id}, now, "migration "+string(id)+", whose id was in a response that broke off")
			return
		}
	}
	r.unclear(now, "nobody knows whether Atlas created the migration: "+creatingMigration.text(err))
}

// runs notes the job. That it has been seen tells it from one that a person has adopted.
func (r *Record) runs(id livemigration.MigrationID, seen *livemigration.Migration, now time.Time, text string) {
	r.dropMigration()
	r.MigrationID, r.Migration = id, cloneMigration(seen)
	r.Granted = without(r.Granted, []Gate{GateStart})
	r.enter(StateReplicating, now, text)
}
