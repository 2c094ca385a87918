package livemigrationtest

import (
	"io"
	"maps"
	"net"
	"net/http"
	"strconv"
)

// Handler returns the server as an http.Handler, for a listener of your own. Faults that reset the connection hijack
// it; where that is impossible (HTTP/2, httptest.ResponseRecorder) they panic with http.ErrAbortHandler, by which
// net/http's server cuts a connection.
func (s *Server) Handler() http.Handler { return http.HandlerFunc(s.serveHTTP) }

func (s *Server) serveHTTP(w http.ResponseWriter, r *http.Request) {
	if s.closed() {
		reset(w)
		return
	}
	c := s.begin(r)
	if c.fault.beforeRequest() {
		reset(w)
		return
	}
	body, err := readBody(r.Body)
	a := s.finish(c, body, err)
	if a.lost || a.delay > 0 && !s.wait(r.Context(), a.delay) {
		reset(w)
		return
	}
	s.recorder.setStatus(c.entry, a.status) // first: who has the answer may look at once
	a.write(w, func() bool { return s.wait(r.Context(), a.stall) })
}

// write sends the answer. pause is the wait in the middle of a body that stalls; it returns false when that ended early.
func (a *answer) write(w http.ResponseWriter, pause func() bool) {
	maps.Copy(w.Header(), a.header)
	if !bodyless(a.status) {
		w.Header().Set("Content-Length", strconv.FormatInt(a.length(), 10))
	}
	w.WriteHeader(a.status)
	if a.filler > 0 {
		_, _ = io.Copy(w, filler(a.filler)) // a client may hang up when it has had enough
		return
	}
	body := a.body
	if a.stall > 0 && len(body) > 0 {
		_, _ = w.Write(body[:len(body)/2])
		_ = http.NewResponseController(w).Flush()
		if !pause() {
			return
		}
		body = body[len(body)/2:]
	}
	// Writing less than Content-Length makes net/http close the connection: that is a truncated answer.
	_, _ = w.Write(body)
}

// reset closes the connection so that the client sees a reset and not an end.
func reset(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if secure, ok := conn.(interface{ NetConn() net.Conn }); ok {
		conn = secure.NetConn() // TLS would say goodbye
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}
