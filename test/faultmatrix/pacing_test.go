package faultmatrix_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go"
	"github.com/livemigration/livemigration-go/livemigrationtest"
)

// crowd is many users of one client of a service account, on an Atlas with a rate limit that is small for them.
type crowd struct {
	*livemigrationtest.Server
	client *livemigration.Client

	injected  atomic.Int64 // faults
	limited   atomic.Int64 // 429s that no fault has made
	responses atomic.Int64
	created   sync.Map // by id
	unknown   atomic.Int64
}

const (
	perMinute = 100
	fromFault = "X-Injected"
)

func newCrowd(t *testing.T) *crowd {
	t.Helper()
	c := &crowd{Server: livemigrationtest.NewServer(
		livemigrationtest.WithInProcess(), livemigrationtest.WithSpeed(1),
		livemigrationtest.WithRateLimit(livemigrationtest.Bucket{Capacity: perMinute}),
		livemigrationtest.WithTokenLifetime(10*time.Minute),
	)}
	var err error
	c.client, err = livemigration.NewClient(c.ServiceAccountCredentials(), livemigration.WithBaseURL(c.URL()),
		livemigration.WithHTTPClient(&http.Client{Transport: transportFunc(c.count)}))
	require.NoError(t, err)
	return c
}

func (c *crowd) count(req *http.Request) (*http.Response, error) {
	resp, err := c.Transport().RoundTrip(req)
	if err == nil {
		c.responses.Add(1)
		if resp.StatusCode == http.StatusTooManyRequests && resp.Header.Get(fromFault) == "" {
			c.limited.Add(1)
		}
	}
	return resp, err
}

// trouble injects a fault every few seconds until the context ends, and takes the token away now and then.
func (c *crowd) trouble(ctx context.Context) {
	limit := livemigrationtest.Status(429).WithRetryAfter(5*time.Second).WithHeader(fromFault, "1")
	faults := append([]livemigrationtest.Fault{limit}, passing[:2]...)
	faults = append(faults, passing[3:]...) // all but the 429 that does not say that it is a fault
	operations := []livemigrationtest.Operation{
		livemigrationtest.GetMigration, livemigrationtest.GetMigration, livemigrationtest.CreateMigration,
		livemigrationtest.GetValidation, livemigrationtest.IssueToken,
	}
	random := rand.New(rand.NewPCG(7, 7))
	for n := 1; pause(ctx, 10*time.Second); n++ {
		c.ClearFaults() // that have met nobody, so that they do not pile up
		c.Inject(operations[random.IntN(len(operations))], faults[random.IntN(len(faults))], 1)
		c.injected.Add(1)
		if n%40 == 0 {
			c.ExpireTokens()
		}
	}
}

// pause waits, and reports whether the context has not ended.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// create makes a migration, and again until it knows its id: a job whose creation is unknown is nobody's.
func (c *crowd) create(ctx context.Context) (livemigration.MigrationID, error) {
	for {
		m, err := c.client.Migrations.Create(ctx, c.ProjectID(), c.SampleRequest())
		var unknown *livemigration.OutcomeUnknownError
		switch {
		case err == nil:
			if _, twice := c.created.LoadOrStore(m.ID, true); twice {
				return "", errors.New("two creations have the same id")
			}
			return m.ID, nil
		case errors.As(err, &unknown):
			c.unknown.Add(1)
		case !errors.Is(err, livemigration.ErrServer):
			return "", err
		}
	}
}

// look makes calls that somebody waits for, beside the watches.
func (c *crowd) look(ctx context.Context, id livemigration.MigrationID, calls int) error {
	for range calls {
		if !pause(ctx, time.Minute) {
			return ctx.Err()
		}
		m, err := c.client.Migrations.Get(ctx, c.ProjectID(), id)
		switch {
		case errors.Is(err, livemigration.ErrServer), err == nil && m.ID == id:
		case err == nil:
			return errors.New("another migration than the one asked for")
		default:
			return err
		}
	}
	return nil
}

// jobs returns how many migrations somebody knows of.
func (c *crowd) jobs() (n int64) {
	c.created.Range(func(any, any) bool { n++; return true })
	return n
}

// TestCrowdWithinARateLimit has 200 migrations watched to their end at the same time, beside calls, although Atlas allows
// 100 requests a minute, and while requests and tokens fail. A bubble does not end before every goroutine in it has.
func TestCrowdWithinARateLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const watches, lookers, looks = 200, 20, 20
		c := newCrowd(t)
		defer c.Close()
		// One response tells the client of the limit. Requests that are on their way before it do not know it.
		_, err := c.client.Migrations.Get(t.Context(), c.ProjectID(), "5f1a2b3c4d5e6f7081920b0b")
		require.ErrorIs(t, err, livemigration.ErrNotFound)
		start := time.Now()
		trouble, calm := context.WithCancel(t.Context())
		defer calm()
		go c.trouble(trouble)
		var complete atomic.Int64
		var wg sync.WaitGroup
		for i := range watches {
			wg.Go(func() {
				id, err := c.create(t.Context())
				if err != nil {
					t.Errorf("not created: %v", err)
					return
				}
				if i < lookers {
					wg.Go(func() { assert.NoError(t, c.look(t.Context(), id, looks)) })
				}
				if err := migrate(t.Context(), c.client, c.ProjectID(), id); err != nil {
					t.Errorf("lost: %v", err)
					return
				}
				complete.Add(1)
			})
		}
		wg.Wait()
		assert.EqualValues(t, watches, complete.Load())
		assert.EqualValues(t, watches, c.jobs())
		extra := int64(len(c.Migrations())) - c.jobs()
		assert.LessOrEqual(t, extra, c.unknown.Load(), "every further job has been reported as an unknown outcome")
		assert.Less(t, c.limited.Load(), c.responses.Load()/100, "requests beyond the limit")
		t.Logf("%d watches complete after %s: %d responses, %d beyond the limit, %d faults, %d creations unknown, of which %d processed",
			complete.Load(), time.Since(start).Round(time.Minute), c.responses.Load(), c.limited.Load(), c.injected.Load(), c.unknown.Load(), extra)
	})
}
