package livemigrationtest

import (
	"slices"
	"sync"

	"github.com/livemigration/livemigration-go"
)

// state is what the server holds. Nothing in it moves by itself: where a job stands is worked out from the clock when
// somebody asks.
type state struct {
	timings Timings
	ids     *ids
	seeded  []livemigration.AvailableProject // of all source organizations

	mu              sync.Mutex
	sourceOrgs      []*sourceOrg
	linkTokens      []string
	validations     jobs[validation]
	migrations      jobs[migration]
	nextValidations []aimed[string] // the messages with which the next ones fail
	nextMigrations  []aimed[func(*migration)]
}

func newState(cfg config, drawn *ids) *state {
	st := &state{timings: cfg.timings, ids: drawn}
	for i, projects := range cfg.sourceOrgs(drawn) {
		st.seeded = append(st.seeded, projects...)
		st.sourceOrgs = append(st.sourceOrgs, &sourceOrg{id: drawn.of(idSource, i), projects: newWireProjects(projects)})
	}
	return st
}

// jobs is the jobs of one kind. Programs that watch many ask for one of them at a time, so each is found by its id.
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

// direction is from where to where a job goes.
type direction struct{ source, destination Cluster }

// touches tells whether one of the two clusters has the name. The empty name stands for every cluster.
func (d direction) touches(cluster string) bool {
	return cluster == "" || d.source.ClusterName == cluster || d.destination.ClusterName == cluster
}

// aimed is something for the next job of a cluster.
type aimed[T any] struct {
	cluster string // empty: of any
	value   T
}

// shift takes the first element of a queue that is for the job.
func shift[T any](queue *[]aimed[T], job direction) (first T, ok bool) {
	at := slices.IndexFunc(*queue, func(a aimed[T]) bool { return job.touches(a.cluster) })
	if at < 0 {
		return first, false
	}
	first = (*queue)[at].value
	*queue = slices.Delete(*queue, at, at+1)
	return first, true
}
