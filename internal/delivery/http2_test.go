package delivery

import (
	"io"
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Over HTTP/2 net/http sends a request a second time by itself when its stream is reset with some codes, also when the
// server has had all of it.
func TestARequestThatMustNotBeSentTwiceIsSentOnceOverHTTP2(t *testing.T) {
	t.Parallel()
	reset := func(code string) func(frames, uint32) {
		return func(f frames, stream uint32) { f.reset(stream, http2Codes[code]) }
	}
	for _, tc := range []struct {
		name    string
		respond func(frames, uint32)
		unsent  string // the server's word that it did not process the request
	}{
		{"PROTOCOL_ERROR", reset("PROTOCOL_ERROR"), ""},
		{"INTERNAL_ERROR", reset("INTERNAL_ERROR"), ""},
		{"CANCEL", reset("CANCEL"), ""},
		{"REFUSED_STREAM", reset("REFUSED_STREAM"), "REFUSED_STREAM"},
		{"GOAWAY below the stream", func(f frames, _ uint32) { f.goAway(0, 0) }, "graceful shutdown GOAWAY"},
		{"GOAWAY below the stream, with an error", func(f frames, _ uint32) { f.goAway(0, http2Codes["INTERNAL_ERROR"]) }, ""},
		{"GOAWAY above the stream, then nothing", func(f frames, stream uint32) {
			f.goAway(stream, 0)
			_ = f.conn.Close()
		}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			server := http2(t, func(f frames, _ int, stream uint32) { tc.respond(f, stream) })
			c := newCall(t, &State{Once: true})
			_, err := c.send(t, NewTransport(server.transport(t)), c.request(t, http.MethodPost, server.url, "body"))
			require.Error(t, err)
			assert.Len(t, server.seen(), 1)
			assert.Equal(t, tc.unsent != "", c.Unsent(), err)
			assert.Equal(t, tc.unsent == "", c.Arrived(), err)
			var unprocessed *unprocessedError
			if tc.unsent == "" {
				assert.NotErrorAs(t, err, &unprocessed)
				return
			}
			require.ErrorAs(t, err, &unprocessed)
			assert.ErrorContains(t, err, "not processed by the server: ")
			assert.ErrorContains(t, err, tc.unsent)
			assert.Error(t, unprocessed.Unwrap(), "what net/http says")
		})
	}
}

// The same words of a transport that is not net/http's own say nothing: it may have sent the request in other ways too.
func TestOnlyTheWordsOfNetHTTPCount(t *testing.T) {
	t.Parallel()
	server := http2(t, func(f frames, _ int, stream uint32) { f.reset(stream, http2Codes["REFUSED_STREAM"]) })
	base := server.transport(t)
	c := newCall(t, &State{Once: true})
	_, err := c.send(t, NewTransport(roundTripper(base.RoundTrip)), c.request(t, http.MethodPost, server.url, "body"))
	require.Error(t, err)
	assert.False(t, c.Unsent())
}

func TestARequestThatNetHTTPSendsTwiceOverHTTP2IsNoticed(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		code   string
		method string
		body   string
		twice  bool
	}{
		{"a change that the server rejects", "REFUSED_STREAM", http.MethodPut, "body", true},
		{"a change with an error of the protocol", "PROTOCOL_ERROR", http.MethodDelete, "", true},
		{"an error that ends the attempt", "INTERNAL_ERROR", http.MethodPut, "body", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			server := http2(t, func(f frames, number int, stream uint32) {
				if number == 1 {
					f.reset(stream, http2Codes[tc.code])
					return
				}
				f.ok(stream)
			})
			transport := NewTransport(server.transport(t))
			c := newCall(t, new(State))
			status, err := c.send(t, transport, c.request(t, tc.method, server.url, tc.body))
			assert.Equal(t, tc.twice, c.TwiceOverH2())
			assert.True(t, c.Arrived())
			if tc.twice {
				require.NoError(t, err)
				assert.Equal(t, http.StatusOK, status)
				assert.Len(t, server.seen(), 2)
			} else {
				require.Error(t, err)
				assert.Len(t, server.seen(), 1)
			}

			// The next attempt of the same call begins anew.
			_, err = c.send(t, transport, c.request(t, tc.method, server.url, tc.body))
			require.NoError(t, err)
			assert.False(t, c.TwiceOverH2())
		})
	}
}

// Over HTTP/2 net/http sends changes twice too, with the same Authorization header.
func TestAChangeThatIsRejectedForItsCount(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name     string
		first    func(f frames, stream uint32)
		rejected bool
	}{
		{"sent twice", func(f frames, stream uint32) { f.reset(stream, http2Codes["REFUSED_STREAM"]) }, true},
		{"sent once", func(f frames, stream uint32) { f.respond(stream, status401) }, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			server := http2(t, func(f frames, number int, stream uint32) {
				if number == 1 {
					tc.first(f, stream)
					return
				}
				f.respond(stream, status401)
			})
			c := newCall(t, &State{Counted: true})
			status, err := c.send(t, NewTransport(server.transport(t)), c.request(t, http.MethodPut, server.url, "body"))
			if tc.rejected {
				require.ErrorIs(t, err, io.ErrUnexpectedEOF)
				assert.ErrorContains(t, err, "rejected for its nonce count")
				return
			}
			require.NoError(t, err)
			assert.Equal(t, http.StatusUnauthorized, status)
		})
	}
}

func TestASecondRequestOverOneHTTP2ConnectionIsNotOneThatIsSentTwice(t *testing.T) {
	t.Parallel()
	server := http2(t, func(f frames, _ int, stream uint32) { f.ok(stream) })
	transport := NewTransport(server.transport(t))
	for range 3 {
		c := newCall(t, &State{Once: true})
		status, err := c.send(t, transport, c.request(t, http.MethodPost, server.url, "body"))
		require.NoError(t, err)
		assert.Equal(t, http.StatusOK, status)
		assert.False(t, c.TwiceOverH2())
		assert.True(t, c.Arrived())
	}
	assert.Equal(t, []int{1, 1, 1}, server.seen())
}

// A server may speak HTTP/1 over one connection and HTTP/2 over the next one.
func TestABodyIsNotReadAgainOverHTTP2(t *testing.T) {
	t.Parallel()
	c := newCall(t, &State{Once: true})
	req := c.request(t, http.MethodPost, "https://a.invalid", "body")
	for _, tc := range []struct {
		name              string
		expected, h2, can bool
	}{
		{"HTTP/1", false, false, true},
		{"HTTP/2 where HTTP/1 was expected", false, true, false},
		{"HTTP/2", true, true, false},
	} {
		c.h2.Store(tc.h2)
		once := c.once(req, tc.expected)
		can := false
		if once.GetBody != nil {
			_, err := once.GetBody()
			can = err == nil
		}
		assert.Equal(t, tc.can, can, tc.name)
	}
	assert.Same(t, req, (&State{}).once(req, true), "what may be sent twice is passed on as it is")
}
