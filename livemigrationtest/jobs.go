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
	validations     []*validation // in the order of their creation
	migrations      []*migration
	validationByID  map[string]*validation
	migrationByID   map[string]*migration
	nextValidations []course
	nextMigrations  []course
	quiet           map[string]bool // by cluster: nothing is written to it anymore
}

func newState(cfg config, ids *ids) *state {
	st := &state{
		timings: cfg.timings, lagGrowth: cfg.lagGrowth, ids: ids, quiet: make(map[string]bool),
		validationByID: make(map[string]*validation), migrationByID: make(map[string]*migration),
	}
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
		st.sample.Deployments, st.sample.MigrationHosts = slices.Clone(all[at].Deployments), slices.Clone(all[at].MigrationHosts)
	}
	for i, projects := range orgs {
		st.sourceOrgs = append(st.sourceOrgs, &sourceOrg{id: ids.of(idSource, i), projects: newWireProjects(projects)})
	}
	return st
}

// Cluster is a cluster and the project that it is in.
type Cluster struct {
	ProjectID   livemigration.ProjectID `json:"projectId"`
	ClusterName string                  `json:"clusterName"`
}

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
	type cluster struct {
		ProjectID   livemigration.ProjectID `json:"groupId"`
		ClusterName string                  `json:"clusterName"`
	}
	var wire struct {
		Source, Destination cluster
		MigrationHosts      []string
	}
	_ = json.Unmarshal(body, &wire)
	return order{source: Cluster(wire.Source), destination: Cluster(wire.Destination), hosts: wire.MigrationHosts}
}

// course is what happens to the next job of a cluster.
type course struct {
	cluster string        // empty: of any
	message string        // of a validation that fails
	hold    bool          // a migration does not become ready; else it fails
	lag     time.Duration // meanwhile
}

// takeCourse takes the first course that is for the job.
func takeCourse(queue *[]course, job order) (first course, ok bool) {
	at := slices.IndexFunc(*queue, func(c course) bool { return job.touches(c.cluster) })
	if at < 0 {
		return course{}, false
	}
	first = (*queue)[at]
	*queue = slices.Delete(*queue, at, at+1)
	return first, true
}
