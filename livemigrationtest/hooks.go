package livemigrationtest

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"net"
	"net/http"
	"net/http/httptrace"
	"slices"
	"strconv"
	"time"
)

// hooks calls those of a net/http/httptrace in the order in which a fresh connection of net/http does.
type hooks struct{ trace *httptrace.ClientTrace }

func newHooks(ctx context.Context) hooks { return hooks{httptrace.ContextClientTrace(ctx)} }

func (h hooks) getConn(req *http.Request) {
	if h.trace == nil || h.trace.GetConn == nil {
		return
	}
	port := "80"
	if req.URL.Scheme == "https" {
		port = "443"
	}
	h.trace.GetConn(net.JoinHostPort(req.URL.Hostname(), cmp.Or(req.URL.Port(), port)))
}

func (h hooks) gotConn() {
	if h.trace != nil && h.trace.GotConn != nil {
		h.trace.GotConn(httptrace.GotConnInfo{Conn: inProcessConn{}})
	}
}

// wroteHeaders reports each header and then their end.
func (h hooks) wroteHeaders(req *http.Request) {
	if h.trace == nil {
		return
	}
	if wrote := h.trace.WroteHeaderField; wrote != nil {
		wrote("Host", []string{host(req)})
		if req.ContentLength > 0 {
			wrote("Content-Length", []string{strconv.FormatInt(req.ContentLength, 10)})
		}
		for _, key := range slices.Sorted(maps.Keys(req.Header)) {
			wrote(key, req.Header[key])
		}
	}
	if h.trace.WroteHeaders != nil {
		h.trace.WroteHeaders()
	}
}

func (h hooks) wroteRequest(err error) {
	if h.trace != nil && h.trace.WroteRequest != nil {
		h.trace.WroteRequest(httptrace.WroteRequestInfo{Err: err})
	}
}

func (h hooks) gotFirstByte() {
	if h.trace != nil && h.trace.GotFirstResponseByte != nil {
		h.trace.GotFirstResponseByte()
	}
}

// inProcessConn is the connection that hooks get to see. Nothing goes over it.
type inProcessConn struct{}

var errNoConn = errors.New("livemigrationtest: there is no connection in process")

func (inProcessConn) Read([]byte) (int, error)         { return 0, errNoConn }
func (inProcessConn) Write([]byte) (int, error)        { return 0, errNoConn }
func (inProcessConn) Close() error                     { return nil }
func (inProcessConn) LocalAddr() net.Addr              { return inProcessAddr{} }
func (inProcessConn) RemoteAddr() net.Addr             { return inProcessAddr{} }
func (inProcessConn) SetDeadline(time.Time) error      { return nil }
func (inProcessConn) SetReadDeadline(time.Time) error  { return nil }
func (inProcessConn) SetWriteDeadline(time.Time) error { return nil }

// inProcessAddr is the address of both of its ends.
type inProcessAddr struct{}

func (inProcessAddr) Network() string { return "tcp" }
func (inProcessAddr) String() string  { return "in process" }
