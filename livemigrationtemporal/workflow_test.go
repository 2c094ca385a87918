package livemigrationtemporal

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/temporal"

	"github.com/livemigration/livemigration-go/durable"
	"github.com/livemigration/livemigration-go/livemigrationtest"
)

var allChanges = []durable.Action{durable.ActionValidate, durable.ActionCreate, durable.ActionCutover}

func TestMigrationComplete(t *testing.T) {
	f := newFixture(t)
	f.at(0, func() { f.SignalWorkflow(commandSignal, command{Approve: durable.GateCutover}) })
	f.ExecuteWorkflow(MigrationWorkflow, f.plan)
	record := f.result(t)
	assert.Equal(t, durable.StateComplete, record.State)
	assert.Equal(t, allChanges, f.changes())
	assert.Equal(t, 1, f.count(livemigrationtest.CreateMigration))
	assert.Equal(t, 1, f.count(livemigrationtest.Cutover))
	assert.Equal(t, resources(f.plan), f.asked, "each lock once, in order")
	assert.ElementsMatch(t, f.asked, f.released)
	require.NotEmpty(t, f.memos)
	last := f.memos[len(f.memos)-1]
	assert.Equal(t, "COMPLETE", last[memoState])
	assert.Equal(t, string(record.MigrationID), last[memoMigration])
	assert.Empty(t, last[memoWaitsFor])
	for _, payload := range f.payloads {
		assert.NotContains(t, payload, password)
	}
}

// A signal interrupts a look, and WithApproval opens gates by itself.
func TestApproval(t *testing.T) {
	tests := map[string]struct {
		drop    bool
		signals []durable.Gate // each one sent when it is asked for
		grants  bool           // WithApproval says yes
	}{
		"cutover by a signal":             {false, []durable.Gate{durable.GateCutover}, false},
		"cutover by WithApproval":         {false, nil, true},
		"start and cutover by signals":    {true, []durable.Gate{durable.GateStart, durable.GateCutover}, false},
		"start and cutover by the option": {true, nil, true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var f *fixture
			var signals sync.Map // gates that were signaled
			f = newFixture(t, durable.WithApproval(func(_ context.Context, _ durable.Record, gate durable.Gate) (bool, error) {
				if _, again := signals.LoadOrStore(gate, true); !again && slices.Contains(tt.signals, gate) {
					f.SignalWorkflow(commandSignal, command{Approve: gate})
				}
				return tt.grants, nil
			}))
			f.plan.Request.DropDestinationData = tt.drop
			f.ExecuteWorkflow(MigrationWorkflow, f.plan)
			assert.Equal(t, durable.StateComplete, f.result(t).State)
			assert.Equal(t, allChanges, f.changes())
			assert.ElementsMatch(t, f.asked, f.released)
		})
	}
}

// While a person has to approve the start, the migration holds no lock.
func TestNoLockWhileStartIsNotApproved(t *testing.T) {
	var f *fixture
	var released []string
	f = newFixture(t, durable.WithApproval(func(_ context.Context, r durable.Record, gate durable.Gate) (bool, error) {
		if gate == durable.GateStart {
			f.mu.Lock()
			released = append([]string{}, f.released...)
			f.mu.Unlock()
		}
		return true, nil
	}))
	f.plan.Request.DropDestinationData = true
	f.ExecuteWorkflow(MigrationWorkflow, f.plan)
	assert.Equal(t, durable.StateComplete, f.result(t).State)
	assert.ElementsMatch(t, resources(f.plan), released)
	assert.Len(t, f.asked, 2*len(released), "asked for again before the creation")
}

// An approval of WithApproval that waited too long for the locks is asked for again.
func TestStaleGrant(t *testing.T) {
	asked := 0
	f := newFixture(t, durable.WithApproval(func(_ context.Context, _ durable.Record, gate durable.Gate) (bool, error) {
		if gate == durable.GateStart {
			asked++
		}
		return true, nil
	}))
	f.plan.Request.DropDestinationData = true
	f.grantAfter = 2 * time.Minute
	f.ExecuteWorkflow(MigrationWorkflow, f.plan)
	assert.Equal(t, durable.StateComplete, f.result(t).State)
	assert.Equal(t, 2, asked)
	assert.Equal(t, 1, f.count(livemigrationtest.CreateMigration))
}

