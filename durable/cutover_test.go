package durable

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go"
)

// Tests of synctest begin at midnight on 1 January 2000, UTC.
func asks(yes bool, err error) Option {
	return WithCutoverApproval(func(context.Context, Record) (bool, error) { return yes, err })
}

// TestWhatHoldsACutoverBack: approval, window and lag are ANDed, in a check and directly before a cutover.
func TestWhatHoldsACutoverBack(t *testing.T) {
	open, shut := window(t, "00:00-01:00", time.UTC), window(t, "22:00-23:00", time.UTC)
	person := func(until time.Duration) func(*Record) {
		return func(r *Record) {
			r.Approved = []Approval{{Gate: GateCutover, By: "ann"}}
			if until != 0 {
				r.Approved[0].Until = stamp(time.Now().Add(until))
			}
		}
	}
	policyYes := func(r *Record) {
		r.Approved, r.Problem = []Approval{{Gate: GateCutover, By: policy, Until: stamp(time.Now().Add(time.Minute))}}, nil
	}
	none := func(*Record) {}
	for name, test := range map[string]struct {
		change func(*Record)
		opts   []Option
		lag    string
		want   ProblemKind
	}{
		"a person approved":                 {person(0), nil, "3", ""},
		"a person approved for long enough": {person(time.Minute), nil, "3", ""},
		"a person approved for too short":   {person(29 * time.Second), nil, "3", ProblemWaitingForApproval},
		"nobody approved":                   {none, nil, "3", ProblemWaitingForApproval},
		"the function says yes":             {none, []Option{asks(true, nil)}, "3", ""},
		"the function says no":              {none, []Option{asks(false, nil)}, "3", ProblemWaitingForApproval},
		"the function fails":                {none, []Option{asks(true, errors.New("x"))}, "3", ProblemNeedsAttention},
		"a person, the function would fail": {person(0), []Option{asks(false, errors.New("x"))}, "3", ""},
		"policy, and the function says no":  {policyYes, []Option{asks(false, nil)}, "3", ProblemWaitingForApproval},
		"policy, and the function is gone":  {policyYes, nil, "3", ProblemWaitingForApproval},
		"in a window":                       {person(0), []Option{WithCutoverWindow(shut, open)}, "3", ""},
		"outside the windows":               {person(0), []Option{WithCutoverWindow(shut)}, "3", ProblemWaitingForWindow},
		"a yes outside the windows":         {none, []Option{asks(true, nil), WithCutoverWindow(shut)}, "3", ProblemWaitingForWindow},
		"the lag is small":                  {person(0), []Option{WithMaxLag(3 * time.Second)}, "3", ""},
		"the lag is large":                  {person(0), []Option{WithMaxLag(2 * time.Second)}, "3", ProblemWaitingForLag},
		"the lag is unknown":                {person(0), []Option{WithMaxLag(time.Hour)}, "null", ProblemWaitingForLag},
		"a yes with a large lag":            {none, []Option{asks(true, nil), WithMaxLag(0)}, "3", ProblemWaitingForLag},
	} {
		t.Run(name, func(t *testing.T) {
			onWire(t, func(t *testing.T, w *wire) {
				w.answers[opCheck] = reply(200, migrationJSON(true, test.lag))
				d := w.driver(t, test.opts...)
				r := recordIn(StateReady).with(test.change)
				check := r.with(func(r *Record) { r.Begun = &Intent{ActionCheck, stamp(time.Now()), 8, "run-1"} })
				if r.Next(time.Now()) != ActionCutover {
					requireHeld(t, test.want, check, do(t, d, check))
				}
				assert.NotContains(t, w.sent, opCutover, "a check sends none")
				cutover := r.with(func(r *Record) {
					r.Problem, r.Begun = nil, &Intent{ActionCutover, stamp(time.Now()), 8, "run-1"}
				})
				if cutover.with(func(r *Record) { r.Begun = nil }).Next(time.Now()) != ActionCutover {
					return
				}
				requireHeld(t, test.want, cutover, do(t, d, cutover))
				assert.Equal(t, test.want == "", w.sent[len(w.sent)-1] == opCutover)
			})
		})
	}
}

func requireHeld(t *testing.T, want ProblemKind, r Record, res Result) {
	t.Helper()
	switch {
	case want == "":
		require.Equal(t, OutcomeDone, res.Outcome)
		require.Nil(t, res.Hold)
		require.Nil(t, res.Failure)
	case want.Waiting():
		require.Equal(t, want, res.Hold.Kind)
		require.LessOrEqual(t, res.Wait, time.Minute)
	default:
		require.Equal(t, want, res.Failure.Kind)
	}
	require.Equal(t, want, kind(r.Apply(res, time.Now())))
}

