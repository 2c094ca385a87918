// Package livemigration is a client of the MongoDB Atlas push live migration API: it copies a running MongoDB cluster
// from Cloud Manager or Ops Manager into Atlas, keeps it in sync, and cuts over.
//
// # Quick start
//
//	client, err := livemigration.NewClient(livemigration.APIKey(publicKey, privateKey))
//	...
//	validation, err := client.Validations.Create(ctx, projectID, request)
//	...
//	if _, err := client.Validations.Wait(ctx, projectID, validation.ID); err != nil { ... }
//	migration, err := client.Migrations.Create(ctx, projectID, request)
//	...
//	if _, err := client.Migrations.WaitReadyForCutover(ctx, projectID, migration.ID); err != nil { ... }
//	// Stop writing to the source here.
//	if err := client.Migrations.Cutover(ctx, projectID, migration.ID); err != nil { ... }
//	if _, err := client.Migrations.WaitComplete(ctx, projectID, migration.ID); err != nil { ... }
//
// A source organization is connected once before, with a link-token: [LinkTokensService.Create] makes one, its value is
// pasted into Cloud Manager or Ops Manager, and [AvailableProjectsService.List] then shows what can be migrated.
// Deleting the link-token ends synchronization, so that comes last.
//
// Each method is one endpoint, except Watch and the Wait functions, which poll one. "Project" is what the wire and the
// Atlas documentation call a group.
//
// # Errors
//
// Every error of a call or a wait is one of these, or wraps one; [errors.As] and [errors.Is] work through all wrappers:
//
//   - [*InvalidRequestError]: refused before anything was sent. It names every field that is wrong.
//   - [*APIError]: Atlas, or a gateway before it, answered with a failure. Tell them apart with [ErrUnauthorized],
//     [ErrForbidden], [ErrNotFound], [ErrConflict], [ErrRateLimited], [ErrServer] and so on.
//   - [*OutcomeUnknownError]: the request may have been carried out, and repeating it is not safe. Check by hand.
//   - [*ValidationFailedError] and [*MigrationFailedError]: a wait ended, but not in success.
//   - [*PacingError]: not sent, because its turn within the rate limit would have come too late.
//   - [*CallError]: the network, a timeout or the context, with the operation named before it. It matches the error of the
//     context when the context has ended, and only then. A wait that its context ends between two polls has no call, and
//     its error only names the job.
//
// No message, log record or formatted value of this package holds a key, a password, a token or a request body.
//
// # Retries
//
// A request is made up to five times, see [RetryPolicy]. What may be repeated depends on whether Atlas can have carried
// it out. Reading, validating, cutting over and deleting are repeated after failures of the network, 429, 500, 502, 503
// and 504. Creating a migration or a link-token is repeated only when no credentials went out with the request, after
// 429, and after 503 with Retry-After; otherwise the call ends, with an [*OutcomeUnknownError] where the answer is lost.
// Other statuses are not repeated, save a 401 that is about a stale nonce or an access token that has ended, and not about
// the keys. A request for an access token that fails is repeated like the call that needs it, which has not been sent.
// A wait that Atlas asks for is kept to, or, when it is longer than the context or ten times MaxBackoff allow, ends the
// call at once.
//
// # Waiting
//
// [MigrationsService.Watch] yields every state of a migration that it observes; [MigrationsService.WaitReadyForCutover],
// [MigrationsService.WaitComplete] and [ValidationsService.Wait] poll until there is something to do. They outlive
// outages of up to 15 minutes, see [WithMaxOutage], and end with any other failure and with their context. All work in the goroutine of the caller.
//
// # Rate limits
//
// A client keeps within Atlas's rate limits by itself, with what it learns from the answers: see [WithoutPacing] for the
// rules, and [WithRateLimit] for a ceiling of your own. Polls of waits give way to calls.
//
// # Watching the client
//
// [WithLogger] takes a structured logger, [WithTransportWrapper] a transport for tracing and metrics that sees each attempt
// without its credentials, and [AttemptFromContext] tells there what the attempt is for.
//
// # Versions
//
// The current API is the default. WithAPIVersion([APIv1]) speaks the legacy v1.0, with its field names, and refuses what
// v1.0 does not know instead of dropping it.
//
// # Testing
//
// Package livemigrationtest holds an in-memory Atlas, for tests of programs that use this package.
package livemigration
