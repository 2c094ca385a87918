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
		{"HTTP/2, and a second connection that does not come", false, func(s *State) {
			s.enter(false, true)
			s.connecting()
			s.connected(nil)
			s.h2.Store(true) // as for a connection on which it was agreed
			s.connecting()
		}, false},
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
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			var s State
			s.Begin()
			if tc.foreign {
				s.Hide()
			}
			tc.steps(&s)
			assert.Equal(t, tc.unsent, s.Unsent())
		})
	}
}

// net/http looks for a second connection by itself when the first one broke before its response.
func TestRequestsThatAreSentTwice(t *testing.T) {
	t.Parallel()
	connect := func(s *State, h2 bool) {
		s.connecting()
		s.connected(nil)
		s.h2.Store(s.h2.Load() || h2)
	}
	for _, tc := range []struct {
		name        string
		steps       func(*State)
		twice, asH2 bool
	}{
		{"once", func(s *State) { connect(s, true) }, false, false},
		{"a second connection", func(s *State) { connect(s, false); connect(s, false) }, true, false},
		{"a second connection over HTTP/2", func(s *State) { connect(s, true); connect(s, true) }, true, true},
		{"another request after the response", func(s *State) { connect(s, true); s.trace.GotFirstResponseByte(); connect(s, true) }, false, false},
		{"a response to an earlier request", func(s *State) {
			connect(s, true)
			s.trace.GotFirstResponseByte()
			s.enter(false, true)
			connect(s, true)
			connect(s, true)
		}, true, true},
		{"HTTP/2 in the attempt before", func(s *State) {
			connect(s, true)
			s.Begin()
			s.enter(false, true)
			connect(s, false)
			connect(s, false)
		}, true, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := newCall(t, new(State)).State
			s.Begin()
			s.enter(false, true)
			tc.steps(s)
			assert.Equal(t, tc.twice, s.twice.Load())
			assert.Equal(t, tc.asH2, s.TwiceOverH2())
		})
	}
}