// actions does the next n actions of a record, each when it is due. Atlas accepts every cutover but the first.
func actions(t *testing.T, w *wire, d *Driver, r Record, n int) Record {
	t.Helper()
	for range n {
		time.Sleep(time.Until(r.NextCheckAt))
		r = r.Begin(r.Next(time.Now()), "run-1", time.Now())
		r = r.Apply(do(t, d, r), time.Now())
		if slices.Contains(w.sent, opCutover) {
			w.answers[opCutover] = reply(202, "")
		}
	}
	return r
}

// TestAnApprovalDoesNotOutliveItsWindow: the function says yes at 01:02, the window closes at 01:03, and Atlas answers 429
// with a long Retry-After.
func TestAnApprovalDoesNotOutliveItsWindow(t *testing.T) {
	onWire(t, func(t *testing.T, w *wire) {
		time.Sleep(62 * time.Minute)
		d := w.driver(t, asks(true, nil), WithCutoverWindow(window(t, "01:00-01:03", time.UTC)))
		w.answers[opCutover] = atlasError(429, "RATE_LIMITED", "Retry-After", "295")
		r := recordIn(StateReady)
		r.NextCheckAt = stamp(time.Now())
		r = actions(t, w, d, r, 20)
		assert.Equal(t, StateReady, r.State)
		sent := 0
		for _, op := range w.sent {
			if op == opCutover {
				sent++
			}
		}
		assert.Equal(t, 1, sent)
		assert.Equal(t, ProblemWaitingForWindow, kind(r))
		assert.Equal(t, 429, r.Problem.Status, "what was rejected is still said")
	})
}

// TestACutoverIsTriedAgain: the yes of the function lasts a minute, and that is the time between two checks. A cutover that was
// not accepted is sent again after the next yes, not after the next check.
func TestACutoverIsTriedAgain(t *testing.T) {
	for name, first := range map[string]answer{
		"rejected": atlasError(409, "X"),
		"unknown":  broken(errors.New("connection reset")),
	} {
		t.Run(name, func(t *testing.T) {
			onWire(t, func(t *testing.T, w *wire) {
				d := w.driver(t, asks(true, nil), WithPollInterval(time.Minute, time.Minute))
				w.answers[opCutover] = first
				r := recordIn(StateReady)
				r.NextCheckAt = stamp(time.Now())
				r = actions(t, w, d, r, 12)
				assert.Equal(t, StateFinishing, r.State)
				assert.False(t, r.CutoverAt.IsZero())
			})
		})
	}
}

// TestAskingTakesTime: window, approval and the minute of the intent are asked again after the function has answered.
func TestAskingTakesTime(t *testing.T) {
	slow := func(answer time.Duration) Option {
		return WithCutoverApproval(func(ctx context.Context, _ Record) (bool, error) {
			time.Sleep(answer)
			return true, nil
		})
	}
	for name, test := range map[string]struct {
		opts []Option
		age  time.Duration
		want func(*testing.T, Result)
	}{
		"in time": {[]Option{slow(10 * time.Second)}, 0, func(t *testing.T, res Result) { assert.Equal(t, OutcomeDone, res.Outcome) }},
		"the window closes": {[]Option{slow(10 * time.Second), WithCutoverWindow(window(t, "00:00-00:01", time.UTC))}, 0,
			func(t *testing.T, res Result) { assert.Equal(t, ProblemWaitingForWindow, res.Hold.Kind) }},
		"the minute passes": {[]Option{slow(10 * time.Second)}, 25 * time.Second,
			func(t *testing.T, res Result) { assert.Contains(t, res.Failure.Text, "a minute ago") }},
		"it takes too long": {[]Option{slow(16 * time.Second)}, 0,
			func(t *testing.T, res Result) { assert.Contains(t, res.Failure.Text, "no answer within 15s") }},
	} {
		t.Run(name, func(t *testing.T) {
			onWire(t, func(t *testing.T, w *wire) {
				w.answers[opCheck] = later(25*time.Second, w.answers[opCheck])
				r := recordIn(StateReady).with(func(r *Record) {
					r.Problem, r.Approved = nil, []Approval{{Gate: GateCutover, By: policy, Until: stamp(time.Now().Add(time.Hour))}}
				})
				r = r.Begin(ActionCutover, "run-1", time.Now())
				r.Begun.At = r.Begun.At.Add(-test.age)
				res := do(t, w.driver(t, test.opts...), r)
				test.want(t, res)
				assert.Equal(t, res.Outcome == OutcomeDone, w.sent[len(w.sent)-1] == opCutover)
				time.Sleep(time.Minute) // for the function that is slow
			})
		})
	}
}

// TestTheFunctionSeesTheJob as it was read just before.
func TestTheFunctionSeesTheJob(t *testing.T) {
	onWire(t, func(t *testing.T, w *wire) {
		var asked Record
		d := w.driver(t, WithCutoverApproval(func(_ context.Context, r Record) (bool, error) {
			asked = r
			return true, nil
		}))
		r := recordIn(StateReady).Begin(ActionCheck, "run-1", time.Now())
		res := do(t, d, r)
		lag, known := asked.Migration.Lag()
		assert.True(t, known)
		assert.Equal(t, 3*time.Second, lag)
		assert.Nil(t, asked.Begun)
		assert.Equal(t, stamp(time.Now()).Add(time.Minute), res.ApprovedUntil)
	})
}

