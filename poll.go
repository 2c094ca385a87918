package livemigration

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"math"
	"math/rand/v2"
	"net/http"
	"slices"
	"time"
)

// poller is a wait for one job. It works in the goroutine of its caller.
type poller[T any] struct {
	core     *core
	settings *waitSettings
	what     string
	endpoint *endpoint
	ids      []string
	state    func(*T) jobState
}

type jobState struct {
	status string
	ready  bool
	final  bool
}

const (
	intervalGrowth = 1.5
	intervalJitter = 0.2 // to either side
	// pollsInOutage is how often a job is polled at least before an outage ends the wait, however long the interval is.
	pollsInOutage = 4
	// firstDoubling is the length of an outage from which its doublings are logged.
	firstDoubling = 10 * time.Second
)

// until returns the first state that is enough or final. With an error it returns the last state seen.
func (p *poller[T]) until(ctx context.Context, enough func(*T) bool) (last *T, err error) {
	for state, err := range p.states(ctx) {
		if err != nil || enough(state) {
			return state, err
		}
		last = state
	}
	return last, nil
}

// states yields states until one is final, or an error with the last state.
func (p *poller[T]) states(ctx context.Context) iter.Seq2[*T, error] {
	return func(yield func(*T, error) bool) {
		path, found := p.core.check(ctx, p.endpoint, p.ids)
		if err := invalidRequest(append(found, p.settings.found()...)); err != nil {
			yield(nil, err)
			return
		}
		w := &wait[T]{poller: p, ctx: ctx, path: path, interval: p.settings.minInterval}
		for {
			state, err := w.poll()
			if err != nil {
				yield(w.last, err)
				return
			}
			if state != nil {
				w.see(state)
				if !yield(state, nil) || p.state(state).final {
					return
				}
			}
			if err := w.sleep(); err != nil {
				yield(w.last, err)
				return
			}
		}
	}
}

// wait is one pass through the states of a job.
type wait[T any] struct {
	*poller[T]
	ctx      context.Context
	path     string
	last     *T
	interval time.Duration
	// failed is how the last poll failed, nil when it succeeded. The outage started with the first poll that failed.
	failed error
	since  time.Time
	logged time.Duration // the length of the outage when it was logged last
	pause  time.Duration // before the next poll at least
}

// poll reads the job once, with the retries of every call. It returns neither a state nor an error during an outage.
func (w *wait[T]) poll() (*T, error) {
	if err := w.turn(); err != nil {
		return nil, err
	}
	if w.failed == nil {
		w.since = time.Now()
	}
	state, err := w.read()
	switch {
	case err == nil:
		if w.failed != nil {
			w.log(slog.LevelInfo, "outage over", slog.Duration("outage", time.Since(w.since)))
		}
		w.failed = nil
		return state, nil
	case w.ctx.Err() != nil:
		return nil, w.interrupted(err)
	case !w.passes(err) || w.settings.maxOutage == 0:
		return nil, w.error(err)
	}
	first := w.failed == nil
	w.failed = err
	outage := time.Since(w.since)
	if outage >= w.settings.maxOutage {
		e := w.error(err)
		e.Outage = outage.Round(time.Second)
		e.why = fmt.Sprintf("no success for %s; last error: ", short(outage))
		return nil, e
	}
	if first || outage >= max(2*w.logged, firstDoubling) {
		w.logged = outage
		w.log(slog.LevelWarn, "outage", slog.Duration("outage", outage), slog.String("error", summaryOf(err)))
	}
	return nil, nil
}

// turn waits for the turn of the next poll within the rate limit. A poll may wait for long when many jobs are watched,
// so this time is not a part of an outage.
func (w *wait[T]) turn() error {
	asked := time.Now()
	defer func() { w.since = w.since.Add(time.Since(asked)) }()
	k := &call{core: w.core, endpoint: w.endpoint, ctx: w.ctx, path: w.path, began: time.Now(), before: w.failed}
	err := w.core.pacer.Wait(w.ctx, w.ids[0], w.endpoint.bucket, true, math.MaxInt64)
	switch {
	case err == nil:
		return nil
	case w.ctx.Err() != nil:
		return w.interrupted(w.failed)
	default:
		return w.error(k.pacingError(err))
	}
}

