package livemigrationtest

import (
	"net/http"
	"strconv"
	"sync"
	"time"
)

// What Atlas announces for the versions of 2023-01-01 that have a newer one. The first header is not in the form of
// RFC 9745, and the days have one digit.
const (
	deprecation2023 = "Mon, 5 Aug 2024 00:00:00 GMT"
	sunset2023      = "Thu, 1 Jul 2027 00:00:00 GMT"
)

// deprecated tells whether the request asks for a version that has a newer one.
func (c *call) deprecated() bool { return c.date != "" && c.date != c.route.newest() }

// Deprecate makes the responses of the operation announce its end, in the form of the RFCs. The header Deprecation (RFC
// 9745) says since when it is deprecated, and Sunset (RFC 8594) when it may stop working. A zero time leaves its header
// out. Two zero times end the announcement. Only the headers change: the operation works, also after its sunset.
//
// What Atlas really sends has another form. Who creates a validation or a migration in the version of 2023-01-01 gets
// that.
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

// announce sets the headers of a response.
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
