package livemigration

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"slices"
	"time"

	"github.com/livemigration/livemigration-go/internal/pacing"
)

// WaitOption changes how Watch and the Wait functions poll.
type WaitOption func(*waitSettings)

type waitSettings struct {
	minInterval, maxInterval time.Duration
	maxOutage                time.Duration
	onMigration              []func(*Migration)
	onValidation             []func(*Validation)
	callOptions              []CallOption
	violations               []FieldViolation
}

const (
	defaultMaxOutage = 15 * time.Minute
	intervalGrowth   = 1.5
	intervalJitter   = 0.2 // to either side
)

// WithPollInterval sets the time between two polls: it starts at minimum and grows to maximum, drawn from ±20 % around
// that so that many waits spread out, and is longer where Atlas asks for it. Default: 2 to 15 seconds for validations,
// 5 to 60 seconds for migrations.
func WithPollInterval(minimum, maximum time.Duration) WaitOption {
	return func(s *waitSettings) {
		s.minInterval, s.maxInterval = minimum, maximum
		if minimum <= 0 || maximum < minimum {
			s.violations = append(s.violations, FieldViolation{"WithPollInterval", "must have 0 < minimum <= maximum"})
		}
	}
}

// WithOnUpdate calls update with every state that a poll observes, in the goroutine of the caller: a *[Migration] in
// waits for a migration, a *[Validation] in waits for a validation.
func WithOnUpdate[T Migration | Validation](update func(*T)) WaitOption {
	return func(s *waitSettings) {
		switch update := any(update).(type) {
		case func(*Migration):
			if update != nil {
				s.onMigration = append(s.onMigration, update)
			}
		case func(*Validation):
			if update != nil {
				s.onValidation = append(s.onValidation, update)
			}
		}
	}
}

// WithMaxOutage sets for how long a wait outlives failures that may pass: of the network, 429, and 500 and above. The
// time runs from the beginning of the first poll that failed, and a poll that succeeds ends it. A failure with which
// Atlas asks for a longer pause than is left ends the wait at once. Default: 15 minutes. With 0 the first such failure
// ends the wait, without a retry.
func WithMaxOutage(outage time.Duration) WaitOption {
	return func(s *waitSettings) {
		s.maxOutage = outage
		if outage < 0 {
			s.violations = append(s.violations, FieldViolation{"WithMaxOutage", "must not be negative"})
		}
	}
}

// WithCallOptions makes every poll's request with these options, for a path to Atlas that needs a header or an envelope.
func WithCallOptions(opts ...CallOption) WaitOption {
	return func(s *waitSettings) { s.callOptions = append(s.callOptions, opts...) }
}

func newWaitSettings(minInterval, maxInterval time.Duration, opts []WaitOption) *waitSettings {
	s := &waitSettings{minInterval: minInterval, maxInterval: maxInterval, maxOutage: defaultMaxOutage}
	for _, opt := range opts {
		if opt != nil {
			opt(s)
		}
	}
	return s
}

// Wait polls a validation until it ends. With [ValidationSuccess] it returns the validation; with [ValidationFailed] it
// returns it together with a [*ValidationFailedError].
//
// Failures that may pass are outlived, see [WithMaxOutage]. Any other answer, 400, 401, 403, 404 and 410 among them, ends
// the wait with its [*APIError], and a context that ends does so with its error. With any error the last state observed
// is returned too, nil when there is none.
func (s *ValidationsService) Wait(ctx context.Context, projectID ProjectID, validationID ValidationID, opts ...WaitOption) (*Validation, error) {
	settings := newWaitSettings(2*time.Second, 15*time.Second, opts)
	if len(settings.onMigration) > 0 {
		settings.violations = append(settings.violations, FieldViolation{"WithOnUpdate", "must take a *Validation here"})
	}
	p := &poller[Validation]{
		client: s.client, settings: settings, updates: settings.onValidation, what: "validation " + string(validationID),
		path:  operations.getValidation.expand([]identifier{projectID, validationID}),
		scope: string(projectID),
		state: func(v *Validation) jobState { return jobState{string(v.Status), false} },
		get: func(ctx context.Context, opts []CallOption) (*Validation, error) {
			return s.Get(ctx, projectID, validationID, opts...)
		},
		final: func(v *Validation) bool { return v.Status.Final() },
	}
	last, err := p.until(ctx, p.final)
	if err == nil && last.Status == ValidationFailed {
		err = &ValidationFailedError{Validation: last}
	}
	return last, err
}

