package durable

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/livemigration/livemigration-go"
)

// Option configures a [Fleet] or a [Driver]. The order does not matter, except that the last of two equal options counts.
type Option func(*settings)

const (
	defaultLimit       = 10
	defaultMinInterval = 5 * time.Second
	defaultMaxInterval = time.Minute
	// longestWait is the longest time to the next action.
	longestWait = time.Hour
)

type settings struct {
	password    func(context.Context, Plan) (livemigration.Secret, error)
	approval    func(context.Context, Record) (bool, error)
	windows     []Window
	hasWindows  bool
	maxLag      time.Duration
	hasMaxLag   bool
	limit       int
	onChange    func(context.Context, Record)
	logger      *slog.Logger
	minInterval time.Duration
	maxInterval time.Duration
}

func newSettings(opts []Option) (settings, error) {
	s := settings{limit: defaultLimit, minInterval: defaultMinInterval, maxInterval: defaultMaxInterval}
	for _, opt := range opts {
		if opt != nil {
			opt(&s)
		}
	}
	if s.logger == nil {
		s.logger = slog.New(slog.DiscardHandler)
	}
	return s, s.check()
}

func (s *settings) check() error {
	var problems []error
	reject := func(violated bool, text string) {
		if violated {
			problems = append(problems, errors.New(text))
		}
	}
	reject(s.limit < 1, "WithLimit: the limit must be at least 1")
	reject(s.minInterval <= 0 || s.maxInterval < s.minInterval || s.maxInterval > longestWait,
		"WithPollInterval: must have 0 < minimum <= maximum <= 1h")
	reject(s.maxLag < 0, "WithMaxLag: the lag must not be negative")
	reject(s.hasWindows && len(s.windows) == 0, "WithCutoverWindow: give at least one window")
	for _, window := range s.windows {
		reject(window.location == nil, "WithCutoverWindow: a window is empty: create it with ParseWindow")
	}
	if len(problems) == 0 {
		return nil
	}
	return fmt.Errorf("durable: %w: %w", livemigration.ErrInvalidConfig, errors.Join(problems...))
}

// WithPassword sets the function that returns the password of a plan's source user. It is called each time a request needs the
// password, from several goroutines, and has 15 seconds. The password is never stored. If the function fails, Problem says so,
// and the function is called again later.
func WithPassword(password func(context.Context, Plan) (livemigration.Secret, error)) Option {
	return func(s *settings) { s.password = password }
}

// WithCutoverApproval sets a function that approves cutovers. Its approval is valid for a minute, and recorded as by "policy".
// It is called for READY records that no person has approved, while a window is open and the lag is small enough: at each
// check, at least once a minute, and again directly before the cutover is sent. It is called from several goroutines, and
// has 15 seconds. If it fails, Problem says so, and it is called again later. Default: only [Fleet.Approve] approves.
//
// Stop writes to the source before you approve a cutover. Later writes are not in the destination.
func WithCutoverApproval(approval func(context.Context, Record) (bool, error)) Option {
	return func(s *settings) { s.approval = approval }
}

// WithCutoverWindow allows cutovers only while one of the windows is open, and for 30 seconds more. A cutover needs an approval
// as well. Default: at any time.
func WithCutoverWindow(windows ...Window) Option {
	return func(s *settings) { s.windows, s.hasWindows = windows, true }
}

// WithMaxLag allows cutovers only while the lag time of the destination is known and at most d. A cutover needs an approval as
// well. Default: with any lag.
func WithMaxLag(d time.Duration) Option {
	return func(s *settings) { s.maxLag, s.hasMaxLag = d, true }
}

// WithLimit sets how many migrations may be in progress at a time, from the validation to the end. READY ones that wait for an
// approval do not count. Migrations that already run in Atlas continue, whatever the limit is. Default: 10.
func WithLimit(n int) Option { return func(s *settings) { s.limit = n } }

// WithOnChange sets a function that is called with each record whose State or Problem has changed, after the change is stored.
// It is called for one change at a time, in order. After 30 seconds a call is no longer waited for.
func WithOnChange(onChange func(context.Context, Record)) Option {
	return func(s *settings) { s.onChange = onChange }
}

// WithLogger sets the logger. Default: silent. No log entry contains a secret.
func WithLogger(logger *slog.Logger) Option { return func(s *settings) { s.logger = logger } }

// WithPollInterval sets the time between two polls of a job. It starts at minimum after each change of state, and grows to
// maximum, which is at most an hour. After failures it grows to 5 minutes, or to maximum if that is longer. Default: 5 seconds
// to 1 minute.
func WithPollInterval(minimum, maximum time.Duration) Option {
	return func(s *settings) { s.minInterval, s.maxInterval = minimum, maximum }
}
