package livemigrationtemporal

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"
)

// lockFixture is the workflow of a lock, with migrations that are names only.
type lockFixture struct {
	*testsuite.TestWorkflowEnvironment
	mu    sync.Mutex
	told  []claim         // who was told that it has the lock
	ended map[string]bool // migrations whose workflow does not run
}

func newLockFixture() *lockFixture {
	f := &lockFixture{TestWorkflowEnvironment: newEnvironment(), ended: make(map[string]bool)}
	Register(f, nil)
	f.OnSignalExternalWorkflow(mock.Anything, mock.Anything, "", grantSignal, mock.Anything).Return(
		func(_, id, _, _ string, arg any) error {
			f.mu.Lock()
			defer f.mu.Unlock()
			if f.ended[id] {
				return errors.New("not found")
			}
			f.told = append(f.told, claim{id, arg.(grant).Ticket})
			return nil
		})
	f.OnActivity(watchHolderActivity, mock.Anything, mock.Anything).After(time.Hour).Return(func(_ context.Context, id string) (bool, error) {
		f.mu.Lock()
		defer f.mu.Unlock()
		return f.ended[id], nil
	})
	return f
}

func (f *lockFixture) request(at time.Duration, c claim) {
	f.RegisterDelayedCallback(func() { f.SignalWorkflow(requestSignal, c) }, at)
}

func (f *lockFixture) release(at time.Duration, c claim) {
	f.RegisterDelayedCallback(func() { f.SignalWorkflow(releaseSignal, c) }, at)
}

func TestLock(t *testing.T) {
	a1, a2, b1, c1 := claim{"a", 1}, claim{"a", 2}, claim{"b", 1}, claim{"c", 1}
	tests := map[string]struct {
		script func(*lockFixture)
		told   []claim
	}{
		"one after the other, in the order of the requests": {func(f *lockFixture) {
			f.request(0, a1)
			f.request(1*time.Minute, b1)
			f.request(2*time.Minute, c1)
			f.release(3*time.Minute, a1)
			f.release(4*time.Minute, b1)
			f.release(5*time.Minute, c1)
		}, []claim{a1, b1, c1}},
		"one that gives up waiting": {func(f *lockFixture) {
			f.request(0, a1)
			f.request(1*time.Minute, b1)
			f.request(2*time.Minute, c1)
			f.release(3*time.Minute, b1)
			f.release(4*time.Minute, a1)
			f.release(5*time.Minute, c1)
		}, []claim{a1, c1}},
		"the same request twice": {func(f *lockFixture) {
			f.request(0, a1)
			f.request(1*time.Minute, a1)
			f.request(2*time.Minute, b1)
			f.request(3*time.Minute, b1)
			f.release(4*time.Minute, a1)
			f.release(5*time.Minute, b1)
		}, []claim{a1, a1, b1}},
		"an old release takes nothing from a new request": {func(f *lockFixture) {
			f.request(0, a1)
			f.request(1*time.Minute, a2)
			f.release(2*time.Minute, a1)
			f.request(3*time.Minute, b1)
			f.release(4*time.Minute, a2)
			f.release(5*time.Minute, b1)
		}, []claim{a1, a2, b1}},
		"an old request changes nothing": {func(f *lockFixture) {
			f.request(0, a2)
			f.request(1*time.Minute, a1)
			f.release(2*time.Minute, a2)
		}, []claim{a2}},
		"a holder that was terminated": {func(f *lockFixture) {
			f.request(0, a1)
			f.request(1*time.Minute, b1)
			f.RegisterDelayedCallback(func() {
				f.mu.Lock()
				defer f.mu.Unlock()
				f.ended["a"] = true
			}, 2*time.Minute)
			f.release(5*time.Hour, b1)
		}, []claim{a1, b1}},
		"a lock that somebody cancels": {func(f *lockFixture) {
			f.request(0, a1)
			f.request(1*time.Minute, b1)
			f.RegisterDelayedCallback(f.CancelWorkflow, 2*time.Minute)
			f.release(3*time.Minute, b1)
			f.request(4*time.Minute, c1)
			f.release(5*time.Minute, a1)
			f.release(6*time.Minute, c1)
		}, []claim{a1, c1}},
		"one in line that was terminated": {func(f *lockFixture) {
			f.ended["b"] = true
			f.request(0, a1)
			f.request(1*time.Minute, b1)
			f.request(2*time.Minute, c1)
			f.release(3*time.Minute, a1)
			f.release(4*time.Minute, c1)
		}, []claim{a1, c1}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			f := newLockFixture()
			tt.script(f)
			f.ExecuteWorkflow(lockWorkflow, lock{Name: "migration host x"})
			require.True(t, f.IsWorkflowCompleted())
			require.NoError(t, f.GetWorkflowError())
			assert.Equal(t, tt.told, f.told)
		})
	}
}

func TestLockContinuesAsNew(t *testing.T) {
	f := newLockFixture()
	a, b, c := claim{"a", 1}, claim{"b", 1}, claim{"c", 1}
	f.request(0, a)
	f.RegisterDelayedCallback(func() {
		f.SetContinueAsNewSuggested(true)
		f.SignalWorkflowSkippingWorkflowTask(requestSignal, b)
		f.SignalWorkflow(requestSignal, c)
	}, time.Minute)
	f.ExecuteWorkflow(lockWorkflow, lock{Name: "migration host x"})
	var again *workflow.ContinueAsNewError
	require.True(t, errors.As(f.GetWorkflowError(), &again))
	var state lock
	require.NoError(t, converter.GetDefaultDataConverter().FromPayloads(again.Input, &state))
	assert.Equal(t, lock{"migration host x", a, []claim{b, c}}, state)
}
