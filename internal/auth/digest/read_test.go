package digest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestReads(t *testing.T) {
	t.Parallel()
	ok, notFound, noChallenge := step{status: 200}, step{status: 404}, step{status: 401}
	reset := step{err: errors.New("connection reset")}
	tests := []struct {
		name  string
		steps []step
		sent  []string
		got   []string // of one call after the other
	}{
		{"one nonce for all", []step{challenged("a"), ok, ok, ok},
			[]string{"GET -", "GET a/1", "GET a/2", "GET a/3"}, []string{"200", "200", "200"}},
		{"RFC 2069", []step{{status: 401, challenge: `Digest realm="MMS Public API", nonce="a", algorithm=MD5, op="auth"`}, ok, ok},
			[]string{"GET -", "GET a/", "GET a/"}, []string{"200", "200"}},
		{"stale", []step{challenged("a"), ok, stale("b"), ok, ok},
			[]string{"GET -", "GET a/1", "GET a/2", "GET b/1", "GET b/2"}, []string{"200", "200", "200"}},
		{"stale twice, accepted before", []step{challenged("a"), ok, stale("b"), stale("c"), ok, ok},
			[]string{"GET -", "GET a/1", "GET a/2", "GET b/1", "GET c/1", "GET c/2"}, []string{"200", "200", "200"}},
		{"stale twice, never accepted", []step{challenged("a"), stale("b"), stale("c")},
			[]string{"GET -", "GET a/1", "GET b/1"}, []string{"401"}},
		{"always stale, accepted before", []step{challenged("a"), ok, stale("b"), stale("c"), stale("d"), stale("e"), ok},
			[]string{"GET -", "GET a/1", "GET a/2", "GET b/1", "GET c/1", "GET a/3", "GET e/1"}, []string{"200", "401", "200"}},
		{"stale without a new nonce", []step{challenged("a"), ok, stale("a")},
			[]string{"GET -", "GET a/1", "GET a/2"}, []string{"200", "401"}},
		{"rejected: fresh", []step{challenged("a"), challenged("b")},
			[]string{"GET -", "GET a/1"}, []string{"401"}},
		{"rejected: fresh but stale", []step{challenged("a"), stale("b"), ok},
			[]string{"GET -", "GET a/1", "GET b/1"}, []string{"200"}},
		{"rejected: used before", []step{challenged("a"), notFound, challenged("b"), ok},
			[]string{"GET -", "GET a/1", "GET a/2", "GET b/1"}, []string{"404", "200"}},
		{"rejected: used before, never accepted", []step{challenged("a"), notFound, challenged("b"), challenged("c")},
			[]string{"GET -", "GET a/1", "GET a/2", "GET b/1"}, []string{"404", "401"}},
		{"rejected twice, accepted before: a rolling restart", []step{challenged("a"), ok, challenged("b"), challenged("c"), ok},
			[]string{"GET -", "GET a/1", "GET a/2", "GET b/1", "GET c/1"}, []string{"200", "200"}},
		{"revoked, accepted before", []step{challenged("a"), ok, challenged("b"), challenged("c"), challenged("d")},
			[]string{"GET -", "GET a/1", "GET a/2", "GET b/1", "GET c/1"}, []string{"200", "401"}},
		{"rejected with the same nonce", []step{challenged("a"), ok, challenged("a"), ok},
			[]string{"GET -", "GET a/1", "GET a/2", "GET a/3"}, []string{"200", "401", "200"}},
		{"missing role without a challenge", []step{challenged("a"), noChallenge, noChallenge, ok},
			[]string{"GET -", "GET a/1", "GET a/2", "GET a/3"}, []string{"401", "401", "200"}},
		{"wrong key", []step{challenged("a"), challenged("b"), challenged("c"), challenged("d")},
			[]string{"GET -", "GET a/1", "GET a/2", "GET c/1"}, []string{"401", "401"}},
		{"no challenge",
			[]step{ok, notFound, {status: 401, challenge: `Basic realm="r"`}, {status: 503}, {status: 403, challenge: `Digest nonce="a"`}},
			[]string{"GET -", "GET -", "GET -", "GET -", "GET -"}, []string{"200", "404", "401", "503", "403"}},
		{"no connection for a challenge", []step{reset, challenged("a"), ok},
			[]string{"GET -", "GET -", "GET a/1"}, []string{"connection reset", "200"}},
		{"no connection later", []step{challenged("a"), reset, ok, stale("b"), reset, stale("c"), ok},
			[]string{"GET -", "GET a/1", "GET a/2", "GET a/3", "GET b/1", "GET a/4", "GET c/1"},
			[]string{"connection reset", "200", "connection reset", "200"}},
		{"cookies live and die with the nonce",
			[]step{challenged("a").withCookie("node=1; Path=/"), ok, stale("b").withCookie("other=2"), ok, stale("c"), ok, ok},
			[]string{"GET -", "GET a/1 [node=1]", "GET a/2 [node=1]", "GET b/1 [other=2]", "GET b/2 [other=2]", "GET c/1", "GET c/2"},
			[]string{"200", "200", "200", "200"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := &script{t: t, steps: tt.steps}
			transport := newTransport(t, testOrigin, s)
			var got []string
			for range tt.got {
				got = append(got, call(t, transport, "GET", ""))
			}
			assert.Equal(t, tt.got, got)
			assert.Equal(t, tt.sent, s.sent)
			s.finish()
		})
	}
}

