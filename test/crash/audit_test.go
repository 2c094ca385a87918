package crash

import (
	"maps"
	"slices"
	"sync"

	"github.com/livemigration/livemigration-go"
	"github.com/livemigration/livemigration-go/durable"
	"github.com/livemigration/livemigration-go/livemigrationtest"
)

// audit compares what the server has with what the records say, after each life.
type audit struct {
	plans []durable.Plan

	mu      sync.Mutex             // the writes of one life come from several goroutines
	written map[string]savedRecord // the last one of each name
	lost    map[livemigration.MigrationID]bool
	stale   map[string]bool
}

func newAudit(plans []durable.Plan) *audit {
	return &audit{
		plans: plans, written: make(map[string]savedRecord),
		lost: make(map[livemigration.MigrationID]bool), stale: make(map[string]bool),
	}
}

// wrote notes a write that succeeded.
func (a *audit) wrote(w savedRecord) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if w.Revision > a.written[w.Name].Revision {
		a.written[w.Name] = w
	}
}

// compare compares after a life.
func (a *audit) compare(jobs []livemigrationtest.Migration, records []durable.Record) {
	byName, byCluster := make(map[string]durable.Record), make(map[string]durable.Record)
	for _, r := range records {
		byName[r.Plan.Name], byCluster[r.Plan.Request.Destination.ClusterName] = r, r
	}
	a.mu.Lock()
	written := maps.Clone(a.written)
	a.mu.Unlock()
	for name, last := range written {
		stored := byName[name]
		if stored.Revision < last.Revision {
			a.stale[name] = true
		}
		if last.MigrationID != "" && !names(stored, last.MigrationID) {
			a.lost[last.MigrationID] = true
		}
	}
	for _, r := range records {
		a.wrote(savedRecord{r.Plan.Name, r.Revision, r.MigrationID})
	}
	for _, job := range jobs {
		r := byCluster[job.Destination.ClusterName]
		creating := r.Begun != nil && r.Begun.Action == durable.ActionCreate
		mayExist := creating || r.State == durable.StateUnclear
		if !mayExist && !names(r, job.ID) {
			a.lost[job.ID] = true
		}
	}
}

func names(r durable.Record, id livemigration.MigrationID) bool {
	return r.MigrationID == id || slices.Contains(r.FormerMigrationIDs, id)
}

// end returns the figures after the last life.
func (a *audit) end(jobs []livemigrationtest.Migration, records []durable.Record) figures {
	a.compare(jobs, records)
	f := figures{Clusters: len(a.plans), Jobs: len(jobs), Lost: len(a.lost), Writes: len(a.stale), Unfinished: len(a.plans), Crowded: crowded(jobs)}
	for _, r := range records {
		if r.State == durable.StateComplete {
			f.Unfinished--
		}
	}
	perCluster := make(map[livemigrationtest.Cluster]int)
	for _, job := range jobs {
		perCluster[job.Destination]++
		if perCluster[job.Destination] == 2 {
			f.Twice++
		}
	}
	return f
}

// crowded counts the jobs that started on a host that served another one.
func crowded(jobs []livemigrationtest.Migration) int {
	n := 0
	for i, job := range jobs {
		started := job.History[0].Time
		n += min(1, len(slices.DeleteFunc(slices.Clone(jobs[:i]), func(other livemigrationtest.Migration) bool {
			last := other.History[len(other.History)-1]
			over := last.Status.Final() && !last.Time.After(started)
			return over || !slices.Equal(other.MigrationHosts, job.MigrationHosts)
		})))
	}
	return n
}

// unnamed returns the job of a cluster that no record names; empty when there is none.
func unnamed(plan durable.Plan, jobs []livemigrationtest.Migration, records []durable.Record) livemigration.MigrationID {
	for _, job := range jobs {
		named := slices.ContainsFunc(records, func(r durable.Record) bool { return names(r, job.ID) })
		if job.Destination.ClusterName == plan.Request.Destination.ClusterName && !named {
			return job.ID
		}
	}
	return ""
}
