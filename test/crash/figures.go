package crash

import "github.com/livemigration/livemigration-go"

// Figures is what deaths have led to.
type Figures struct {
	Lives      int `json:"lives"`
	Deaths     int `json:"deaths"`
	Clusters   int `json:"clusters"`   // that were to be migrated
	Jobs       int `json:"jobs"`       // that the server had at the end
	Twice      int `json:"twice"`      // clusters with more than one job
	Lost       int `json:"lost"`       // jobs that no record named, or of which a record forgot the id
	Writes     int `json:"writes"`     // records that were lost, or older than one that had been stored
	Crowded    int `json:"crowded"`    // jobs that began on a host that served another one
	Settled    int `json:"settled"`    // UNCLEAR records that a person settled
	Unfinished int `json:"unfinished"` // clusters whose record was not COMPLETE at the end
}

// Add adds the figures of another run.
func (f *Figures) Add(other Figures) {
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

// Harm is how much of what must never happen has happened.
func (f Figures) Harm() int { return f.Twice + f.Lost + f.Writes + f.Crowded + f.Unfinished }

// Write is a write of which the store has said that it succeeded.
type Write struct {
	Name        string                    `json:"name"`
	Revision    int64                     `json:"revision"`
	MigrationID livemigration.MigrationID `json:"migrationId"`
}