// Watch polls a migration and yields every state that it observes, the first one at once and the final one last. An
// error is yielded together with the last state observed, nil when there is none, and ends the sequence.
//
// Failures that may pass are logged and outlived, see [WithMaxOutage]. Any other answer, 400, 401, 403, 404 and 410 among
// them, ends the sequence with its [*APIError], and a context that ends does so with its error. A final state that is not success is not an error
// here. Breaking out of the loop stops the polling; Watch starts no goroutine.
func (s *MigrationsService) Watch(ctx context.Context, projectID ProjectID, migrationID MigrationID, opts ...WaitOption) iter.Seq2[*Migration, error] {
	return s.poller(projectID, migrationID, opts).all(ctx)
}

// WaitReadyForCutover polls a migration until it is ready for cutover, and returns it. For a job that is
// [MigrationComplete] it returns at once; one that has been cut over and still finishes looks to a reader like one that
// is not ready yet, and is waited for until it is complete. With [MigrationFailed] or [MigrationExpired] it returns the
// migration together with a [*MigrationFailedError]. Other errors are those of [MigrationsService.Watch].
func (s *MigrationsService) WaitReadyForCutover(ctx context.Context, projectID ProjectID, migrationID MigrationID, opts ...WaitOption) (*Migration, error) {
	return s.wait(ctx, projectID, migrationID, opts, func(m *Migration) bool { return m.ReadyForCutover })
}

// WaitComplete polls a migration that has been cut over until it is [MigrationComplete], and returns it. One that nobody
// cuts over is waited for too, until it expires. With
// [MigrationFailed] or [MigrationExpired] it returns the migration together with a [*MigrationFailedError]. Other
// errors are those of [MigrationsService.Watch].
func (s *MigrationsService) WaitComplete(ctx context.Context, projectID ProjectID, migrationID MigrationID, opts ...WaitOption) (*Migration, error) {
	return s.wait(ctx, projectID, migrationID, opts, func(*Migration) bool { return false })
}

func (s *MigrationsService) wait(ctx context.Context, projectID ProjectID, migrationID MigrationID, opts []WaitOption, enough func(*Migration) bool) (*Migration, error) {
	last, err := s.poller(projectID, migrationID, opts).until(ctx, enough)
	if err == nil && (last.Status == MigrationFailed || last.Status == MigrationExpired) {
		err = &MigrationFailedError{Migration: last}
	}
	return last, err
}

func (s *MigrationsService) poller(projectID ProjectID, migrationID MigrationID, opts []WaitOption) *poller[Migration] {
	settings := newWaitSettings(5*time.Second, time.Minute, opts)
	if len(settings.onValidation) > 0 {
		settings.violations = append(settings.violations, FieldViolation{"WithOnUpdate", "must take a *Migration here"})
	}
	return &poller[Migration]{
		client: s.client, settings: settings, updates: settings.onMigration, what: "migration " + string(migrationID),
		path:  operations.getMigration.expand([]identifier{projectID, migrationID}),
		scope: string(projectID),
		state: func(m *Migration) jobState { return jobState{string(m.Status), m.ReadyForCutover} },
		get: func(ctx context.Context, opts []CallOption) (*Migration, error) {
			return s.Get(ctx, projectID, migrationID, opts...)
		},
		final: func(m *Migration) bool { return m.Status.Final() },
	}
}

// poller reads a job again and again. It lives in the goroutine of its caller.
type poller[T any] struct {
	client   *Client
	settings *waitSettings
	updates  []func(*T)
	what     string
	path     string
	scope    string
	state    func(*T) jobState
	get      func(context.Context, []CallOption) (*T, error)
	final    func(*T) bool
}

// jobState is what of a job's state is worth a record when it changes.
type jobState struct {
	status string
	ready  bool
}

// until returns the first state that is enough or final. With an error it returns the last state observed.
func (p *poller[T]) until(ctx context.Context, enough func(*T) bool) (last *T, err error) {
	for state, err := range p.all(ctx) {
		if err != nil || enough(state) {
			return state, err
		}
		last = state
	}
	return last, nil
}

