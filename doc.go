// Package livemigration is a client of the MongoDB Atlas push live migration API. It copies a running MongoDB cluster
// from Cloud Manager or Ops Manager into Atlas, keeps it in sync, and cuts over.
//
// # Start
//
// [NewClientFromEnv] makes a client from the environment variables of Atlas's own tools, [NewClient] from credentials
// in code. Then call, in this order:
//
//  1. [LinkTokensService.Create], and with that token [MigrationLinkService.Create] of a [SourceClient]. Once for each
//     source organization.
//  2. [AvailableProjectsService.List] to see what can be migrated.
//  3. [ValidationsService.Create] and [ValidationsService.Wait]. They change nothing.
//  4. [MigrationsService.Create]. Keep the id: no endpoint lists migrations.
//  5. [MigrationsService.WaitReadyForCutover]. Stop writes to the source. [MigrationsService.Cutover],
//     [MigrationsService.WaitComplete].
//
// Package durable does steps 3 to 5 in a way that survives a restart.
//
// # Errors
//
// Ask [MayHaveCreated] first: it reports whether something may exist in Atlas.
//
//   - [*InvalidRequestError]: rejected before anything was sent.
//   - [*OutcomeUnknownError]: the request may have been carried out, and sending it again is not safe.
//   - [*APIError]: Atlas or a gateway responded with a failure. Sentinels such as [ErrNotFound] tell them apart.
//   - [*CallError]: the network, a timeout or the context.
//   - [*PacingError]: not sent, its turn within the rate limit would have come too late.
//   - [*WaitError]: a wait that ended before its job.
//   - [*ValidationFailedError], [*MigrationFailedError]: a job that did not succeed.
//
// Each marshals to JSON. None shows a key, a password, a token or a request body.
//
// # Rules
//
// Requests are retried, see [RetryPolicy]; a request that creates something only if it cannot have taken effect.
// Waits outlive outages, see [WithMaxOutage]. Requests keep within the rate limits of Atlas, see [WithoutPacing].
// Package livemigrationtest is an in-memory Atlas for tests.
//
// The pages below https://github.com/livemigration/livemigration-go/tree/main/docs have all rules: calls.md,
// durable.md, troubleshooting.md, security.md, observability.md, api-v1.md.
package livemigration
