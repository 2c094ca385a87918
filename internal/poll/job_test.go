package poll

import (
	"context"
	"errors"
	"testing"
	"time"
)

const final = "final"

var errDown = errors.New("down")

// step is one look of a scripted job.
type step func(context.Context) Look[string]

func sees(state string) step {
	return func(context.Context) Look[string] { return Look[string]{State: &state} }
}

// fails is a failure that may pass.
func fails(err error) step { return returns(Look[string]{Err: err, Passing: true}) }

func returns(l Look[string]) step { return func(context.Context) Look[string] { return l } }

// hangs is a look that does not end before its context does.
func hangs(ctx context.Context) Look[string] {
	<-ctx.Done()
	return Look[string]{Err: ctx.Err(), Passing: true}
}

// after is a step that takes some time.
func after(d time.Duration, s step) step {
	return func(ctx context.Context) Look[string] {
		time.Sleep(d)
		return s(ctx)
	}
}

// times is a step n times.
func times(n int, s step) (all []step) {
	for range n {
		all = append(all, s)
	}
	return all
}

// scripted is a job whose looks are scripted; the last one stays. It writes down when it was looked at and what it was
// told.
type scripted struct {
	Job[string]
	began      time.Time
	looks      []time.Duration // since it began
	turn       func(context.Context) error
	outages    []time.Duration
	errs       []error
	recoveries []time.Duration
}

func script(s Schedule, steps ...step) *scripted {
	j := &scripted{began: time.Now()}
	j.Job = Job[string]{
		Schedule: s,
		Turn: func(ctx context.Context) error {
			if j.turn != nil {
				return j.turn(ctx)
			}
			return nil
		},
		Look: func(ctx context.Context) Look[string] {
			j.looks = append(j.looks, time.Since(j.began))
			return steps[min(len(j.looks), len(steps))-1](ctx)
		},
		Final: func(s *string) bool { return *s == final },
		OnOutage: func(outage time.Duration, err error) {
			j.outages, j.errs = append(j.outages, outage), append(j.errs, err)
		},
		OnRecovery: func(outage time.Duration) { j.recoveries = append(j.recoveries, outage) },
	}
	return j
}

// run looks at the job until the sequence ends. It returns the states, the state that came with the error, and the error.
func (j *scripted) run(t *testing.T, ctx context.Context) (states []string, last *string, ended *Ended) {
	t.Helper()
	for state, err := range j.States(ctx) {
		if err == nil {
			states = append(states, *state)
			continue
		}
		if ended != nil {
			t.Fatal("the sequence goes on after its error")
		}
		if !errors.As(err, &ended) {
			t.Fatalf("the error is a %T", err)
		}
		last = state
	}
	return states, last, ended
}
