package durable

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/livemigration/livemigration-go"
)

const (
	// grace is for how long a creation that is on its way is waited for when the context ends.
	grace = 30 * time.Second
	// maxBackoff is the longest time between two looks during an outage.
	maxBackoff = 5 * time.Minute
	// approvalInterval is how often an approval is asked for at the least.
	approvalInterval = time.Minute
	// growth is which part of the time since the last change lies between two looks, and which part of an outage between
	// two attempts.
	intervalGrowth, backoffGrowth = 4, 2
	// jitter is which part of an interval is left to chance.
	jitter = 5
)

// Driver does the actions of records. It is the only part of an engine that talks to Atlas. It keeps nothing between
// two calls, and is safe for concurrent use.
type Driver struct {
	client   *livemigration.Client
	settings settings
}

// NewDriver returns a driver. It uses the options [WithPassword], [WithApproval] and [WithPollInterval].
func NewDriver(client *livemigration.Client, opts ...Option) *Driver {
	return &Driver{client, newSettings(opts)}
}

// Do does the action that r has begun, and returns the record to store, with an error too. An action that changes
// something must be stored as begun before. Call Do once for each time that the action has begun. After a crash call
// [Record.Recover] instead.
//
// The error says that the context has ended, or that the record cannot do this: nothing has begun, the state is another
// one, or the gate is not open. Then r is returned as it was. A failure in Atlas or on the way there is no error: the
// record says so in Problem, and is due again.
//
// When the context ends, a creation that is on its way may still take up to 30 seconds, so that the id of the job is
// not lost. Store the result with a context that has not ended.
func (d *Driver) Do(ctx context.Context, r Record) (Record, error) {
	if err := d.check(r); err != nil {
		return r.clone(), fmt.Errorf("durable: record %q cannot %s: %w", r.Plan.Name, orNothing(r.Begun), err)
	}
	done := r.clone()
	done.Begun = ActionNone
	var failure error
	if !done.lacksID(stamp(time.Now())) {
		failure = d.act(ctx, &done, r.Begun)
	}
	now := stamp(time.Now())
	cutShort := failure != nil && ctx.Err() != nil
	if !cutShort {
		done.CheckAt = d.due(r, &done, failure, now)
	}
	if r.Begun.Changes() || done.changed(r) {
		done.Updated = now
	}
	if cutShort {
		return done, fmt.Errorf("durable: %s for %q: %w", r.Begun, r.Plan.Name, contextError(ctx))
	}
	return done, nil
}

// contextError is what ended the context, and always also the context's own error.
func contextError(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if errors.Is(cause, err) {
		return cause
	}
	return fmt.Errorf("%w: %w", err, cause)
}

func orNothing(a Action) string {
	if a == ActionNone {
		return "do anything"
	}
	return string(a)
}

// check says why the record cannot do what it has begun.
func (d *Driver) check(r Record) error {
	begun := r.Begun
	r.Begun = ActionNone
	next := r.Next()
	switch {
	case begun == ActionNone:
		return errors.New("nothing has begun")
	case d.client == nil:
		return errors.New("the driver has no client")
	case d.settings.err() != nil:
		return d.settings.err()
	case begun == next:
		return nil
	case begun == ActionApprove && (next == ActionCreate || next == ActionCutover):
		return nil // it has been approved meanwhile
	case next == ActionApprove && (begun == ActionCreate || begun == ActionCutover):
		return fmt.Errorf("the gate %q is not open", r.Gate())
	default:
		return fmt.Errorf("it is %s", r.State)
	}
}

// lacksID reports whether somebody has edited the id out of a record that needs it, and takes the record to where it can
// continue.
func (r *Record) lacksID(now time.Time) bool {
	switch r.State {
	case StateValidating:
		if r.ValidationID == "" {
			r.enter(StatePlanned, now, "the record has no validation id")
			return true
		}
	case StateReplicating, StateReady, StateFinishing:
		if r.MigrationID == "" {
			r.unclear(now, "the record has no migration id")
			return true
		}
	}
	return false
}

// act does an action and returns what stopped the record, nil when it continues.
func (d *Driver) act(ctx context.Context, r *Record, a Action) error {
	switch a {
	case ActionValidate:
		return d.validate(ctx, r)
	case ActionCheckValidation:
		return d.checkValidation(ctx, r)
	case ActionCreate:
		return d.create(ctx, r)
	case ActionCutover:
		return d.cutover(ctx, r)
	case ActionApprove:
		return d.approve(ctx, r)
	default:
		return d.look(ctx, r)
	}
}

// due is when the next action is, of a record that was another one before.
func (d *Driver) due(before Record, r *Record, failure error, now time.Time) time.Time {
	switch next := r.Next(); {
	case next == ActionNone:
		return time.Time{}
	case failure != nil:
		return now.Add(d.backoff(r, failure, now))
	case before.State == StateReady && next == ActionApprove && now.Before(before.CheckAt):
		return before.CheckAt // it was only asked for the approval: that does not put off the look
	case next.Changes() && len(r.Granted) > 0: // an approval of WithApproval is for now
		return now
	case next.Changes() && r.troubled(): // a cutover that Atlas has rejected
		return now.Add(d.backoff(r, nil, now))
	case next.Changes():
		return now
	case next == ActionApprove && r.State == StateValidated:
		return now.Add(min(approvalInterval, d.settings.maxInterval))
	default:
		age := now.Sub(r.lastEvent())
		return now.Add(spread(min(max(age/intervalGrowth, d.settings.minInterval), d.settings.maxInterval)))
	}
}

// backoff grows with the outage, and is not below what Atlas asks for.
func (d *Driver) backoff(r *Record, failure error, now time.Time) time.Duration {
	outage := time.Duration(0)
	if r.troubled() {
		outage = now.Sub(r.ProblemSince)
	}
	wait := spread(min(max(outage/backoffGrowth, d.settings.minInterval), max(maxBackoff, d.settings.maxInterval)))
	var api *livemigration.APIError
	if errors.As(failure, &api) {
		wait = max(wait, api.RetryAfter)
	}
	var paced *livemigration.PacingError
	if errors.As(failure, &paced) {
		wait = max(wait, paced.Wait)
	}
	return wait
}

// spread keeps records that were looked at together from being looked at together again.
func spread(d time.Duration) time.Duration { return d - rand.N(d/jitter+1) }

// request is the plan's, with the password.
func (d *Driver) request(ctx context.Context, r *Record) (livemigration.MigrationRequest, error) {
	request := r.Plan.Request
	if !r.Plan.needsPassword() {
		return request, nil
	}
	if d.settings.password == nil {
		return request, &passwordError{errors.New("WithPassword is not given")}
	}
	password, err := d.settings.password(ctx, r.Plan.clone())
	if err == nil && password == "" {
		err = errors.New("WithPassword has returned an empty one")
	}
	if err != nil {
		return request, &passwordError{err}
	}
	request.Source.Password = password
	return request, nil
}

// passwordError is a password that cannot be had now. It wraps nothing: whatever the function returns, Atlas has not said
// it.
type passwordError struct{ err error }

func (e *passwordError) Error() string { return e.err.Error() }
