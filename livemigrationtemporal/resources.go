package livemigrationtemporal

import (
	"fmt"
	"slices"
	"strings"

	"github.com/livemigration/livemigration-go/durable"
)

// lockIDPrefix begins the workflow id of a lock.
const lockIDPrefix = "livemigration-lock/"

// maxWorkflowID is how many bytes Temporal takes for a workflow id.
const maxWorkflowID = 1000

func lockID(name string) string { return lockIDPrefix + name }

// resources are the names of the locks of a plan, sorted. Names that differ in case only are the same lock.
func resources(plan durable.Plan) []string {
	request := plan.Request
	names := []string{
		fmt.Sprintf("destination cluster %s of project %s", fold(request.Destination.ClusterName), plan.ProjectID),
		fmt.Sprintf("source cluster %s of project %s", fold(request.Source.ClusterName), request.Source.ProjectID),
	}
	for _, host := range request.MigrationHosts {
		names = append(names, "migration host "+strings.TrimSuffix(fold(host), "."))
	}
	for _, name := range plan.Exclusive {
		names = append(names, "exclusive name "+fold(name))
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// fold makes names comparable without regard to case, also where they hold other letters than those of ASCII.
func fold(s string) string { return strings.ToLower(strings.ToUpper(strings.TrimSpace(s))) }

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

// needs are the locks that a record must have. They are those of what runs, or may run, in Atlas.
func needs(r durable.Record) []string {
	switch r.State {
	case durable.StateValidated:
		if r.Gate() != "" {
			return nil // nothing runs while it waits for a person
		}
		return resources(r.Plan)
	case durable.StatePlanned, durable.StateValidating, durable.StateReplicating, durable.StateReady,
		durable.StateFinishing, durable.StateUnclear:
		return resources(r.Plan)
	default:
		return nil
	}
}
