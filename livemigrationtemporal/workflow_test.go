package livemigrationtemporal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/temporal"

	"github.com/livemigration/livemigration-go"
	"github.com/livemigration/livemigration-go/durable"
	"github.com/livemigration/livemigration-go/livemigrationtest"
)

var allChanges = []durable.Action{durable.ActionValidate, durable.ActionCreate, durable.ActionCutover}

func yes(context.Context, durable.Record) (bool, error) { return true, nil }

func TestMigrationComplete(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.at(0, func() { f.SignalWorkflow(commandSignal, command{Approve: durable.GateCutover, By: "ann"}) })
	f.ExecuteWorkflow(MigrationWorkflow, f.plan)
	record := f.result(t)
	assert.Equal(t, durable.StateComplete, record.State)
	assert.Equal(t, allChanges, f.changes())
	assert.Equal(t, 1, f.count(livemigrationtest.CreateMigration))
	assert.Equal(t, 1, f.count(livemigrationtest.Cutover))
	machines := needs(durable.Record{Plan: f.plan, State: durable.StatePlanned}, time.Now())
	assert.Equal(t, machines, f.asked[:len(machines)], "in order")
	assert.ElementsMatch(t, f.plan.Resources(), f.asked, "each lock once")
	assert.ElementsMatch(t, f.asked, f.released)
	require.NotEmpty(t, f.memos)
	last := f.memos[len(f.memos)-1]
	assert.Equal(t, "COMPLETE", last["state"])
	assert.Equal(t, string(record.MigrationID), last["migrationId"])
	assert.Empty(t, last["waitsFor"])
	for _, payload := range f.payloads {
		assert.NotContains(t, payload, password)
	}
}

func TestApprovals(t *testing.T) {
	t.Parallel()
	cutover := command{Approve: durable.GateCutover}
	for name, tt := range map[string]struct {
		drop     bool
		commands []command
		opts     []durable.Option
	}{
		"cutover by a signal":           {false, []command{cutover}, nil},
		"cutover by the function":       {false, nil, []durable.Option{durable.WithCutoverApproval(yes)}},
		"start and cutover by signals":  {true, []command{{Approve: durable.GateStart}, cutover}, nil},
		"start by a signal":             {true, []command{{Approve: durable.GateStart}}, []durable.Option{durable.WithCutoverApproval(yes)}},
		"approved, revoked, and again":  {false, []command{cutover, {Revoke: durable.GateCutover}, cutover}, nil},
		"a command that nothing allows": {false, []command{{Restart: true}, {}, cutover}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, tt.opts...)
			f.plan.Request.DropDestinationData = tt.drop
			f.at(0, func() {
				for _, c := range tt.commands {
					f.SignalWorkflow(commandSignal, c)
				}
			})
			f.ExecuteWorkflow(MigrationWorkflow, f.plan)
			record := f.result(t)
			assert.Equal(t, durable.StateComplete, record.State)
			assert.Equal(t, allChanges, f.changes())
			assert.ElementsMatch(t, f.asked, f.released)
			assert.Equal(t, strings.HasPrefix(name, "a command"), strings.Contains(strings.Join(texts(record), "\n"), "a command was ignored"))
		})
	}
}

// An update returns why the state does not allow a command.
func TestUpdates(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.plan.HoldStart = true
	answers := map[string]error{}
	send := func(id string, c command) {
		f.UpdateWorkflow(commandSignal, id, answer{answers, id}, c)
	}
	f.at(time.Second, func() {
		send("restart", command{Restart: true})
		send("adopt", command{Adopt: "6560f2a49c1b7e03d5000002"})
		send("gate", command{Approve: "cut-over"})
		send("nothing", command{})
		send("approve", command{Approve: durable.GateCutover, By: "ann"})
	})
	f.at(2*time.Second, func() { send("abandon", command{Abandon: true}) })
	f.ExecuteWorkflow(MigrationWorkflow, f.plan)
	assert.Equal(t, durable.StateAbandoned, f.result(t).State)
	var application *temporal.ApplicationError
	require.ErrorAs(t, answers["restart"], &application)
	assert.Equal(t, conflictType, application.Type())
	assert.Contains(t, application.Message(), "VALIDATED")
	require.ErrorAs(t, answers["adopt"], &application)
	assert.Equal(t, conflictType, application.Type())
	for _, id := range []string{"gate", "nothing"} {
		require.ErrorAs(t, answers[id], &application, id)
		assert.Equal(t, invalidType, application.Type(), id)
	}
	assert.NoError(t, answers["approve"])
	assert.NoError(t, answers["abandon"])
	assert.Empty(t, f.count(livemigrationtest.CreateMigration))
}

