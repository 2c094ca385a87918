package livemigrationtemporal

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"

	"github.com/livemigration/livemigration-go/durable"
)

const (
	// changeTimeout is the StartToClose timeout of an action that changes something. A worker that dies during it is noticed
	// after this time.
	changeTimeout = 2 * time.Minute
	// changeReserve is how long before that the action's context ends: a creation on its way may take 30 seconds more, and
	// its result must reach Temporal.
	changeReserve = 45 * time.Second
	// lookFor is for how long a look polls.
	lookFor = time.Hour
	// lookTimeout leaves a look time to end.
	lookTimeout = lookFor + 10*time.Minute
	// heartbeatTimeout is after which time Temporal gives the look of a dead worker to another one.
	heartbeatTimeout  = time.Minute
	heartbeatInterval = 20 * time.Second
	// approvalInterval is how often an approval is asked for at the least. It is also how long one of WithApproval holds.
	approvalInterval = time.Minute
)

// notDone is the type of the error of an action that certainly sent nothing, since the worker cannot do it.
const notDone = "NotDone"

// activities do the actions of records on a worker.
type activities struct{ driver *durable.Driver }

// change does an action that changes something. The record that it returns is to be kept. Its error says that nothing was
// sent, when its type is notDone.
func (a *activities) change(ctx context.Context, begun durable.Record) (durable.Record, error) {
	info := activity.GetInfo(ctx)
	deadline := info.Deadline
	if byServer := info.StartedTime.Add(changeTimeout); byServer.Before(deadline) {
		deadline = byServer // this worker got the task late
	}
	ctx, cancel := context.WithDeadline(ctx, deadline.Add(-changeReserve))
	defer cancel()
	defer cancelAtStop(ctx, cancel)()
	done, err := a.driver.Do(ctx, begun)
	if err != nil && ctx.Err() == nil {
		return done, temporal.NewNonRetryableApplicationError(err.Error(), notDone, nil)
	}
	return done, nil
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

// lookInput is what a look needs.
type lookInput struct {
	Record durable.Record `json:"record"` // as begun
	Wait   time.Duration  `json:"wait"`   // until the first look: the clock of Temporal may differ from that of the worker
	Once   bool           `json:"once"`   // it does not poll
}

// look polls until there is something new. It returns the record as last seen, also when the worker stops.
func (a *activities) look(ctx context.Context, in lookInput) (durable.Record, error) {
	beats := startHeartbeats(ctx)
	defer beats.end()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer cancelAtStop(ctx, cancel)()

	begun, action := in.Record, in.Record.Begun
	before := in.Record
	before.Begun = durable.ActionNone
	latest, next, end := before, time.Now().Add(in.Wait), time.Now().Add(lookFor)
	for {
		beats.show(summarize(latest, ""))
		if !sleep(ctx, min(time.Until(next), time.Until(end))) || next.After(end) {
			return latest, nil
		}
		done, err := a.driver.Do(ctx, begun)
		switch {
		case err != nil && ctx.Err() != nil:
			return latest, nil
		case err != nil:
			return latest, fmt.Errorf("look: %w", err)
		}
		latest = done
		if in.Once || done.News(before) || done.Next() != action || !time.Now().Before(end) {
			return latest, nil
		}
		begun = done.Begin(action, time.Now())
		if next = done.CheckAt; action == durable.ActionApprove && time.Until(next) > approvalInterval {
			next = time.Now().Add(approvalInterval)
		}
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

// heartbeats tell Temporal that an activity lives, also while a request takes long.
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

// certainlyNotSent reports whether the error of a change says that no worker has sent anything.
func certainlyNotSent(err error) bool {
	var timeout *temporal.TimeoutError
	if errors.As(err, &timeout) {
		return timeout.TimeoutType() == enums.TIMEOUT_TYPE_SCHEDULE_TO_START
	}
	var application *temporal.ApplicationError
	return errors.As(err, &application) && application.Type() == notDone
}

// workerProblem is what a worker said about an action that it cannot do; empty when it said nothing.
func workerProblem(err error) string {
	var application *temporal.ApplicationError
	if !errors.As(err, &application) || application.Type() != notDone {
		return ""
	}
	return "the worker cannot do this: " + application.Message()
}
