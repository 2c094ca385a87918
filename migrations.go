package livemigration

import (
	"cmp"
	"context"
	"log/slog"
	"math"
	"strings"
	"time"

	"github.com/livemigration/livemigration-go/internal/endpoint"
	"github.com/livemigration/livemigration-go/internal/redact"
	"github.com/livemigration/livemigration-go/internal/response"
)

// MigrationsService starts, reads and cuts over migrations.
type MigrationsService struct{ core *core }

// Migration is a migration job.
type Migration struct {
	ID     MigrationID     `json:"_id"`
	Status MigrationStatus `json:"status"`
	// ReadyForCutover says that the destination has caught up. From then on Atlas keeps it in sync for 120 hours,
	// after which the job is [MigrationExpired].
	ReadyForCutover bool     `json:"readyForCutover"`
	MigrationHosts  []string `json:"migrationHosts"`
	// LagTimeSeconds is how far the destination is behind the source, in seconds; nil outside of active replication.
	// [Migration.Lag] reads it as a duration.
	LagTimeSeconds *int64 `json:"lagTimeSeconds,omitempty"`
}

// MigrationStatus is the state of a migration job. Values that this package does not know pass through as they are.
type MigrationStatus string

const (
	// MigrationNew: the job is scheduled.
	MigrationNew MigrationStatus = "NEW"
	// MigrationWorking: the job prepares, replicates, verifies, or finishes after a cutover.
	MigrationWorking MigrationStatus = "WORKING"
	// MigrationComplete: the migration has been cut over and has finished. Final.
	MigrationComplete MigrationStatus = "COMPLETE"
	// MigrationFailed: the migration has failed. Final.
	MigrationFailed MigrationStatus = "FAILED"
	// MigrationExpired: nobody cut the migration over within 120 hours of its being ready. Final.
	MigrationExpired MigrationStatus = "EXPIRED"
)

// Final reports whether the job has ended. It is false for a status that this package does not know.
func (s MigrationStatus) Final() bool {
	return s == MigrationComplete || s == MigrationFailed || s == MigrationExpired
}

// Lag returns how far the destination is behind the source. It is false outside of active replication.
func (m *Migration) Lag() (time.Duration, bool) {
	if m.LagTimeSeconds == nil {
		return 0, false
	}
	return seconds(*m.LagTimeSeconds), true
}

// secondsToDuration stops at the longest duration where the seconds do not fit.
func seconds(seconds int64) time.Duration {
	const most = int64(math.MaxInt64 / time.Second)
	return time.Duration(max(-most, min(seconds, most))) * time.Second
}

// String describes the job in one line: its id, status, whether it is ready for cutover, lag and hosts.
func (m Migration) String() string {
	text := "migration " + string(m.ID) + " " + cmp.Or(string(m.Status), "without a status")
	if m.ReadyForCutover {
		text += ", ready for cutover"
	}
	if lag, ok := m.Lag(); ok {
		text += ", lag " + lag.String()
	}
	if len(m.MigrationHosts) > 0 {
		text += ", on " + strings.Join(m.MigrationHosts, " and ")
	}
	return redact.Line(text)
}

// LogValue is a group of migration_id, state, ready_for_cutover and, where there is one, lag.
func (m Migration) LogValue() slog.Value {
	attrs := []slog.Attr{
		slog.String("migration_id", string(m.ID)), slog.String("state", redact.Line(string(m.Status))), slog.Bool("ready_for_cutover", m.ReadyForCutover),
	}
	if lag, ok := m.Lag(); ok {
		attrs = append(attrs, slog.Duration("lag", lag))
	}
	return slog.GroupValue(attrs...)
}

