package benchmarks

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/livemigration/livemigration-go"
	"github.com/livemigration/livemigration-go/livemigrationtest"
)

var wholeFleet = flag.Bool("fleet", false, "run the fleets that docs/internals/scale.md shows, not small ones")

const (
	// publishedRefill is how many requests come back in a minute in each project by the published limits.
	publishedRefill = 500
	// The bounds that a paced fleet keeps to where the rate limit allows a poll a minute and watch.
	maxRejectedShare = 0.02            // most of them before the first response says that the limit is lower
	maxLateness      = 2 * time.Minute // two of the longest poll intervals
)

// fleet is a run of many migrations at once. One client creates them and watches each. It cuts each over some time after
// it is ready, and watches it until it is complete.
type fleet struct {
	watches, projects int
	perMinute         int // requests that Atlas allows in each project; 0: its published limits
	pacing            bool

	requests, rejected atomic.Int64 // results, as the rest
	mu                 sync.Mutex
	failed             int // watches that ended in an error
	lost               int // watches that did not see their migration ready, or complete
	ready, complete    []time.Duration
}

// TestFleet watches fleets with and without pacing, on virtual time.
func TestFleet(t *testing.T) {
	fleets := []*fleet{{watches: 100, projects: 2, perMinute: 50, pacing: true}, {watches: 100, projects: 2, perMinute: 50}}
	if *wholeFleet {
		fleets = []*fleet{
			{watches: 400, projects: 1, pacing: true}, {watches: 400, projects: 1},
			{watches: 2_000, projects: 1, pacing: true}, {watches: 2_000, projects: 1},
			{watches: 10_000, projects: 25, pacing: true},
			{watches: 500, projects: 1, perMinute: 100, pacing: true}, {watches: 500, projects: 1, perMinute: 100},
		}
	}
	fmt.Println("fleets: | watches | projects | allowed a minute and project | pacing | requests | rejected with 429 | lost updates | " +
		"failed watches | complete seen late: median / 99 % / worst | ready seen late: worst |")
	fmt.Println("fleets: | ---: | ---: | ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: |")
	for _, f := range fleets {
		t.Run(fmt.Sprintf("watches=%d/projects=%d/pacing=%t", f.watches, f.projects, f.pacing), func(t *testing.T) {
			synctest.Test(t, f.run)
			share := float64(f.rejected.Load()) / float64(max(1, f.requests.Load()))
			fmt.Printf("fleets: | %d | %d | %d | %t | %d | %d (%.2f %%) | %d | %d | %s / %s / %s | %s |\n", f.watches, f.projects,
				cmp.Or(f.perMinute, publishedRefill), f.pacing, f.requests.Load(), f.rejected.Load(), 100*share, f.lost, f.failed,
				quantile(f.complete, 0.5), quantile(f.complete, 0.99), quantile(f.complete, 1), quantile(f.ready, 1))
			if !f.pacing {
				return
			}
			if f.lost > 0 || f.failed > 0 {
				t.Errorf("%d updates lost, %d watches failed", f.lost, f.failed)
			}
			if share >= maxRejectedShare {
				t.Errorf("%.2f %% of the requests rejected", 100*share)
			}
			polled := f.watches <= cmp.Or(f.perMinute, publishedRefill)*f.projects
			if late := quantile(f.complete, 1); late > maxLateness && polled {
				t.Errorf("the end of a migration was seen %s late", late)
			}
		})
	}
}

func quantile(d []time.Duration, q float64) time.Duration {
	if len(d) == 0 {
		return 0
	}
	slices.Sort(d)
	return d[int(q*float64(len(d)-1))].Round(time.Second)
}

// counting counts what comes back from the server.
type counting struct {
	base http.RoundTripper
	*fleet
}

func (c *counting) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := c.base.RoundTrip(req)
	if err == nil && resp.StatusCode != http.StatusUnauthorized {
		c.requests.Add(1)
		if resp.StatusCode == http.StatusTooManyRequests {
			c.rejected.Add(1)
		}
	}
	return resp, err
}

func (f *fleet) run(t *testing.T) {
	limits := livemigrationtest.WithPublishedRateLimits()
	if f.perMinute > 0 {
		limits = livemigrationtest.WithRateLimit(livemigrationtest.Bucket{Capacity: f.perMinute})
	}
	srv := livemigrationtest.NewServer(livemigrationtest.WithInProcess(), livemigrationtest.WithSpeed(1),
		livemigrationtest.WithProjects(f.projects), limits)
	defer srv.Close()
	opts := []livemigration.Option{livemigration.WithHTTPClient(&http.Client{Transport: &counting{srv.Transport(), f}})}
	if !f.pacing {
		opts = append(opts, livemigration.WithoutPacing())
	}
	client, err := srv.NewClient(opts...)
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for i := range f.watches {
		all.Go(func() {
			ready, complete, err := migrate(t.Context(), srv, client.Migrations, srv.ProjectIDs()[i%f.projects])
			f.mu.Lock()
			defer f.mu.Unlock()
			if err != nil {
				f.failed++
				f.lost++
				return
			}
			f.ready, f.complete = append(f.ready, ready), append(f.complete, complete)
		})
	}
	all.Wait()
}

// migrate takes one migration from its creation to its end. It returns how late the states were seen: when a state is due
// is known from the server's timings.
func migrate(
	ctx context.Context, srv *livemigrationtest.Server, migrations *livemigration.MigrationsService, project livemigration.ProjectID,
) (ready, complete time.Duration, err error) {
	request := srv.SampleRequest()
	request.Destination.ProjectID = "" // the method's
	created, err := migrations.Create(ctx, project, request)
	if err != nil {
		return 0, 0, err
	}
	due := time.Now().Add(srv.Timings().Scheduling + srv.Timings().InitialSync)
	if _, err := migrations.WaitReadyForCutover(ctx, project, created.ID); err != nil {
		return 0, 0, err
	}
	ready = time.Since(due)
	time.Sleep(rand.N(time.Hour)) // until writes to the source have stopped
	if err := migrations.Cutover(ctx, project, created.ID); err != nil {
		return 0, 0, err
	}
	due = time.Now().Add(srv.Timings().Finishing)
	_, err = migrations.WaitComplete(ctx, project, created.ID)
	return ready, time.Since(due), err
}