// lose makes the first change of a kind fail, after it was sent or before.
func (f *fixture) lose(t *testing.T, action durable.Action, sent bool, failure error) {
	t.Helper()
	driver, lost := newDriver(t, f.atlas), false
	f.OnActivity(changeActivity, mock.Anything, mock.Anything).Return(func(ctx context.Context, begun durable.Record) (durable.Record, error) {
		if lost || begun.Begun != action {
			return driver.Do(ctx, begun)
		}
		lost = true
		if sent {
			_, _ = driver.Do(ctx, begun)
		}
		return durable.Record{}, failure
	})
}

// A change whose worker died is never sent again without a look.
func TestLostChange(t *testing.T) {
	died := temporal.NewTimeoutError(enums.TIMEOUT_TYPE_START_TO_CLOSE, nil)
	tests := map[string]struct {
		action  durable.Action
		sent    bool
		failure error
		unclear bool
		changes []durable.Action
		creates int
	}{
		"validation": {durable.ActionValidate, true, died, false,
			[]durable.Action{durable.ActionValidate, durable.ActionValidate, durable.ActionCreate, durable.ActionCutover}, 1},
		"creation that was sent":     {durable.ActionCreate, true, died, true, allChanges, 1},
		"creation that was not sent": {durable.ActionCreate, false, died, true, append([]durable.Action{durable.ActionValidate, durable.ActionCreate}, allChanges...), 1},
		"creation in a panic":        {durable.ActionCreate, true, temporal.NewApplicationError("boom", "PanicError"), true, allChanges, 1},
		"cutover that was sent":      {durable.ActionCutover, true, died, false, allChanges, 1},
		"cutover that was not sent":  {durable.ActionCutover, false, died, false, append(allChanges[:3:3], durable.ActionCutover), 1},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			f.lose(t, tt.action, tt.sent, tt.failure)
			f.at(0, func() { f.SignalWorkflow(commandSignal, command{Approve: durable.GateCutover}) })
			unclear := false
			f.at(time.Hour, func() {
				unclear = f.now(t).State == durable.StateUnclear
				if !unclear {
					return
				}
				assert.Empty(t, f.released, "it keeps its locks")
				if tt.sent {
					f.SignalWorkflow(commandSignal, command{Adopt: f.atlas.Migrations()[0].ID})
				} else {
					f.SignalWorkflow(commandSignal, command{Restart: true})
					f.SignalWorkflow(commandSignal, command{Approve: durable.GateCutover})
				}
			})
			f.ExecuteWorkflow(MigrationWorkflow, f.plan)
			assert.Equal(t, durable.StateComplete, f.result(t).State)
			assert.Equal(t, tt.unclear, unclear)
			assert.Equal(t, tt.changes, f.changes())
			assert.Equal(t, tt.creates, f.count(livemigrationtest.CreateMigration))
		})
	}
}

// What certainly was not sent is tried again.
func TestNotSent(t *testing.T) {
	tests := map[string]struct {
		failure error
		problem string
	}{
		"no worker took it": {temporal.NewTimeoutError(enums.TIMEOUT_TYPE_SCHEDULE_TO_START, nil), ""},
		"a worker without a client": {temporal.NewNonRetryableApplicationError("the driver has no client", notDone, nil),
			"the worker cannot do this: the driver has no client"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			f.lose(t, durable.ActionCreate, false, tt.failure)
			f.at(0, func() { f.SignalWorkflow(commandSignal, command{Approve: durable.GateCutover}) })
			f.at(30*time.Second, func() {
				assert.Equal(t, durable.StateValidated, f.now(t).State)
				assert.Equal(t, tt.problem, f.now(t).Problem)
			})
			f.ExecuteWorkflow(MigrationWorkflow, f.plan)
			assert.Equal(t, durable.StateComplete, f.result(t).State)
			assert.Equal(t, 1, f.count(livemigrationtest.CreateMigration))
		})
	}
}

func TestFailedWaitsForRestart(t *testing.T) {
	f := newFixture(t)
	f.atlas.FailNextValidation("no route to the host")
	f.at(time.Hour, func() {
		failed := f.now(t)
		assert.Equal(t, durable.StateFailed, failed.State)
		assert.ElementsMatch(t, f.asked, f.released, "a failed migration holds nothing")
		assert.Contains(t, f.memos[len(f.memos)-1][memoWaitsFor], "no route to the host")
		f.SignalWorkflow(commandSignal, command{Restart: true})
		f.SignalWorkflow(commandSignal, command{Approve: durable.GateCutover})
	})
	f.ExecuteWorkflow(MigrationWorkflow, f.plan)
	assert.Equal(t, durable.StateComplete, f.result(t).State)
	assert.Len(t, f.asked, 2*len(resources(f.plan)))
}

