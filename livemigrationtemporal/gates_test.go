package livemigrationtemporal

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/workflow"

	"github.com/livemigration/livemigration-go/durable"
	"github.com/livemigration/livemigration-go/livemigrationtest"
)

// What holds a cutover back in a Fleet holds it back here, and the record says so.
func TestCutoverIsHeldBack(t *testing.T) {
	t.Parallel()
	closed := time.Now().UTC().Add(11 * time.Hour)
	window, err := durable.ParseWindow(closed.Format("15:04")+"-"+closed.Add(time.Hour).Format("15:04"), time.UTC)
	require.NoError(t, err)
	no := func(context.Context, durable.Record) (bool, error) { return false, nil }
	for name, tt := range map[string]struct {
		approved bool
		option   durable.Option
		want     durable.ProblemKind
	}{
		"nobody has approved":  {false, durable.WithMaxLag(time.Hour), durable.ProblemWaitingForApproval},
		"the function says no": {false, durable.WithCutoverApproval(no), durable.ProblemWaitingForApproval},
		"the window is closed": {true, durable.WithCutoverWindow(window), durable.ProblemWaitingForWindow},
		"the lag is too large": {true, durable.WithMaxLag(0), durable.ProblemWaitingForLag},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			f.timeLapse(t, tt.option)
			if tt.approved {
				f.at(0, func() { f.SignalWorkflow(commandSignal, command{Approve: durable.GateCutover, By: "ann"}) })
			}
			seen := f.abandonAt(t, 20*time.Hour)
			f.ExecuteWorkflow(MigrationWorkflow, f.plan)
			assert.Equal(t, durable.StateAbandoned, f.result(t).State)
			assert.Equal(t, durable.StateReady, seen.State)
			require.NotNil(t, seen.Problem)
			assert.Equal(t, tt.want, seen.Problem.Kind)
			assert.Zero(t, f.count(livemigrationtest.Cutover))
		})
	}
}

// The start waits without locks, and the record says for what. An approval has a name and an end.
func TestHeldStartAndApprovalThatEnds(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.timeLapse(t)
	f.plan.HoldStart = true
	var held, ended durable.Record
	until := f.Now().Add(48 * time.Hour)
	f.at(24*time.Hour, func() {
		held = f.now(t)
		assert.ElementsMatch(t, f.asked, f.released, "it holds nothing while it waits")
		f.SignalWorkflow(commandSignal, command{Approve: durable.GateCutover, By: "ann", Until: until})
	})
	f.at(50*time.Hour, func() { f.SignalWorkflow(commandSignal, command{Approve: durable.GateStart, By: "bob"}) })
	f.at(60*time.Hour, func() {
		ended = f.now(t)
		f.SignalWorkflow(commandSignal, command{Approve: durable.GateCutover, By: "eve"})
	})
	f.ExecuteWorkflow(MigrationWorkflow, f.plan)
	record := f.result(t)
	assert.Equal(t, durable.StateValidated, held.State)
	require.NotNil(t, held.Problem)
	assert.Equal(t, durable.ProblemWaitingForApproval, held.Problem.Kind)
	assert.Equal(t, durable.StateReady, ended.State)
	require.NotNil(t, ended.Problem)
	assert.Equal(t, durable.ProblemWaitingForApproval, ended.Problem.Kind)
	assert.Equal(t, durable.StateComplete, record.State)
	all := strings.Join(texts(record), "\n")
	day := until.UTC().Format("2006-01-02")
	for _, text := range []string{"start approved: bob", "cutover approved: ann, until " + day, "cutover approved: eve"} {
		assert.Contains(t, all, text)
	}
}

// The memo of a READY migration warns before it expires.
func TestWarningsBeforeExpiry(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.timeLapse(t)
	f.at(130*time.Hour, func() { f.SignalWorkflow(commandSignal, command{Abandon: true}) })
	f.ExecuteWorkflow(MigrationWorkflow, f.plan)
	assert.Equal(t, durable.StateAbandoned, f.result(t).State)
	var warnings []string
	for _, memo := range f.memos {
		text := memo["waitsFor"].(string)
		if _, after, found := strings.Cut(text, "; less than "); found {
			text, _, _ = strings.Cut(after, " left")
			warnings = append(warnings, text)
		} else if strings.Contains(text, "the migration expired on") {
			warnings = append(warnings, "expired")
		}
	}
	assert.Equal(t, []string{"48h", "24h", "6h", "1h", "expired"}, warnings)
}

