package interop

import (
	"context"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go"
	"github.com/livemigration/livemigration-go/livemigrationtest"
)

// TestCost counts requests while nonces do not expire. The challenge costs one request, however many callers wait for
// it. Each call costs one more.
func TestCost(t *testing.T) {
	t.Parallel()
	for name, p := range peers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, p)
			assert.Regexp(t, p.challenge, challengeOf(t, r.front))
			jobs := make([]job, callers)
			for i, op := range operations {
				costs := r.together(t, op, jobs)
				cold := 0
				if i == 0 {
					cold = 1
				}
				assert.Equal(t, callers+cold, sum(costs), "%s: %v", op.name, costs)
			}
			assert.EqualValues(t, callers*len(operations)+1, r.meter.total.Load())
			assert.Len(t, r.front.logged(), callers*len(operations)+1, "what the server has logged")
		})
	}
}

// TestCostAlone counts the requests of a single caller: two for the first call, whichever operation it is, and one for
// each other call.
func TestCostAlone(t *testing.T) {
	t.Parallel()
	for name, p := range peers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, p)
			jobs := make([]job, 1)
			for _, op := range operations {
				r.client = r.newClient(t, privateKey)
				before := jobs[0]
				assert.Equal(t, []int{2}, r.together(t, op, jobs), "%s, cold", op.name)
				switch op.name {
				case livemigrationtest.Cutover, livemigrationtest.DeleteLinkToken:
					jobs[0] = before // cannot be done twice
				default:
					assert.Equal(t, []int{1}, r.together(t, op, jobs), "%s, again", op.name)
				}
			}
		})
	}
}

// TestNonceExpiry lets the nonce expire before each of the eight operations. A call then costs at most one more request.
// It arrives once, with its body.
func TestNonceExpiry(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		// prepare returns the server and a function that makes its nonces expire.
		prepare func(t *testing.T) (peer, func(*rig))
		callers int
		extra   int // requests that all callers together need at least
		most    int // requests that one call may cost
	}{
		"Apache, after its second": {func(*testing.T) (peer, func(*rig)) {
			// Only a response shows whether a nonce has expired, and that response renews it. So there is nothing to poll.
			return apachePeer("AuthDigestNonceLifetime 1", ""), func(*rig) { time.Sleep(1100 * time.Millisecond) }
		}, 1, 1, 2}, // one caller: with many on a busy machine a nonce may expire twice in a call
		// A longer lifetime, on a clock that the test moves.
		"Apache, after its minute": {func(t *testing.T) (peer, func(*rig)) {
			clock := newClock(t)
			start := func(t *testing.T, backend string) *daemon {
				return startApache(t, backend, "AuthDigestNonceLifetime 60", clock.env()...)
			}
			return peer{start: start}, func(r *rig) { clock.advance(61*time.Second, r.front) }
		}, callers, 1, 2},
		"Apache, restarted with another secret": {func(t *testing.T) (peer, func(*rig)) {
			return apachePeer("", ""), func(r *rig) { r.front.restart() }
		}, callers, 1, 2},
		// The ten minutes are compiled in.
		"lighttpd, MD5, after its ten minutes": {func(t *testing.T) (peer, func(*rig)) {
			return lighttpdAhead(t, "MD5", lighttpdLifetime+time.Second)
		}, callers, 1, 2},
		"lighttpd, SHA-256, after its ten minutes": {func(t *testing.T) (peer, func(*rig)) {
			return lighttpdAhead(t, "SHA-256", lighttpdLifetime+time.Second)
		}, callers, 1, 2},
		// Its responses then announce the next nonce. A client that uses it is never rejected.
		"lighttpd, in the tenth minute": {func(t *testing.T) (peer, func(*rig)) {
			return lighttpdAhead(t, "MD5", lighttpdNextNonce+20*time.Second)
		}, callers, 0, 1},
		// It does not remember its nonces, so they stay valid after a restart.
		"lighttpd, restarted": {func(t *testing.T) (peer, func(*rig)) {
			return lighttpdPeer("MD5", ""), func(r *rig) { r.front.restart() }
		}, callers, 0, 1},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, expire := tt.prepare(t)
			r := newRig(t, p)
			_, err := r.client.AvailableProjects.List(t.Context(), r.atlas.OrgID())
			require.NoError(t, err)
			jobs := make([]job, tt.callers)
			for _, op := range operations {
				r.wire.CloseIdleConnections() // the server may have closed them, which is another test's subject
				expire(r)
				costs := r.together(t, op, jobs)
				assert.GreaterOrEqual(t, sum(costs), tt.callers+tt.extra, "%s: %v", op.name, costs)
				assert.LessOrEqual(t, slices.Max(costs), tt.most, "%s: %v", op.name, costs)
				t.Logf("%s: %d requests for %d calls", op.name, sum(costs), tt.callers)
			}
		})
	}
}

