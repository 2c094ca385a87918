package benchmarks

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/livemigration/livemigration-go"
	"github.com/livemigration/livemigration-go/livemigrationtest"
)

var wholeFleet = flag.Bool("fleet", false, "run the fleets that docs/scale.md shows, not small ones")

// The bounds that a paced fleet keeps to where the rate limit allows a poll a minute and watch.
const (
	maxRejectedShare = 0.01
	maxLateness      = 2 * time.Minute // two of the longest poll intervals
)

// TestFleet watches a fleet with and without pacing, on virtual time.
func TestFleet(t *testing.T) {
	fleets := []Fleet{
		{Watches: 100, Projects: 2, PerMinute: 50, Pacing: true},
		{Watches: 100, Projects: 2, PerMinute: 50},
	}
	if *wholeFleet {
		fleets = []Fleet{
			{Watches: 400, Projects: 1, Pacing: true},
			{Watches: 400, Projects: 1},
			{Watches: 2_000, Projects: 1, Pacing: true},
			{Watches: 2_000, Projects: 1},
			{Watches: 10_000, Projects: 25, Pacing: true},
			{Watches: 500, Projects: 1, PerMinute: 100, Pacing: true},
			{Watches: 500, Projects: 1, PerMinute: 100},
		}
	}
	for i := range fleets {
		f := &fleets[i]
		t.Run(fmt.Sprintf("watches=%d/projects=%d/pacing=%t", f.Watches, f.Projects, f.Pacing), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { runFleet(t, f) })
			fmt.Println(fleetMark + f.row())
			fmt.Println(minutesMark + f.minutes())
			checkFleet(t, f)
		})
	}
}

func checkFleet(t *testing.T, f *Fleet) {
	t.Helper()
	if !f.Pacing {
		return
	}
	if f.Lost > 0 || f.Failed > 0 {
		t.Errorf("%d updates lost, %d watches failed", f.Lost, f.Failed)
	}
	if f.rejectedShare() >= maxRejectedShare {
		t.Errorf("%.2f %% of the requests rejected", 100*f.rejectedShare())
	}
	if late := quantile(f.Complete, 1); late > maxLateness && f.Watches <= f.perMinute()*f.Projects {
		t.Errorf("the end of a migration was seen %s late", late)
	}
}

// counting counts what comes back from the server.
type counting struct {
	base               http.RoundTripper
	start              time.Time
	requests, rejected atomic.Int64
	mu                 sync.Mutex
	minutes            []int // requests
}

func (c *counting) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := c.base.RoundTrip(req)
	if err == nil && resp.StatusCode != http.StatusUnauthorized {
		c.requests.Add(1)
		c.inMinute(int(time.Since(c.start) / time.Minute))
		if resp.StatusCode == http.StatusTooManyRequests {
			c.rejected.Add(1)
		}
	}
	return resp, err
}

func (c *counting) inMinute(minute int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.minutes) <= minute {
		c.minutes = append(c.minutes, 0)
	}
	c.minutes[minute]++
}

// fleetRun is a Fleet on its way.
type fleetRun struct {
	*Fleet
	srv    *livemigrationtest.Server
	client *livemigration.Client
	mu     sync.Mutex
}

func runFleet(t *testing.T, f *Fleet) {
	limits := livemigrationtest.WithPublishedRateLimits()
	if f.PerMinute > 0 {
		limits = livemigrationtest.WithRateLimit(livemigrationtest.Bucket{Capacity: f.PerMinute})
	}
	srv := livemigrationtest.NewServer(livemigrationtest.WithInProcess(), livemigrationtest.WithSpeed(1), livemigrationtest.WithProjects(f.Projects), limits)
	defer srv.Close()
	transport := &counting{base: srv.Transport(), start: time.Now()}
	opts := []livemigration.Option{livemigration.WithHTTPClient(&http.Client{Transport: transport})}
	if !f.Pacing {
		opts = append(opts, livemigration.WithoutPacing())
	}
	client, err := srv.NewClient(opts...)
	if err != nil {
		t.Fatal(err)
	}
	run := &fleetRun{Fleet: f, srv: srv, client: client}
	var all sync.WaitGroup
	for i := range f.Watches {
		project := srv.ProjectIDs()[i%f.Projects]
		all.Go(func() { run.migrate(t.Context(), project) })
	}
	all.Wait()
	f.Took = time.Since(transport.start)
	f.Requests, f.Rejected, f.Minutes = int(transport.requests.Load()), int(transport.rejected.Load()), transport.minutes
}

// migrate carries one migration through. When a state is due is known from the server's timings.
func (r *fleetRun) migrate(ctx context.Context, project livemigration.ProjectID) {
	migrations, timings := r.client.Migrations, r.srv.Timings()
	request := r.srv.SampleRequest()
	request.Destination.ProjectID = "" // the method's
	created, err := migrations.Create(ctx, project, request)
	if err != nil {
		r.failed()
		return
	}
	id, due := created.ID, time.Now().Add(timings.Scheduling+timings.InitialSync)
	if _, err := migrations.WaitReadyForCutover(ctx, project, id); err != nil {
		r.failed()
		return
	}
	ready := time.Since(due)
	time.Sleep(rand.N(time.Hour)) // until nobody writes to the source any more
	if err := migrations.Cutover(ctx, project, id); err != nil {
		r.failed()
		return
	}
	due = time.Now().Add(timings.Finishing)
	m, err := migrations.WaitComplete(ctx, project, id)
	if err != nil {
		r.failed()
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.Ready, r.Complete = append(r.Ready, ready), append(r.Complete, time.Since(due))
	if m.Status != livemigration.MigrationComplete {
		r.Lost++
	}
}

func (r *fleetRun) failed() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.Failed++
	r.Lost++
}
