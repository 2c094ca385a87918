package livemigrationtest

import (
	"encoding/json"
	"slices"
	"sync"
	"time"

	"github.com/livemigration/livemigration-go"
)

// state is what the server contains. Nothing in it moves by itself: where a job stands is worked out from the clock when
// it is read.
type state struct {
	timings   Timings
	lagGrowth time.Duration // in an hour
	ids       *ids
	sample    livemigration.AvailableProject // a source project that can be migrated

	mu              sync.Mutex
	sourceOrgs      []*sourceOrg
	linkTokens      []string
	validations     jobs[validation]
	migrations      jobs[migration]
	nextValidations []aimed[string] // the messages with which the next ones fail
	nextMigrations  []aimed[func(*migration)]
	quiet           map[string]bool // by cluster: nothing is written to it anymore
}

func newState(cfg config, ids *ids) *state {
	st := &state{timings: cfg.timings, lagGrowth: cfg.lagGrowth, ids: ids, quiet: make(map[string]bool)}
	first := cfg.projects
	if !cfg.ownProjects {
		first = defaultProjects(ids)
	}
	st.sample = defaultProjects(ids)[0]
	orgs := append([][]livemigration.AvailableProject{first}, cfg.moreOrgs...)
	all := slices.Concat(orgs...)
	usable := func(p livemigration.AvailableProject) bool {
		return len(p.Deployments) > 0 && len(p.MigrationHosts) > 0
	}
	if at := slices.IndexFunc(all, usable); at >= 0 {
		st.sample = all[at]
	}
	for i, projects := range orgs {
		st.sourceOrgs = append(st.sourceOrgs, &sourceOrg{id: ids.of(idSource, i), projects: newWireProjects(projects)})
	}
	return st
}

// jobs is the jobs of one kind. Programs that watch many ask for one at a time, so each is found by its ID.
type jobs[T any] struct {
	ordered []*T // by creation
	byID    map[string]*T
}

func (j *jobs[T]) add(id string, job *T) {
	if j.byID == nil {
		j.byID = make(map[string]*T)
	}
	j.ordered = append(j.ordered, job)
	j.byID[id] = job
}

// find returns a job, or nil.
func (j *jobs[T]) find(id string) *T { return j.byID[id] }

// Cluster is a cluster and the project that it is in.
type Cluster struct {
	ProjectID   livemigration.ProjectID `json:"projectId"`
	ClusterName string                  `json:"clusterName"`
}

// String returns the project and the name, with a slash between them.
func (c Cluster) String() string { return string(c.ProjectID) + "/" + c.ClusterName }

// order is what the server needs of the body that starts a job.
type order struct {
	source, destination Cluster
	hosts               []string
}

// touches reports whether one of the two clusters has the name. The empty name stands for every cluster.
func (o order) touches(cluster string) bool {
	return cluster == "" || o.source.ClusterName == cluster || o.destination.ClusterName == cluster
}

// readOrder reads what can be read of a body: all of it, once it has been checked.
func readOrder(body []byte) order {
	type wireCluster struct {
		ProjectID   livemigration.ProjectID `json:"groupId"`
		ClusterName string                  `json:"clusterName"`
	}
	var wire struct {
		Source         wireCluster `json:"source"`
		Destination    wireCluster `json:"destination"`
		MigrationHosts []string    `json:"migrationHosts"`
	}
	_ = json.Unmarshal(body, &wire)
	return order{source: Cluster(wire.Source), destination: Cluster(wire.Destination), hosts: wire.MigrationHosts}
}

// aimed is something for the next job of a cluster.
type aimed[T any] struct {
	cluster string // empty: of any
	value   T
}

// shift takes the first element of a queue that is for the job.
func shift[T any](queue *[]aimed[T], job order) (first T, ok bool) {
	at := slices.IndexFunc(*queue, func(a aimed[T]) bool { return job.touches(a.cluster) })
	if at < 0 {
		return first, false
	}
	first = (*queue)[at].value
	*queue = slices.Delete(*queue, at, at+1)
	return first, true
}
