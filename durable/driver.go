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
	requestTime  = 30 * time.Second // bounds a request
	grace        = 30 * time.Second // a create request that was handed to a connection outlives its context by it
	functionTime = 15 * time.Second // bounds a call of the functions of WithPassword and WithCutoverApproval
	approvalLife = time.Minute      // for which the yes of the function of WithCutoverApproval is valid
	// clockTolerance is by how much the clocks of two machines with network time may differ. Do waits so long for an intent
	// from the future.
	clockTolerance = 500 * time.Millisecond

	maxBackoff   = 5 * time.Minute // the longest time between two attempts during an outage
	conflictWait = 5 * time.Minute // to the next attempt after a 409: another migration has to end first
	holdInterval = time.Minute     // a READY record is read at least so often
	// The time to the next check is a quarter of the time since the last change, and the time to the next attempt half of the
	// outage. A fifth of it is random.
	intervalGrowth, backoffGrowth, jitter = 4, 2, 5
)

// Driver does the actions of records. It is the only part of an engine that talks to Atlas. It has no state, and is safe for
// concurrent use.
type Driver struct {
	client   *livemigration.Client
	settings settings
}

// NewDriver returns a driver. It uses the options [WithPassword], [WithCutoverApproval], [WithCutoverWindow], [WithMaxLag]
// and [WithPollInterval]. The error is [livemigration.ErrInvalidConfig], and names the options that are not valid.
func NewDriver(client *livemigration.Client, opts ...Option) (*Driver, error) {
	s, err := newSettings(opts)
	if err != nil {
		return nil, err
	}
	return newDriver(client, s)
}

func newDriver(client *livemigration.Client, s settings) (*Driver, error) {
	if client == nil {
		return nil, fmt.Errorf("durable: %w: the client of the driver must not be nil", livemigration.ErrInvalidConfig)
	}
	return &Driver{client, s}, nil
}

// Do does the action in r.Begun, and changes no record: pass its result to [Record.Apply]. Before an action that changes
// something in Atlas, store its intent, and then call Do once. Do sends one HTTP request, or two for a cutover, which reads
// the migration first.
//
// If the intent is older than a minute, or lies in the future, Do sends no request that changes something, and such a request
// ends at most 30 seconds after this minute. When the context ends, a create request in flight may still take up to 30
// seconds, so that the ID of the job is not lost. Store the result with a context that has not ended.
func (d *Driver) Do(ctx context.Context, r Record) Result {
	r = r.clone()
	a := &attempt{d, ctx, r, notDone(&r)}
	a.record.Begun = nil
	if a.unfit() {
		return a.result
	}
	switch a.result.Intent.Action {
	case ActionValidate:
		a.validate()
	case ActionCheckValidation:
		a.checkValidation()
	case ActionCreate:
		a.create()
	case ActionCutover:
		a.cutover()
	default:
		a.check()
	}
	return a.result
}

// attempt is one call of Do.
type attempt struct {
	*Driver
	ctx    context.Context
	record Record // without Begun
	result Result
}

// unfit reports whether nothing must be sent.
func (a *attempt) unfit() bool {
	intent := a.result.Intent
	if ahead := time.Until(intent.At); intent.Action.Changes() && ahead <= clockTolerance {
		wait(a.ctx, ahead)
	}
	switch {
	case a.ctx.Err() != nil:
	case intent.Action == ActionNone || a.record.Next(intent.At) != intent.Action:
		text := fmt.Sprintf("the action %q is not the next one of a record that is %s", intent.Action, a.record.State)
		a.fails(Problem{Kind: ProblemNeedsAttention, Text: text}, nil)
	default:
		return intent.Action.Changes() && !a.intentHolds()
	}
	return true
}

// intentHolds reports whether the intent is still good.
func (a *attempt) intentHolds() bool {
	age := time.Since(a.result.Intent.At)
	if 0 <= age && age < intentLife {
		return true
	}
	text := "the action started more than a minute ago: the clock of this machine is wrong, or the program was suspended"
	if age < 0 {
		text = "the action starts in the future: the clock of this machine is wrong"
	}
	a.fails(Problem{Kind: ProblemNeedsAttention, Text: text + "; nothing was sent"}, nil)
	return false
}

// within returns the context of a request. One that changes something is not sent after the life of its intent.
func (a *attempt) within() (context.Context, context.CancelFunc) {
	most := requestTime
	if intent := a.result.Intent; intent.Action.Changes() {
		most = min(most, time.Until(intent.At.Add(intentLife)))
	}
	return context.WithTimeout(a.ctx, most)
}

// fails notes why the action was not done, unless the context has ended. err is nil without a request.
func (a *attempt) fails(p Problem, err error) {
	if a.ctx.Err() != nil && a.result.Outcome == OutcomeNotDone {
		return
	}
	p.Since = stamp(time.Now())
	a.result.Failure = &p
	a.result.Wait = a.backoff(err)
}

// holds notes what holds a cutover back.
func (a *attempt) holds(p Problem) {
	p.Since = stamp(time.Now())
	a.result.Hold = &p
	a.result.Wait = min(a.interval(), spread(holdInterval))
}

// interval is the time to the next check. It grows with the time since the last change.
func (a *attempt) interval() time.Duration {
	since := a.record.PlannedAt
	if n := len(a.record.Events); n > 0 {
		since = a.record.Events[n-1].Time
	}
	return spread(min(max(time.Since(since)/intervalGrowth, a.settings.minInterval), a.settings.maxInterval))
}

// backoff grows with the outage, and is not below what Atlas asks for.
func (a *attempt) backoff(err error) time.Duration {
	outage := time.Duration(0)
	if a.record.Problem.failing() {
		outage = time.Since(a.record.Problem.Since)
	}
	pause := spread(min(max(outage/backoffGrowth, a.settings.minInterval), max(maxBackoff, a.settings.maxInterval)))
	var api *livemigration.APIError
	if errors.As(err, &api) {
		pause = max(pause, api.RetryAfter)
	}
	if errors.Is(err, livemigration.ErrConflict) {
		pause = max(pause, spread(conflictWait))
	}
	var paced *livemigration.PacingError
	if errors.As(err, &paced) {
		pause = max(pause, paced.Wait)
	}
	return min(pause, longestWait)
}

// spread keeps records that were read together from being read together again.
func spread(d time.Duration) time.Duration { return d - rand.N(d/jitter+1) }

// wait ends with the context.
func wait(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// ask calls a function of the user, and leaves it when it takes too long.
func ask[T any](ctx context.Context, function func(context.Context) (T, error)) (T, error) {
	type answer struct {
		value T
		err   error
	}
	ctx, cancel := context.WithTimeoutCause(ctx, functionTime, fmt.Errorf("no answer within %s", functionTime))
	defer cancel()
	answers := make(chan answer, 1)
	go func() {
		value, err := function(ctx)
		answers <- answer{value, err}
	}()
	select {
	case got := <-answers:
		return got.value, got.err
	case <-ctx.Done():
		return *new(T), context.Cause(ctx)
	}
}