// answer notes how an update ended.
type answer struct {
	answers map[string]error
	id      string
}

func (a answer) Accept()                   {}
func (a answer) Reject(err error)          { a.answers[a.id] = err }
func (a answer) Complete(_ any, err error) { a.answers[a.id] = err }

// lose makes the first change of a kind fail, after it was sent or before.
func (f *fixture) lose(t *testing.T, action durable.Action, sent bool, failure error) {
	t.Helper()
	driver, lost := newDriver(t, f.atlas), false
	f.OnActivity(changeActivity, mock.Anything, mock.Anything).Return(func(ctx context.Context, begun durable.Record) (durable.Result, error) {
		if lost || begun.Begun.Action != action {
			return driver.Do(ctx, begun), nil
		}
		lost = true
		if sent {
			driver.Do(ctx, begun)
		}
		return durable.Result{}, failure
	})
}

func TestAResultThatIsLost(t *testing.T) {
	t.Parallel()
	died := temporal.NewTimeoutError(enums.TIMEOUT_TYPE_START_TO_CLOSE, errors.New("the worker died"))
	for action, want := range map[durable.Action]durable.State{
		durable.ActionValidate: durable.StateComplete, durable.ActionCreate: durable.StateUnclear, durable.ActionCutover: durable.StateComplete,
	} {
		t.Run(string(action), func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			f.lose(t, action, true, died)
			f.at(0, func() { f.SignalWorkflow(commandSignal, command{Approve: durable.GateCutover}) })
			seen := durable.State("")
			f.at(time.Hour, func() {
				seen = f.now(t).State
				if seen == durable.StateUnclear {
					f.SignalWorkflow(commandSignal, command{Abandon: true})
				}
			})
			f.ExecuteWorkflow(MigrationWorkflow, f.plan)
			record := f.result(t)
			if want == durable.StateUnclear {
				assert.Equal(t, want, seen)
				assert.Equal(t, durable.StateAbandoned, record.State)
			} else {
				assert.Equal(t, want, record.State)
			}
			assert.Equal(t, 1, f.count(livemigrationtest.CreateMigration), "never twice")
			assert.LessOrEqual(t, f.count(livemigrationtest.Cutover), 1)
		})
	}
}

// Nothing was sent, and the workflow knows that.
func TestAnActionThatNoWorkerHasSent(t *testing.T) {
	t.Parallel()
	for name, failure := range map[string]error{
		"not started":    temporal.NewTimeoutError(enums.TIMEOUT_TYPE_SCHEDULE_TO_START, nil),
		"not registered": temporal.NewApplicationError("unable to find activityType=change", "ActivityNotRegisteredError"),
		"not decoded":    temporal.NewApplicationError("unable to decode the activity function input payload with error: x", "wrapError"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			var states []durable.State
			f.OnActivity(changeActivity, mock.Anything, mock.Anything).Return(func(context.Context, durable.Record) (durable.Result, error) {
				return durable.Result{}, failure
			})
			f.at(30*time.Minute, func() {
				record := f.now(t)
				states = append(states, record.State)
				if assert.NotNil(t, record.Problem) {
					assert.Equal(t, durable.ProblemNeedsAttention, record.Problem.Kind)
					assert.Contains(t, record.Problem.Text, "no worker has done this")
				}
				f.SignalWorkflow(commandSignal, command{Abandon: true})
			})
			f.ExecuteWorkflow(MigrationWorkflow, f.plan)
			assert.Equal(t, durable.StateAbandoned, f.result(t).State)
			assert.Equal(t, []durable.State{durable.StatePlanned}, states)
			assert.Greater(t, len(f.changes()), 3, "it is tried again")
		})
	}
}

