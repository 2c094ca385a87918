package livemigrationtest

import (
	"slices"
	"time"

	"github.com/livemigration/livemigration-go"
)

const (
	readyLag  = time.Second    // of a destination that has caught up
	catchUp   = 10             // seconds of lag that a destination makes up for in a second, without writes
	extension = 24 * time.Hour // of the cutover window, by Extend time of the Atlas UI
)

// migration is a migration job. Its progress is time: of scheduling, then of the initial sync, then of being ready for
// cutover.
type migration struct {
	order
	id        string
	project   string    // of the path
	createdBy string    // the public key or client ID
	created   time.Time // later, if it was held
	held      bool      // does not become ready
	heldLag   time.Duration
	failing   bool          // fails instead of becoming ready
	extended  time.Duration // beyond the cutover window
	cutover   time.Time     // zero: not yet
	ended     livemigration.MigrationStatus

	quiet  bool          // nothing is written to the source
	lag    time.Duration // at lagged
	lagged time.Time     // zero: when it became ready

	history []MigrationChange // up to settled
	settled time.Time
}

// snapshot is where a migration stands at some time.
type snapshot struct {
	status livemigration.MigrationStatus
	ready  bool
	lag    *int64
}

func (m *migration) snapshot(now time.Time, st *state) snapshot {
	switch {
	case m.ended != "":
		return snapshot{status: m.ended}
	case !m.cutover.IsZero() && now.Sub(m.cutover) < st.timings.Finishing:
		return snapshot{status: livemigration.MigrationWorking}
	case !m.cutover.IsZero():
		return snapshot{status: livemigration.MigrationComplete}
	}
	progress, t := now.Sub(m.created), st.timings
	ready := t.Scheduling + t.InitialSync
	switch {
	case progress < t.Scheduling:
		return snapshot{status: livemigration.MigrationNew}
	case m.held:
		return snapshot{status: livemigration.MigrationWorking, lag: lagSeconds(m.heldLag)}
	case progress < ready:
		return snapshot{status: livemigration.MigrationWorking, lag: lagSeconds(ready - progress + readyLag)}
	case m.failing:
		return snapshot{status: livemigration.MigrationFailed}
	case progress < ready+t.CutoverWindow+m.extended:
		return snapshot{status: livemigration.MigrationWorking, ready: true, lag: lagSeconds(m.lagAt(now, st))}
	default:
		return snapshot{status: livemigration.MigrationExpired}
	}
}

// lagAt is the lag of a migration that is ready for cutover.
func (m *migration) lagAt(now time.Time, st *state) time.Duration {
	lag, since := m.lag, m.lagged
	if ready := m.created.Add(st.timings.Scheduling + st.timings.InitialSync); since.Before(ready) {
		lag, since = readyLag, ready
	}
	elapsed := now.Sub(since)
	if m.quiet {
		return max(0, lag-min(elapsed, lag)*catchUp)
	}
	return lag + time.Duration(elapsed.Hours()*float64(st.lagGrowth))
}

func lagSeconds(lag time.Duration) *int64 {
	value := int64(seconds(lag))
	return &value
}

func ended(status livemigration.MigrationStatus) bool {
	switch status {
	case livemigration.MigrationComplete, livemigration.MigrationFailed, livemigration.MigrationExpired:
		return true
	default:
		return false
	}
}

// settle writes down what has happened to the migration up to now. It has to be called before anything changes the
// course of the migration, and after.
func (m *migration) settle(now time.Time, st *state) {
	t := st.timings
	ready := t.Scheduling + t.InitialSync
	points := []time.Time{m.created.Add(t.Scheduling), m.created.Add(ready), m.created.Add(ready + t.CutoverWindow + m.extended)}
	if !m.cutover.IsZero() {
		points = append(points, m.cutover.Add(t.Finishing))
	}
	slices.SortFunc(points, time.Time.Compare)
	for _, at := range points {
		if at.After(m.settled) && at.Before(now) {
			m.note(at, st)
		}
	}
	m.note(now, st)
	m.settled = now
}

// note adds to the history where the migration stands at a time, unless it stood there before.
func (m *migration) note(at time.Time, st *state) {
	is := m.snapshot(at, st)
	if n := len(m.history); n > 0 && m.history[n-1].Status == is.status && m.history[n-1].ReadyForCutover == is.ready {
		return
	}
	m.history = append(m.history, MigrationChange{Time: at, Status: is.status, ReadyForCutover: is.ready})
}
