// Package durable moves migrations to their end, also when the program is killed on the way. Each migration is a record,
// which is stored before anything irreversible is sent. Start the program again, and it continues.
//
//	dir, err := durable.OpenDir("state")
//	fleet := durable.NewFleet(client, dir, durable.WithPassword(readPassword))
//	err = fleet.Add(ctx, plans...) // known plans change nothing
//	err = fleet.Run(ctx)           // ends when nothing is left to do
//
// A person looks at the records and opens the gates, at the same time and also from another process:
//
//	records, err := durable.NewFleet(nil, dir).Records(ctx)
//	err = durable.NewFleet(nil, dir).Approve(ctx, "billing", durable.GateCutover)
//
// The page docs/durable.md of the repository has the whole story: what an operator does, how to write a store, and how to
// use records in an operator or a job queue.
//
// # States and actions
//
// A [Record] is in one state, which has one next action:
//
//	PLANNED ──validate──▶ VALIDATING ──check validation──▶ VALIDATED
//	   ▲                                                       │
//	   │                                       approve (start) │ only where data is dropped
//	   │                                                create ▼
//	restart                                               REPLICATING ◀──adopt──┐
//	   │                                                       │                │
//	   │                                                 check ▼                │
//	   ├──────────── FAILED, EXPIRED                         READY              │
//	   │                                                       │                │
//	   │                                     approve (cutover) │                │
//	   │                                              cut over ▼                │
//	   │                                                   FINISHING            │
//	   │                                                       │                │
//	   │                                                 check ▼                │
//	   │                                                   COMPLETE             │
//	   └──────────── UNCLEAR ───────────────────────────────────────────────────┘
//
// A record is FAILED when the validation or the migration has failed, or when Atlas rejected a request. It is EXPIRED when
// nobody cut over in time. A person may abandon it in any state. COMPLETE, FAILED, EXPIRED and ABANDONED are final.
//
// Record.Problem says why a record does not continue. Failures that may pass never end it: the network, gateways, 429, 5xx,
// and also 401 and 403, because keys and access lists change. The action is tried again, ever more slowly, up to every 5
// minutes.
//
// # UNCLEAR
//
// Atlas cannot list migrations, and two requests to create one start two. So a creation is sent at most once for each time
// that it was stored as begun. When the response is lost or a 5xx (503 with Retry-After aside), or when the program was
// killed meanwhile, nobody knows whether the migration exists. The record is UNCLEAR, and a person looks in the Atlas user
// interface. Problem says for what. If the migration is there, [Fleet.Adopt] gives the record its id. If it is not,
// [Fleet.Restart] plans it again. Until then the record holds its hosts and clusters.
//
// A cutover whose outcome is unknown needs no person: the next look at the migration tells.
//
// # What runs at the same time
//
// A migration host, a cluster, and each name in Plan.Exclusive serve one migration at a time. [WithLimit] bounds how many
// are under way. A record that waits for an approval holds up only those that share a host, cluster or name with it.
//
// # Stores
//
// [OpenDir] keeps each record in a JSON file, for the processes of one machine. [NewMemory] is for tests. A [Store] of your
// own has four methods, and the package storetest tests it.
//
// # Other engines
//
// The methods of [Record] are pure, and only [Driver.Do] talks to Atlas. Whoever stores records and calls these functions
// in order is an engine: the example of [Driver] is one. These rules make it safe:
//
//   - One worker at a time acts on a record.
//   - Do is called once for each Begin that is stored. A worker that finds a record as begun, and does not know how that
//     ended, stores [Record.Recover] and continues from there.
//   - What Do returns is stored, with an error too.
package durable
