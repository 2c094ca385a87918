package delivery

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Over HTTP/2 net/http sends a request a second time by itself when its stream is reset with some codes, also when the
// server has had all of it.
func TestARequestThatMustNotBeSentTwiceIsSentOnceOverHTTP2(t *testing.T) {
	t.Parallel()
	for name, code := range http2Codes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			base, url, count := http2(t, func(f frames, _ int, stream uint32) { f.reset(stream, code) })
			c := newCall(t, &State{Once: true})
			_, err := c.send(t, NewTransport(base), c.request(t, http.MethodPost, url, "body"))
			require.Error(t, err)
			assert.Equal(t, 1, count())
			assert.False(t, c.Unsent())
			assert.True(t, c.Arrived())
		})
	}
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
			base, url, count := http2(t, func(f frames, number int, stream uint32) {
				if number == 1 {
					f.reset(stream, http2Codes[tc.code])
					return
				}
				f.ok(stream)
			})
			c := newCall(t, new(State))
			status, err := c.send(t, NewTransport(base), c.request(t, tc.method, url, tc.body))
			assert.Equal(t, tc.twice, c.TwiceOverH2())
			if tc.twice {
				require.NoError(t, err)
				assert.Equal(t, http.StatusOK, status)
				assert.Equal(t, 2, count())
			} else {
				require.Error(t, err)
				assert.Equal(t, 1, count())
			}
			assert.True(t, c.Arrived())

			// The next request of the same call begins anew.
			_, err = c.send(t, NewTransport(base), c.request(t, tc.method, url, tc.body))
			require.NoError(t, err)
			assert.False(t, c.TwiceOverH2())
		})
	}
}

func TestASecondRequestOverOneHTTP2ConnectionIsNotOneThatIsSentTwice(t *testing.T) {
	t.Parallel()
	base, url, count := http2(t, func(f frames, _ int, stream uint32) { f.ok(stream) })
	transport := NewTransport(base)
	for range 3 {
		c := newCall(t, &State{Once: true})
		status, err := c.send(t, transport, c.request(t, http.MethodPost, url, "body"))
		require.NoError(t, err)
		assert.Equal(t, http.StatusOK, status)
		assert.False(t, c.TwiceOverH2())
		assert.True(t, c.Arrived())
	}
	assert.Equal(t, 3, count())
}
