package livemigration

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"slices"
	"time"

	"github.com/livemigration/livemigration-go/internal/endpoint"
	"github.com/livemigration/livemigration-go/internal/pacing"
	"github.com/livemigration/livemigration-go/internal/poll"
	"github.com/livemigration/livemigration-go/internal/retry"
)

// WaitOption configures Watch and the Wait functions.
type WaitOption func(*waitSettings)

type waitSettings struct {
	minInterval, maxInterval time.Duration
	maxOutage                time.Duration
	onMigration              []func(*Migration)
	onValidation             []func(*Validation)
	callOptions              []CallOption
	violations               []FieldViolation
}

const defaultMaxOutage = 15 * time.Minute

// WithPollInterval sets the time between two polls: it grows from minimum to maximum, and varies by 20 %. Default: 2 to
// 15 seconds for validations, 5 to 60 seconds for migrations.
func WithPollInterval(minimum, maximum time.Duration) WaitOption {
	return func(s *waitSettings) {
		s.minInterval, s.maxInterval = minimum, maximum
		if minimum <= 0 || maximum < minimum {
			s.violations = append(s.violations, FieldViolation{"WithPollInterval", "must have 0 < minimum <= maximum"})
		}
	}
}

// WithOnUpdate calls update with the state after each successful poll, also when nothing has changed, in the goroutine of
// the caller.
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

// WithMaxOutage sets for how long a wait outlives failures that may pass: of the network, 429, 5xx, 408 and its like.
// Default: 15 minutes. With 0 the first one ends the wait.
func WithMaxOutage(outage time.Duration) WaitOption {
	return func(s *waitSettings) {
		s.maxOutage = outage
		if outage < 0 {
			s.violations = append(s.violations, FieldViolation{"WithMaxOutage", "must not be negative"})
		}
	}
}

// WithCallOptions sets options of each poll's request.
func WithCallOptions(opts ...CallOption) WaitOption {
	return func(s *waitSettings) { s.callOptions = append(s.callOptions, opts...) }
}

// newWaitSettings applies the client's defaults, and then the options of the wait. A default that is about the other kind
// of job does not matter, an option that is has been given by mistake.
func newWaitSettings(minInterval, maxInterval time.Duration, defaults, opts []WaitOption, ofMigration bool) *waitSettings {
	s := &waitSettings{minInterval: minInterval, maxInterval: maxInterval, maxOutage: defaultMaxOutage}
	s.apply(defaults)
	migrations, validations := len(s.onMigration), len(s.onValidation)
	s.apply(opts)
	if ofMigration && len(s.onValidation) > validations {
		s.violations = append(s.violations, FieldViolation{"WithOnUpdate", "must take a *Migration here"})
	}
	if !ofMigration && len(s.onMigration) > migrations {
		s.violations = append(s.violations, FieldViolation{"WithOnUpdate", "must take a *Validation here"})
	}
	return s
}

func (s *waitSettings) apply(opts []WaitOption) {
	for _, opt := range opts {
		if opt != nil {
			opt(s)
		}
	}
}

// found are all violations, those of the options for calls included.
func (s *waitSettings) found() []FieldViolation {
	return slices.Concat(s.violations, newCallSettings(s.callOptions).violations)
}

// Wait polls a validation until it ends. With an error it returns the last state observed too: a
// [*ValidationFailedError], a [*WaitError] or an [*InvalidRequestError].
func (s *ValidationsService) Wait(ctx context.Context, projectID ProjectID, validationID ValidationID, opts ...WaitOption) (*Validation, error) {
	settings := newWaitSettings(2*time.Second, 15*time.Second, s.core.defaults, opts, false)
	w := &watch[Validation]{
		core: s.core, settings: settings, updates: settings.onValidation, what: "validation",
		endpoint: &endpoint.GetValidation, ids: []identifier{projectID, validationID},
		state: func(v *Validation) (string, bool) { return string(v.Status), false },
		get: func(ctx context.Context, opts []CallOption) (*Validation, error) {
			return s.Get(ctx, projectID, validationID, opts...)
		},
		final: func(v *Validation) bool { return v.Status.Final() },
	}
	last, err := w.until(ctx, w.final)
	if err == nil && last.Status == ValidationFailed {
		err = &ValidationFailedError{Validation: last}
	}
	return last, err
}

// Watch polls a migration and yields every state observed, the final one last. A final state is no error here. An error
// is yielded last, with the state before it. It is an [*InvalidRequestError], or a [*WaitError] when the context ends,
// an outage lasts too long, or Atlas rejects the request.
func (s *MigrationsService) Watch(ctx context.Context, projectID ProjectID, migrationID MigrationID, opts ...WaitOption) iter.Seq2[*Migration, error] {
	return s.watch(projectID, migrationID, opts).states(ctx)
}