// Signals that do not fit are events, and change nothing else.
func TestSignalsThatDoNotFit(t *testing.T) {
	f := newFixture(t)
	f.atlas.FailNextValidation("no")
	f.at(time.Hour, func() {
		f.SignalWorkflow(commandSignal, command{Adopt: "not-an-id"})
		f.SignalWorkflow(commandSignal, command{Adopt: "6560f2a49c1b7e03d5dddddd"})
		f.SignalWorkflow(commandSignal, command{Approve: "everything"})
		f.SignalWorkflow(commandSignal, command{Restart: true, Approve: durable.GateCutover})
	})
	f.at(2*time.Hour, func() {
		record := f.now(t)
		assert.Equal(t, durable.StateFailed, record.State)
		assert.Empty(t, record.Approved)
		all := strings.Join(texts(record), "\n")
		assert.Equal(t, 2, strings.Count(all, "a command was ignored: durable: adopt a migration for"))
		assert.Equal(t, 2, strings.Count(all, `a command was ignored: it must be {"approve":"start"}`))
		f.CancelWorkflow()
	})
	f.ExecuteWorkflow(MigrationWorkflow, f.plan)
	assert.Equal(t, durable.StateAbandoned, f.result(t).State)
}

// To cancel is to abandon: an action under way is finished, its result kept, and the locks are given back.
func TestCancel(t *testing.T) {
	for _, during := range allChanges {
		t.Run("during "+string(during), func(t *testing.T) {
			f := newFixture(t)
			f.at(0, func() { f.SignalWorkflow(commandSignal, command{Approve: durable.GateCutover}) })
			driver := newDriver(t, f.atlas)
			f.OnActivity(changeActivity, mock.Anything, mock.Anything).Return(func(ctx context.Context, begun durable.Record) (durable.Record, error) {
				if begun.Begun == during {
					f.CancelWorkflow()
				}
				return driver.Do(ctx, begun)
			})
			f.ExecuteWorkflow(MigrationWorkflow, f.plan)
			record := f.result(t)
			assert.Equal(t, durable.StateAbandoned, record.State)
			assert.ElementsMatch(t, f.asked, f.released)
			if during != durable.ActionValidate {
				assert.Equal(t, f.atlas.Migrations()[0].ID, record.MigrationID)
			}
		})
	}
}

func TestInvalidPlan(t *testing.T) {
	f := newFixture(t)
	f.plan.ProjectID = "x"
	f.ExecuteWorkflow(MigrationWorkflow, f.plan)
	var application *temporal.ApplicationError
	require.True(t, errors.As(f.GetWorkflowError(), &application))
	assert.True(t, application.NonRetryable())
	assert.Contains(t, application.Message(), "projectId")
	assert.Empty(t, f.asked)
}

// A migration that is cancelled while it waits for a lock leaves the line.
func TestCancelWhileWaitingForLock(t *testing.T) {
	f := newFixture(t)
	f.grantAfter = 24 * time.Hour
	f.at(time.Minute, func() {
		assert.Equal(t, "waits for the "+resources(f.plan)[0], f.memos[len(f.memos)-1][memoWaitsFor])
		f.CancelWorkflow()
	})
	f.ExecuteWorkflow(MigrationWorkflow, f.plan)
	assert.Equal(t, durable.StateAbandoned, f.result(t).State)
	assert.Equal(t, resources(f.plan)[:1], f.asked)
	assert.Equal(t, f.asked, f.released)
	assert.Empty(t, f.changes())
}

// A lock that does not come is asked for again, with the same ticket, after an hour.
func TestLockIsAskedForAgain(t *testing.T) {
	f := newFixture(t)
	f.grantAfter = 90 * time.Minute
	f.at(0, func() { f.SignalWorkflow(commandSignal, command{Approve: durable.GateCutover}) })
	f.ExecuteWorkflow(MigrationWorkflow, f.plan)
	assert.Equal(t, durable.StateComplete, f.result(t).State)
	names := resources(f.plan)
	assert.Equal(t, []string{names[0], names[0], names[1], names[1]}, f.asked[:4])
	assert.Subset(t, f.released, names)
}
