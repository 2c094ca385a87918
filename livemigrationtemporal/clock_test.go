package livemigrationtemporal

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go/durable"
	"github.com/livemigration/livemigration-go/livemigrationtest"
)

const month = 30 * 24 * time.Hour

// A worker whose clock is a month off sends nothing that changes something. The record says why, and what it does is tried again
// within an hour, for a worker whose clock is right.
func TestWorkerWithAWrongClock(t *testing.T) {
	t.Parallel()
	for name, off := range map[string]time.Duration{"ahead": -month, "behind": month} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			f.SetStartTime(time.Now().Add(off))
			seen := f.abandonAt(t, 5*time.Hour)
			f.ExecuteWorkflow(MigrationWorkflow, f.plan)
			assert.Equal(t, durable.StateAbandoned, f.result(t).State)
			assert.Equal(t, durable.StatePlanned, seen.State)
			require.NotNil(t, seen.Problem)
			assert.Equal(t, durable.ProblemNeedsAttention, seen.Problem.Kind)
			assert.Contains(t, seen.Problem.Text, "the clock of this machine is wrong")
			assert.Zero(t, f.count(livemigrationtest.CreateValidation))
			assertOften(t, f)
		})
	}
}

// The cutover of a READY record: whatever a worker with a wrong clock thinks of the approval, none is sent.
func TestReadyWithAWrongClock(t *testing.T) {
	t.Parallel()
	for name, off := range map[string]time.Duration{"ahead": -month, "behind": month} {
		for who, opts := range map[string][]durable.Option{
			"approved by a person": nil, "approved by the function": {durable.WithCutoverApproval(yes)},
		} {
			t.Run(name+"/"+who, func(t *testing.T) {
				t.Parallel()
				atlas, ready := readyRecord(t)
				f := newFixtureWith(t, atlas, opts...)
				f.SetStartTime(time.Now().Add(off))
				if opts == nil {
					ready.Approved = []durable.Approval{{Gate: durable.GateCutover, By: "ann", Until: time.Now().Add(off + 6*time.Hour)}}
					f.at(5*time.Hour, func() { f.SignalWorkflow(commandSignal, command{Abandon: true}) })
				} else {
					f.abandonAfter(pollActivity, 2) // which waits for a minute
				}
				f.ExecuteWorkflow(runMigration, f.plan, &carried{Record: ready})
				end := f.result(t)
				assert.Equal(t, durable.StateAbandoned, end.State)
				require.NotEmpty(t, f.memos)
				assert.True(t, slices.ContainsFunc(f.memos, func(memo map[string]any) bool {
					return strings.Contains(memo["waitsFor"].(string), "the clock of")
				}), f.memos)
				assert.Zero(t, f.count(livemigrationtest.Cutover))
				if opts == nil {
					assertOften(t, f)
				}
			})
		}
	}
}

// readyRecord is the record of a migration that is ready for cutover.
func readyRecord(t *testing.T) (atlas *livemigrationtest.Server, ready durable.Record) {
	t.Helper()
	f := newFixture(t)
	f.timeLapse(t)
	seen := f.abandonAt(t, 10*time.Hour)
	f.ExecuteWorkflow(MigrationWorkflow, f.plan)
	require.Equal(t, durable.StateReady, seen.State)
	return f.atlas, *seen
}

// assertOften asserts that an action was tried again within an hour each time.
func assertOften(t *testing.T, f *fixture) {
	t.Helper()
	require.Greater(t, len(f.times), 3)
	for i, at := range f.times[1:] {
		assert.LessOrEqual(t, at.Sub(f.times[i]), time.Hour)
	}
}
