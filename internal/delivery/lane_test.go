package delivery

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// expiring is a context whose deadline passes when the test says so.
type expiring struct {
	context.Context
	once sync.Once
	done chan struct{}
}

func (e *expiring) expire()               { e.once.Do(func() { close(e.done) }) }
func (e *expiring) Done() <-chan struct{} { return e.done }
func (e *expiring) Err() error {
	select {
	case <-e.done:
		return context.DeadlineExceeded
	default:
		return nil
	}
}

// newExpiring is a call whose requests time out when expire is called.
func newExpiring(t *testing.T) (c call, expire func()) {
	t.Helper()
	c = newCall(t, new(State))
	ctx := &expiring{Context: c.ctx, done: make(chan struct{})}
	c.ctx = ctx
	return c, ctx.expire
}

// get makes a read of its own.
func get(t *testing.T, transport http.RoundTripper, url string) error {
	t.Helper()
	c := newCall(t, new(State))
	_, err := c.send(t, transport, c.request(t, http.MethodGet, url, ""))
	return err
}

// Over HTTP/2 net/http itself would send all further requests over the connection that swallows them.
func TestAConnectionThatSwallowedARequestIsLeftOverHTTP2(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		end  func(c *call, cancel context.CancelFunc, expire func())
		want []int // the connections of the requests
		err  error
	}{
		{"timed out", func(_ *call, _ context.CancelFunc, expire func()) { expire() }, []int{1, 1, 2, 2}, context.DeadlineExceeded},
		{"cancelled, which says nothing about the connection", func(_ *call, cancel context.CancelFunc, _ func()) { cancel() }, []int{1, 1, 1, 1}, context.Canceled},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			c, expire := newExpiring(t)
			ctx, cancel := context.WithCancel(c.ctx)
			defer cancel()
			c.ctx = ctx
			server := http2(t, func(f frames, number int, stream uint32) {
				if number == 2 {
					tc.end(&c, cancel, expire)
					return
				}
				f.ok(stream)
			})
			transport := NewTransport(server.transport(t))
			defer transport.CloseIdleConnections()
			require.NoError(t, get(t, transport, server.url))
			_, err := c.send(t, transport, c.request(t, http.MethodGet, server.url, ""))
			require.ErrorIs(t, err, tc.err)
			require.NoError(t, get(t, transport, server.url))
			require.NoError(t, get(t, transport, server.url))
			assert.Equal(t, tc.want, server.seen())
		})
	}
}

func TestAConnectionThatLetAGracePassIsLeft(t *testing.T) {
	t.Parallel()
	c := newCall(t, new(State))
	ctx, cancel := context.WithCancel(c.ctx)
	defer cancel()
	server := http2(t, func(f frames, number int, stream uint32) {
		if number == 2 {
			cancel()
			return
		}
		f.ok(stream)
	})
	transport := NewTransport(server.transport(t))
	defer transport.CloseIdleConnections()
	require.NoError(t, get(t, transport, server.url))
	bounded, done := c.Bound(ctx, time.Minute, time.Millisecond)
	defer done()
	c.ctx = bounded
	_, err := c.send(t, transport, c.request(t, http.MethodGet, server.url, ""))
	require.Error(t, err)
	require.NoError(t, get(t, transport, server.url))
	assert.Equal(t, []int{1, 1, 2}, server.seen())
}

func TestATimeoutOfTheTransportLeavesAConnectionToo(t *testing.T) {
	t.Parallel()
	arrived := make(chan struct{}, 3)
	server := http2(t, func(frames, int, uint32) { arrived <- struct{}{} })
	base := server.transport(t)
	base.ResponseHeaderTimeout = time.Millisecond
	transport := NewTransport(base)
	defer transport.CloseIdleConnections()
	for range 3 {
		require.Error(t, get(t, transport, server.url))
		<-arrived // it was written before its time ran
	}
	assert.Equal(t, []int{1, 2, 3}, server.seen())
}

// Over HTTP/1 net/http closes the connection of a request that timed out. The idle ones beside it are as old.
func TestIdleConnectionsAreLeftOverHTTP1(t *testing.T) {
	t.Parallel()
	c, expire := newExpiring(t)
	var together, both sync.WaitGroup
	together.Add(2)
	var mu sync.Mutex
	var seen []int
	url := "http://" + listen(t, func(connection int, conn net.Conn) {
		reader := bufio.NewReader(conn)
		for {
			req, err := http.ReadRequest(reader)
			if err != nil {
				return
			}
			mu.Lock()
			seen = append(seen, connection)
			mu.Unlock()
			switch req.URL.Path {
			case "/together":
				together.Done()
				together.Wait()
			case "/dead":
				expire()
				continue
			}
			_, _ = io.WriteString(conn, ok)
		}
	})
	transport := NewTransport(standard(t))
	defer transport.CloseIdleConnections()
	for range 2 {
		both.Go(func() { assert.NoError(t, get(t, transport, url+"/together")) })
	}
	both.Wait()
	_, err := c.send(t, transport, c.request(t, http.MethodGet, url+"/dead", ""))
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.NoError(t, get(t, transport, url))
	mu.Lock()
	defer mu.Unlock()
	require.Len(t, seen, 4)
	assert.Contains(t, []int{1, 2}, seen[2], "an idle connection")
	assert.Equal(t, 3, seen[3])
}

