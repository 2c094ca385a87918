package livemigrationtemporal

import (
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/workflow"

	"github.com/livemigration/livemigration-go/durable"
)

// TaskQueue is the task queue that [Start] uses. Workers listen to it.
const TaskQueue = "livemigration"

// Names in histories. A history outlives the program that wrote it, so they stay as they are.
const (
	migrationWorkflow = "MigrationWorkflow"
	lockWorkflow      = "LockWorkflow"

	changeActivity      = "change"
	pollActivity        = "poll"
	requestLockActivity = "request lock"
	watchHolderActivity = "watch holder"
)

// WorkflowRegistry takes workflows: a worker, a replayer, or the SDK's test environment.
type WorkflowRegistry interface {
	RegisterWorkflowWithOptions(workflow any, options workflow.RegisterOptions)
}

// Registry takes workflows and activities: a worker, or the SDK's test environment.
type Registry interface {
	WorkflowRegistry
	RegisterActivityWithOptions(activity any, options activity.RegisterOptions)
}

// Register gives a worker what it needs to run migrations. The driver does their actions: its client, passwords,
// approvals and poll interval are those of this worker. Call it once for each worker.
func Register(registry Registry, driver *durable.Driver) {
	RegisterWorkflows(registry)
	a := &activities{driver: driver}
	registry.RegisterActivityWithOptions(a.change, activity.RegisterOptions{Name: changeActivity})
	registry.RegisterActivityWithOptions(a.poll, activity.RegisterOptions{Name: pollActivity})
	registry.RegisterActivityWithOptions(requestLock, activity.RegisterOptions{Name: requestLockActivity})
	registry.RegisterActivityWithOptions(watchHolder, activity.RegisterOptions{Name: watchHolderActivity})
}

// RegisterWorkflows registers the workflows without their activities. That is for a replayer
// (go.temporal.io/sdk/worker.NewWorkflowReplayer), which checks a new version of a worker against histories.
func RegisterWorkflows(registry WorkflowRegistry) {
	registry.RegisterWorkflowWithOptions(runMigration, workflow.RegisterOptions{Name: migrationWorkflow})
	registry.RegisterWorkflowWithOptions(runLock, workflow.RegisterOptions{Name: lockWorkflow})
}
