package estate

import (
	"context"
	"fmt"
	"strings"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"

	"github.com/livemigration/livemigration-go/durable"
	"github.com/livemigration/livemigration-go/livemigrationtemporal"
)

// State is the state of a migration, as the memo of its workflow shows it.
func State(ctx context.Context, c client.Client, name string) (state durable.State, err error) {
	described, err := c.DescribeWorkflowExecution(ctx, livemigrationtemporal.WorkflowID(name), "")
	if err != nil {
		return "", err
	}
	memo := described.GetWorkflowExecutionInfo().GetMemo().GetFields()["state"]
	return state, converter.GetDefaultDataConverter().FromPayload(memo, &state)
}

// States counts the states of migrations.
func States(ctx context.Context, c client.Client, plans []durable.Plan) (map[durable.State]int, error) {
	states := make(map[durable.State]int)
	for _, plan := range plans {
		state, err := State(ctx, c, plan.Name)
		if err != nil {
			return states, fmt.Errorf("read the state of %s: %w", plan.Name, err)
		}
		states[state]++
	}
	return states, nil
}

// Line is a line of states, in the order in which a migration has them.
func Line(states map[durable.State]int) string {
	var parts []string
	for _, state := range []durable.State{
		durable.StatePlanned, durable.StateValidating, durable.StateValidated, durable.StateReplicating, durable.StateReady,
		durable.StateFinishing, durable.StateComplete, durable.StateFailed, durable.StateExpired, durable.StateUnclear, durable.StateAbandoned,
	} {
		if n := states[state]; n > 0 {
			parts = append(parts, fmt.Sprintf("%s %d", state, n))
		}
	}
	return strings.Join(parts, ", ")
}
