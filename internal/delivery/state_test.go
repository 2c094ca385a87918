package delivery

import (
	"io"
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestStates(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name    string
		foreign bool
		steps   func(*State)
		unsent  bool
	}{
		{"own credentials, nothing reached the transport", false, func(*State) {}, true},
		{"foreign credentials, nothing seen", true, func(*State) {}, false},
		{"a transport without a trace", false, func(s *State) { s.enter(false, false) }, false},
		{"net/http before it looks for a connection", false, func(s *State) { s.enter(false, true) }, true},
		{"another transport that looks for a second connection", false, func(s *State) { s.enter(false, false); s.connecting(); s.connected(nil); s.connecting() }, false},
		{"sent, no response, and sent again", true, func(s *State) {
			s.enter(false, true)
			s.connecting()
			s.connected(nil)
			s.leave(nil, io.EOF)
			s.enter(false, true)
			s.connecting()
		}, false},
		{"sent, unauthorized, and sent again", true, func(s *State) {
			s.enter(false, true)
			s.connecting()
			s.connected(nil)
			s.leave(&http.Response{StatusCode: 401}, nil)
			s.enter(false, true)
			s.connecting()
		}, true},
		{"handshake that failed", false, func(s *State) { s.enter(true, true); s.connecting(); s.connected(nil); s.leave(nil, io.EOF) }, true},
		{"no connection", false, func(s *State) { s.enter(false, true); s.connecting() }, true},
		{"a connection", false, func(s *State) { s.enter(false, true); s.connecting(); s.connected(nil) }, false},
		{"an idle connection that turned out closed, then none", false, func(s *State) { s.enter(false, true); s.connecting(); s.connected(nil); s.connecting() }, true},
		{"handshake on a connection", true, func(s *State) { s.enter(true, true); s.connecting(); s.connected(nil) }, true},
		{"handshake, then the request", false, func(s *State) {
			s.enter(true, true)
			s.connecting()
			s.connected(nil)
			s.enter(false, true)
			s.connecting()
			s.connected(nil)
		}, false},
	} {
		var s State
		s.Begin()
		if tc.foreign {
			s.Hide()
		}
		tc.steps(&s)
		assert.Equal(t, tc.unsent, s.Unsent(), tc.name)
	}
}
