package durable

import (
	"context"
	"fmt"
	"time"

	"github.com/livemigration/livemigration-go"
)

func (d *Driver) validate(ctx context.Context, r *Record) error {
	request, err := d.request(ctx, r)
	var created *livemigration.Validation
	if err == nil {
		created, err = d.client.Validations.Create(ctx, r.Plan.ProjectID, request)
	}
	if err != nil && ctx.Err() != nil {
		return err // a second validation does no harm
	}
	return r.validationCreated(created, err, stamp(time.Now()))
}

func (r *Record) validationCreated(created *livemigration.Validation, err error, now time.Time) error {
	if err == nil {
		err = created.ID.Validate()
		if err != nil {
			err = fmt.Errorf("the response has no id of a validation: %w", err)
			r.weather(creatingValidation, err, now)
			return err
		}
	}
	switch {
	case err == nil:
		r.ValidationID = created.ID
		r.enter(StateValidating, now, "validation "+string(created.ID))
	case rejected(err):
		r.stop(StateFailed, now, creatingValidation.text(err))
	default:
		r.weather(creatingValidation, err, now)
	}
	return err
}

func (d *Driver) checkValidation(ctx context.Context, r *Record) error {
	seen, err := d.client.Validations.Get(ctx, r.Plan.ProjectID, r.ValidationID)
	if err != nil && ctx.Err() != nil {
		return err
	}
	return r.validationSeen(seen, err, stamp(time.Now()))
}

func (r *Record) validationSeen(seen *livemigration.Validation, err error, now time.Time) error {
	switch {
	case unknownToAtlas(err):
		r.enter(StatePlanned, now, fmt.Sprintf("Atlas does not know validation %s any more", r.ValidationID))
		r.ValidationID = ""
		return nil
	case err != nil:
		r.weather(readingValidation, err, now)
		return err
	case seen.Status == livemigration.ValidationSuccess:
		r.enter(StateValidated, now, "")
	case seen.Status == livemigration.ValidationFailed:
		r.stop(StateFailed, now, fmt.Sprintf("validation %s failed: %s", r.ValidationID, orUnknown(clean(seen.ErrorMessage))))
	default:
		r.passes(now)
	}
	return nil
}

func orUnknown(reason string) string {
	if reason == "" {
		return "Atlas gave no reason"
	}
	return reason
}