// all yields states until one is final.
func (p *poller[T]) all(ctx context.Context) iter.Seq2[*T, error] {
	return func(yield func(*T, error) bool) {
		if err := invalidRequest(append(checkContext(ctx), p.settings.violations...)); err != nil {
			yield(nil, err)
			return
		}
		run := pollRun[T]{poller: p, interval: p.settings.minInterval}
		for {
			state, err := run.poll(ctx)
			if err != nil {
				yield(run.last, err)
				return
			}
			if state != nil {
				for _, update := range p.updates {
					update(state)
				}
				if !yield(state, nil) || p.final(state) {
					return
				}
			}
			if err := run.sleep(ctx); err != nil {
				yield(run.last, err)
				return
			}
		}
	}
}

// pollRun is one pass through the sequence of a poller.
type pollRun[T any] struct {
	*poller[T]
	last     *T
	interval time.Duration
	atLeast  time.Duration // what Atlas asked to wait before the next poll

	// lastErr is the failure of the last poll, nil when it succeeded. The outage then is one since the beginning of the
	// first poll that failed.
	lastErr     error
	outageSince time.Time
}

var errNoAnswer = errors.New("Atlas did not answer in time")

// poll returns a state, or an error that ends the wait, or neither during an outage. Waiting for its turn is no part of
// an outage.
func (r *pollRun[T]) poll(ctx context.Context) (*T, error) {
	asked := time.Now()
	turn, err := r.client.pacer.Wait(ctx, r.scope, pacing.Poll, r.client.longestHold(r.settings.maxOutage))
	if err != nil {
		return nil, r.noTurn(ctx, err)
	}
	defer turn.Cancel() // unless it has been used
	r.outageSince = r.outageSince.Add(time.Since(asked))
	if r.lastErr == nil {
		r.outageSince = time.Now()
	} else if r.outageLeft() <= 0 {
		return nil, r.outageEnds(r.lastErr)
	}
	state, err := r.attempt(ctx, &turn)
	if err == nil {
		if r.lastErr != nil {
			r.log(ctx, slog.LevelInfo, "outage over", slog.Duration("outage", time.Since(r.outageSince)))
		}
		r.logState(ctx, state)
		r.last, r.lastErr = state, nil
		return state, nil
	}
	if ctx.Err() != nil || !outlivable(err) {
		return nil, r.wrap("", err)
	}
	r.lastErr = err
	if left := r.outageLeft(); left <= 0 || r.atLeast > left {
		return nil, r.outageEnds(err)
	}
	r.log(ctx, slog.LevelWarn, "outage", slog.Duration("outage", time.Since(r.outageSince)), slog.String("error", summaryOf(err)))
	return nil, nil
}

// attempt reads the job once, with the retries of every call but not beyond the end of an outage. Where no outage is
// allowed, it makes one request.
func (r *pollRun[T]) attempt(ctx context.Context, turn *pacing.Turn) (*T, error) {
	var resp Response
	var waited time.Duration
	opts := append(slices.Clone(r.settings.callOptions), CaptureResponse(&resp),
		func(s *callSettings) { s.class, s.turn, s.waited = pacing.Poll, turn, &waited })
	bounded, cancel := ctx, func() {}
	if r.settings.maxOutage > 0 {
		bounded, cancel = context.WithDeadline(ctx, r.outageSince.Add(r.settings.maxOutage))
	} else {
		opts = append(opts, func(s *callSettings) { s.maxAttempts = 1 })
	}
	defer cancel()
	state, err := r.get(bounded, opts)
	r.outageSince = r.outageSince.Add(waited)
	r.atLeast = r.askedFor(&resp, err)
	if late := (*PacingError)(nil); errors.As(err, &late) && late.Err != nil && !sameDeadline(ctx, bounded) {
		err = late.Err // the turn of a repeat would have come after the end of the outage, which may not come
	}
	if errors.Is(err, context.DeadlineExceeded) && bounded.Err() != nil && ctx.Err() == nil {
		err = cmp.Or(r.lastErr, errNoAnswer) // the end of the outage, which is no deadline of the caller's
	}
	return state, err
}

