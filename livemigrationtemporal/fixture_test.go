package livemigrationtemporal

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"

	"github.com/livemigration/livemigration-go"
	"github.com/livemigration/livemigration-go/durable"
	"github.com/livemigration/livemigration-go/livemigrationtest"
)

const password = "pa55-of-the-source"

// fixture is a workflow in the SDK's test environment, with an in-memory Atlas behind it. Locks are free.
type fixture struct {
	*testsuite.TestWorkflowEnvironment
	atlas *livemigrationtest.Server
	plan  durable.Plan
	// grantAfter is how long a lock is waited for.
	grantAfter time.Duration
	// noLocks: no lock can be asked for.
	noLocks bool

	mu       sync.Mutex
	begun    []durable.Action // the actions of activities, in order
	asked    []string         // locks
	released []string
	payloads []string // all that activities got and returned
	memos    []map[string]any
	times    []time.Time // when activities of actions started, by the clock of Temporal
	// onStart is called at the start of such an activity, with how many there were of its kind.
	onStart func(activity string, count int)
	counts  map[string]int
}

type silence struct{}

func (silence) Debug(string, ...any) {}
func (silence) Info(string, ...any)  {}
func (silence) Warn(string, ...any)  {}
func (silence) Error(string, ...any) {}

var _ log.Logger = silence{}

func newFixture(t *testing.T, opts ...durable.Option) *fixture {
	t.Helper()
	const noTime = -time.Second
	atlas := livemigrationtest.NewServer(livemigrationtest.WithInProcess(), livemigrationtest.WithSpeed(1), livemigrationtest.WithTimings(
		livemigrationtest.Timings{Validation: noTime, Scheduling: noTime, InitialSync: noTime, Finishing: noTime}))
	t.Cleanup(atlas.Close)
	return newFixtureWith(t, atlas, opts...)
}

func newFixtureWith(t *testing.T, atlas *livemigrationtest.Server, opts ...durable.Option) *fixture {
	t.Helper()
	f := &fixture{TestWorkflowEnvironment: newEnvironment(), atlas: atlas, plan: planOf(atlas, "billing"), counts: make(map[string]int)}
	Register(f, newDriver(t, atlas, opts...))
	f.SetOnActivityStartedListener(f.started)
	f.SetOnActivityCompletedListener(f.completed)
	request := func(_ context.Context, name string, ticket int64) error {
		if f.noLocks {
			return errors.New("the server is unreachable")
		}
		f.mu.Lock()
		f.asked = append(f.asked, name)
		f.mu.Unlock()
		if f.grantAfter > 0 {
			f.at(f.grantAfter, func() { f.SignalWorkflow(grantSignal, grant{name, ticket}) })
		} else {
			f.SignalWorkflow(grantSignal, grant{name, ticket})
		}
		return nil
	}
	f.OnActivity(requestLockActivity, mock.Anything, mock.Anything, mock.Anything).Return(request)
	f.OnSignalExternalWorkflow(mock.Anything, mock.Anything, "", releaseSignal, mock.Anything).Return(
		func(_, id, _, _ string, _ any) error {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.released = append(f.released, id[len(lockIDPrefix):])
			return nil
		})
	f.OnUpsertMemo(mock.Anything).Run(func(args mock.Arguments) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.memos = append(f.memos, args.Get(0).(map[string]any))
	}).Return(nil)
	return f
}

func newDriver(t *testing.T, atlas *livemigrationtest.Server, opts ...durable.Option) *durable.Driver {
	t.Helper()
	client, err := atlas.NewClient(livemigration.WithRetryPolicy(livemigration.RetryPolicy{MaxAttempts: 1}))
	require.NoError(t, err)
	driver, err := durable.NewDriver(client, append([]durable.Option{
		durable.WithPollInterval(time.Millisecond, 5*time.Millisecond),
		durable.WithPassword(func(context.Context, durable.Plan) (livemigration.Secret, error) { return password, nil }),
	}, opts...)...)
	require.NoError(t, err)
	return driver
}

func newEnvironment() *testsuite.TestWorkflowEnvironment {
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(silence{})
	env := suite.NewTestWorkflowEnvironment()
	env.SetTestTimeout(40 * time.Second)
	env.SetWorkerOptions(worker.Options{DeadlockDetectionTimeout: 40 * time.Second}) // a busy machine is no deadlock
	return env
}