// lighttpdAhead is a lighttpd, and a function that moves its clock.
func lighttpdAhead(t *testing.T, algorithm string, by time.Duration) (peer, func(*rig)) {
	t.Helper()
	clock := newClock(t)
	start := func(t *testing.T, backend string) *daemon {
		return startLighttpd(t, backend, algorithm, clock.env()...)
	}
	return peer{start: start}, func(r *rig) { clock.advance(by, r.front) }
}

// TestWrongKeys makes sure that the servers check keys, and that a wrong key costs two requests.
func TestWrongKeys(t *testing.T) {
	t.Parallel()
	for name, p := range peers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, p)
			// At the same time, because lighttpd delays each response to a wrong key by a second.
			var group sync.WaitGroup
			for _, op := range operations {
				group.Go(func() {
					stranger := *r
					stranger.client = r.newClient(t, "wrong")
					ctx, cost := withCost(t.Context())
					j := job{"5f1a2b3c4d5e6f7081920b00", "5f1a2b3c4d5e6f7081920b01"}
					assert.ErrorIs(t, op.call(ctx, &stranger, &j), livemigration.ErrUnauthorized, op.name)
					assert.EqualValues(t, 2, cost.Load(), op.name)
				})
			}
			group.Wait()
			assert.Empty(t, r.atlas.Recorded())
		})
	}
}

// rewriter is a transport that changes the Authorization header on its way.
type rewriter struct {
	base      http.RoundTripper
	parameter *regexp.Regexp
	with      string
}

func (w *rewriter) RoundTrip(req *http.Request) (*http.Response, error) {
	if given := req.Header.Get("Authorization"); given != "" {
		req = req.Clone(req.Context())
		req.Header.Set("Authorization", w.parameter.ReplaceAllString(given, w.with))
	}
	return w.base.RoundTrip(req)
}

// TestCredentialsChanged makes sure that the servers check each part of the credentials: the tests above would pass
// against one that looks at the user name only.
func TestCredentialsChanged(t *testing.T) {
	t.Parallel()
	changes := map[string]struct{ parameter, with string }{
		"user name":    {`username="[^"]*"`, `username="somebody"`},
		"realm":        {`realm="[^"]*"`, `realm="elsewhere"`},
		"nonce":        {`nonce="(.)`, `nonce="0$1`},
		"count":        {`nc=0000000\d`, `nc=0000000f`},
		"client nonce": {`cnonce="`, `cnonce="0`},
		"qop":          {`qop=auth`, `qop=auth-int`},
		"without qop":  {`, qop=auth|, nc=\w+|, cnonce="[^"]*"`, ``},
		"uri":          {`uri="[^"]*"`, `uri="/api/atlas/v2"`},
		"response":     {`response="..`, `response="00`},
	}
	for name, p := range peers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, p)
			var group sync.WaitGroup // as above
			for part, change := range changes {
				group.Go(func() {
					changed := *r
					changed.meter = &meter{base: &rewriter{r.wire, regexp.MustCompile(change.parameter), change.with}}
					_, err := changed.newClient(t, privateKey).AvailableProjects.List(t.Context(), r.atlas.OrgID())
					var rejection *livemigration.APIError
					if assert.ErrorAs(t, err, &rejection, part) {
						assert.Contains(t, []int{http.StatusUnauthorized, http.StatusBadRequest}, rejection.StatusCode, part)
					}
				})
			}
			group.Wait()
			assert.Empty(t, r.atlas.Recorded())
		})
	}
}

// strictPeers are Apaches that remember what each client has sent, which is not the default.
var strictPeers = map[string]peer{
	"Apache, nonce counts checked": apachePeer("AuthDigestNcCheck On", `opaque="`),
	"Apache, one-time nonces":      apachePeer("AuthDigestNonceLifetime 0", `opaque="`),
}