// gate is a base transport whose first request waits until it is let go. It is used in a synctest bubble.
type gate struct {
	base     http.RoundTripper
	open     chan struct{}
	requests atomic.Int32
}

func (g *gate) RoundTrip(req *http.Request) (*http.Response, error) {
	if g.requests.Add(1) == 1 {
		<-g.open
	}
	return g.base.RoundTrip(req)
}

// While one read asks for a challenge the others wait. If it fails, the next one asks.
func TestReadsWaitForOneChallenge(t *testing.T) {
	t.Parallel()
	for _, first := range []step{challenged("a"), {status: 503}, {err: errors.New("connection reset")}} {
		t.Run(fmt.Sprint(first.status), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				steps := []step{challenged("a")}
				if first.status != http.StatusUnauthorized {
					steps = []step{first, challenged("a")}
				}
				negotiations := len(steps)
				steps = append(steps, slices.Repeat([]step{{status: 200}}, 51-negotiations)...)
				s := &script{t: t, steps: steps}
				g := &gate{base: s, open: make(chan struct{})}
				transport := newTransport(t, testOrigin, g)
				var wg sync.WaitGroup
				for range 50 {
					wg.Go(func() { call(t, transport, "GET", "") })
				}
				synctest.Wait()
				assert.EqualValues(t, 1, g.requests.Load(), "49 reads wait")
				close(g.open)
				wg.Wait()
				s.finish()
				slices.Sort(s.sent)
				assert.Len(t, slices.Compact(s.sent), 52-negotiations, "each count once, and requests without credentials")
			})
		})
	}
}

// A read that waits for a challenge returns when its own context ends.
func TestWaitingEndsWithTheContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &script{t: t, steps: []step{challenged("a"), {status: 200}}}
		g := &gate{base: s, open: make(chan struct{})}
		transport := newTransport(t, testOrigin, g)
		var wg sync.WaitGroup
		wg.Go(func() { assert.Equal(t, "200", call(t, transport, "GET", "")) })
		synctest.Wait()

		enough := errors.New("enough")
		ctx, cancel := context.WithCancelCause(t.Context())
		returned := make(chan error, 1)
		wg.Go(func() {
			req, err := http.NewRequestWithContext(ctx, "GET", testOrigin, nil)
			require.NoError(t, err)
			_, err = transport.RoundTrip(req)
			returned <- err
		})
		synctest.Wait()
		assert.Empty(t, returned, "it waits")
		cancel(enough)
		synctest.Wait()
		assert.Equal(t, enough, <-returned, "while the challenge is still in flight")
		close(g.open)
		wg.Wait()
		s.finish()
	})
}

// Other reads go on with a challenge while the read that got it waits for its own response.
func TestAChallengeIsSharedAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		s := &script{t: t, steps: []step{challenged("a"), {status: 200}, {status: 200}, {status: 200}}}
		var requests atomic.Int32
		transport := newTransport(t, testOrigin, roundTripFunc(func(req *http.Request) (*http.Response, error) {
			if requests.Add(1) == 2 {
				<-release
			}
			return s.RoundTrip(req)
		}))
		var wg sync.WaitGroup
		var done atomic.Int32
		for range 3 {
			wg.Go(func() {
				call(t, transport, "GET", "")
				done.Add(1)
			})
		}
		synctest.Wait()
		assert.EqualValues(t, 2, done.Load())
		close(release)
		wg.Wait()
	})
}
