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
	validations     []*validation // in the order of creation
	migrations      []*migration
	nextValidations []string // the messages with which the next ones fail
	nextMigrations  []func(*migration)
}

// shift takes the first element of a queue.
func shift[T any](queue *[]T) (first T, ok bool) {
	if len(*queue) == 0 {
		return first, false
	}
	first, *queue = (*queue)[0], (*queue)[1:]
	return first, true
}
