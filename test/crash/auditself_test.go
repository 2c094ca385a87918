package crash

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/livemigration/livemigration-go"
	"github.com/livemigration/livemigration-go/durable"
	"github.com/livemigration/livemigration-go/livemigrationtest"
)

// scene is one migration after a life that has written it at revision 5 with the ID of its job.
type scene struct {
	record  durable.Record
	records []durable.Record
	jobs    []livemigrationtest.Migration
}

func newScene() scene {
	plan := plansInto("6560f2a49c1b7e03d5aaaaaa", 1)[0]
	r := durable.NewRecord(plan, time.Unix(0, 0))
	r.Revision, r.State, r.MigrationID = 5, durable.StateComplete, "6560f2a49c1b7e03d5000001"
	return scene{r, []durable.Record{r}, []livemigrationtest.Migration{jobOf(r, r.MigrationID, 0)}}
}

// jobOf is a job of a record that starts after so many hours, and is complete an hour later.
func jobOf(r durable.Record, id livemigration.MigrationID, hours int) livemigrationtest.Migration {
	started := time.Unix(0, 0).Add(time.Duration(hours) * time.Hour)
	return livemigrationtest.Migration{
		ID: id, MigrationHosts: r.Plan.Request.MigrationHosts,
		Destination: livemigrationtest.Cluster{ClusterName: r.Plan.Request.Destination.ClusterName},
		History: []livemigrationtest.MigrationChange{
			{Time: started, Status: livemigration.MigrationNew},
			{Time: started.Add(time.Hour), Status: livemigration.MigrationComplete},
		},
	}
}

// TestAudit shows that the audit sees each harm.
func TestAudit(t *testing.T) {
	const other = "6560f2a49c1b7e03d5000002"
	for _, c := range []struct {
		name   string
		change func(*scene)
		want   figures
	}{
		{"no harm", func(*scene) {}, figures{Jobs: 1}},
		{"no record", func(s *scene) { s.records = nil }, figures{Jobs: 1, Lost: 1, Writes: 1, Unfinished: 1}},
		{"an older record", func(s *scene) { s.records[0].Revision = 4 }, figures{Jobs: 1, Writes: 1}},
		{"a record that forgot its job", func(s *scene) { s.records[0].MigrationID = "" }, figures{Jobs: 1, Lost: 1}},
		{"a job of the past", func(s *scene) {
			s.records[0].FormerMigrationIDs, s.records[0].MigrationID = []livemigration.MigrationID{s.record.MigrationID}, other
			s.jobs = append(s.jobs, jobOf(s.record, other, 1))
		}, figures{Jobs: 2, Twice: 1}},
		{"a second job", func(s *scene) { s.jobs = append(s.jobs, jobOf(s.record, other, 1)) }, figures{Jobs: 2, Twice: 1, Lost: 1}},
		{"a second job at the same time", func(s *scene) { s.jobs = append(s.jobs, jobOf(s.record, other, 0)) },
			figures{Jobs: 2, Twice: 1, Lost: 1, Crowded: 1}},
		{"a record that is UNCLEAR", func(s *scene) {
			s.records[0].State = durable.StateUnclear
			s.jobs = append(s.jobs, jobOf(s.record, other, 1))
		}, figures{Jobs: 2, Twice: 1, Unfinished: 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newScene()
			a := newAudit([]durable.Plan{s.record.Plan})
			a.wrote(savedRecord{s.record.Plan.Name, s.record.Revision, s.record.MigrationID})
			c.change(&s)
			c.want.Clusters = 1
			assert.Equal(t, c.want, a.end(s.jobs, s.records))
		})
	}
}