func sameDeadline(a, b context.Context) bool {
	of, ok := a.Deadline()
	other, _ := b.Deadline()
	return ok && of.Equal(other)
}

func (r *pollRun[T]) outageLeft() time.Duration {
	return time.Until(r.outageSince.Add(r.settings.maxOutage))
}

// outageEnds is the error of a wait that has outlived what it may.
func (r *pollRun[T]) outageEnds(err error) error {
	if outage := time.Since(r.outageSince).Round(time.Second); outage > 0 {
		return r.wrap(fmt.Sprintf("no success for %s, the last failure: ", outage), err)
	}
	return r.wrap("", err)
}

// pause is the time until the next poll: the interval, jittered, or longer where Atlas asks for it. An outage is looked
// at several times before it ends a wait, however long the interval is.
func (r *pollRun[T]) pause() time.Duration {
	const looks = 4
	jitter := 1 - intervalJitter + 2*intervalJitter*rand.Float64()
	wait := time.Duration(float64(r.interval) * jitter)
	r.interval = min(time.Duration(float64(r.interval)*intervalGrowth), r.settings.maxInterval)
	if r.lastErr == nil {
		return max(wait, r.atLeast)
	}
	return min(max(min(wait, r.settings.maxOutage/looks), r.atLeast), r.outageLeft())
}

func (r *pollRun[T]) sleep(ctx context.Context) error {
	timer := time.NewTimer(r.pause())
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return r.interrupted(ctx)
	case <-timer.C:
		return nil
	}
}

// interrupted is the error of a context that ended between two polls.
func (r *pollRun[T]) interrupted(ctx context.Context) error {
	if r.lastErr != nil {
		return r.wrap("", &interruptedError{contextError(ctx), r.lastErr})
	}
	return r.wrap("", contextError(ctx))
}

// noTurn is the error of a poll that does not get its turn within the rate limit.
func (r *pollRun[T]) noTurn(ctx context.Context, err error) error {
	var late *pacing.TooLate
	if !errors.As(err, &late) {
		return r.interrupted(ctx)
	}
	return r.wrap("", &PacingError{Method: http.MethodGet, Path: r.path, Wait: late.Wait, Err: r.lastErr, deadline: late.Deadline})
}

// askedFor is the wait that the headers of a poll's answer ask for: what Retry-After says, and the longest interval
// when the budget is spent.
func (r *pollRun[T]) askedFor(resp *Response, err error) time.Duration {
	var api *APIError
	if errors.As(err, &api) {
		return api.RetryAfter
	}
	if resp.RateLimit.Remaining == 0 {
		return r.settings.maxInterval
	}
	return 0
}

// outlivable reports whether a wait goes on after a poll that failed. The poll has repeated its request already.
func outlivable(err error) bool {
	var api *APIError
	if errors.As(err, &api) {
		return api.StatusCode == http.StatusTooManyRequests || api.StatusCode >= http.StatusInternalServerError
	}
	return !errors.Is(err, ErrInvalidRequest) && !permanent(err)
}

// wrap leaves the refusal of a malformed id as it is: a message with that id could show a key that was taken for one.
func (r *pollRun[T]) wrap(before string, err error) error {
	if errors.Is(err, ErrInvalidRequest) {
		return err
	}
	return &waitError{message: messagePrefix + "waiting for " + r.what + ": " + before + summaryOf(err), err: err}
}

// logState records a state that differs from the last one.
func (r *pollRun[T]) logState(ctx context.Context, state *T) {
	now := r.state(state)
	if r.last != nil && r.state(r.last) == now {
		return
	}
	r.log(ctx, slog.LevelInfo, "state", slog.String("state", r.client.redactor().clean(now.status)), slog.Bool("ready_for_cutover", now.ready))
}

func (r *pollRun[T]) log(ctx context.Context, level slog.Level, message string, attrs ...slog.Attr) {
	attrs = append([]slog.Attr{slog.String("job", r.what), slog.String("scope", r.scope)}, attrs...)
	r.client.logger.LogAttrs(ctx, level, message, attrs...)
}

// waitError is a wait that ended before its job did.
type waitError struct {
	message string
	err     error
}

func (e *waitError) Error() string { return e.message }
func (e *waitError) Unwrap() error { return e.err }