// Abandon and a cancellation end a migration that waits: for a lock that cannot be asked for, for a person, for an approval.
func TestAbandonAndCancelEnd(t *testing.T) {
	t.Parallel()
	ends := map[string]func(*fixture){
		"abandon": func(f *fixture) { f.SignalWorkflow(commandSignal, command{Abandon: true}) },
		"cancel":  func(f *fixture) { f.CancelWorkflow() },
	}
	for name, prepare := range map[string]func(*fixture) durable.State{
		"a lock":  func(f *fixture) durable.State { f.noLocks = true; return durable.StatePlanned },
		"a start": func(f *fixture) durable.State { f.plan.HoldStart = true; return durable.StateValidated },
		"failed":  func(f *fixture) durable.State { f.atlas.FailNextValidation("no"); return durable.StateFailed },
		"unclear": func(f *fixture) durable.State {
			f.atlas.Inject(livemigrationtest.CreateMigration, livemigrationtest.ResetAfterRequest(), 1)
			return durable.StateUnclear
		},
	} {
		for verb, end := range ends {
			t.Run(name+"/"+verb, func(t *testing.T) {
				t.Parallel()
				f := newFixture(t)
				want, seen := prepare(f), durable.State("")
				f.at(time.Minute, func() {
					seen = f.now(t).State
					end(f)
				})
				f.ExecuteWorkflow(MigrationWorkflow, f.plan)
				assert.Equal(t, want, seen)
				assert.Equal(t, durable.StateAbandoned, f.result(t).State)
				assert.Subset(t, f.released, f.asked)
			})
		}
	}
}

func shardEntry(i int) livemigration.ShardEntry {
	return livemigration.ShardEntry{
		Database: "db", Collection: fmt.Sprintf("%s%d", strings.Repeat("c", 100), i),
		ShardCollection: livemigration.ShardKeys{Key: []livemigration.ShardKeyField{{Field: "f", Order: livemigration.Hashed}}},
	}
}

// largest fills a plan with sharding entries until one more would be too large.
func largest(t *testing.T, plan durable.Plan) durable.Plan {
	t.Helper()
	size := func() int {
		text, err := json.Marshal(plan)
		require.NoError(t, err)
		return len(text)
	}
	plan.Request.Sharding = &livemigration.Sharding{}
	entries := &plan.Request.Sharding.Entries
	for i := range 2 {
		*entries = append(*entries, shardEntry(10_000+i))
	}
	two := size()
	*entries = append(*entries, shardEntry(10_002))
	for i, n := 3, 2+(maxPlan-two)/(size()-two); i < n; i++ {
		*entries = append(*entries, shardEntry(10_000+i))
	}
	require.LessOrEqual(t, size(), maxPlan)
	return plan
}

func TestPlansThatStartRejects(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	plan := f.plan
	plan.Request.MigrationHosts = nil
	_, err := Start(t.Context(), nil, plan)
	require.ErrorIs(t, err, livemigration.ErrInvalidRequest)
	plan = largest(t, f.plan)
	entries := &plan.Request.Sharding.Entries
	*entries = append(*entries, shardEntry(10_000+len(*entries)))
	_, err = Start(t.Context(), nil, plan)
	require.ErrorIs(t, err, livemigration.ErrInvalidRequest)
	require.ErrorContains(t, err, "bytes of JSON, and at most 1048576 are possible")
}

// A workflow that was terminated continues from its last record.
func TestStartAgainFromARecord(t *testing.T) {
	t.Parallel()
	f := newFixture(t, durable.WithCutoverApproval(yes))
	record := durable.NewRecord(f.plan, time.Now()).Begin(durable.ActionValidate, "a run that was terminated", time.Now())
	f.ExecuteWorkflow(runMigration, f.plan, &carried{Record: record})
	assert.Equal(t, durable.StateComplete, f.result(t).State)
	assert.Equal(t, 1, f.count(livemigrationtest.CreateMigration))
}