func TestARequestUnderWayStaysOnTheConnectionThatIsLeft(t *testing.T) {
	t.Parallel()
	c, expire := newExpiring(t)
	left := make(chan struct{})
	arrived := make(chan struct{})
	server := http2(t, func(f frames, number int, stream uint32) {
		switch number {
		case 1: // it responds when the next request has been swallowed
			close(arrived)
			go func() {
				<-left
				f.ok(stream)
			}()
		case 2:
			expire()
		default:
			f.ok(stream)
		}
	})
	transport := NewTransport(server.transport(t))
	defer transport.CloseIdleConnections()
	first := make(chan error, 1)
	go func() { first <- get(t, transport, server.url) }()
	<-arrived
	_, err := c.send(t, transport, c.request(t, http.MethodGet, server.url, ""))
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.NoError(t, get(t, transport, server.url))
	close(left)
	require.NoError(t, <-first)
	assert.Equal(t, []int{1, 1, 2}, server.seen())
}

// closer is a transport that is not net/http's own and has idle connections.
type closer struct {
	roundTripper
	closed int
}

func (c *closer) CloseIdleConnections() { c.closed++ }

func TestOtherTransportsCloseTheirIdleConnections(t *testing.T) {
	t.Parallel()
	base := &closer{}
	var err error
	base.roundTripper = func(*http.Request) (*http.Response, error) {
		if err != nil {
			return nil, err
		}
		return &http.Response{StatusCode: 200, ProtoMajor: 1, Body: http.NoBody}, nil
	}
	transport := NewTransport(base)
	for _, step := range []struct {
		name   string
		err    error
		closed int // before the request, since the beginning
	}{
		{"a response", nil, 0},
		{"after a response", syscall.ECONNRESET, 0},
		{"after an error that is no timeout", context.DeadlineExceeded, 0},
		{"after a timeout", nil, 1},
		{"once", nil, 1},
	} {
		err = step.err
		require.ErrorIs(t, get(t, transport, "http://a.invalid"), step.err, step.name)
		assert.Equal(t, step.closed, base.closed, step.name)
	}
	transport.CloseIdleConnections()
	assert.Greater(t, base.closed, 1)

	transport = NewTransport(roundTripper(func(*http.Request) (*http.Response, error) { return nil, context.DeadlineExceeded }))
	for range 2 {
		require.ErrorIs(t, get(t, transport, "http://a.invalid"), context.DeadlineExceeded, "there is nothing to close")
	}
	transport.CloseIdleConnections()
}

// A transport may end a request whose time is over with an error that does not say so.
func TestATimeoutInOtherWords(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		expire bool
		closed int
	}{{"the deadline has passed", true, 1}, {"it has not", false, 0}} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			c, expire := newExpiring(t)
			base := &closer{roundTripper: func(*http.Request) (*http.Response, error) {
				if tc.expire {
					expire()
				}
				return nil, io.EOF
			}}
			transport := NewTransport(base)
			_, err := c.send(t, transport, c.request(t, http.MethodGet, "http://a.invalid", ""))
			require.ErrorIs(t, err, io.EOF)
			require.ErrorIs(t, get(t, transport, "http://a.invalid"), io.EOF)
			assert.Equal(t, tc.closed, base.closed)
		})
	}
}

func TestLanesThatWereLeft(t *testing.T) {
	t.Parallel()
	closed := map[string]int{}
	made := 0
	var newFake func() *lane
	newFake = func() *lane {
		made++
		name := string(rune('a' + made - 1))
		return &lane{closeIdle: func() { closed[name]++ }, fresh: newFake}
	}
	first := newFake()
	transport := &Transport{first: first}
	transport.lane.Store(first)

	transport.leave(first)
	assert.Equal(t, 2, made)
	transport.leave(first)
	assert.Equal(t, 2, made, "two requests that one connection swallowed make one new lane")
	assert.Empty(t, closed, "the connections of the user's transport are left to the user")

	transport.leave(transport.lane.Load())
	assert.Equal(t, map[string]int{"b": 1}, closed)
	transport.leave(transport.lane.Load())
	assert.Equal(t, map[string]int{"b": 2, "c": 1}, closed, "a connection that was in use may be idle now")

	transport.CloseIdleConnections()
	assert.Equal(t, map[string]int{"a": 1, "b": 3, "c": 2, "d": 1}, closed)
	for range 20 {
		transport.leave(transport.lane.Load())
	}
	assert.Len(t, transport.left, 8, "old lanes are forgotten")
	assert.Equal(t, 1, closed["a"])
}