// Create starts a migration. With req.DropDestinationData the data of the destination cluster is destroyed. An empty
// req.Destination.ProjectID becomes projectID; a different one is rejected. It needs the role Organization Owner.
//
// Validate the request first, with [ValidationsService.Create]. A migration host, and a source organization, serve one
// migration at a time. Time-series collections are not migrated, and nothing says so. When the job is ready for cutover,
// 120 hours begin; only a person can extend them, in the Atlas user interface.
//
// Keep the id that is returned: Atlas cannot list migrations, and creating twice starts two. So a request that may have
// reached Atlas is not retried. The error is then an [*OutcomeUnknownError]: test it with [MayHaveCreated] first, because
// it may also be [context.Canceled] or [ErrServer]. [WithGrace] lets the request finish when the context ends. Other errors
// are [*InvalidRequestError], [*APIError], [*PacingError] and [*CallError].
//
// POST /groups/{groupId}/liveMigrations
//
// https://www.mongodb.com/docs/api/doc/atlas-admin-api-v2/operation/operation-creategrouplivemigration
func (s *MigrationsService) Create(ctx context.Context, projectID ProjectID, req MigrationRequest, opts ...CallOption) (*Migration, error) {
	return send[Migration](ctx, s.core, &endpoint.CreateMigration, []identifier{projectID}, &migrationPayload{projectID, req}, opts)
}

// Get reads a migration job. It needs the role Organization Member. Errors are [*InvalidRequestError] and [*APIError].
//
// GET /groups/{groupId}/liveMigrations/{liveMigrationId}
//
// https://www.mongodb.com/docs/api/doc/atlas-admin-api-v2/operation/operation-getgrouplivemigration
func (s *MigrationsService) Get(ctx context.Context, projectID ProjectID, migrationID MigrationID, opts ...CallOption) (*Migration, error) {
	return send[Migration](ctx, s.core, &endpoint.GetMigration, []identifier{projectID, migrationID}, nil, opts)
}

// Cutover ends a migration that is ready for it: Atlas applies what is left and stops synchronizing. Stop writing to the
// source first. It needs the role Organization Owner.
//
// Atlas accepts the request and finishes later: [MigrationsService.WaitComplete] waits for that. The request is retried
// safely. If an attempt may have been carried out and a retry is rejected, the error is an [*OutcomeUnknownError] around
// that rejection: test for [ErrOutcomeUnknown] first, and read the job with [MigrationsService.Get]. Other errors are
// [*InvalidRequestError], [*APIError], [*PacingError] and [*CallError].
//
// PUT /groups/{groupId}/liveMigrations/{liveMigrationId}/cutover
//
// https://www.mongodb.com/docs/api/doc/atlas-admin-api-v2/operation/operation-cutovergrouplivemigration
func (s *MigrationsService) Cutover(ctx context.Context, projectID ProjectID, migrationID MigrationID, opts ...CallOption) error {
	return s.core.do(ctx, &endpoint.Cutover, []identifier{projectID, migrationID}, nil, opts, nil)
}

// UnmarshalJSON reads a migration from JSON. One odd value does not cost the others: a lag of 12.0 or "12" is read, and a
// value that makes no sense is left out. migrationHosts may be one string, as the documentation of v1.0 shows it.
func (m *Migration) UnmarshalJSON(data []byte) error {
	type plain Migration
	return response.Lenient(data, (*plain)(m))
}

func (m *Migration) check(asked string) error { return checkJob(string(m.ID), string(m.Status), asked) }

// MigrationFailedError says that a migration ended in [MigrationFailed] or [MigrationExpired].
type MigrationFailedError struct {
	// Migration is the job's last state.
	Migration *Migration
}

// Error gives the job's id and status.
func (e *MigrationFailedError) Error() string {
	if e.Migration == nil {
		return messagePrefix + "migration failed"
	}
	message := messagePrefix + "migration " + string(e.Migration.ID)
	if e.Migration.Status == MigrationExpired {
		return message + " expired: it was not cut over within 120 hours of its being ready"
	}
	return message + " failed: Atlas's API gives no reason, the Atlas user interface and the log of the migration host do"
}

// Is reports whether target is the sentinel of the job's status.
func (e *MigrationFailedError) Is(target error) bool {
	if e.Migration == nil {
		return false
	}
	switch e.Migration.Status {
	case MigrationFailed:
		return target == ErrMigrationFailed
	case MigrationExpired:
		return target == ErrMigrationExpired
	default:
		return false
	}
}
