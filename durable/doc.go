// Package durable moves migrations to their ends although programs do not live that long: each migration is a record that
// is stored before anything irreversible is sent. A program that is killed at any moment is started again with the same
// command, and goes on.
//
//	dir, err := durable.OpenDir("state")
//	fleet := durable.NewFleet(client, dir, durable.WithPassword(readPassword))
//	err = fleet.Add(ctx, plans...) // a plan that is known already is nothing
//	err = fleet.Run(ctx)           // ends when nothing is left to do
//
// Beside that, or from another process, a person looks at the records and opens the gates:
//
//	records, err := durable.NewFleet(nil, dir).Records(ctx)
//	err = durable.NewFleet(nil, dir).Approve(ctx, "billing", durable.GateCutover)
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
// A record is FAILED when the validation or the migration has failed, or when Atlas rejected a request; it is EXPIRED when
// nobody cut over in time. A person may abandon it in any state. COMPLETE, FAILED, EXPIRED and ABANDONED are final.
//
// A record that does not go on says why in Problem. What passes by itself never ends a record: failures of the network and
// of gateways, 429, 5xx, and also 401 and 403, since keys and access lists change. The action is tried again, ever more
// slowly, up to every 5 minutes.
//
// # UNCLEAR
//
// Atlas cannot list migrations, and two requests to create one start two. So a creation is sent at most once for each time
// that it was stored as begun. When nobody knows whether it was carried out, because the response was lost or the program
// was killed, the record is UNCLEAR, and a person looks in the Atlas user interface. Problem says for what. If the
// migration is there, [Fleet.Adopt] gives the record its id; if it is not, [Fleet.Restart] plans it again. Until then the
// record holds its hosts and clusters.
//
// A cutover of which nobody knows needs no person: the next look at the job tells.
//
// # What runs at the same time
//
// A migration host, a cluster and each name in Plan.Exclusive serve one migration at a time. [WithLimit] bounds how many
// are under way. A record that waits for an approval holds up only those that share a host, cluster or name with it.
//
// # Stores
//
// [OpenDir] keeps each record in a JSON file, for the processes of one machine. [NewMemory] is for tests. A [Store] of your
// own, in a database for example, has four methods; the package storetest tests it. The heart is Save, which must compare
// and write in one step:
//
//	update records set revision = revision + 1, body = $1 where name = $2 and revision = $3
//
// No row means [ErrConflict]. The name is compared without regard to case. Save calls [Record.Validate] first, and
// encoding/json writes and reads records. Lock may be an advisory lock of the database that ends with the connection. A
// store that tells cheaply what has changed also implements [Changer].
//
// # Other engines
//
// Whoever stores records and calls these functions in order is an engine: an operator, a job queue, a workflow. The
// functions of [Record] are pure, and one function talks to Atlas. For a record whose CheckAt has come:
//
//	action := record.Next()                   // none: final, UNCLEAR, or under way
//	begun := record.Begin(action, time.Now())
//	if action.Changes() {
//		begun = store(begun)                  // before anything is sent, in one step with the comparison of Revision
//	}
//	done, err := driver.Do(ctx, begun)        // err: the context has ended, or the record cannot do this
//	if action.Changes() || done.News(record) {
//		store(done)                           // with a context that has not ended; after a conflict done.Merge(stored)
//	}
//
// The rules that make it safe:
//
//   - One worker at a time acts on a record.
//   - Do is called once for each Begin that is stored. A worker that finds a record as begun, and does not know what came
//     of it, stores [Record.Recover] and goes on from there.
//   - What Do returns is stored, with an error too.
//
// In an operator the record is the status of the resource, its resourceVersion takes the place of Revision, and CheckAt is
// when it is reconciled again. In a job queue a job is one round of the above, scheduled at CheckAt, with one attempt.
package durable
