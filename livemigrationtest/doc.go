// Package livemigrationtest is an in-memory Atlas for push live migration. It is for tests and demonstrations of programs
// that use package livemigration, or any other client of that API. It needs no account, no cluster and no network.
//
//	srv := livemigrationtest.NewServer()
//	defer srv.Close()
//	client, err := srv.NewClient()
//
// There is one organization, [Server.OrgID], with one Atlas project, [Server.ProjectID]. [Server.SampleRequest] is a request
// that migrates a cluster to it.
//
// # Time
//
// Jobs stand still until the test moves them:
//
//	migration, err := client.Migrations.Create(ctx, srv.ProjectID(), srv.SampleRequest()) // NEW
//	srv.Advance(srv.Timings().Scheduling)                                           // WORKING
//	srv.Advance(srv.Timings().InitialSync)                                          // ready for cutover
//
// Or they run by themselves, at the speed of [WithSpeed]. [WithTimings] sets how long each phase takes:
//
//   - A validation is PENDING, then SUCCESS or FAILED.
//   - A migration is NEW, then WORKING with a lag that falls, then ready for cutover. After the cutover it is WORKING
//     without a lag, then COMPLETE. It is EXPIRED if nobody cuts it over in time.
//
// [Server.FailNextMigration], [Server.HoldMigration] and others give a job another course.
//
// # What was sent
//
// [Server.Recorded] lists the requests that have arrived, and [Server.RequestCount] counts them. [Server.Migrations] tells which
// jobs there are, from where to where, and their history. Keys and request bodies do not show when a record is printed.
//
// # Faults
//
// [Server.Inject] makes requests fail: with a status, a reset connection, a truncated or endless body, and more. Each is a
// function that returns a [Fault]:
//
//	srv.Inject(livemigrationtest.GetMigration, livemigrationtest.Status(503).WithRetryAfter(time.Second), 2)
//
// [Server.ForCluster] aims faults and failures at one cluster of many.
//
// # In process
//
// By default the server listens on a port of the loopback interface. With [WithInProcess] its clients call it directly. That
// is faster, and works with testing/synctest, where time passes only while every goroutine waits. With WithSpeed(1) a test
// then waits days for a migration in no time:
//
//	synctest.Test(t, func(t *testing.T) {
//		srv := livemigrationtest.NewServer(livemigrationtest.WithInProcess(), livemigrationtest.WithSpeed(1))
//		defer srv.Close()
//		…
//	})
//
// The command atlas-in-memory below this package is the server as a process, for tests of programs as processes.
//
// # Credentials
//
// [Server.Credentials] and [Server.APIKey] are the API key of an Organization Owner, for HTTP Digest.
// [Server.ServiceAccount] is a service account, for OAuth 2.0. [Server.CredentialsFor] and [Server.NewServiceAccount] make
// more of both, with any [Role]. [WithTokenLifetime] and [Server.ExpireTokens] end access tokens.
//
// # The source side
//
// The server also plays Cloud Manager or Ops Manager, at [Server.SourceURL], with an organization and keys of its own:
// [Server.SourceOrgID] and [Server.SourceAPIKey]. There an organization is connected with a link-token, and its projects
// become available. By default it connects by itself once a link-token has been created; [WithAutoConnect] changes that.
// Disconnecting it makes its migrations that run fail. Deleting the link-token disconnects it too, and is rejected while a
// migration runs.
//
// Jobs can be created without a link-token, and for sources that the source side does not have.
//
// # Fleets
//
// [WithProjects] sets how many Atlas projects there are. A job is found only in the project in which it was created.
// [WithSourceProjects] and [WithSourceOrganization] say what there is to migrate. With [WithOneAtATime] a migration host and a
// source organization serve one migration at a time, as in reality. [WithPublishedRateLimits] sets the limits of Atlas. A
// [Bucket] here is one that the server enforces; livemigration.RateLimit is what a client reads from a response.
//
// # How strict it is
//
// The server speaks both versions of the API, v2 and v1.0, and rejects what Atlas rejects. It checks HTTP Digest up to the
// nonce count, access tokens, roles, ids, media types, and every field of a request body. In v1.0 it accepts what either of
// the two documents of that version allows. Responses have the headers and the error bodies of Atlas.
//
// Atlas does not publish every error code. Where the server has to make one up, it is the name of the status, such as
// CONFLICT. A cutover of a migration that is not ready for it gets a 409. Unknown query parameters are ignored. The
// endpoints of OAuth accept only the parameters that they need.
//
// # Oddities
//
// Creating a validation or a migration in the version of 2023-01-01 is deprecated, and the responses say so as those of
// Atlas do. [Server.Deprecate] announces the end of any operation in the form of the RFCs.
//
// The documentation of Atlas differs from what Atlas sends. [WithDocumentedResponses] and [WithDocumentedChallenge] follow
// the documentation. In v1.0 the response to a cutover is a validation with the migration's id. A fault makes it the other
// documented one, without a body:
//
//	srv.Inject(livemigrationtest.Cutover, livemigrationtest.RawStatus(202, "", "").Processed(), 1)
//
// [WithRequestIDs] adds the header X-Request-Id. [WithNodes] makes several nodes, each with nonces of its own.
package livemigrationtest
