package livemigrationtemporal

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"

	"github.com/livemigration/livemigration-go/durable"
)

const (
	// changeTimeout is the StartToClose timeout of an action that changes something: its requests have ended 90 seconds after
	// it began. A worker that dies during it is noticed after this time.
	changeTimeout = 2 * time.Minute
	// pollFor is for how long one activity polls a job, or watches the holder of a lock. pollTimeout leaves it time to end.
	pollFor     = time.Hour
	pollTimeout = pollFor + 10*time.Minute
	// heartbeatTimeout is after which time Temporal gives the poll of a dead worker to another one. A request and a function
	// take up to 45 seconds.
	heartbeatTimeout  = time.Minute
	heartbeatInterval = 10 * time.Second
)

// activities do the actions of records on a worker.
type activities struct{ driver *durable.Driver }

// change does an action that changes something. The record is as begun, and the result is applied by the workflow.
func (a *activities) change(ctx context.Context, begun durable.Record) (durable.Result, error) {
	ctx, cancel := untilStop(ctx)
	defer cancel()
	clock := temporalClock(ctx, begun.Begun.At)
	result := a.driver.Do(ctx, begun)
	if clock.wrong() {
		result.Wait = max(result.Wait, pause)
	}
	return result, nil
}

// clock is the time of Temporal on a worker whose own clock may be wrong.
type clock struct{ temporal, own time.Time }

// temporalClock is the clock at the start of an activity. scheduled is when the workflow scheduled it.
func temporalClock(ctx context.Context, scheduled time.Time) clock {
	info := activity.GetInfo(ctx)
	return clock{scheduled.Add(info.StartedTime.Sub(info.ScheduledTime)), time.Now()}
}

func (c clock) now() time.Time { return c.temporal.Add(time.Since(c.own)) }

func (c clock) off() time.Duration { return c.own.Round(0).Sub(c.temporal).Round(time.Second) }

func (c clock) wrong() bool { return c.off().Abs() >= intentLife }

// untilStop returns a context that ends when the worker stops, too.
func untilStop(ctx context.Context) (context.Context, context.CancelFunc) {
	stopping := activity.GetWorkerStopChannel(ctx)
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		select {
		case <-stopping:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}

// pollInput is what a poll needs.
type pollInput struct {
	Record durable.Record `json:"record"`
	Action durable.Action `json:"action"`
	By     string         `json:"by"`
	Now    time.Time      `json:"now"`  // by the clock of Temporal
	Wait   time.Duration  `json:"wait"` // until the first poll
}

// poll polls until a result is news for the record that it was given. It returns the last result, even when the worker
// stops. Its time is Temporal's: the clock of the worker may be wrong.
func (a *activities) poll(ctx context.Context, in pollInput) (durable.Result, error) {
	ctx, cancel := untilStop(ctx)
	defer cancel()
	clock := temporalClock(ctx, in.Now)
	before, wait := in.Record, in.Wait
	last := notDone(before, durable.Intent{Action: in.Action})
	for {
		left := pollFor - time.Since(clock.own)
		if !rest(ctx, min(wait, left), summarize(before)) || wait >= left {
			return last, nil
		}
		last = a.driver.Do(ctx, before.Begin(in.Action, in.By, clock.now()))
		if before.State == durable.StateReady && clock.wrong() {
			return mistrust(last, clock.off()), nil
		}
		seen := before.Apply(last, clock.now())
		if ctx.Err() != nil || seen.News(before) || seen.Next(clock.now()) != in.Action {
			return last, nil
		}
		before, wait = seen, last.Wait
	}
}

// notDone is the result of an action of which nothing was sent.
func notDone(r durable.Record, intent durable.Intent) durable.Result {
	return durable.Result{
		Intent: intent, State: r.State, ValidationID: r.ValidationID, MigrationID: r.MigrationID, Outcome: durable.OutcomeNotDone,
	}
}

// mistrust takes out of the poll of a READY record what a worker with a wrong clock thinks of approvals and windows.
func mistrust(seen durable.Result, off time.Duration) durable.Result {
	seen.Hold, seen.ApprovedUntil, seen.Wait = nil, time.Time{}, pause
	if seen.Failure == nil {
		seen.Failure = &durable.Problem{Kind: durable.ProblemNeedsAttention, Text: fmt.Sprintf(
			"the clock of a worker differs by %s from the clock of Temporal, so it sends no cutover; the history names the worker", off)}
	}
	return seen
}

// rest sleeps and tells Temporal meanwhile that the activity is alive. It is false when the context has ended.
func rest(ctx context.Context, d time.Duration, shown any) bool {
	for end := time.Now().Add(d); ; {
		activity.RecordHeartbeat(ctx, shown)
		left := time.Until(end)
		if ctx.Err() != nil || left <= 0 {
			return ctx.Err() == nil
		}
		select {
		case <-ctx.Done():
		case <-time.After(min(left, heartbeatInterval)):
		}
	}
}

// notSent says why certainly no worker has sent a change that failed with err: none has started it in time, the worker does not
// have the activity, or it could not decode the input. It is empty when that is not certain.
func notSent(err error) (why string) {
	var timeout *temporal.TimeoutError
	var application *temporal.ApplicationError
	const undecoded = "unable to decode the activity function input" // as the SDK says it
	switch {
	case errors.As(err, &timeout) && timeout.TimeoutType() == enums.TIMEOUT_TYPE_SCHEDULE_TO_START:
		return "none has started it within a minute"
	case !errors.As(err, &application):
		return ""
	case application.Type() == "ActivityNotRegisteredError" || strings.HasPrefix(application.Message(), undecoded):
		return application.Message()
	default:
		return ""
	}
}
