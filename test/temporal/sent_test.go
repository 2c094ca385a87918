package temporal

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"

	"github.com/livemigration/livemigration-go/durable"
	"github.com/livemigration/livemigration-go/livemigrationtemporal"
	"github.com/livemigration/livemigration-go/test/temporal/internal/estate"
)

// otherChange is a worker without the activity that changes something, or with another one of its name.
type otherChange struct {
	livemigrationtemporal.Registry
	instead any
}

func (o otherChange) RegisterActivityWithOptions(a any, options activity.RegisterOptions) {
	if options.Name != "change" {
		o.Registry.RegisterActivityWithOptions(a, options)
	} else if o.instead != nil {
		o.Registry.RegisterActivityWithOptions(o.instead, options)
	}
}

// No worker has sent anything, and the workflow knows that: nothing is UNCLEAR, and a better worker goes on.
func TestNothingWasSent(t *testing.T) {
	t.Parallel()
	for name, register := range map[string]func(livemigrationtemporal.Registry, *durable.Driver){
		"the worker lacks the activity": func(r livemigrationtemporal.Registry, driver *durable.Driver) {
			livemigrationtemporal.Register(otherChange{r, nil}, driver)
		},
		"the worker cannot decode its input": func(r livemigrationtemporal.Registry, driver *durable.Driver) {
			takesNumbers := func(context.Context, int) (durable.Result, error) { return durable.Result{}, nil }
			livemigrationtemporal.Register(otherChange{r, takesNumbers}, driver)
		},
		"no worker starts it": func(r livemigrationtemporal.Registry, _ *durable.Driver) {
			livemigrationtemporal.RegisterWorkflows(r)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			plan := estate.Plan(l.atlas, "billing")
			stop := l.work(t, nil)
			l.start(t, plan)
			l.waitFor(t, plan.Name, durable.StateReady)
			stop()
			stop = l.work(t, register)
			l.approve(t, plan.Name)
			var record durable.Record
			eventually(t, func() bool {
				seen, err := livemigrationtemporal.Record(t.Context(), l.Client, plan.Name)
				record = seen
				return err == nil && seen.Problem != nil && seen.Problem.Kind == durable.ProblemNeedsAttention
			})
			assert.Equal(t, durable.StateReady, record.State)
			assert.Contains(t, record.Problem.Text, "no worker has done this")
			require.Nil(t, record.Unclear)
			stop()
			l.work(t, nil)
			l.complete(t, plan)
		})
	}
}
