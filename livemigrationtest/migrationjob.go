package livemigrationtest

import (
	"slices"
	"time"

	"github.com/livemigration/livemigration-go"
)

// readyLag is how far behind a destination is that has caught up.
const readyLag = time.Second

// migration is a migration job. Its progress is time: of scheduling, then of the initial sync, then of being ready for
// cutover.
type migration struct {
	order
	id      string
	project string        // of the path
	base    time.Duration // progress at since
	since   time.Time
	hold    *hold
	failing bool      // fails instead of becoming ready
	cutover time.Time // zero: not yet
	ended   livemigration.MigrationStatus

	history []MigrationChange // up to settled
	settled time.Time
}

// hold keeps a migration's progress from passing a point, and shows a lag once it is there.
type hold struct {
	at  time.Duration
	lag time.Duration
}

// snapshot is where a migration stands at some time.
type snapshot struct {
	status livemigration.MigrationStatus
	ready  bool
	lag    *int64
}

func (m *migration) progress(now time.Time) time.Duration {
	progress := m.base + now.Sub(m.since)
	if m.hold != nil {
		progress = min(progress, m.hold.at)
	}
	return progress
}

func (m *migration) snapshot(now time.Time, t Timings) snapshot {
	switch {
	case m.ended != "":
		return snapshot{status: m.ended}
	case !m.cutover.IsZero() && now.Sub(m.cutover) < t.Finishing:
		return snapshot{status: livemigration.MigrationWorking}
	case !m.cutover.IsZero():
		return snapshot{status: livemigration.MigrationComplete}
	default:
		return m.replication(m.progress(now), t)
	}
}

// replication is the snapshot of a migration that has not been cut over.
func (m *migration) replication(progress time.Duration, t Timings) snapshot {
	ready := t.Scheduling + t.InitialSync
	switch {
	case m.hold != nil && progress >= m.hold.at:
		return snapshot{status: livemigration.MigrationWorking, lag: lagSeconds(m.hold.lag)}
	case progress < t.Scheduling:
		return snapshot{status: livemigration.MigrationNew}
	case progress < ready:
		return snapshot{status: livemigration.MigrationWorking, lag: lagSeconds(ready - progress + readyLag)}
	case m.failing:
		return snapshot{status: livemigration.MigrationFailed}
	case progress < ready+t.CutoverWindow:
		return snapshot{status: livemigration.MigrationWorking, ready: true, lag: lagSeconds(readyLag)}
	default:
		return snapshot{status: livemigration.MigrationExpired}
	}
}

func lagSeconds(lag time.Duration) *int64 {
	value := int64(seconds(lag))
	return &value
}

// active tells whether the migration has not ended.
func (m *migration) active(now time.Time, t Timings) bool { return !m.snapshot(now, t).status.Final() }

// settle writes down what has happened to the migration up to now. It has to be called before anything changes the
// course of the migration, and after.
func (m *migration) settle(now time.Time, t Timings) {
	for _, at := range m.turningPoints(t) {
		if at.After(m.settled) && at.Before(now) {
			m.note(at, t)
		}
	}
	m.note(now, t)
	m.settled = now
}

// turningPoints are the times at which the migration changes by itself, in order.
func (m *migration) turningPoints(t Timings) []time.Time {
	reaches := func(progress time.Duration) time.Time { return m.since.Add(progress - m.base) }
	ready := t.Scheduling + t.InitialSync
	points := []time.Time{reaches(t.Scheduling), reaches(ready), reaches(ready + t.CutoverWindow)}
	if !m.cutover.IsZero() {
		points = append(points, m.cutover.Add(t.Finishing))
	}
	if m.hold != nil {
		points = append(points, reaches(m.hold.at))
	}
	slices.SortFunc(points, time.Time.Compare)
	return points
}

// note adds to the history where the migration stands at a time, unless it stood there before.
func (m *migration) note(at time.Time, t Timings) {
	is := m.snapshot(at, t)
	change := MigrationChange{Time: at, Status: is.status, ReadyForCutover: is.ready}
	if n := len(m.history); n > 0 {
		last := m.history[n-1]
		if last.Status == change.Status && last.ReadyForCutover == change.ReadyForCutover {
			return
		}
	}
	m.history = append(m.history, change)
}