// WaitReadyForCutover polls a migration until it is ready for cutover, or complete. With an error it returns the last
// state observed too: a [*MigrationFailedError], or one of [MigrationsService.Watch].
func (s *MigrationsService) WaitReadyForCutover(ctx context.Context, projectID ProjectID, migrationID MigrationID, opts ...WaitOption) (*Migration, error) {
	return s.wait(ctx, projectID, migrationID, opts, func(m *Migration) bool { return m.ReadyForCutover })
}

// WaitComplete polls a migration until it is complete. It does not cut over. With an error it returns the last state
// observed too: a [*MigrationFailedError], or one of [MigrationsService.Watch].
func (s *MigrationsService) WaitComplete(ctx context.Context, projectID ProjectID, migrationID MigrationID, opts ...WaitOption) (*Migration, error) {
	return s.wait(ctx, projectID, migrationID, opts, func(*Migration) bool { return false })
}

func (s *MigrationsService) wait(ctx context.Context, projectID ProjectID, migrationID MigrationID, opts []WaitOption, enough func(*Migration) bool) (*Migration, error) {
	last, err := s.watch(projectID, migrationID, opts).until(ctx, enough)
	if err == nil && (last.Status == MigrationFailed || last.Status == MigrationExpired) {
		err = &MigrationFailedError{Migration: last}
	}
	return last, err
}

func (s *MigrationsService) watch(projectID ProjectID, migrationID MigrationID, opts []WaitOption) *watch[Migration] {
	settings := newWaitSettings(5*time.Second, time.Minute, s.core.defaults, opts, true)
	return &watch[Migration]{
		core: s.core, settings: settings, updates: settings.onMigration, what: "migration",
		endpoint: &endpoint.GetMigration, ids: []identifier{projectID, migrationID},
		state: func(m *Migration) (string, bool) { return string(m.Status), m.ReadyForCutover },
		get: func(ctx context.Context, opts []CallOption) (*Migration, error) {
			return s.Get(ctx, projectID, migrationID, opts...)
		},
		final: func(m *Migration) bool { return m.Status.Final() },
	}
}

// watch is a wait for one job. It works in the goroutine of its caller.
type watch[T any] struct {
	core     *core
	settings *waitSettings
	updates  []func(*T)
	what     string
	endpoint *endpoint.Endpoint
	ids      []identifier
	// state is what of a state is worth a log record when it changes.
	state func(*T) (status string, ready bool)
	get   func(context.Context, []CallOption) (*T, error)
	final func(*T) bool

	turn pacing.Turn // of the next look
}

// until returns the first state that is enough or final. With an error it returns the last state observed.
func (w *watch[T]) until(ctx context.Context, enough func(*T) bool) (last *T, err error) {
	for state, err := range w.states(ctx) {
		if err != nil || enough(state) {
			return state, err
		}
		last = state
	}
	return last, nil
}

// states yields states until one is final.
func (w *watch[T]) states(ctx context.Context) iter.Seq2[*T, error] {
	return func(yield func(*T, error) bool) {
		if err := invalidRequest(w.violations(ctx)); err != nil {
			yield(nil, err)
			return
		}
		w := *w // a sequence may be ranged over several times at once
		defer func() { w.turn.Cancel() }()
		var last *T
		for state, err := range w.job(ctx).States(ctx) {
			if err != nil {
				yield(state, w.error(ctx, err))
				return
			}
			w.logState(ctx, last, state)
			last = state
			for _, update := range w.updates {
				update(state)
			}
			if !yield(state, nil) {
				return
			}
		}
	}
}

// violations gathers everything that is wrong with a wait. A malformed id could be a key that was taken for one, so it
// goes no further.
func (w *watch[T]) violations(ctx context.Context) []FieldViolation {
	found := checkContext(ctx)
	for _, id := range w.ids {
		found = append(found, id.violations()...)
	}
	return append(found, w.settings.found()...)
}

func (w *watch[T]) job(ctx context.Context) poll.Job[T] {
	return poll.Job[T]{
		Schedule: poll.Schedule{Min: w.settings.minInterval, Max: w.settings.maxInterval, MaxOutage: w.settings.maxOutage},
		Turn: func(ctx context.Context) (err error) {
			w.turn, err = w.core.exchange.Turn(ctx, w.ids[0].segment(), pacing.Poll, w.settings.maxOutage)
			return err
		},
		Look:  w.look,
		Final: w.final,
		OnOutage: func(outage time.Duration, err error) {
			w.log(ctx, slog.LevelWarn, "outage", slog.Duration("outage", outage), slog.String("error", summaryOf(err)))
		},
		OnRecovery: func(outage time.Duration) {
			w.log(ctx, slog.LevelInfo, "outage over", slog.Duration("outage", outage))
		},
	}
}

