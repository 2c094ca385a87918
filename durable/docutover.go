package durable

import (
	"context"
	"errors"
	"time"

	"github.com/livemigration/livemigration-go"
)

func (d *Driver) cutover(ctx context.Context, r *Record) error {
	err := d.client.Migrations.Cutover(ctx, r.Plan.ProjectID, r.MigrationID)
	if err != nil && ctx.Err() != nil && unsent(err) {
		return err
	}
	return r.cutOver(err, stamp(time.Now()))
}

func (r *Record) cutOver(err error, now time.Time) error {
	switch {
	case err == nil:
		r.Granted = without(r.Granted, []Gate{GateCutover})
		r.CutOverAt = now
		r.enter(StateFinishing, now, "Atlas accepted the cutover")
	case unsent(err):
		r.lapse(now)
		r.weather(cuttingOver, err, now)
	default:
		// The next look tells whether it has been carried out.
		r.lapse(now)
		r.weather(cuttingOver, err, now)
		r.State = StateFinishing
		r.step(now, joinText(string(StateFinishing), cuttingOver.text(err)))
	}
	return err
}

// unsent reports whether certainly no request was sent.
func unsent(err error) bool {
	var (
		paced *livemigration.PacingError
		call  *livemigration.CallError
	)
	switch {
	case errors.Is(err, livemigration.ErrInvalidRequest):
		return true
	case errors.As(err, &paced):
		return paced.Attempts == 0
	case errors.As(err, &call):
		return call.Attempts == 0
	default:
		return false
	}
}
