package durable

import (
	"context"
	"errors"
	"time"

	"github.com/livemigration/livemigration-go"
)

func (d *Driver) cutover(ctx context.Context, r *Record) error {
	err := d.client.Migrations.Cutover(ctx, r.Plan.ProjectID, r.MigrationID)
	if err != nil && ctx.Err() != nil && notCarriedOut(err) {
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
	case notCarriedOut(err):
		r.lapse(now)
		r.weather(cuttingOver, err, now)
	default:
		// The next look tells whether it has been carried out.
		r.weather(cuttingOver, err, now)
		r.State = StateFinishing
		r.event(now, joinText(string(StateFinishing), cuttingOver.text(err)))
	}
	return err
}

// notCarriedOut reports whether a cutover has certainly not been.
func notCarriedOut(err error) bool {
	if errors.Is(err, livemigration.ErrOutcomeUnknown) {
		return false
	}
	if errors.Is(err, livemigration.ErrInvalidRequest) || errors.Is(err, livemigration.ErrRateLimited) ||
		errors.Is(err, livemigration.ErrUnauthorized) || errors.Is(err, livemigration.ErrForbidden) {
		return true
	}
	var call *livemigration.CallError
	return errors.As(err, &call) && call.Attempts == 0
}
