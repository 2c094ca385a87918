// Package livemigration drives MongoDB Atlas push live migrations: Atlas copies a running MongoDB cluster that Cloud
// Manager or Ops Manager manages, keeps the copy in sync, and cuts over to it. It is for programs that migrate such
// clusters, one or thousands. It is not a product of MongoDB.
//
// # Start
//
// [NewClientFromEnv] creates a client from environment variables, [NewClient] from credentials in code. Then call:
//
//  1. Once for each source organization: [LinkTokensService.Create], and with that token [MigrationLinkService.Create]
//     of a [SourceClient].
//  2. [AvailableProjectsService.List] to see what can be migrated.
//  3. [ValidationsService.Run] to check a request. It changes nothing.
//  4. [MigrationsService.Create]. Keep the ID: Atlas lists no migrations.
//  5. [MigrationsService.WaitReadyForCutover]. Then stop all writes to the source.
//  6. [MigrationsService.Cutover], and [MigrationsService.WaitComplete].
//
// Package durable does steps 3 to 6 in programs that may be killed at any moment. Package livemigrationtest is an
// in-memory Atlas for tests.
//
// # Errors
//
// Check [MayHaveCreated] first: if it is true, check the Atlas UI before you call again; the message says for what.
// Then [Retryable]: if it is true, try again later. Otherwise change the request, the credentials or the configuration.
//
// A call returns an [*InvalidRequestError], [*APIError], [*OutcomeUnknownError], [*CallError] or [*PacingError]. A wait
// also returns a [*WaitError] around these, a [*ValidationFailedError] or [*MigrationFailedError], and the last state
// seen too. Sentinels such as [ErrNotFound] match them. Each marshals to JSON. None shows a key, a password, a token or
// a request body.
//
// # Rules
//
// A failed request is sent again (see [RetryPolicy]), but one that creates a migration, a link-token or a link only if
// it cannot have taken effect. Waits outlive outages (see [WithMaxOutage]). Requests keep within the rate limits of
// Atlas (see [WithoutPacing]). Unknown values of a status are kept.
//
// All rules, and what to do about each error: https://github.com/livemigration/livemigration-go/tree/main/docs
package livemigration
