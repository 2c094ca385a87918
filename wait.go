package livemigration

import (
	"context"
	"iter"
	"slices"
	"time"
)

// WaitOption configures Watch, Run and the Wait functions.
type WaitOption func(*waitSettings)

type waitSettings struct {
	minInterval, maxInterval time.Duration
	maxOutage                time.Duration
	maxLag                   time.Duration
	maxLagSet                bool
	callOptions              []CallOption
	violations               []FieldViolation
}

const defaultMaxOutage = 15 * time.Minute

// WithPollInterval sets the time between polls, which grows from minimum (more than 0) to maximum and varies by 20%.
// Default: 2 to 15 seconds for validations, 5 to 60 seconds for migrations.
func WithPollInterval(minimum, maximum time.Duration) WaitOption {
	return func(s *waitSettings) {
		s.minInterval, s.maxInterval = minimum, maximum
		if minimum <= 0 || maximum < minimum {
			s.violations = append(s.violations, FieldViolation{"WithPollInterval", "must have 0 < minimum <= maximum"})
		}
	}
}

// WithMaxOutage sets for how long polls may fail because of the network, 429, 5xx or similar, or 401 once a poll has
// succeeded. Other failures end a wait at once. Default: 15 minutes. With 0 every failure ends it.
func WithMaxOutage(outage time.Duration) WaitOption {
	return func(s *waitSettings) {
		s.maxOutage = outage
		if outage < 0 {
			s.violations = append(s.violations, FieldViolation{"WithMaxOutage", "must not be negative"})
		}
	}
}

// WithMaxLag makes [MigrationsService.WaitReadyForCutover] wait until the lag time is known and at most lag. Default:
// any lag time, even an unknown one.
func WithMaxLag(lag time.Duration) WaitOption {
	return func(s *waitSettings) {
		s.maxLag, s.maxLagSet = lag, true
		if lag < 0 {
			s.violations = append(s.violations, FieldViolation{"WithMaxLag", "must not be negative"})
		}
	}
}

// WithCallOptions sets options for the requests of a wait, including the create request of [ValidationsService.Run].
func WithCallOptions(opts ...CallOption) WaitOption {
	return func(s *waitSettings) { s.callOptions = append(s.callOptions, opts...) }
}

// newWaitSettings applies the client's defaults, and then the options of the wait.
func newWaitSettings(minInterval, maxInterval time.Duration, defaults, opts []WaitOption) *waitSettings {
	s := &waitSettings{minInterval: minInterval, maxInterval: maxInterval, maxOutage: defaultMaxOutage}
	for _, opt := range slices.Concat(defaults, opts) {
		if opt != nil {
			opt(s)
		}
	}
	return s
}

// found are all violations, including those of the call options.
func (s *waitSettings) found() []FieldViolation {
	return slices.Concat(s.violations, newCallSettings(s.callOptions).violations)
}

// Run is Create followed by Wait.
func (s *ValidationsService) Run(ctx context.Context, projectID ProjectID, req MigrationRequest, opts ...WaitOption) (*Validation, error) {
	settings := s.settings(opts)
	if err := invalidRequest(settings.found()); err != nil {
		return nil, err
	}
	v, err := s.Create(ctx, projectID, req, settings.callOptions...)
	if err != nil || v.Status.Final() {
		return v, failedValidation(v, err)
	}
	last, err := s.Wait(ctx, projectID, v.ID, opts...)
	if last == nil {
		last = v
	}
	return last, err
}

// Watch polls a validation and yields each state until it is final, even FAILED. An error ends it.
func (s *ValidationsService) Watch(
	ctx context.Context, projectID ProjectID, id ValidationID, opts ...WaitOption,
) iter.Seq2[*Validation, error] {
	return s.poller(projectID, id, opts).states(ctx)
}

// Wait polls a validation until it is SUCCESS.
func (s *ValidationsService) Wait(ctx context.Context, projectID ProjectID, id ValidationID, opts ...WaitOption) (*Validation, error) {
	last, err := s.poller(projectID, id, opts).until(ctx, func(*Validation) bool { return false })
	return last, failedValidation(last, err)
}

func failedValidation(v *Validation, err error) error {
	if err == nil && v.Status == ValidationFailed {
		return &ValidationFailedError{Validation: v}
	}
	return err
}

func (s *ValidationsService) settings(opts []WaitOption) *waitSettings {
	return newWaitSettings(2*time.Second, 15*time.Second, (*core)(s).waitDefaults(), opts)
}

func (s *ValidationsService) poller(projectID ProjectID, id ValidationID, opts []WaitOption) *poller[Validation] {
	return &poller[Validation]{
		core: (*core)(s), settings: s.settings(opts), what: "validation", endpoint: &getValidation, ids: []string{string(projectID), string(id)},
		state: func(v *Validation) jobState { return jobState{status: string(v.Status), final: v.Status.Final()} },
	}
}

// Watch polls a migration and yields each state until it is final, even FAILED or EXPIRED. An error ends it.
func (s *MigrationsService) Watch(
	ctx context.Context, projectID ProjectID, id MigrationID, opts ...WaitOption,
) iter.Seq2[*Migration, error] {
	return s.poller(projectID, id, opts).states(ctx)
}

// WaitReadyForCutover polls a migration until it is ready for cutover (see [WithMaxLag]) or COMPLETE.
func (s *MigrationsService) WaitReadyForCutover(
	ctx context.Context, projectID ProjectID, id MigrationID, opts ...WaitOption,
) (*Migration, error) {
	p := s.poller(projectID, id, opts)
	return failedMigration(p.until(ctx, func(m *Migration) bool {
		lag, known := m.Lag()
		return m.ReadyForCutover && (!p.settings.maxLagSet || known && lag <= p.settings.maxLag)
	}))
}

// WaitComplete polls a migration until it is COMPLETE. It does not cut over.
func (s *MigrationsService) WaitComplete(ctx context.Context, projectID ProjectID, id MigrationID, opts ...WaitOption) (*Migration, error) {
	return failedMigration(s.poller(projectID, id, opts).until(ctx, func(*Migration) bool { return false }))
}

func failedMigration(last *Migration, err error) (*Migration, error) {
	if err == nil && (last.Status == MigrationFailed || last.Status == MigrationExpired) {
		err = &MigrationFailedError{Migration: last}
	}
	return last, err
}

func (s *MigrationsService) poller(projectID ProjectID, id MigrationID, opts []WaitOption) *poller[Migration] {
	return &poller[Migration]{
		core: (*core)(s), settings: newWaitSettings(5*time.Second, time.Minute, (*core)(s).waitDefaults(), opts), what: "migration",
		endpoint: &getMigration, ids: []string{string(projectID), string(id)},
		state: func(m *Migration) jobState {
			return jobState{status: string(m.Status), ready: m.ReadyForCutover, final: m.Status.Final()}
		},
	}
}

// WaitError is a wait that ended before its job, which continues in Atlas.
type WaitError struct {
	Job    string        // such as "migration 6560f2a49c1b7e03d5000002"
	Outage time.Duration // for how long polls had failed, if that ended the wait
	Err    error         // of the last poll, or of the context

	why, then string
}

func (e *WaitError) Error() string { return messagePrefix + e.summary() }

func (e *WaitError) summary() string {
	return "waiting for " + e.Job + ": " + e.why + summaryOf(e.Err) + e.then
}

func (e *WaitError) Unwrap() error { return e.Err }
