package livemigrationtest

import (
	"math"
	"sync/atomic"
	"time"
)

// clock is the server's time. Its two readings differ in how fast they run between two calls of Advance.
type clock struct {
	start    time.Time
	speed    float64
	advanced atomic.Int64 // nanoseconds
}

func newClock(speed float64) *clock { return &clock{start: time.Now(), speed: speed} }

// jobs is the time of jobs: it runs at the server's speed.
func (c *clock) jobs() time.Time { return c.at(c.speed) }

// callers is the time of those who wait for the server, as after a Retry-After: it runs as time.Now does.
func (c *clock) callers() time.Time { return c.at(1) }

func (c *clock) at(speed float64) time.Time {
	elapsed := 0.0 // reading time.Now is not free, and most servers stand still
	if speed != 0 {
		elapsed = speed * float64(time.Since(c.start))
	}
	return c.start.Add(time.Duration(c.advanced.Load())).Add(time.Duration(min(elapsed, math.MaxInt64/2)))
}

// advance moves both readings; time does not run backwards.
func (c *clock) advance(d time.Duration) { c.advanced.Add(int64(max(d, 0))) }