// planOf is a plan whose source user has a password.
func planOf(atlas *livemigrationtest.Server, name string) durable.Plan {
	request := atlas.SampleRequest()
	request.Source.ManagedAuthentication = false
	request.Source.Username, request.Source.Password = "reader", ""
	return durable.Plan{Name: name, ProjectID: atlas.ProjectID(), Request: request, Exclusive: []string{"Organization A"}}
}

func (f *fixture) started(info *activity.Info, _ context.Context, args converter.EncodedValues) {
	if info.ActivityType.Name != changeActivity && info.ActivityType.Name != pollActivity {
		return
	}
	record := recordIn(info.ActivityType.Name, args)
	f.mu.Lock()
	defer f.mu.Unlock()
	if record.Begun != nil { // not a poll
		f.begun = append(f.begun, record.Begun.Action)
	}
	f.keep(record)
	f.times = append(f.times, f.Now())
	f.counts[info.ActivityType.Name]++
	if f.onStart != nil {
		go f.onStart(info.ActivityType.Name, f.counts[info.ActivityType.Name])
	}
}

// timeLapse lets the clock of the worker agree with the one of the test environment, which skips hours. A poll takes an hour.
func (f *fixture) timeLapse(t *testing.T, opts ...durable.Option) {
	t.Helper()
	driver := newDriver(t, f.atlas, opts...)
	f.OnActivity(changeActivity, mock.Anything, mock.Anything).Return(func(ctx context.Context, begun durable.Record) (durable.Result, error) {
		intent := *begun.Begun
		begun.Begun.At = time.Now()
		result := driver.Do(ctx, begun)
		result.Intent = intent
		return result, nil
	})
	poll := func(ctx context.Context, in pollInput) (durable.Result, error) {
		return driver.Do(ctx, in.Record.Begin(in.Action, in.By, in.Now)), nil
	}
	f.OnActivity(pollActivity, mock.Anything, mock.Anything).After(time.Hour).Return(poll)
}

// abandonAfter abandons the record at the start of an activity.
func (f *fixture) abandonAfter(activity string, count int) {
	f.onStart = func(started string, n int) {
		if started == activity && n == count {
			f.SignalWorkflow(commandSignal, command{Abandon: true})
		}
	}
}

// recordIn is the record that an activity gets.
func recordIn(activity string, args converter.EncodedValues) durable.Record {
	var in pollInput
	if activity == pollActivity {
		_ = args.Get(&in)
	} else {
		_ = args.Get(&in.Record)
	}
	return in.Record
}

func (f *fixture) completed(_ *activity.Info, result converter.EncodedValue, _ error) {
	var done durable.Result
	if result != nil && result.HasValue() && result.Get(&done) == nil {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.keep(done)
	}
}

func (f *fixture) keep(payload any) {
	text, _ := json.Marshal(payload)
	f.payloads = append(f.payloads, string(text))
}

// at calls fn when the workflow has had nothing to do for d.
func (f *fixture) at(d time.Duration, fn func()) { f.RegisterDelayedCallback(fn, d) }

// abandonAt abandons the migration after a time, and returns what its record is until then.
func (f *fixture) abandonAt(t *testing.T, d time.Duration) *durable.Record {
	t.Helper()
	seen := new(durable.Record)
	f.at(d, func() {
		*seen = f.now(t)
		f.SignalWorkflow(commandSignal, command{Abandon: true})
	})
	return seen
}

// now is the record as a query shows it.
func (f *fixture) now(t *testing.T) (record durable.Record) {
	t.Helper()
	value, err := f.QueryWorkflow(recordQuery)
	require.NoError(t, err)
	require.NoError(t, value.Get(&record))
	return record
}

// result is the record that the workflow returned.
func (f *fixture) result(t *testing.T) (record durable.Record) {
	t.Helper()
	require.True(t, f.IsWorkflowCompleted())
	require.NoError(t, f.GetWorkflowError())
	require.NoError(t, f.GetWorkflowResult(&record))
	return record
}

// changes are the actions that changed something.
func (f *fixture) changes() []durable.Action {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(f.begun), func(a durable.Action) bool { return !a.Changes() })
}

func (f *fixture) count(op livemigrationtest.Operation) int { return f.atlas.RequestCount(op) }

// texts are those of the events of a record.
func texts(r durable.Record) (all []string) {
	for _, event := range r.Events {
		all = append(all, event.Text)
	}
	return all
}
