// Package livemigration is a client of the MongoDB Atlas push live migration API. It copies a running MongoDB cluster from
// Cloud Manager or Ops Manager into Atlas, keeps it in sync, and cuts over.
//
// # Start
//
// [NewClientFromEnv] makes a client from the variables of Atlas's own tools, [NewClient] from credentials in code. A
// migration is one of each of these calls, in this order:
//
//  1. [LinkTokensService.Create] makes a link-token for the Atlas organization, and [MigrationLinkService.Create] of a
//     [SourceClient] connects the source organization with it. Once for each source organization.
//  2. [AvailableProjectsService.List] lists what can be migrated now.
//  3. [ValidationsService.Create] and [ValidationsService.Wait] check the request. Do this first: it changes nothing.
//  4. [MigrationsService.Create] starts the job. Keep its id: no endpoint lists migrations.
//  5. [MigrationsService.WaitReadyForCutover], stop writing to the source, [MigrationsService.Cutover],
//     [MigrationsService.WaitComplete].
//  6. [LinkTokensService.Delete], when no migration of the organization runs any more.
//
// A migration takes hours or days, and programs are restarted. Package durable keeps what must survive, and never starts a
// migration twice. "Project" is what the API calls a group.
//
// # Errors
//
// Ask [MayHaveCreated] before any other question about an error: it reports whether something may exist in Atlas. The
// errors are:
//
//   - [*InvalidRequestError]: rejected before anything was sent. It names every field that is wrong.
//   - [*OutcomeUnknownError]: the request may have been carried out, and sending it again is not safe.
//   - [*APIError]: Atlas, or a gateway before it, responded with a failure. [ErrUnauthorized], [ErrForbidden],
//     [ErrNotFound], [ErrConflict], [ErrRateLimited], [ErrServer] and others tell them apart.
//   - [*CallError]: the network, a timeout or the context.
//   - [*PacingError]: not sent, because its turn within the rate limit would have come too late.
//   - [*WaitError]: a wait that ended before its job. It wraps one of the above.
//   - [*ValidationFailedError] and [*MigrationFailedError]: a job that ended, but not in success.
//
// [errors.Is] and [errors.As] work through all of them. Each marshals to JSON. No message, log record or formatted value
// of this package holds a key, a password, a token or a request body.
//
// # Retries
//
// A request is made up to five times, see [RetryPolicy]. Reading, validating, deleting and cutting over are retried after
// failures of the network, 429, 5xx, and the statuses with which gateways give up (408, 421, 425, 460, 499). Creating a
// migration, a link-token or a migration link is retried only when the server cannot have carried it out: no credentials
// were sent with it, 429, 503 with Retry-After, or the server's own word over HTTP/2. Everything else is an
// [*OutcomeUnknownError]. A wait that Atlas asks for is kept; one that does not fit ends the call at once.
//
// # Waits and rate limits
//
// [MigrationsService.Watch] yields every state of a migration that it observes. Waits outlive failures that may pass for
// up to 15 minutes, see [WithMaxOutage]. All work is done in the goroutine of the caller. A client keeps within Atlas's rate
// limits by itself, see [WithoutPacing]; polls give way to calls.
//
// # Observing, versions, testing
//
// [WithLogger] takes a structured logger. [WithTransportWrapper] takes a transport for tracing and metrics that sees each
// attempt without its credentials. WithAPIVersion([APIv1]) speaks the legacy v1.0. Package livemigrationtest is an
// in-memory Atlas for tests.
package livemigration