// read makes the call. It does not last longer than the outage that ends the wait.
func (w *wait[T]) read() (*T, error) {
	ctx := w.ctx
	if most := w.settings.maxOutage; most > 0 {
		bounded, cancel := context.WithDeadlineCause(ctx, w.since.Add(most), errOutage)
		defer cancel()
		ctx = bounded
	}
	var resp Response
	opts := append(slices.Clone(w.settings.callOptions), CaptureResponse(&resp), func(s *callSettings) {
		s.poll, s.paced = true, true
		if w.settings.maxOutage == 0 {
			s.maxAttempts = 1
		}
	})
	state, err := send[T](ctx, w.core, w.endpoint, w.ids, nil, opts)
	w.pause = 0
	var api *APIError
	switch {
	case errors.As(err, &api):
		w.pause = api.RetryAfter
	case resp.RateLimit.Remaining == 0:
		w.pause = w.settings.maxInterval
	}
	return state, w.withoutDeadline(err)
}

// errOutage is the cause of the end of a poll that lasted as long as an outage may.
var errOutage = errors.New("no response in time")

// withoutDeadline replaces the error of a poll that the end of the outage ended: it is not the caller's deadline.
func (w *wait[T]) withoutDeadline(err error) error {
	if w.ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	var paced *PacingError
	var ended *interruptedError
	switch {
	case errors.As(err, &paced) && paced.Err != nil:
		return paced.Err
	case errors.As(err, &ended):
		return ended.before
	default:
		return cmp.Or(w.failed, errOutage)
	}
}

// passes reports whether the wait outlives a failure. The call has retried its request already.
func (w *wait[T]) passes(err error) bool {
	var api *APIError
	if errors.As(err, &api) {
		return Retryable(err) || api.StatusCode == http.StatusUnauthorized && w.last != nil
	}
	return errors.Is(err, errOutage) || Retryable(err)
}

// sleep waits for the time between two polls. During an outage it is shorter than the outage may last.
func (w *wait[T]) sleep() error {
	pause := scaled(w.interval, 1-intervalJitter+2*intervalJitter*rand.Float64())
	w.interval = min(scaled(w.interval, intervalGrowth), w.settings.maxInterval)
	if w.failed == nil {
		pause = max(pause, w.pause)
	} else {
		left := max(w.settings.maxOutage-time.Since(w.since), 0)
		if w.pause > left { // longer than this wait lasts, so it is not kept to the end
			w.pause = w.core.policy.MaxRetryAfter
		}
		pause = min(max(min(pause, w.settings.maxOutage/pollsInOutage), w.pause), left)
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-w.ctx.Done():
		return w.interrupted(w.failed)
	case <-timer.C:
		return nil
	}
}

func scaled(d time.Duration, factor float64) time.Duration {
	return time.Duration(min(float64(d)*factor, 1<<62)) // a float64 above the largest duration has no defined conversion
}

// see notes a state, and logs a change.
func (w *wait[T]) see(state *T) {
	now := w.state(state)
	if w.last == nil || w.state(w.last) != now {
		status := (&call{core: w.core}).redactor().Clean(now.status)
		w.log(slog.LevelInfo, "state", slog.String("state", status), slog.Bool("ready_for_cutover", now.ready))
	}
	w.last = state
}

func (w *wait[T]) error(err error) *WaitError {
	return &WaitError{Job: w.what + " " + w.ids[1], Err: err}
}

// interrupted is the error of a wait whose context has ended.
func (w *wait[T]) interrupted(last error) *WaitError {
	e := w.error(contextError(w.ctx))
	var ended *interruptedError
	var call *CallError
	switch {
	case errors.As(last, &ended):
		e.Err = ended
	case errors.As(last, &call) && errors.Is(call.Err, w.ctx.Err()):
		last = w.failed
	}
	if ended == nil && last != nil {
		e.Err = &interruptedError{e.Err, last}
	}
	e.then = "; the job continues in Atlas"
	return e
}

func (w *wait[T]) log(level slog.Level, message string, attrs ...slog.Attr) {
	attrs = append(w.endpoint.logAttrs(w.ids[0], w.ids[1]), attrs...)
	w.core.logger.LogAttrs(w.ctx, level, message, attrs...)
}
