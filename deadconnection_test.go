package livemigration_test

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/livemigration/livemigration-go"
)

// relay passes connections on to a server. One that is dead swallows everything, as a NAT does that forgot it.
type relay struct {
	address string
	accepts atomic.Int32

	mu    sync.Mutex
	links []*link
}

type link struct{ dead atomic.Bool }

func newRelay(t *testing.T, target string) *relay {
	t.Helper()
	r := &relay{}
	r.address, _ = listen(t, func(client net.Conn) {
		r.accepts.Add(1)
		server, err := net.Dial("tcp", target)
		if err != nil {
			return
		}
		l := &link{}
		r.mu.Lock()
		r.links = append(r.links, l)
		r.mu.Unlock()
		var wg sync.WaitGroup
		pass := func(to, from net.Conn) {
			defer to.Close()
			buffer := make([]byte, 4096)
			for {
				n, err := from.Read(buffer)
				if err != nil {
					return
				}
				if !l.dead.Load() {
					_, _ = to.Write(buffer[:n])
				}
			}
		}
		wg.Go(func() { pass(server, client) })
		wg.Go(func() { pass(client, server) })
		wg.Wait()
	})
	return r
}

// kill makes all connections of the moment dead.
func (r *relay) kill() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, l := range r.links {
		l.dead.Store(true)
	}
}

// onlyRoundTrip hides the type of a transport.
type onlyRoundTrip struct{ *http.Transport }

func TestADeadConnectionIsLeft(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		h2     bool
		hidden bool // the client does not know that it is net/http's transport
	}{
		"HTTP/1.1": {false, false}, "HTTP/2": {true, false}, "HTTP/2 of another transport": {true, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var cutovers atomic.Int32
			server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
				if req.Method == http.MethodPut {
					cutovers.Add(1)
					w.WriteHeader(http.StatusAccepted)
					return
				}
				_, _ = io.WriteString(w, `{"_id":"`+jobID+`","status":"COMPLETE"}`)
			}))
			server.EnableHTTP2 = tc.h2
			server.StartTLS()
			defer server.Close()
			r := newRelay(t, server.Listener.Addr().String())
			transport := &http.Transport{TLSClientConfig: tlsConfigOf(server.Client().Transport), ForceAttemptHTTP2: tc.h2}
			defer transport.CloseIdleConnections()
			var base http.RoundTripper = transport
			if tc.hidden {
				base = onlyRoundTrip{transport}
			}
			client := newClient(t, bearer("t0k3n"), quick, livemigration.WithBaseURL("https://"+r.address), livemigration.WithAttemptTimeout(1500*time.Millisecond),
				livemigration.WithHTTPClient(&http.Client{Transport: base}))
			var resp livemigration.Response
			capture := livemigration.CaptureResponse(&resp)
			for i, call := range []func() error{
				func() error { _, err := client.Migrations.Get(t.Context(), projectID, jobID, capture); return err },
				func() error {
					_, err := client.Migrations.WaitComplete(t.Context(), projectID, jobID, livemigration.WithCallOptions(capture))
					return err
				},
				func() error { return client.Migrations.Cutover(t.Context(), projectID, jobID, capture) },
			} {
				require.NoError(t, call())
				assert.Equal(t, 1, resp.Attempts)
				before := r.accepts.Load()
				r.kill()
				require.NoError(t, call())
				if i == 2 && !tc.hidden {
					assert.Equal(t, 1, resp.Attempts, "a change has its own connection")
				} else if tc.h2 { // its connection may still be in use for a moment after the attempt
					assert.LessOrEqual(t, resp.Attempts, 3)
				} else {
					assert.Equal(t, 2, resp.Attempts, "one attempt on the dead connection")
				}
				assert.Equal(t, before+1, r.accepts.Load())
			}
			assert.EqualValues(t, 2, cutovers.Load())
		})
	}
}
