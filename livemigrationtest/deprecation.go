package livemigrationtest

import (
	"net/http"
	"strconv"
	"sync"
	"time"
)

// Deprecate makes the answers of the operation announce its end from now on, as Atlas does with a version that is on its
// way out: the header Deprecation (RFC 9745) says since when it is deprecated, or from when on it will be, and Sunset
// (RFC 8594) when it may stop to work. A zero time leaves its header out; two of them take the announcement back. Only
// the headers change: the operation works, also after its sunset.
func (s *Server) Deprecate(op Operation, deprecated, sunset time.Time) {
	s.deprecations.set(op, deprecation{deprecated, sunset})
}

// deprecations is what is announced, by operation.
type deprecations struct {
	mu        sync.RWMutex
	announced map[Operation]deprecation
}

type deprecation struct{ deprecated, sunset time.Time }

func (d *deprecations) set(op Operation, announced deprecation) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.announced == nil {
		d.announced = make(map[Operation]deprecation)
	}
	d.announced[op] = announced
}

// announce sets the headers of an answer.
func (d *deprecations) announce(op Operation, h http.Header) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	announced := d.announced[op]
	if !announced.deprecated.IsZero() {
		h.Set("Deprecation", "@"+strconv.FormatInt(announced.deprecated.Unix(), 10))
	}
	if !announced.sunset.IsZero() {
		h.Set("Sunset", announced.sunset.UTC().Format(http.TimeFormat))
	}
}
