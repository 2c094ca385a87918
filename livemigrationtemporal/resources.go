package livemigrationtemporal

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/livemigration/livemigration-go"
	"github.com/livemigration/livemigration-go/durable"
)

const (
	// lockIDPrefix begins the workflow ID of a lock.
	lockIDPrefix = "livemigration-lock/"
	// maxWorkflowID is how many bytes Temporal takes for a workflow ID.
	maxWorkflowID = 1000
	// maxPlan is how many bytes the JSON of a plan may have. Temporal rejects payloads above 2 MiB, and a record contains
	// the plan and up to 100 events.
	maxPlan = 1 << 20
)

func lockID(name string) string { return lockIDPrefix + name }

// checkPlan reports what is wrong with a plan.
func checkPlan(plan durable.Plan) error {
	if err := plan.Validate(); err != nil {
		return err
	}
	for _, name := range plan.Resources() {
		if most := maxWorkflowID - len(lockIDPrefix); len(name) > most {
			return fmt.Errorf("%w: the name of a lock may have %d bytes, this one has %d: %.60s…", livemigration.ErrInvalidRequest, most, len(name), name)
		}
	}
	data, err := json.Marshal(plan)
	if err != nil {
		return err
	}
	if len(data) > maxPlan {
		return fmt.Errorf("%w: the plan has %d bytes of JSON, and at most %d are possible with Temporal; use fewer sharding entries",
			livemigration.ErrInvalidRequest, len(data), maxPlan)
	}
	return nil
}

// needs are the locks that a record must have, in the order in which it takes them: clusters and hosts for the validation, and
// everything from the creation on. The order is the same for all, so two migrations never wait for each other.
func needs(r durable.Record, now time.Time) []string {
	if r.State.Final() || waitsForStart(r, now) {
		return nil
	}
	machines := r.Plan
	machines.Parallel, machines.Exclusive = true, nil // neither the source project nor names of the user
	names, all := machines.Resources(), r.Plan.Resources()
	slices.Sort(names)
	if r.State == durable.StatePlanned || r.State == durable.StateValidating {
		return slices.Compact(names)
	}
	slices.Sort(all)
	for _, name := range all {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return slices.Compact(names)
}

// waitsForStart: nothing runs in Atlas while the start of a migration waits for an approval.
func waitsForStart(r durable.Record, now time.Time) bool {
	return r.Begun == nil && r.Gate(now) == durable.GateStart
}

// waits is what a record waits for before it starts; nil when that is nothing. As in a Fleet it is worked out when it is
// shown, and not kept.
func waits(r durable.Record, lock string, now time.Time) *durable.Problem {
	switch {
	case waitsForStart(r, now) && r.Plan.Request.DropDestinationData:
		return &durable.Problem{Kind: durable.ProblemWaitingForApproval, Since: r.UpdatedAt,
			Text: "waits for the approval of the start, which destroys the data of the destination cluster"}
	case waitsForStart(r, now):
		return &durable.Problem{Kind: durable.ProblemWaitingForApproval, Since: r.UpdatedAt, Text: "waits for the approval of the start"}
	case lock != "":
		return &durable.Problem{Kind: durable.ProblemWaitingForOther, Since: r.UpdatedAt,
			Text: fmt.Sprintf("waits for the %s: the memo of the workflow %s names the holder", lock, lockID(lock))}
	default:
		return nil
	}
}
