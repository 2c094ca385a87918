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
)

type settings struct {
	password    func(context.Context, Plan) (livemigration.Secret, error)
	approval    func(context.Context, Record, Gate) (bool, error)
	limit       int
	onChange    func(Record)
	logger      *slog.Logger
	minInterval time.Duration
	maxInterval time.Duration
}

func newSettings(opts []Option) settings {
	s := settings{limit: defaultLimit, minInterval: defaultMinInterval, maxInterval: defaultMaxInterval}
	for _, opt := range opts {
		if opt != nil {
			opt(&s)
		}
	}
	if s.logger == nil {
		s.logger = slog.New(slog.DiscardHandler)
	}
	return s
}

// err names the options that can never work.
func (s *settings) err() error {
	var problems []error
	if s.limit < 1 {
		problems = append(problems, errors.New("WithLimit: the limit must be at least 1"))
	}
	if s.minInterval <= 0 || s.maxInterval < s.minInterval {
		problems = append(problems, errors.New("WithPollInterval: must have 0 < min <= max"))
	}
	if len(problems) == 0 {
		return nil
	}
	return fmt.Errorf("durable: %w: %w", livemigration.ErrInvalidConfig, errors.Join(problems...))
}

// WithPassword sets the function that gives the password of a plan's source user. It is called each time that a request
// needs it, from several goroutines. The password is never stored. When the function fails, Problem says so, and the
// function is called again later. [Fleet.Run] fails at once when a record needs a password and there is no such
// function.
func WithPassword(password func(context.Context, Plan) (livemigration.Secret, error)) Option {
	return func(s *settings) { s.password = password }
}

// WithApproval sets the function that opens gates. It is called for both gates: [GateStart], before the data of a
// destination is destroyed, and [GateCutover]. Look at the gate before you return true.
//
// Before a cutover is approved, writes to the source must have stopped. What is written later is not in the
// destination.
//
// The function is called with a record that lacks the gate, at each look, and at least once a minute while nothing else
// stops the record. It is called from several goroutines. Its approval holds for one attempt, which follows at once.
// When that attempt fails, or the program ends before it, the function is asked again. Default: only [Fleet.Approve]
// opens gates.
func WithApproval(approval func(context.Context, Record, Gate) (bool, error)) Option {
	return func(s *settings) { s.approval = approval }
}

// WithLimit sets how many migrations are under way at a time, from the validation to the end. Those that wait for an
// approval do not count. One that runs in Atlas already continues, whatever the limit is. Default: 10.
func WithLimit(n int) Option { return func(s *settings) { s.limit = n } }

// WithOnChange sets a function that is called with each record whose State or Problem has changed, after it was stored.
// It is called for one change at a time, in order for each record. [Fleet.Run] returns after the last call.
func WithOnChange(onChange func(Record)) Option { return func(s *settings) { s.onChange = onChange } }

// WithLogger sets the logger. Default: silent. No log record holds a secret. The keys stay the same: record (the name
// of the plan), state, problem, migration (its id), outage (its duration), error.
//
// Levels: info for each change of state; warn when a record stops, and at each doubling of that time; error when the
// store fails.
func WithLogger(logger *slog.Logger) Option { return func(s *settings) { s.logger = logger } }

// WithPollInterval sets the time between two looks at a job. It begins at minimum after each change of state, and grows
// to maximum. After failures it grows to 5 minutes, or to maximum if that is more. Default: 5 seconds to 1 minute.
func WithPollInterval(minimum, maximum time.Duration) Option {
	return func(s *settings) { s.minInterval, s.maxInterval = minimum, maximum }
}
