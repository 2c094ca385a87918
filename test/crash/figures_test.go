package crash

import "github.com/livemigration/livemigration-go"

// figures counts what deaths have led to.
type figures struct {
	Lives      int
	Deaths     int
	Clusters   int // to migrate
	Jobs       int // migrations that the server has at the end
	Twice      int // clusters with more than one migration
	Lost       int // migrations that no record names, or whose ID a record forgot
	Writes     int // records that are lost, or older than one that was stored
	Crowded    int // migrations that started on a host that served another one
	Settled    int // UNCLEAR records that a person settled
	Unfinished int // clusters whose record is not COMPLETE at the end
}

func (f *figures) add(other figures) {
	f.Lives += other.Lives
	f.Deaths += other.Deaths
	f.Clusters += other.Clusters
	f.Jobs += other.Jobs
	f.Twice += other.Twice
	f.Lost += other.Lost
	f.Writes += other.Writes
	f.Crowded += other.Crowded
	f.Settled += other.Settled
	f.Unfinished += other.Unfinished
}

// harm counts what must never happen.
func (f figures) harm() int { return f.Twice + f.Lost + f.Writes + f.Crowded + f.Unfinished }

// savedRecord is a record that the store has reported as saved.
type savedRecord struct {
	Name        string
	Revision    int64
	MigrationID livemigration.MigrationID
}
