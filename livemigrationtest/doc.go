// Package livemigrationtest is an in-memory Atlas for push live migration. It is for tests and demonstrations of programs
// that use package livemigration, or any other client of that API. It needs no account, no cluster and no network.
//
//	srv := livemigrationtest.NewServer()
//	defer srv.Close()
//	client, err := srv.NewClient()
//
// There is one organization, [Server.OrgID], with one Atlas project, [Server.ProjectID]. [Server.SampleRequest] is a
// request that migrates a cluster to it.
//
// # Time
//
// Jobs stand still until the test moves them with [Server.Advance], or they move at the speed of [WithSpeed]. [WithTimings]
// sets how long each phase takes:
//
//   - A validation is PENDING, then SUCCESS or FAILED.
//   - A migration is NEW, then WORKING with a lag that falls, then ready for cutover. After the cutover it is WORKING
//     without a lag, then COMPLETE. Without a cutover it is EXPIRED after 120 hours, see [Server.ExtendTime].
//
// FailNextMigration, HoldNextMigration and others give a job another course; [Server.ForCluster] aims them, and faults, at
// one cluster of many.
//
// # In process
//
// By default the server listens on a port of the loopback interface. With [WithInProcess] its clients reach it through
// memory, by the same code. This works with testing/synctest, where time passes only while every goroutine waits. With
// WithSpeed(1) a test then waits days for a migration in no time:
//
//	synctest.Test(t, func(t *testing.T) {
//		srv := livemigrationtest.NewServer(livemigrationtest.WithInProcess(), livemigrationtest.WithSpeed(1))
//		defer srv.Close()
//		…
//	})
//
// The command atlas-in-memory below this package is the server as a process.
//
// # What was sent, and what went wrong
//
// [Server.Recorded] lists the requests that have arrived, [Server.RequestCount] counts them, and [Server.Migrations] lists
// the jobs with their history. Inject makes requests fail, each with a [Fault]:
//
//	srv.Inject(livemigrationtest.GetMigration, livemigrationtest.Status(503).WithRetryAfter(time.Second), 2)
//
// # The source side and fleets
//
// The server plays Cloud Manager or Ops Manager, too, at [Server.SourceURL], with its own credentials. There an
// organization is connected with a link-token, and its projects become available. By default it is connected as soon as
// a link-token has been created; [WithAutoConnect] changes that. Jobs can be created without a link-token, and for
// sources that the source side does not have.
//
// [WithProjects], [WithSourceProjects] and [WithSourceOrganization] say what there is. With [WithOneAtATime] a migration
// host and a source organization serve one migration at a time. [WithPublishedRateLimits] enforces the limits of Atlas.
//
// # How strict it is
//
// The server speaks both versions of the API, v2 and v1.0, and rejects what Atlas rejects. It checks HTTP Digest up to the
// nonce count, access tokens, roles, IDs, media types, and every field of a request body. In v1.0 it accepts what either of
// the two documents of that version allows. If an error code of Atlas is not public, it is the name of the status, such
// as CONFLICT for a cutover that comes too early. [WithDocumentedResponses] and [WithDocumentedChallenge] follow the
// documentation where Atlas differs from it.
package livemigrationtest
