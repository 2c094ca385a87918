package durable

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/livemigration/livemigration-go"
)

func (d *Driver) look(ctx context.Context, r *Record) error {
	seen, err := d.client.Migrations.Get(ctx, r.Plan.ProjectID, r.MigrationID)
	if err != nil && ctx.Err() != nil {
		return err
	}
	return r.migrationSeen(seen, err, stamp(time.Now()))
}

// migrationSeen is what a look tells, in each state in which there is a job.
func (r *Record) migrationSeen(seen *livemigration.Migration, err error, now time.Time) error {
	switch {
	case unknownToAtlas(err):
		r.lost(now)
		return nil
	case err != nil:
		r.weather(readingMigration, err, now)
		return err
	case r.Migration == nil && !r.onOurHosts(seen):
		id := r.MigrationID
		r.dropMigration()
		r.unclear(now, fmt.Sprintf("migration %s, which was adopted, runs on %s and not on the migration host of the plan: it is another one",
			id, clean(strings.Join(seen.MigrationHosts, ", "))))
		return nil
	}
	r.Migration = cloneMigration(seen)
	r.Migration.ID = r.MigrationID
	switch seen.Status {
	case livemigration.MigrationComplete:
		r.enter(StateComplete, now, "")
	case livemigration.MigrationFailed:
		r.stop(StateFailed, now, fmt.Sprintf("migration %s failed; the Atlas user interface may say why", r.MigrationID))
	case livemigration.MigrationExpired:
		r.stop(StateExpired, now, fmt.Sprintf("migration %s expired: it was not cut over within 120 hours of its being ready", r.MigrationID))
	default:
		r.runningSeen(seen.ReadyForCutover, now)
	}
	return nil
}

// lost is a job that Atlas does not know. One that was adopted and never seen was the wrong id.
func (r *Record) lost(now time.Time) {
	id := r.MigrationID
	if r.Migration == nil {
		r.dropMigration()
	}
	r.unclear(now, fmt.Sprintf("Atlas does not know migration %s", id))
}

func (r *Record) onOurHosts(seen *livemigration.Migration) bool {
	ours := make([]string, len(r.Plan.Request.MigrationHosts))
	for i, host := range r.Plan.Request.MigrationHosts {
		ours[i] = foldHost(host)
	}
	return !slices.ContainsFunc(seen.MigrationHosts, func(host string) bool { return !slices.Contains(ours, foldHost(host)) })
}

func (r *Record) runningSeen(ready bool, now time.Time) {
	switch {
	case r.State == StateFinishing && ready:
		r.stillReady(now)
	case r.State == StateFinishing:
		r.passes(now)
	case ready && r.State != StateReady:
		r.ReadySince = now
		r.enter(StateReady, now, "")
	case !ready && r.State == StateReady:
		r.lapse(now)
		r.ReadySince = time.Time{}
		r.enter(StateReplicating, now, "not ready for cutover any more")
	case r.failedAt(askingApproval), r.failedAt(cuttingOver): // the next question or cutover tells
	default:
		r.passes(now)
	}
}

// stillReady is a job that has been cut over and does not look like it.
func (r *Record) stillReady(now time.Time) {
	switch {
	case r.CutOverAt.IsZero():
		if !r.failedAt(cuttingOver) {
			r.trouble(string(cuttingOver)+" has not been carried out", "the migration is still ready for it", now)
		}
		r.State = StateReady
		r.step(now, joinText(string(StateReady), "the cutover has not been carried out"))
	case now.Sub(r.CutOverAt) >= finishingPatience:
		r.trouble(fmt.Sprintf("Atlas accepted the cutover at %s, and the migration still looks ready for it", r.CutOverAt.UTC().Format(timeFormat)),
			"look at it in the Atlas user interface", now)
	default:
		r.passes(now)
	}
}