// TestReplay sends the same credentials twice, to tell the servers that remember nonce counts from those that do not.
func TestReplay(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		peer   peer
		status int
		stale  bool
	}{
		"lighttpd":                     {peers["lighttpd, MD5"], http.StatusOK, false},
		"Apache":                       {peers["Apache"], http.StatusOK, false},
		"Apache, nonce counts checked": {strictPeers["Apache, nonce counts checked"], http.StatusUnauthorized, false},
		"Apache, one-time nonces":      {strictPeers["Apache, one-time nonces"], http.StatusUnauthorized, true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, tt.peer)
			assert.Regexp(t, tt.peer.challenge, challengeOf(t, r.front))
			tape := &recorder{base: r.wire}
			r.meter = &meter{base: tape}
			_, err := r.newClient(t, privateKey).AvailableProjects.List(t.Context(), r.atlas.OrgID())
			require.NoError(t, err)
			res, err := r.wire.RoundTrip(tape.last)
			require.NoError(t, err)
			_, err = io.Copy(io.Discard, res.Body)
			require.NoError(t, err)
			require.NoError(t, res.Body.Close())
			assert.Equal(t, tt.status, res.StatusCode)
			assert.Equal(t, tt.stale, strings.Contains(res.Header.Get("WWW-Authenticate"), "stale=true"))
		})
	}
}

// recorder is a transport that keeps the last request.
type recorder struct {
	base http.RoundTripper
	last *http.Request
}

func (r *recorder) RoundTrip(req *http.Request) (*http.Response, error) {
	r.last = req.Clone(context.WithoutCancel(req.Context()))
	return r.base.RoundTrip(req)
}

// TestStrictServers calls servers that remember what each client has sent, one call at a time.
func TestStrictServers(t *testing.T) {
	t.Parallel()
	// A one-time nonce costs a second request each time, because mod_proxy drops the header that announces the next.
	costs := map[string]int{"Apache, nonce counts checked": 1, "Apache, one-time nonces": 2}
	for name, p := range strictPeers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, p)
			_, err := r.client.AvailableProjects.List(t.Context(), r.atlas.OrgID())
			require.NoError(t, err)
			jobs := make([]job, 1)
			for _, op := range operations {
				assert.Equal(t, []int{costs[name]}, r.together(t, op, jobs), op.name)
			}
		})
	}
}

// TestStrictServersTogether calls the same servers from 20 callers at once. The servers know a client by its opaque, and
// accept its nonces and counts in ascending order only. Concurrent requests overtake each other. So with one client for
// all callers some calls are rejected in spite of a retry. Those are not carried out, and nothing is carried out twice.
// With a client for each caller all calls succeed.
func TestStrictServersTogether(t *testing.T) {
	t.Parallel()
	for name, p := range strictPeers {
		for kind, shared := range map[string]bool{"one client for all": true, "a client for each": false} {
			t.Run(name+", "+kind, func(t *testing.T) {
				t.Parallel()
				r := newRig(t, p)
				var succeeded atomic.Int64
				var group sync.WaitGroup
				for range callers {
					client := r.client
					if !shared {
						client = r.newClient(t, privateKey)
					}
					group.Go(func() {
						ctx, cost := withCost(t.Context())
						_, err := client.Migrations.Create(ctx, r.atlas.ProjectID(), r.atlas.SampleRequest())
						// A call may cost 16 requests, in case the server is several nodes with nonces of their own. The first
						// caller also pays for the challenge.
						assert.LessOrEqual(t, cost.Load(), int64(17))
						if err == nil {
							succeeded.Add(1)
							return
						}
						assert.ErrorIs(t, err, livemigration.ErrUnauthorized)
					})
				}
				group.Wait()
				assert.EqualValues(t, succeeded.Load(), len(r.atlas.Migrations()))
				if shared {
					assert.Positive(t, succeeded.Load())
				} else {
					assert.EqualValues(t, callers, succeeded.Load())
				}
				t.Logf("%d of %d calls succeeded, with %d requests", succeeded.Load(), callers, r.meter.total.Load())
			})
		}
	}
}

// challengeOf returns the challenges of a server, one on a line.
func challengeOf(t *testing.T, d *daemon) string {
	t.Helper()
	res, err := d.probe()
	require.NoError(t, err)
	return strings.Join(res.Header.Values("WWW-Authenticate"), "\n")
}
