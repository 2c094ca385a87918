// Package livemigrationtest is an Atlas for push live migration in memory: for tests and demonstrations of programs
// that use the package livemigration, or any other client of that API, without an account, a cluster or a network.
//
//	srv := livemigrationtest.NewServer()
//	defer srv.Close()
//	client, err := srv.NewClient()
//
// The server speaks both versions of the API, v2 and v1.0, and refuses what Atlas refuses: it checks HTTP Digest to the
// last nonce count, access tokens, roles, ids, media types and every field of a request body.
//
// # Credentials
//
// [Server.Credentials] and [Server.APIKey] are the API key of an Organization Owner, for HTTP Digest, and
// [Server.ServiceAccount] is a service account, for OAuth 2.0: POST /api/oauth/token gives access tokens that
// [WithTokenLifetime] and [Server.ExpireTokens] end, and /api/oauth/revoke takes them back. [Server.CredentialsFor] and
// [Server.NewServiceAccount] make more of both, with any [Role].
//
// # What it holds
//
// There is one organization, [Server.OrgID], with one Atlas project, [Server.ProjectID], or as many as [WithProjects]
// says; a job is found only in the project in which it was created. A set of source projects becomes available once a
// link-token has been created, as if the source side had connected at once, and is gone again once the link-token has
// been deleted. [Server.Request] is a request that migrates one of their clusters. Jobs can be started without a
// link-token, and for sources that are not in the set.
//
// # Time
//
// Jobs stand still until the test moves them:
//
//	migration, err := client.Migrations.Create(ctx, srv.ProjectID(), srv.Request()) // NEW
//	srv.Advance(srv.Timings().Scheduling)                                           // WORKING
//	srv.Advance(srv.Timings().InitialSync)                                          // ready for cutover
//
// or run by themselves at the speed of [WithSpeed]. How long each phase takes is up to [WithTimings]. The phases:
//
//   - A validation is PENDING, then SUCCESS or FAILED.
//   - A migration is NEW, then WORKING with a lag that falls, then ready for cutover. After the cutover it is WORKING
//     without a lag, then COMPLETE. It is EXPIRED if nobody cuts it over in time.
//
// [Server.FailNextMigration], [Server.HoldMigration] and their like write another end for a job.
//
// # In process
//
// By default the server listens on a port of the loopback interface. With [InProcess] its clients call it directly:
// faster, and fit for testing/synctest, where time passes only when every goroutine waits. Together with WithSpeed(1)
// a test then waits for a migration of days in no time:
//
//	synctest.Test(t, func(t *testing.T) {
//		srv := livemigrationtest.NewServer(livemigrationtest.InProcess(), livemigrationtest.WithSpeed(1))
//		defer srv.Close()
//		…
//	})
//
// # Faults
//
// [Server.Inject] makes requests fail: with a status, a reset connection, a truncated or endless body and more, each a
// function that returns a [Fault]:
//
//	srv.Inject(livemigrationtest.GetMigration, livemigrationtest.Status(503).WithRetryAfter(time.Second), 2)
//
// [Server.Deprecate] announces the end of an operation, which goes on as before.
//
// # Records
//
// [Server.Requests] lists what has arrived, so that a test can ask what its program sent, and how often. Keys and
// request bodies do not show when a record is printed.
//
// # Where Atlas is not documented
//
// Atlas does not publish every error code; where the server has to make one up, it is the status's name, such as
// CONFLICT. A cutover of a migration that is not ready for it is answered with 409. In v1.0 the answer to a cutover is
// a validation with the migration's id; [WithDocumentedAnswers] makes others look as its documentation shows them.
// Unknown query parameters are ignored, while the endpoints of OAuth take no parameter but those that they need. A
// migration goes on when the link-token is deleted.
package livemigrationtest
