package interop

import (
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go"
)

// responseTimeout is for what takes a second or two on an idle machine.
const responseTimeout = time.Minute

// throughProxies runs a test with each proxy. The lanes of a backend are behind it.
func throughProxies(t *testing.T, test func(t *testing.T, p proxy, front *daemon, b *backend)) {
	t.Parallel()
	for name, p := range proxies {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBackend(t)
			test(t, p, p.start(t, b.address()), b)
		})
	}
}

// TestLostResponse creates through proxies, over HTTP/2 and HTTP/1.1. The server does what it is asked to do and closes
// the connection before the first byte of its response. Some proxies then make the request look as if it had not been
// processed: HAProxy resets the stream with REFUSED_STREAM.
func TestLostResponse(t *testing.T) {
	throughProxies(t, func(t *testing.T, _ proxy, front *daemon, b *backend) {
		for how, end := range map[string]fate{"closed": closed, "reset": reset} {
			for _, k := range kinds {
				t.Run(how+"/"+k.String(), func(t *testing.T) {
					l := b.newLane(t, front.url(), k, end)
					l.checkUnknown(t, creations[k.creation](t.Context(), l))
				})
			}
		}
	})
}

// checkUnknown checks a creation whose response was lost.
func (l *lane) checkUnknown(t *testing.T, err error) {
	t.Helper()
	assert.EqualValues(t, 1, l.count.Load(), "times that the request was processed")
	if assert.Error(t, err) {
		assert.True(t, livemigration.MayHaveCreated(err), "MayHaveCreated of: %v", err)
	}
}

// TestReloadDuringCreation reloads a proxy while servers are slow to respond to creations.
func TestReloadDuringCreation(t *testing.T) {
	throughProxies(t, func(t *testing.T, p proxy, front *daemon, b *backend) {
		lanes, errs := createAll(t, b, front, func([]*lane) { p.reload(front) })
		for i, l := range lanes {
			t.Run("the response does not come/"+kinds[i].String(), func(t *testing.T) { l.checkUnknown(t, errs[i]) })
		}
		lanes, errs = createAll(t, b, front, func(lanes []*lane) {
			p.graceful(front)
			for _, l := range lanes {
				close(l.release)
			}
		})
		known := 0
		for i, l := range lanes {
			t.Run("the response may come/"+kinds[i].String(), func(t *testing.T) {
				if errs[i] != nil {
					l.checkUnknown(t, errs[i])
					return
				}
				assert.EqualValues(t, 1, l.count.Load())
				known++
			})
		}
		t.Logf("%d of %d responses came", known, len(lanes))
	})
}

// createAll makes one creation of each kind at the same time, interferes when all of them have been processed, and
// returns how they have ended.
func createAll(t *testing.T, b *backend, front *daemon, interfere func([]*lane)) ([]*lane, []error) {
	t.Helper()
	lanes, errs := make([]*lane, len(kinds)), make([]error, len(kinds))
	var group sync.WaitGroup
	for i, k := range kinds {
		lanes[i] = b.newLane(t, front.url(), k, held)
		group.Go(func() { errs[i] = creations[k.creation](t.Context(), lanes[i]) })
	}
	for _, l := range lanes {
		l.await(t)
	}
	interfere(lanes)
	group.Wait()
	return lanes, errs
}

func (l *lane) await(t *testing.T) {
	t.Helper()
	select {
	case <-l.arrived:
	case <-time.After(responseTimeout):
		require.FailNow(t, "the request does not arrive")
	}
}

// TestReloadDuringWait reloads a proxy while the response to a poll is due. The wait goes on.
func TestReloadDuringWait(t *testing.T) {
	throughProxies(t, func(t *testing.T, p proxy, front *daemon, b *backend) {
		var lanes []*lane
		var group sync.WaitGroup
		for _, k := range kinds {
			if k.creation != "Migrations.Create" {
				continue
			}
			l := b.newLane(t, front.url(), k, heldOnce)
			l.method = "" // nothing
			migration, err := l.client.Migrations.Create(t.Context(), l.atlas.ProjectID(), l.atlas.SampleRequest())
			require.NoError(t, err)
			l.method = http.MethodGet
			lanes = append(lanes, l)
			group.Go(func() {
				interval := livemigration.WithPollInterval(10*time.Millisecond, 10*time.Millisecond)
				m, err := l.client.Migrations.WaitReadyForCutover(t.Context(), l.atlas.ProjectID(), migration.ID, interval)
				if assert.NoError(t, err, k) {
					assert.True(t, m.ReadyForCutover)
				}
			})
		}
		for _, l := range lanes {
			l.await(t)
		}
		p.reload(front)
		for _, l := range lanes {
			l.await(t) // the next poll
			l.atlas.Advance(l.atlas.Timings().Scheduling + l.atlas.Timings().InitialSync)
		}
		group.Wait()
	})
}
