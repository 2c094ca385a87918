package livemigrationtest

import (
	"fmt"
	"sync/atomic"
)

// The first digits of an id say what it is of.
const (
	idAtlas  = "5f1a2b3c" // the organization and its projects
	idSource = "5c7e8f90" // the source organizations with their projects and clusters
	idJob    = "6560f2a4"
)

// ids makes ids of 24 hexadecimal digits: 8 that say what for, 10 that each server draws, and a number.
type ids struct {
	drawn string
	last  atomic.Uint32
}

func newIDs() *ids { return &ids{drawn: randomHex(5)} }

// next returns the id of the next job.
func (i *ids) next() string { return i.of(idJob, int(i.last.Add(1))) }

func (i *ids) of(kind string, number int) string {
	return fmt.Sprintf("%s%s%06x", kind, i.drawn, number)
}

// isID reports whether s is an id of Atlas: 24 lower-case hexadecimal digits.
func isID(s string) bool {
	if len(s) != 24 {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}