// A plan that is replaced while the record waits needs other locks. It gives back the old ones first.
func TestReplaceGivesBackLocks(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.timeLapse(t)
	f.grantAfter = 10 * time.Minute
	other := planOf(f.atlas, f.plan.Name)
	other.Request.MigrationHosts = []string{"a-second.example.com"}
	f.at(15*time.Minute, func() { f.SignalWorkflow(commandSignal, command{Replace: &other}) })
	f.at(time.Minute, func() {
		waiting := f.now(t)
		if assert.NotNil(t, waiting.Problem) {
			assert.Equal(t, durable.ProblemWaitingForOther, waiting.Problem.Kind)
		}
	})
	f.at(16*time.Minute, func() {
		first := needs(durable.NewRecord(f.plan, f.Now()), f.Now())[:2]
		assert.ElementsMatch(t, first, f.released, "the lock that it had, and the one that it waited for")
	})
	f.at(10*time.Hour, func() { f.SignalWorkflow(commandSignal, command{Approve: durable.GateCutover}) })
	f.ExecuteWorkflow(MigrationWorkflow, f.plan)
	record := f.result(t)
	assert.Equal(t, durable.StateComplete, record.State)
	assert.Equal(t, other.Request.MigrationHosts, record.Plan.Request.MigrationHosts)
	assert.Subset(t, f.released, f.asked)
	assert.Equal(t, 1, f.count(livemigrationtest.CreateMigration))
}

// As a signal, a command that cannot be applied becomes an event. It names the state, or what a command must be.
func TestSignalsThatCannotBeApplied(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.plan.HoldStart = true
	other := f.plan
	other.Request.MigrationHosts = []string{strings.Repeat("a", 2000) + ".example.com"}
	signals := map[string]any{
		`restart "billing": it is VALIDATED`:                      command{Restart: true},
		`adopt a migration for "billing": it is VALIDATED`:        command{Adopt: "6560f2a49c1b7e03d5000002"},
		`the name of a lock may have 981 bytes`:                   command{Replace: &other},
		`it cannot be read; it must be {"approve":"start"}`:       "approve",
		`a command was ignored: it must be {"approve":"start"}`:   map[string]any{"aprove": "start"},
		`replace the plan of "billing": it is VALIDATED`:          command{Replace: &f.plan},
		`approve the cut-over of "billing": livemigration: inval`: command{Approve: "cut-over"},
	}
	f.at(time.Minute, func() {
		for _, signal := range signals {
			f.SignalWorkflow(commandSignal, signal)
		}
		f.SignalWorkflow(commandSignal, command{Abandon: true})
	})
	f.ExecuteWorkflow(MigrationWorkflow, f.plan)
	record := f.result(t)
	assert.Equal(t, durable.StateAbandoned, record.State)
	all := strings.Join(texts(record), "\n")
	for text := range signals {
		assert.Contains(t, all, text)
	}
}

// What one run hands on to the next is not larger than Temporal allows, even for the largest plan.
func TestContinueAsNewFitsInto2MiB(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.plan = largest(t, f.plan)
	f.SetContinueAsNewSuggested(true)
	f.ExecuteWorkflow(MigrationWorkflow, f.plan)
	var again *workflow.ContinueAsNewError
	require.ErrorAs(t, f.GetWorkflowError(), &again)
	input := again.Input
	assert.Greater(t, input.Size(), maxPlan*9/10)
	assert.Less(t, input.Size(), maxPlan*11/10)
	var next carried
	require.NoError(t, converter.GetDefaultDataConverter().FromPayload(input.Payloads[1], &next))
	assert.Equal(t, f.plan.Name, next.Record.Plan.Name)
	assert.Equal(t, durable.StatePlanned, next.Record.State)
}
