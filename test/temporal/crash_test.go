package temporal

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go/durable"
	"github.com/livemigration/livemigration-go/livemigrationtemporal"
	"github.com/livemigration/livemigration-go/livemigrationtest"
	"github.com/livemigration/livemigration-go/test/temporal/internal/estate"
)

// A worker process kills itself at each activity, before it and after it. The next worker goes on, and nothing is created
// twice: a create request whose worker died is UNCLEAR, until you decide.
func TestWorkerCrash(t *testing.T) {
	t.Parallel()
	for _, after := range []bool{false, true} {
		for _, crash := range []estate.Crash{
			{Activity: "request lock"},
			{Activity: "change", Action: durable.ActionValidate},
			{Activity: "poll", Action: durable.ActionCheckValidation},
			{Activity: "change", Action: durable.ActionCreate},
			{Activity: "poll", Action: durable.ActionCheck},
			{Activity: "change", Action: durable.ActionCutover},
		} {
			crash.After = after
			t.Run(crash.String(), func(t *testing.T) {
				t.Parallel()
				crashAndGoOn(t, crash)
			})
		}
	}
}

func crashAndGoOn(t *testing.T, crash estate.Crash) {
	l := newLab(t)
	plan := estate.Plan(l.atlas, "billing")
	l.start(t, plan)
	l.signal(t, plan.Name, map[string]any{"approve": "cutover"}) // without a worker there is no update
	require.ErrorContains(t, l.process(t, &crash).Wait(), "killed")
	created := l.atlas.RequestCount(livemigrationtest.CreateMigration)

	l.work(t, nil)
	if crash.Action == durable.ActionCreate {
		record := l.waitFor(t, plan.Name, durable.StateUnclear)
		require.NotNil(t, record.Problem)
		assert.Equal(t, durable.ProblemNeedsAttention, record.Problem.Kind)
		assert.Equal(t, created, l.atlas.RequestCount(livemigrationtest.CreateMigration), "not sent again")
		if created == 0 {
			eventually(t, func() bool { // two minutes after the request it cannot arrive any longer
				return livemigrationtemporal.Restart(t.Context(), l.Client, plan.Name) == nil
			})
			l.approve(t, plan.Name)
		} else {
			require.NoError(t, command(t, func() error {
				return livemigrationtemporal.Adopt(t.Context(), l.Client, plan.Name, l.atlas.Migrations()[0].ID)
			}))
		}
	}
	l.complete(t, plan)
	assert.Equal(t, 1, l.atlas.RequestCount(livemigrationtest.CreateMigration))
}
