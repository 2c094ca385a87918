package livemigrationtest

import (
	"io"
	"maps"
	"net"
	"net/http"
	"strconv"
)

func (s *Server) serveHTTP(site *site, w http.ResponseWriter, r *http.Request) {
	if s.closed() {
		reset(w)
		return
	}
	c := s.begin(site, r)
	if c.fault.beforeRequest() {
		reset(w)
		return
	}
	body, err := readBody(r.Body)
	res := s.finish(c, body, err)
	if res.lost || res.delay > 0 && !s.wait(r.Context(), res.delay) {
		reset(w)
		return
	}
	s.recorder.setStatus(c.entry, res.status) // first: who has the response may look at once
	res.write(w, func() bool { return s.wait(r.Context(), res.stall) })
}

// write sends the response. pause is the wait in the middle of a body that stalls; it returns false when that ended
// early.
func (r *response) write(w http.ResponseWriter, pause func() bool) {
	maps.Copy(w.Header(), r.header)
	if !bodyless(r.status) {
		w.Header().Set("Content-Length", strconv.FormatInt(r.length(), 10))
	}
	w.WriteHeader(r.status)
	if r.filler > 0 {
		_, _ = io.Copy(w, filler(r.filler)) // a client may hang up when it has had enough
		return
	}
	body := r.body
	if r.stall > 0 && len(body) > 0 {
		_, _ = w.Write(body[:len(body)/2])
		_ = http.NewResponseController(w).Flush()
		if !pause() {
			return
		}
		body = body[len(body)/2:]
	}
	// Writing less than Content-Length makes net/http close the connection: that is a truncated response.
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
