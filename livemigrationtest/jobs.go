package livemigrationtest

import (
	"fmt"
	"sync"
	"sync/atomic"
)

// ids makes ids of 24 hexadecimal digits that are unique in one server.
type ids struct{ last atomic.Uint32 }

func (i *ids) next() string { return fmt.Sprintf("6560f2a49c1b7e03d5%06x", i.last.Add(1)) }

// state is what the server holds. Nothing in it moves by itself: what a job has come to is worked out from the clock
// when somebody asks.
type state struct {
	timings  Timings
	ids      ids
	projects []wireProject

	mu              sync.Mutex
	linkTokens      []string
	validations     jobs[validation]
	migrations      jobs[migration]
	nextValidations []string // the messages with which the next ones fail
	nextMigrations  []func(*migration)
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

// shift takes the first element of a queue.
func shift[T any](queue *[]T) (first T, ok bool) {
	if len(*queue) == 0 {
		return first, false
	}
	first, *queue = (*queue)[0], (*queue)[1:]
	return first, true
}
