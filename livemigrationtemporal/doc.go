// Package livemigrationtemporal runs migrations as Temporal workflows. A workflow keeps the same record as
// [durable.Fleet] does, and calls the same functions. What changes is the engine: Temporal stores the record in the
// history of the workflow, and gives each action to one of many workers.
//
//	w := worker.New(temporalClient, livemigrationtemporal.TaskQueue, worker.Options{WorkerStopTimeout: time.Minute})
//	livemigrationtemporal.Register(w, durable.NewDriver(client, durable.WithPassword(readPassword)))
//	err := w.Run(worker.InterruptCh())
//
// Another program, or the same one, starts the migrations and opens their gates:
//
//	_, err := livemigrationtemporal.Start(ctx, temporalClient, plan)
//	err = livemigrationtemporal.Approve(ctx, temporalClient, "billing", durable.GateCutover)
//	record, err := livemigrationtemporal.Record(ctx, temporalClient, "billing")
//
// # What is sent once
//
// An action that changes something in Atlas is an activity with one attempt. Its input is the record as begun, so the
// history holds the intent before a worker sends anything. When the result of the activity is lost, the workflow applies
// [durable.Record.Recover]: a creation becomes UNCLEAR and is never sent again by itself. The context of the activity ends
// before its StartToClose timeout, so a slow worker sends nothing after Temporal has given up on it. For that the clocks
// of workers and server must agree within a minute.
//
// # Looks
//
// An activity that looks at a job polls inside, with a heartbeat. It returns when it has seen something new, or after an
// hour. A signal takes effect at once: the workflow then continues without the look. When a worker dies, Temporal gives its
// looks to another worker after a minute.
//
// # One at a time
//
// A migration host, a cluster and each name in Plan.Exclusive serve one migration at a time, across all workers. Each such
// name has a lock: a workflow of its own, which exists while somebody has or wants the lock. Do not terminate it. A
// migration takes its locks in the order of their names, so two migrations never wait for each other. A lock whose holder
// has been terminated goes to the next in line. [durable.WithLimit] has no effect here: the options of the workers bound
// what runs at the same time.
//
// Unlike a Fleet, a workflow that is COMPLETE keeps no cluster from a later migration.
//
// # The end
//
// A workflow ends when its record is COMPLETE or ABANDONED. In FAILED, EXPIRED and UNCLEAR it waits for a person: [Restart]
// or [Adopt], or [Abandon]. To cancel the workflow is to abandon the record.
//
// # Secrets
//
// No password and no key is in a history. The driver of the worker reads them when a request needs them.
package livemigrationtemporal
