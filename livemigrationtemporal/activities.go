package livemigrationtemporal

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"

	"github.com/livemigration/livemigration-go/durable"
)

const (
	// changeTimeout is the StartToClose timeout of an action that changes something: the life of its intent, and 30 seconds
	// for its request and for a creation in flight each. A worker that dies during it is noticed after this time.
	changeTimeout = 3 * time.Minute
	// pollFor is for how long one activity polls, and pollTimeout leaves it time to end.
	pollFor     = time.Hour
	pollTimeout = pollFor + 10*time.Minute
	// heartbeatTimeout is after which time Temporal gives the poll of a dead worker to another one.
	heartbeatTimeout  = time.Minute
	heartbeatInterval = 20 * time.Second
)

// activities do the actions of records on a worker.
type activities struct{ driver *durable.Driver }

// change does an action that changes something. The record is as begun, and the result is applied by the workflow.
func (a *activities) change(ctx context.Context, begun durable.Record) (durable.Result, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer cancelAtStop(ctx, cancel)()
	return a.driver.Do(ctx, begun), nil
}

// cancelAtStop ends a context when the worker stops. The function that it returns ends the waiting.
func cancelAtStop(ctx context.Context, cancel context.CancelFunc) (end func()) {
	stopping, ended := activity.GetWorkerStopChannel(ctx), make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		select {
		case <-stopping:
			cancel()
		case <-ended:
		}
	}()
	return func() { close(ended); <-done }
}

// pollInput is what a poll needs.
type pollInput struct {
	Record durable.Record `json:"record"`
	Action durable.Action `json:"action"`
	By     string         `json:"by"`
	Wait   time.Duration  `json:"wait"` // until the first poll: the clock of Temporal may differ from the one of the worker
}

// poll polls until a result is news for the record that it was given. It returns the last result, even when the worker
// stops.
func (a *activities) poll(ctx context.Context, in pollInput) (durable.Result, error) {
	beats := startHeartbeats(ctx)
	defer beats.end()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer cancelAtStop(ctx, cancel)()

	before, wait := in.Record, in.Wait
	last := durable.Result{
		Intent: durable.Intent{Action: in.Action}, State: before.State, ValidationID: before.ValidationID, MigrationID: before.MigrationID,
		Outcome: durable.OutcomeNotDone,
	}
	for end := time.Now().Add(pollFor); ; {
		beats.show(summarize(before, ""))
		if !sleep(ctx, min(wait, time.Until(end))) || !time.Now().Before(end) {
			return last, nil
		}
		last = a.driver.Do(ctx, before.Begin(in.Action, in.By, time.Now()))
		seen := before.Apply(last, time.Now())
		if ctx.Err() != nil || seen.News(before) || seen.Next(time.Now()) != in.Action {
			return last, nil
		}
		before, wait = seen, last.Wait
	}
}

// sleep is false when the context has ended.
func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// heartbeats tell Temporal that an activity is alive, even while a request takes long.
type heartbeats struct {
	shown      atomic.Pointer[summary]
	stop, done chan struct{}
}

func startHeartbeats(ctx context.Context) *heartbeats {
	h := &heartbeats{stop: make(chan struct{}), done: make(chan struct{})}
	go func() {
		defer close(h.done)
		ticker := time.NewTicker(heartbeatInterval)
		defer ticker.Stop()
		for {
			if shown := h.shown.Load(); shown != nil {
				activity.RecordHeartbeat(ctx, *shown)
			} else {
				activity.RecordHeartbeat(ctx)
			}
			select {
			case <-ticker.C:
			case <-h.stop:
				return
			}
		}
	}()
	return h
}

func (h *heartbeats) show(s summary) { h.shown.Store(&s) }

func (h *heartbeats) end() { close(h.stop); <-h.done }

// certainlyNotSent reports whether the error of a change says that no worker has sent anything: none has started it in
// time, the worker does not have the activity, or it could not decode the input.
func certainlyNotSent(err error) bool {
	var timeout *temporal.TimeoutError
	if errors.As(err, &timeout) {
		return timeout.TimeoutType() == enums.TIMEOUT_TYPE_SCHEDULE_TO_START
	}
	var application *temporal.ApplicationError
	if !errors.As(err, &application) {
		return false
	}
	return application.Type() == "ActivityNotRegisteredError" || strings.HasPrefix(application.Message(), "unable to decode the activity function input")
}

// cause is the message of an activity's error without what Temporal puts around it.
func cause(err error) string {
	var application *temporal.ApplicationError
	var timeout *temporal.TimeoutError
	switch {
	case errors.As(err, &application):
		return application.Message()
	case errors.As(err, &timeout):
		return "none has started it within a minute"
	default:
		return err.Error()
	}
}
