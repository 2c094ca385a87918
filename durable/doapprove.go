package durable

import (
	"context"
	"errors"
	"time"
)

// approve looks at a job that waits for its cutover when that is due, and asks for the approval.
func (d *Driver) approve(ctx context.Context, r *Record) error {
	if now := stamp(time.Now()); r.State == StateReady {
		switch {
		case !now.Before(r.CheckAt):
			if err := d.look(ctx, r); err != nil {
				return err
			}
		case r.troubled():
			return nil // a cutover would fail too
		}
	}
	gate := r.Gate()
	if gate == "" || d.settings.approval == nil {
		return nil
	}
	yes, err := d.settings.approval(ctx, r.clone(), gate)
	if err != nil {
		return r.notApproved(ctx, err)
	}
	now := stamp(time.Now())
	if r.failedAt(askingApproval) || !yes && r.failedAt(cuttingOver) { // now it is the approval that it waits for
		r.passes(now)
	}
	if yes {
		r.grant(gate, now)
	}
	return nil
}

func (r *Record) notApproved(ctx context.Context, err error) error {
	if ctx.Err() == nil {
		r.weather(askingApproval, errors.New(clean(err.Error())), stamp(time.Now()))
	}
	return err
}
