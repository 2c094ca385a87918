package livemigrationtemporal

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"

	"github.com/livemigration/livemigration-go/durable"
	"github.com/livemigration/livemigration-go/livemigrationtest"
)

func newActivityEnvironment(driver *durable.Driver) *testsuite.TestActivityEnvironment {
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(silence{})
	env := suite.NewTestActivityEnvironment()
	a := &activities{driver: driver}
	env.RegisterActivity(a.look)
	env.RegisterActivity(a.change)
	return env
}

func newTimedAtlas(t *testing.T, timings livemigrationtest.Timings) *livemigrationtest.Server {
	t.Helper()
	atlas := livemigrationtest.NewServer(livemigrationtest.WithInProcess(), livemigrationtest.WithTimings(timings))
	t.Cleanup(atlas.Close)
	return atlas
}

// advance does one step of a record.
func advance(t *testing.T, env *testsuite.TestActivityEnvironment, r durable.Record) (done durable.Record) {
	t.Helper()
	begun, a := r.Begin(r.Next(), time.Now()), &activities{}
	var function, in any = a.look, lookInput{Record: begun}
	if begun.Begun.Changes() {
		function, in = a.change, begun
	}
	value, err := env.ExecuteActivity(function, in)
	require.NoError(t, err)
	require.NoError(t, value.Get(&done))
	return done
}

// A look polls inside: it returns when the job has changed, not before.
func TestLookReturnsAtNews(t *testing.T) {
	atlas := newTimedAtlas(t, livemigrationtest.Timings{})
	env := newActivityEnvironment(newDriver(t, atlas))
	record := advance(t, env, durable.NewRecord(planOf(atlas, "billing"), time.Now()))
	require.Equal(t, durable.StateValidating, record.State)

	looks := func() int { return atlas.RequestCount(livemigrationtest.GetValidation) }
	done := make(chan durable.Record, 1)
	go func() { done <- advance(t, env, record) }()
	require.Eventually(t, func() bool { return looks() >= 5 }, 10*time.Second, time.Millisecond)
	select {
	case <-done:
		require.Fail(t, "returned without news")
	default:
	}
	atlas.Advance(time.Hour)
	assert.Equal(t, durable.StateValidated, (<-done).State)
}

// When the worker stops, a look returns at once with the record as last seen.
func TestLookEndsWithWorker(t *testing.T) {
	atlas := newTimedAtlas(t, livemigrationtest.Timings{})
	env := newActivityEnvironment(newDriver(t, atlas))
	record := advance(t, env, durable.NewRecord(planOf(atlas, "billing"), time.Now()))
	stop := make(chan struct{})
	env.SetWorkerStopChannel(stop)
	done := make(chan durable.Record, 1)
	go func() { done <- advance(t, env, record) }()
	require.Eventually(t, func() bool { return atlas.RequestCount(livemigrationtest.GetValidation) > 0 }, 10*time.Second, time.Millisecond)
	close(stop)
	stopped := <-done
	assert.Equal(t, durable.StateValidating, stopped.State)
	assert.Empty(t, stopped.Begun)
}

// Asking for an approval in between does not put off the next look.
func TestAskingDoesNotPutOffLooks(t *testing.T) {
	const noTime = -time.Second
	atlas := newTimedAtlas(t, livemigrationtest.Timings{Validation: noTime, Scheduling: noTime, InitialSync: noTime})
	var asked atomic.Int32
	env := newActivityEnvironment(newDriver(t, atlas, durable.WithApproval(func(context.Context, durable.Record, durable.Gate) (bool, error) {
		asked.Add(1)
		return false, nil
	}), durable.WithPollInterval(time.Hour, 2*time.Hour)))
	record := durable.NewRecord(planOf(atlas, "billing"), time.Now())
	for record.State != durable.StateReady {
		record = advance(t, env, record)
	}
	record.CheckAt = time.Now().Add(time.Minute)
	a := &activities{}
	value, err := env.ExecuteActivity(a.look, lookInput{Record: record.Begin(durable.ActionApprove, time.Now()), Once: true})
	require.NoError(t, err)
	var done durable.Record
	require.NoError(t, value.Get(&done))
	assert.EqualValues(t, 1, asked.Load())
	assert.WithinDuration(t, record.CheckAt, done.CheckAt, 0)
}

// A worker that cannot do a change says so, and has sent nothing.
func TestChangeThatCannotBeDone(t *testing.T) {
	atlas := newTimedAtlas(t, livemigrationtest.Timings{})
	env := newActivityEnvironment(durable.NewDriver(nil))
	begun := durable.NewRecord(planOf(atlas, "billing"), time.Now()).Begin(durable.ActionValidate, time.Now())
	a := &activities{}
	_, err := env.ExecuteActivity(a.change, begun)
	require.Error(t, err)
	assert.True(t, certainlyNotSent(err))
	assert.Contains(t, workerProblem(err), "the driver has no client")
	var application *temporal.ApplicationError
	require.ErrorAs(t, err, &application)
	assert.True(t, application.NonRetryable())
}

// A change whose worker stops before it is sent comes back as not begun.
func TestChangeEndsWithWorker(t *testing.T) {
	atlas := newTimedAtlas(t, livemigrationtest.Timings{})
	env := newActivityEnvironment(newDriver(t, atlas))
	stop := make(chan struct{})
	close(stop)
	env.SetWorkerStopChannel(stop)
	atlas.Inject(livemigrationtest.CreateValidation, livemigrationtest.StalledBody(time.Minute), 1)
	record := advance(t, env, durable.NewRecord(planOf(atlas, "billing"), time.Now()))
	assert.Equal(t, durable.StatePlanned, record.State)
	assert.Empty(t, record.Begun)
}
