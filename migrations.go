package livemigration

import (
	"cmp"
	"context"
	"log/slog"
	"math"
	"strings"
	"time"

	"github.com/livemigration/livemigration-go/internal/redact"
	"github.com/livemigration/livemigration-go/internal/response"
)

// MigrationsService starts, reads and cuts over migrations.
type MigrationsService core

// Migration is a migration job.
type Migration struct {
	ID     MigrationID     `json:"_id"`
	Status MigrationStatus `json:"status"`
	// ReadyForCutover: the destination is nearly in sync. The 120-hour timer of the cutover runs.
	ReadyForCutover bool     `json:"readyForCutover"`
	MigrationHosts  []string `json:"migrationHosts"`
	// LagTimeSeconds is how far the destination is behind the source; nil outside active replication. See
	// [Migration.Lag].
	LagTimeSeconds *int64 `json:"lagTimeSeconds,omitempty"`
}

// MigrationStatus is the state of a migration. Unknown values are kept.
type MigrationStatus string

const (
	// MigrationNew: scheduled.
	MigrationNew MigrationStatus = "NEW"
	// MigrationWorking: preparing, replicating, verifying, or finishing after a cutover.
	MigrationWorking MigrationStatus = "WORKING"
	// MigrationComplete: cut over and finished. Final.
	MigrationComplete MigrationStatus = "COMPLETE"
	// MigrationFailed: failed. Final.
	MigrationFailed MigrationStatus = "FAILED"
	// MigrationExpired: not cut over within 120 hours. Final.
	MigrationExpired MigrationStatus = "EXPIRED"
)

// Final reports whether the job has ended; false for unknown values.
func (s MigrationStatus) Final() bool {
	return s == MigrationComplete || s == MigrationFailed || s == MigrationExpired
}

// Lag returns how far the destination is behind the source; false outside of active replication.
func (m *Migration) Lag() (time.Duration, bool) {
	if m.LagTimeSeconds == nil {
		return 0, false
	}
	return seconds(*m.LagTimeSeconds), true
}

// seconds stops at the longest duration.
func seconds(seconds int64) time.Duration {
	const most = int64(math.MaxInt64 / time.Second)
	return time.Duration(max(-most, min(seconds, most))) * time.Second
}

// short writes a duration without zeros at its end: 1h, not 1h0m0s.
func short(d time.Duration) string {
	text := d.Round(time.Second).String()
	if len(text) > 2 && strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// String is one line: ID, status, lag and hosts, without the userinfo of URIs.
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
	return redact.New(nil).Clean(text)
}

// LogValue is a group of migration_id, state, ready_for_cutover and lag.
func (m Migration) LogValue() slog.Value {
	attrs := []slog.Attr{
		slog.String("migration_id", string(m.ID)), slog.String("state", redact.New(nil).Clean(string(m.Status))),
		slog.Bool("ready_for_cutover", m.ReadyForCutover),
	}
	if lag, ok := m.Lag(); ok {
		attrs = append(attrs, slog.Duration("lag", lag))
	}
	return slog.GroupValue(attrs...)
}

// Create starts a migration. It needs the role Organization Owner. Validate the request first, with
// [ValidationsService.Run].
//
// Keep the ID: Atlas cannot list migrations, and creating twice starts two migrations. If the request may have taken
// effect, the error is an [*OutcomeUnknownError]. Check [MayHaveCreated] first: the error may also be [context.Canceled]
// or [ErrServer]. When the context ends, a request in flight has 30 more seconds to finish, see [WithGrace].
//
// Migrate one cluster of a source organization at a time, and use one migration host for each migration. Cut over within
// 120 hours after the migration is ready; the button Extend time in the Atlas UI adds 24 hours.
//
// POST /groups/{groupId}/liveMigrations
//
// https://www.mongodb.com/docs/api/doc/atlas-admin-api-v2/operation/operation-creategrouplivemigration
func (s *MigrationsService) Create(ctx context.Context, projectID ProjectID, req MigrationRequest, opts ...CallOption) (*Migration, error) {
	return send[Migration](ctx, (*core)(s), &createMigration, []string{string(projectID)}, &migrationPayload{projectID, req}, opts)
}

// Get reads a migration. It needs the role Organization Member. The error is an [*InvalidRequestError], an [*APIError], a
// [*CallError] or a [*PacingError].
//
// GET /groups/{groupId}/liveMigrations/{liveMigrationId}
//
// https://www.mongodb.com/docs/api/doc/atlas-admin-api-v2/operation/operation-getgrouplivemigration
func (s *MigrationsService) Get(ctx context.Context, projectID ProjectID, migrationID MigrationID, opts ...CallOption) (*Migration, error) {
	return send[Migration](ctx, (*core)(s), &getMigration, []string{string(projectID), string(migrationID)}, nil, opts)
}

// Cutover cuts over a migration that is ready for it. Stop all writes to the source and wait until the lag time is zero
// before you call it; later writes are not copied. It needs the role Organization Owner. [MigrationsService.WaitComplete]
// waits for the end.
//
// The request is retried. If an attempt may have taken effect and a retry is rejected, the error is an
// [*OutcomeUnknownError]: call Get to find out.
//
// PUT /groups/{groupId}/liveMigrations/{liveMigrationId}/cutover
//
// https://www.mongodb.com/docs/api/doc/atlas-admin-api-v2/operation/operation-cutovergrouplivemigration
func (s *MigrationsService) Cutover(ctx context.Context, projectID ProjectID, migrationID MigrationID, opts ...CallOption) error {
	return (*core)(s).do(ctx, &cutover, []string{string(projectID), string(migrationID)}, nil, opts, nil)
}

// UnmarshalJSON leaves out values of an unexpected type.
func (m *Migration) UnmarshalJSON(data []byte) error {
	type plain Migration
	var p plain
	body := struct {
		*plain

		MigrationHosts response.Strings `json:"migrationHosts"` // the documentation of v1.0 shows one bare string
		LagTimeSeconds response.Number  `json:"lagTimeSeconds"`
	}{plain: &p}
	err := response.Decode(data, &body)
	*m = Migration(p)
	m.MigrationHosts, m.LagTimeSeconds = body.MigrationHosts, body.LagTimeSeconds.Pointer()
	return err
}

func (m *Migration) check(asked string) (id string, err error) {
	return checkJob(string(m.ID), string(m.Status), asked)
}

// MigrationFailedError is a migration that ended in [MigrationFailed] or [MigrationExpired].
type MigrationFailedError struct {
	// Migration is the job's last state.
	Migration *Migration
}

func (e *MigrationFailedError) Error() string {
	if e.Migration == nil {
		return messagePrefix + "migration failed"
	}
	message := messagePrefix + "migration " + string(e.Migration.ID)
	if e.Migration.Status == MigrationExpired {
		return message + " expired before it was cut over; start a new migration"
	}
	return message + " failed; the API reports no reason, see the Atlas UI or the log on the migration host"
}

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
