// Package poll says when to look at a job again: intervals that grow, jitter, and outages that it outlives.
//
// It does not know what a job is or how one looks at it, and nothing of HTTP.
package poll

import (
	"cmp"
	"context"
	"errors"
	"iter"
	"math/rand/v2"
	"time"
)

// Schedule says how often to look, and for how long looks may fail.
type Schedule struct {
	// Min and Max bound the time between two looks. It begins at Min and grows.
	Min, Max time.Duration
	// MaxOutage is for how long looks may fail. 0: the first one that fails is the last one.
	MaxOutage time.Duration
}

// Job is what is looked at.
type Job[T any] struct {
	Schedule
	// Turn waits until a look may be made. That time is no part of an outage.
	Turn func(context.Context) error
	// Look reads the state once. Its context ends with the outage.
	Look func(context.Context) Look[T]
	// Final reports whether a state is the last one.
	Final func(*T) bool
	// OnOutage is told of the first look that fails, and again whenever the outage has lasted twice as long. OnRecovery is
	// told of the first look after them that does not fail.
	OnOutage   func(outage time.Duration, err error)
	OnRecovery func(outage time.Duration)
}

// Look is what came of a look.
type Look[T any] struct {
	State *T
	Err   error
	// Passing says that Err may pass by itself.
	Passing bool
	// Before is set when Err only says that a retry would come after the deadline: the failure before that retry.
	Before error
	// AtLeast is a time that has to pass before the next look.
	AtLeast time.Duration
	// Held is the part of the look in which it waited for its turn.
	Held time.Duration
}

// Ended says why looking ended before the job did.
type Ended struct {
	// Err is what ended it. With Interrupted it is the context's error, from a time between two looks.
	Err         error
	Interrupted bool
	// Outage is set when looks failed for too long, and Asked when the wait that was asked for is longer than is left.
	Outage, Asked time.Duration
	// Before is how the look before failed, nil when it did not.
	Before error
}

// Error returns the message of Err.
func (e *Ended) Error() string { return e.Err.Error() }

// Unwrap returns Err.
func (e *Ended) Unwrap() error { return e.Err }

const (
	growth = 1.5
	jitter = 0.2 // to either side
	// looks is how often an outage is looked at before it ends, however long the interval is.
	looks = 4
	// firstDoubling is the outage from which its doublings count.
	firstDoubling = 10 * time.Second
)

// ErrNoResponse ends an outage in which a look was still under way.
var ErrNoResponse = errors.New("no response in time")

// States yields every state until one is final. An [*Ended] ends the sequence; it is yielded with the last state.
func (j Job[T]) States(ctx context.Context) iter.Seq2[*T, error] {
	return func(yield func(*T, error) bool) {
		r := run[T]{Job: j, interval: j.Min}
		for {
			state, ended := r.look(ctx)
			if ended == nil && state != nil {
				r.last = state
				if !yield(state, nil) || j.Final(state) {
					return
				}
			}
			if ended == nil {
				ended = r.sleep(ctx)
			}
			if ended != nil {
				yield(r.last, ended)
				return
			}
		}
	}
}

// run is one pass through the states of a job.
type run[T any] struct {
	Job[T]
	last     *T
	interval time.Duration
	atLeast  time.Duration

	// failed is how the last look failed, nil when it did not. The outage then is one since the beginning of the first
	// look that failed.
	failed error
	since  time.Time
	told   time.Duration // the outage that OnOutage was told of last
}

// look returns a state, or what ends the sequence, or neither during an outage.
func (r *run[T]) look(ctx context.Context) (*T, *Ended) {
	asked := time.Now()
	if err := r.Turn(ctx); err != nil {
		return nil, &Ended{Err: err, Interrupted: ctx.Err() != nil, Before: r.failed}
	}
	r.since = r.since.Add(time.Since(asked))
	if r.failed == nil {
		r.since = time.Now()
	} else if r.left() <= 0 {
		return nil, r.tooLong(r.failed)
	}
	l := r.bounded(ctx)
	if l.Err == nil {
		if r.failed != nil {
			r.OnRecovery(time.Since(r.since))
		}
		r.failed = nil
		return l.State, nil
	}
	if ctx.Err() != nil || !l.Passing {
		return nil, &Ended{Err: l.Err, Before: r.failed}
	}
	begins := r.failed == nil
	r.failed = l.Err
	if left := r.left(); left <= 0 || r.atLeast > left {
		ended := r.tooLong(l.Err)
		if left > 0 {
			ended.Asked = r.atLeast
		}
		return nil, ended
	}
	if outage := time.Since(r.since); begins || outage >= max(2*r.told, firstDoubling) {
		r.told = outage
		r.OnOutage(outage, l.Err)
	}
	return nil, nil
}

// bounded looks once, but not beyond the end of an outage.
func (r *run[T]) bounded(ctx context.Context) Look[T] {
	bounded, cancel := ctx, context.CancelFunc(func() {})
	if r.MaxOutage > 0 {
		bounded, cancel = context.WithDeadline(ctx, r.since.Add(r.MaxOutage))
	}
	defer cancel()
	l := r.Look(bounded)
	r.since = r.since.Add(l.Held)
	r.atLeast = l.AtLeast
	if l.Before != nil && !sameDeadline(ctx, bounded) {
		l.Err, l.Passing = l.Before, true // the retry would have come after the end of the outage, which is not sure yet
	}
	if errors.Is(l.Err, context.DeadlineExceeded) && bounded.Err() != nil && ctx.Err() == nil {
		// The outage ended, and not the time of the caller.
		l.Err, l.Passing = cmp.Or(r.failed, ErrNoResponse), true
	}
	return l
}

func sameDeadline(a, b context.Context) bool {
	of, ok := a.Deadline()
	other, _ := b.Deadline()
	return ok && of.Equal(other)
}

func (r *run[T]) left() time.Duration { return time.Until(r.since.Add(r.MaxOutage)) }

func (r *run[T]) tooLong(err error) *Ended {
	return &Ended{Err: err, Outage: time.Since(r.since)}
}

// pause is the time until the next look.
func (r *run[T]) pause() time.Duration {
	factor := 1 - jitter + 2*jitter*rand.Float64()
	wait := time.Duration(float64(r.interval) * factor)
	r.interval = min(time.Duration(float64(r.interval)*growth), r.Max)
	if r.failed == nil {
		return max(wait, r.atLeast)
	}
	return min(max(min(wait, r.MaxOutage/looks), r.atLeast), r.left())
}

func (r *run[T]) sleep(ctx context.Context) *Ended {
	timer := time.NewTimer(r.pause())
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return &Ended{Err: ctx.Err(), Interrupted: true, Before: r.failed}
	case <-timer.C:
		return nil
	}
}
