// Package durable brings migrations to their end even when your program is killed and started again. Each migration is a
// [Record], a document that is stored before anything irreversible is sent.
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
// The page docs/durable.md of the repository is the manual: what an operator does, how to write a store, and how to use
// records in your own engine.
//
// # States
//
//	PLANNED ──validate──▶ VALIDATING ──check──▶ VALIDATED ──create──▶ REPLICATING
//	REPLICATING ──check──▶ READY ──cut over──▶ FINISHING ──check──▶ COMPLETE
//
// A record is FAILED when the validation or the migration has failed, or when Atlas rejected the request; EXPIRED when the
// migration was not cut over within 120 hours; ABANDONED when a person has taken it out. These three and COMPLETE are final.
// Any other failure passes: the action is tried again, ever more slowly, up to every 5 minutes. Record.Problem says why a
// record does not go on, as data and in words.
//
// # UNCLEAR
//
// Atlas cannot list migrations, and two requests to create one start two. So a creation is sent at most once for each time
// that it was stored as begun. When its response is lost, or the program was killed before it came, the record is UNCLEAR,
// and a person has to look in the Atlas UI; Problem says for what. If the migration is there, [Fleet.Adopt] gives the record
// its ID. If it is not, [Fleet.Restart] plans it again. Until then the record keeps its clusters and its host.
//
// A cutover whose outcome is unknown needs no person: the next check tells.
//
// # Your own engine
//
// The methods of a [Record] are pure, and only [Driver.Do] talks to Atlas. An engine repeats five steps: [Record.Begin], save,
// [Driver.Do], [Record.Apply] to the record as it is stored by then, save. These rules make it safe:
//
//   - Save compares revisions. After [ErrStale] load the record, and start again.
//   - Do is called only by the run whose Save stored the intent, and once. After a Save that failed, an equal intent in the
//     store is your own.
//   - A record that another run has begun, and whose result you do not get, goes on with [Record.Recover].
package durable
