// Package durable brings migrations to their end even if your program is killed and started again. Each migration is a
// [Record], a document that is stored before a request that changes something in Atlas is sent.
//
//	dir, err := durable.OpenDir("state")
//	fleet, err := durable.NewFleet(dir, durable.WithPassword(readPassword))
//	err = fleet.Add(ctx, plans...)   // plans that are stored already change nothing
//	err = fleet.Run(ctx, client)     // ends when nothing is left to do
//
// Read the records and approve gates at the same time, from another process too:
//
//	records, err := fleet.Records(ctx)
//	err = fleet.Approve(ctx, "billing", durable.GateCutover, "ann", time.Time{})
//
// The manual is docs/durable.md in the repository: what an operator does, how to write a store, and how to use records in your
// own engine.
//
// # States
//
//	PLANNED ──validate──▶ VALIDATING ──check──▶ VALIDATED ──create──▶ REPLICATING
//	REPLICATING ──check──▶ READY ──cut over──▶ FINISHING ──check──▶ COMPLETE
//
// A record is FAILED if the validation or the migration has failed, or if Atlas rejected the request; EXPIRED if the migration
// was not cut over within 120 hours; ABANDONED if you have taken it out. These three and COMPLETE are final. Any other failure
// is retried, more and more slowly, up to every 5 minutes. Record.Problem says why a record does not continue.
//
// # UNCLEAR
//
// Atlas cannot list migrations, and two create requests start two migrations. So each stored intent leads to at most one create
// request. If its response is lost, or if the program was killed before the response came, the record is UNCLEAR, and you
// have to check the Atlas UI; Problem says what to look for. If the migration is there, pass its ID to [Fleet.Adopt]. If it is
// not, call [Fleet.Restart]. Until then the record keeps its clusters and its host.
//
// A cutover whose outcome is unknown needs nobody: the next check shows it.
//
// # Your own engine
//
// The methods of a [Record] are pure, and only [Driver.Do] talks to Atlas. An engine repeats five steps: [Record.Begin], save,
// [Driver.Do], [Record.Apply] to the record as it is stored by then, save. These rules make it safe:
//
//   - Save compares revisions. After [ErrStale], load the record and start again.
//   - Call Do once, and only if your Save stored the intent. If Save failed but the store has an equal intent, it is yours.
//   - If another run started an action and you do not get its result, call [Record.Recover].
package durable
