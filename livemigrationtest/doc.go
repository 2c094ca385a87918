// Package livemigrationtest is an in-memory Atlas for push live migration: for tests and demonstrations of programs
// that use the package livemigration, or any other client of that API, without an account, a cluster or a network.
//
//	srv := livemigrationtest.NewServer()
//	defer srv.Close()
//	client, err := srv.NewClient()
//
// There is one organization, [Server.OrgID], with one Atlas project, [Server.ProjectID]. [Server.Request] is a request
// that migrates a cluster to it.
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
// # Looking in
//
// [Server.Migrations] tells what runs, from where to where, and its history. [Server.Requests] lists what has arrived
// and [Server.Count] how often, so that a test can ask what its program sent. Keys and request bodies do not show when
// a record is printed.
//
// # Faults
//
// [Server.Inject] makes requests fail: with a status, a reset connection, a truncated or endless body and more, each a
// function that returns a [Fault]:
//
//	srv.Inject(livemigrationtest.GetMigration, livemigrationtest.Status(503).WithRetryAfter(time.Second), 2)
//
// [Server.ForCluster] aims faults and failures at one cluster of many.
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
// For programs that are tested as processes, the command atlas-in-memory below this package is the server as a process.
//
// # Credentials
//
// [Server.Credentials] and [Server.APIKey] are the API key of an Organization Owner, for HTTP Digest, and
// [Server.ServiceAccount] is a service account, for OAuth 2.0: POST /api/oauth/token gives access tokens that
// [WithTokenLifetime] and [Server.ExpireTokens] end, and /api/oauth/revoke takes them back. [Server.CredentialsFor] and
// [Server.NewServiceAccount] make more of both, with any [Role].
//
// # The source side
//
// The server also plays Cloud Manager or Ops Manager, at [Server.SourceURL], with an organization and keys of its own:
// [Server.SourceOrgID] and [Server.SourceAPIKey]. There an organization is connected by a link-token, and its projects
// become available. When it is disconnected, its migrations that run fail. By default it connects by itself once a
// link-token has been created; [AutoConnect] changes that. Deleting the link-token disconnects it, too, and is rejected
// while a migration runs.
//
// Jobs can be started without a link-token, and for sources that the source side does not have.
//
// # Fleets
//
// [WithProjects] sets how many Atlas projects there are; a job is found only in the project in which it was created.
// [WithSourceProjects] and [WithSourceOrganization] say what there is to migrate. With [OneAtATime] a migration host
// and a source organization serve one migration at a time, as in reality, and with [WithPublishedRateLimits] the limits
// are those of Atlas. A [RateLimit] here is one that the server enforces, while livemigration.RateLimit is one that a
// client keeps.
//
// # How strict it is
//
// The server speaks both versions of the API, v2 and v1.0, and rejects what Atlas rejects: it checks HTTP Digest to the
// last nonce count, access tokens, roles, ids, media types and every field of a request body. In v1.0 it takes what
// either of the two documents of that version allows. Responses have the headers and the error bodies of Atlas.
//
// Atlas does not publish every error code; where the server has to make one up, it is the status's name, such as
// CONFLICT. A cutover of a migration that is not ready for it gets a 409. Unknown query parameters are ignored, while
// the endpoints of OAuth take no parameter but those that they need.
//
// # Oddities
//
// Creating a validation or a migration in the version of 2023-01-01 is deprecated, and the responses say so in the form
// in which Atlas does. [Server.Deprecate] announces the end of any operation in the form of the RFCs, and the operation
// works as before.
//
// The documentation of Atlas differs from what Atlas sends: [WithDocumentedAnswers] and [WithDocumentedChallenge]
// follow it. In v1.0 the response to a cutover is a validation with the migration's id; a fault makes it the other one,
// which has no body:
//
//	srv.Inject(livemigrationtest.Cutover, livemigrationtest.RawStatus(202, "", "").CarriedOut(), 1)
//
// [WithNodes] makes several nodes that do not know each other's nonces.
package livemigrationtest