// TestCutoverLooksFirst: a migration that is no longer ready is not cut over.
func TestCutoverLooksFirst(t *testing.T) {
	for name, body := range map[string]string{
		"not ready": migrationJSON(false, "3"),
		"complete":  `{"_id": "` + string(migrationID) + `", "status": "COMPLETE", "readyForCutover": true}`,
	} {
		t.Run(name, func(t *testing.T) {
			onWire(t, func(t *testing.T, w *wire) {
				w.answers[opCheck] = reply(200, body)
				r := now(approvedCutover())
				res := do(t, w.driver(t), r)
				assert.Equal(t, []string{opCheck}, w.sent)
				assert.Equal(t, OutcomeNotDone, res.Outcome)
				assert.NotEqual(t, StateReady, r.Apply(res, time.Now()).State)
			})
		})
	}
}

// TestStartIsApprovedWhenItIsSent, and for 30 seconds more.
func TestStartIsApprovedWhenItIsSent(t *testing.T) {
	onWire(t, func(t *testing.T, w *wire) {
		r := now(recordIn(StateValidated).with(func(r *Record) {
			r.Plan.HoldStart = true
			r.Approved = []Approval{{Gate: GateStart, By: "ann", Until: stamp(time.Now().Add(time.Minute))}}
		}))
		time.Sleep(31 * time.Second)
		res := do(t, w.driver(t), r)
		assert.Empty(t, w.sent)
		assert.Equal(t, ProblemWaitingForApproval, res.Hold.Kind)
		assert.Equal(t, StateValidated, r.Apply(res, time.Now()).State)
	})
}

func TestWaits(t *testing.T) {
	failing := func(since time.Duration) func(*Record) {
		return func(r *Record) { r.Problem = &Problem{Kind: ProblemRetrying, Since: stamp(time.Now().Add(-since))} }
	}
	since := func(age time.Duration) func(*Record) {
		return func(r *Record) { r.Events = []Event{{stamp(time.Now().Add(-age)), "x"}} }
	}
	retry := func(seconds string) answer { return atlasError(429, "RATE_LIMITED", "Retry-After", seconds) }
	for name, test := range map[string]struct {
		state  State
		change func(*Record)
		answer answer
		want   time.Duration // at the most; a fifth less at the least
	}{
		"after a change":    {StateReplicating, since(0), nil, 5 * time.Second},
		"later":             {StateReplicating, since(2 * time.Minute), nil, 30 * time.Second},
		"much later":        {StateReplicating, since(time.Hour), nil, time.Minute},
		"the first failure": {StateReplicating, since(time.Hour), reply(500, ""), 5 * time.Second},
		"an outage":         {StateReplicating, failing(2 * time.Minute), reply(500, ""), time.Minute},
		"a long outage":     {StateReplicating, failing(time.Hour), reply(500, ""), 5 * time.Minute},
		"waiting is no outage": {
			StateReady, func(r *Record) { r.Problem.Since = stamp(time.Now().Add(-time.Hour)) }, reply(500, ""), 5 * time.Second,
		},
		"a conflict":                 {StateValidated, since(0), atlasError(409, "X"), 5 * time.Minute},
		"as Atlas asks":              {StateReplicating, since(0), retry("100"), 100 * time.Second},
		"Atlas asks for an eternity": {StateReplicating, since(0), retry("100000"), time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			onWire(t, func(t *testing.T, w *wire) {
				if test.answer != nil {
					w.answers[opCheck], w.answers[opCreate] = test.answer, test.answer
				}
				r := recordIn(test.state).with(test.change)
				r = r.Begin(r.Next(time.Now()), "run-1", time.Now())
				res := do(t, w.driver(t), r)
				assert.LessOrEqual(t, res.Wait, test.want)
				assert.GreaterOrEqual(t, res.Wait, test.want*4/5)
			})
		})
	}
}

// TestPacingAfterASentCutover: only what was certainly not sent is not done.
func TestPacingAfterASentCutover(t *testing.T) {
	paced := func(attempts int) error { return &livemigration.PacingError{Attempts: attempts, Wait: time.Minute} }
	assert.True(t, notCutOver(paced(0)))
	assert.False(t, notCutOver(paced(1)))
	assert.False(t, notCutOver(&livemigration.OutcomeUnknownError{Method: "PUT", Err: &livemigration.APIError{StatusCode: 409, Code: "X"}}))
	assert.False(t, notCutOver(&livemigration.CallError{Attempts: 1, Err: errors.New("x")}))
	onWire(t, func(t *testing.T, w *wire) {
		a := &attempt{Driver: w.driver(t), record: recordIn(StateReady)}
		assert.Equal(t, time.Minute, a.backoff(paced(0)), "its Wait counts")
	})
}
