// Package livemigrationtemporal runs migrations as Temporal workflows. A workflow keeps the same record as [durable.Fleet] does,
// and calls the same functions. Temporal stores the record in the history of the workflow, and gives each action to a worker.
//
//	driver, err := durable.NewDriver(client, durable.WithPassword(readPassword))
//	w := worker.New(temporalClient, livemigrationtemporal.TaskQueue, worker.Options{WorkerStopTimeout: time.Minute})
//	livemigrationtemporal.Register(w, driver)
//	err = w.Run(worker.InterruptCh())
//
// Another program, or the same one, starts the migrations and opens their gates:
//
//	_, err := livemigrationtemporal.Start(ctx, temporalClient, plan)
//	err = livemigrationtemporal.Approve(ctx, temporalClient, "billing", durable.GateCutover, "ann", time.Time{})
//	record, err := livemigrationtemporal.Record(ctx, temporalClient, "billing")
//
// # From a command to the record
//
// [Approve], [Revoke], [Adopt], [Restart], [Replace] and [Abandon] send the workflow a command as an update (client.go). Its
// handler (signals.go) applies the method of [durable.Record] of that name and returns the error, which names the state that does
// not allow it. The same command may come as a signal, from Temporal's command line. One that cannot be applied becomes an event
// of the record. Then run (workflow.go) goes on: it ends the poll in progress, takes or gives back locks (locks.go) and asks
// [durable.Record.Next] what to do. To cancel the workflow is to abandon the record.
//
// An action that changes something in Atlas is an activity with one attempt (activities.go). Its input is the record as begun, so
// the history holds the intent before a worker sends anything. [durable.Driver.Do] returns a [durable.Result], and the workflow
// applies it to the record as it is by then. Where a worker certainly sent nothing, the action is tried again: none has started it
// within a minute, or the worker lacks the activity or cannot decode its input. When the result is lost in any other way, the
// workflow applies [durable.Record.Recover]: a creation becomes UNCLEAR, and waits for a person.
//
// # From a poll to the heartbeat
//
// To read a job is an activity, too. It polls for up to an hour, and its heartbeat shows the state and the lag time. It returns
// when a result is news for the record that it was given; the lag time is not. When a worker dies, its polls go to another worker
// after a minute, when the heartbeats have stopped. The memo of the workflow shows the state and what it waits for.
//
// Times are Temporal's. A worker whose clock is a minute off sends nothing that changes something, and the Problem says so.
//
// # One at a time
//
// A cluster, a migration host, a source project and each name in Plan.Exclusive serve one migration at a time, across all workers;
// see [durable.Plan.Resources]. Each has a lock: a workflow of its own (lock.go), which exists while somebody has or wants the lock.
// Do not terminate it. All migrations take their locks in the same order, so two never wait for each other. A lock whose holder
// was terminated goes to the next in line. [durable.WithLimit] has no effect here: the options of the workers bound what runs at
// the same time. Unlike in a Fleet, a migration that is COMPLETE keeps no cluster from a later one.
//
// # Secrets
//
// No password and no key is in a history, a memo or a heartbeat. The driver of the worker reads them when a request needs them.
package livemigrationtemporal