// look reads the job once, with the retries of every call. If no outage is allowed, it makes one request.
func (w *watch[T]) look(ctx context.Context) (l poll.Look[T]) {
	defer w.turn.Cancel() // unless it has been used
	var resp Response
	opts := append(slices.Clone(w.settings.callOptions), CaptureResponse(&resp), func(s *callSettings) {
		s.request.Class, s.request.Turn, s.request.Waited = pacing.Poll, &w.turn, &l.Held
		if w.settings.maxOutage == 0 {
			s.request.MaxAttempts = 1
		}
	})
	l.State, l.Err = w.get(ctx, opts)
	l.Passing = passing(l.Err)
	var api *APIError
	var late *PacingError
	switch {
	case errors.As(l.Err, &late):
		l.Before = late.Err
	case errors.As(l.Err, &api):
		l.AtLeast = api.RetryAfter
	case resp.RateLimit.Remaining == 0:
		l.AtLeast = w.settings.maxInterval
	}
	return l
}

// passing reports whether a wait outlives a failure. The call has retried its request already.
func passing(err error) bool {
	var api *APIError
	if errors.As(err, &api) {
		return retry.Passing(api.StatusCode)
	}
	return !errors.Is(err, ErrInvalidRequest) && !retry.Permanent(err)
}

// error is that of a wait which ended before its job did.
func (w *watch[T]) error(ctx context.Context, err error) error {
	ended := &poll.Ended{Err: err}
	errors.As(err, &ended)
	e := &WaitError{Job: w.what + " " + w.ids[1].segment(), Outage: ended.Outage.Round(time.Second), Err: ended.Err}
	var late *pacing.TooLate
	switch {
	case ended.Interrupted && ended.Before != nil:
		e.Err = &interruptedError{retry.ContextError(ctx), "while waiting for the next poll after", summaryOf(ended.Before), ended.Before}
	case ended.Interrupted:
		e.Err = retry.ContextError(ctx)
	case ended.Before != nil && ctx.Err() != nil && !errors.As(ended.Err, new(*interruptedError)):
		e.Err = &interruptedError{ended.Err, "in a poll after", summaryOf(ended.Before), ended.Before}
	case errors.As(ended.Err, &late):
		e.Err = &PacingError{Method: w.endpoint.Method, Path: w.endpoint.Expand(segments(w.ids)...), Wait: late.Wait, Err: ended.Before, deadline: late.Deadline}
	case ended.Asked > 0:
		e.why = "Atlas asks to wait " + short(ended.Asked) + ", this wait outlives " + short(w.settings.maxOutage) + " at the most: "
	case e.Outage > 0:
		e.why = fmt.Sprintf("no success for %s, the last failure: ", e.Outage)
	}
	if ctx.Err() != nil && errors.Is(e.Err, ctx.Err()) {
		e.then = "; it continues in Atlas"
	}
	return e
}

// logState records a state that differs from the last one.
func (w *watch[T]) logState(ctx context.Context, last, state *T) {
	status, ready := w.state(state)
	if last != nil {
		if before, was := w.state(last); before == status && was == ready {
			return
		}
	}
	w.log(ctx, slog.LevelInfo, "state", slog.String("state", w.core.exchange.Redactor().Clean(status)), slog.Bool("ready_for_cutover", ready))
}

func (w *watch[T]) log(ctx context.Context, level slog.Level, message string, attrs ...slog.Attr) {
	attrs = append(w.endpoint.LogAttrs(w.ids[0].segment(), w.ids[1].segment()), attrs...)
	w.core.exchange.Logger.LogAttrs(ctx, level, message, attrs...)
}

// WaitError is a wait that ended before its job, which continues in Atlas.
type WaitError struct {
	// Job is such as "migration 6560f2a49c1b7e03d5000002".
	Job string
	// Outage is for how long polls had failed, if that ended the wait.
	Outage time.Duration
	// Err is what ended the wait: an [*APIError], a [*CallError], a [*PacingError], or the error of the context.
	Err error

	why, then string
}

// Error is one line.
func (e *WaitError) Error() string { return messagePrefix + e.summary() }

func (e *WaitError) summary() string {
	return "waiting for " + e.Job + ": " + e.why + summaryOf(e.Err) + e.then
}

// Unwrap returns Err.
func (e *WaitError) Unwrap() error { return e.Err }
