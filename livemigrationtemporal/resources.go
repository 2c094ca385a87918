package livemigrationtemporal

import (
	"fmt"
	"slices"
	"time"

	"github.com/livemigration/livemigration-go/durable"
)

// lockIDPrefix begins the workflow id of a lock.
const lockIDPrefix = "livemigration-lock/"

// maxWorkflowID is how many bytes Temporal takes for a workflow id.
const maxWorkflowID = 1000

func lockID(name string) string { return lockIDPrefix + name }

// resources are the names of the locks of a plan, sorted so that two migrations never wait for each other.
func resources(plan durable.Plan) []string {
	names := plan.Resources()
	slices.Sort(names)
	return slices.Compact(names)
}

// validate reports what is wrong with a plan.
func validate(plan durable.Plan) error {
	if err := plan.Validate(); err != nil {
		return err
	}
	for _, name := range resources(plan) {
		if len(lockID(name)) > maxWorkflowID {
			return fmt.Errorf("the name of a lock may have %d bytes, this one has %d: %.60s…", maxWorkflowID-len(lockIDPrefix), len(name), name)
		}
	}
	return nil
}

// needs are the locks that a record must have: those of what runs, or may run, in Atlas.
func needs(r durable.Record, now time.Time) []string {
	switch r.State {
	case durable.StateValidated:
		if r.Begun == nil && r.Gate(now) != "" {
			return nil // nothing runs while it waits for an approval
		}
		return resources(r.Plan)
	case durable.StatePlanned, durable.StateValidating, durable.StateReplicating, durable.StateReady,
		durable.StateFinishing, durable.StateUnclear:
		return resources(r.Plan)
	default:
		return nil
	}
}
