package durable

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/livemigration/livemigration-go"
)

// Option configures a [Fleet] or a [Driver]. Options may be given in any order; of two that set the same thing the later
// one counts.
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

// newSettings names the options that can never work.
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
		reject(window.location == nil, "WithCutoverWindow: a window is empty: make it with ParseWindow")
	}
	if len(problems) == 0 {
		return nil
	}
	return fmt.Errorf("durable: %w: %w", livemigration.ErrInvalidConfig, errors.Join(problems...))
}

// WithPassword sets the function that gives the password of a plan's source user. It is called each time that a request
// needs it, from several goroutines, and has 15 seconds. The password is never stored. When the function fails, Problem
// says so, and the function is called again later.
func WithPassword(password func(context.Context, Plan) (livemigration.Secret, error)) Option {
	return func(s *settings) { s.password = password }
}

// WithCutoverApproval sets a function that approves cutovers. Its approval is valid for a minute, and recorded as by "policy". It is
// asked with a READY record that no person has approved, when a window is open and the lag is small enough:
// at each check, at least once a minute, and again directly before the cutover is sent. It is called from several
// goroutines, and has 15 seconds. When it fails, Problem says so, and it is called again later. Default: only
// [Fleet.Approve] approves.
//
// Before a cutover is approved, writes to the source must have stopped. What is written later is not in the destination.
func WithCutoverApproval(approval func(context.Context, Record) (bool, error)) Option {
	return func(s *settings) { s.approval = approval }
}

// WithCutoverWindow lets cutovers be sent only while one of the windows is open, and stays open for 30 seconds more. An
// approval is needed as well. Default: at any time.
func WithCutoverWindow(windows ...Window) Option {
	return func(s *settings) { s.windows, s.hasWindows = windows, true }
}

// WithMaxLag lets cutovers be sent only while the lag of the destination is known and at most d. An approval is needed as
// well. Default: with any lag.
func WithMaxLag(d time.Duration) Option {
	return func(s *settings) { s.maxLag, s.hasMaxLag = d, true }
}

// WithLimit sets how many migrations are in progress at a time, from the validation to the end. READY ones that wait for
// an approval do not count. A migration that runs in Atlas already continues, whatever the limit is. Default: 10.
func WithLimit(n int) Option { return func(s *settings) { s.limit = n } }

// WithOnChange sets a function that is called with each record whose State or Problem has changed, after it was stored.
// It is called for one change at a time, in order for each record. A call that does not return is left after 30 seconds.
func WithOnChange(onChange func(context.Context, Record)) Option {
	return func(s *settings) { s.onChange = onChange }
}

// WithLogger sets the logger. Default: silent. No log record contains a secret.
func WithLogger(logger *slog.Logger) Option { return func(s *settings) { s.logger = logger } }

// WithPollInterval sets the time between two checks of a job. It starts at minimum after each change of state, and grows
// to maximum, which is an hour at the most. After failures it grows to 5 minutes, or to maximum if that is more. Default:
// 5 seconds to 1 minute.
func WithPollInterval(minimum, maximum time.Duration) Option {
	return func(s *settings) { s.minInterval, s.maxInterval = minimum, maximum }
}
