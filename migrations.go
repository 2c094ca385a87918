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

type MigrationsService core

type Migration struct {
	ID              MigrationID     `json:"_id"`
	Status          MigrationStatus `json:"status"`
	ReadyForCutover bool            `json:"readyForCutover"` // nearly in sync; the 120-hour timer has started
	MigrationHosts  []string        `json:"migrationHosts"`
	LagTimeSeconds  *int64          `json:"lagTimeSeconds,omitempty"` // see [Migration.Lag]
}

type MigrationStatus string

const (
	MigrationNew      MigrationStatus = "NEW"      // scheduled
	MigrationWorking  MigrationStatus = "WORKING"  // in progress, before the cutover and after it
	MigrationComplete MigrationStatus = "COMPLETE" // cut over and finished
	MigrationFailed   MigrationStatus = "FAILED"
	MigrationExpired  MigrationStatus = "EXPIRED" // not cut over within 120 hours
)

// Final reports whether s is COMPLETE, FAILED or EXPIRED.
func (s MigrationStatus) Final() bool {
	return s == MigrationComplete || s == MigrationFailed || s == MigrationExpired
}

// Lag returns the lag time, which is known during active replication only.
func (m *Migration) Lag() (time.Duration, bool) {
	if m.LagTimeSeconds == nil {
		return 0, false
	}
	const most = int64(math.MaxInt64 / time.Second) // in a duration
	return time.Duration(max(-most, min(*m.LagTimeSeconds, most))) * time.Second, true
}

// short writes a duration without zeros at its end: 1h, not 1h0m0s.
func short(d time.Duration) string {
	text := d.Round(time.Second).String()
	for _, zeros := range []string{"h0m0s", "m0s"} {
		if rest, ok := strings.CutSuffix(text, zeros); ok {
			return rest + zeros[:1]
		}
	}
	return text
}

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

// Create starts a migration. Keep its ID. Calling Create again starts a second migration, so check [MayHaveCreated]
// first. Role: Organization Owner.
//
// Migrate one cluster of a source organization at a time. Cut over within 120 hours after the migration is ready; the
// button Extend time in the Atlas UI adds 24 hours.
//
// POST /groups/{groupId}/liveMigrations
// https://www.mongodb.com/docs/api/doc/atlas-admin-api-v2/operation/operation-creategrouplivemigration
func (s *MigrationsService) Create(ctx context.Context, projectID ProjectID, req MigrationRequest, opts ...CallOption) (*Migration, error) {
	return send[Migration](ctx, (*core)(s), &createMigration, []string{string(projectID)}, &migrationPayload{projectID, req}, opts)
}

// Get reads a migration. Role: Organization Member.
//
// GET /groups/{groupId}/liveMigrations/{liveMigrationId}
// https://www.mongodb.com/docs/api/doc/atlas-admin-api-v2/operation/operation-getgrouplivemigration
func (s *MigrationsService) Get(ctx context.Context, projectID ProjectID, id MigrationID, opts ...CallOption) (*Migration, error) {
	return send[Migration](ctx, (*core)(s), &getMigration, []string{string(projectID), string(id)}, nil, opts)
}

// Cutover cuts over a migration that is ready for it. Before you call it, stop all writes to the source and wait until
// the lag time is zero: later writes are lost. If the outcome is unknown, call Get. Role: Organization Owner.
//
// PUT /groups/{groupId}/liveMigrations/{liveMigrationId}/cutover
// https://www.mongodb.com/docs/api/doc/atlas-admin-api-v2/operation/operation-cutovergrouplivemigration
func (s *MigrationsService) Cutover(ctx context.Context, projectID ProjectID, id MigrationID, opts ...CallOption) error {
	return (*core)(s).do(ctx, &cutover, []string{string(projectID), string(id)}, nil, opts, nil)
}

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
	m.MigrationHosts, m.LagTimeSeconds = body.MigrationHosts, body.LagTimeSeconds.Value
	return err
}

func (m *Migration) check(asked string) (id string, err error) {
	return checkJob(string(m.ID), string(m.Status), asked)
}

// MigrationFailedError is a migration that ended in [MigrationFailed] or [MigrationExpired].
type MigrationFailedError struct {
	Migration *Migration // its last state
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
	return e.Migration != nil && (target == ErrMigrationFailed && e.Migration.Status == MigrationFailed ||
		target == ErrMigrationExpired && e.Migration.Status == MigrationExpired)
}
