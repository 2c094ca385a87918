package livemigrationtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"
)

// Transport returns a round tripper that hands requests to the server in process, without sockets and in the goroutine
// of the caller. It works inside a testing/synctest bubble in which the server was made. Requests to
// https://source.test go to the source side, all others to Atlas, whatever host they name.
//
// It behaves as an [http.Transport] that opens a connection for each request. It calls the hooks of net/http/httptrace,
// ends with the context of the request, and reports a fault on the connection by the errors that the network would
// give.
func (s *Server) Transport() http.RoundTripper { return transport{s} }

type transport struct{ server *Server }

// RoundTrip carries a request out.
func (t transport) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Body != nil {
		defer func() { _ = req.Body.Close() }()
	}
	if req.URL == nil {
		return nil, errors.New("livemigrationtest: request without a URL")
	}
	ctx, s := req.Context(), t.server
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	body, err := s.receive(ctx, req)
	if err != nil {
		return nil, err
	}
	c := s.begin(s.siteOf(req), req)
	if c.fault.beforeRequest() {
		return nil, errReset()
	}
	r := s.finish(c, body, nil)
	if r.delay > 0 && !s.wait(ctx, r.delay) {
		return nil, cutOff(ctx)
	}
	if r.lost {
		return nil, errReset()
	}
	s.recorder.setStatus(c.entry, r.status)
	newHooks(ctx).gotFirstByte()
	return r.toClient(req, func() bool { return s.wait(ctx, r.stall) }), nil
}

// receive is the request's way to the server, with the hooks on it.
func (s *Server) receive(ctx context.Context, req *http.Request) ([]byte, error) {
	hooks := newHooks(ctx)
	hooks.getConn(req)
	if s.closed() {
		return nil, connError("dial", "connect", syscall.ECONNREFUSED)
	}
	hooks.gotConn()
	hooks.wroteHeaders(req)
	body, err := upload(ctx, req)
	hooks.wroteRequest(err)
	return body, err
}

// upload reads the request's body. One that is not in memory may block; closing it is what net/http, too, does to end
// that when the context ends.
func upload(ctx context.Context, req *http.Request) ([]byte, error) {
	if req.Body == nil || req.Body == http.NoBody {
		return nil, nil
	}
	if req.GetBody == nil {
		defer context.AfterFunc(ctx, func() { _ = req.Body.Close() })()
	}
	body, err := readBody(req.Body)
	switch {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case err != nil:
		return nil, err
	case req.ContentLength > 0 && req.ContentLength <= maxBody && req.ContentLength != int64(len(body)):
		return nil, fmt.Errorf("livemigrationtest: request body of %d bytes, Content-Length is %d", len(body), req.ContentLength)
	}
	return body, nil
}

// cutOff is the error of a wait that ended early.
func cutOff(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return errReset()
}

func errReset() error { return connError("read", "read", syscall.ECONNRESET) }

func connError(op, call string, err syscall.Errno) error {
	return &net.OpError{Op: op, Net: "tcp", Addr: inProcessAddr{}, Err: os.NewSyscallError(call, err)}
}

// siteOf tells which of the two services a request in process is for.
func (s *Server) siteOf(req *http.Request) *site {
	if req.URL.Host == sourceHost {
		return s.source
	}
	return s.atlas
}

// toClient is the response as a client sees it, with the headers that net/http's server would add.
func (r *response) toClient(req *http.Request, pause func() bool) *http.Response {
	res := &http.Response{
		Status: strconv.Itoa(r.status) + " " + http.StatusText(r.status), StatusCode: r.status,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: r.header, Body: http.NoBody, Request: req,
	}
	if r.header.Get("Date") == "" {
		r.header.Set("Date", time.Now().UTC().Format(http.TimeFormat))
	}
	if bodyless(r.status) {
		return res
	}
	res.ContentLength = r.length()
	r.header.Set("Content-Length", strconv.FormatInt(res.ContentLength, 10))
	if res.ContentLength > 0 && req.Method != http.MethodHead {
		res.Body = r.reader(req.Context(), pause)
	}
	return res
}

func (r *response) reader(ctx context.Context, pause func() bool) io.ReadCloser {
	b := &responseBody{ctx: ctx, cut: r.missing > 0}
	if r.stall > 0 {
		b.pause, b.pauseAt = pause, len(r.body)/2
	}
	if r.filler > 0 {
		b.source = filler(r.filler)
		return b
	}
	b.memory.Reset(r.body)
	b.source = &b.memory
	return b
}

// responseBody is the body of a response on its way to the client.
type responseBody struct {
	ctx    context.Context
	source io.Reader
	memory bytes.Reader
	cut    bool // the connection ends with the source, the body would not

	pause   func() bool // nil: none, or it is over
	pauseAt int         // bytes from here
	closed  atomic.Bool
}

func (b *responseBody) Read(p []byte) (int, error) {
	if b.closed.Load() {
		return 0, http.ErrBodyReadAfterClose
	}
	if b.ctx.Err() != nil {
		return 0, context.Cause(b.ctx)
	}
	if b.pause != nil && b.pauseAt == 0 {
		over := b.pause()
		if b.pause = nil; !over {
			return 0, cutOff(b.ctx)
		}
	}
	if b.pause != nil {
		p = p[:min(len(p), b.pauseAt)]
	}
	n, err := b.source.Read(p)
	b.pauseAt -= n
	if b.cut && errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

func (b *responseBody) Close() error {
	b.closed.Store(true)
	return nil
}
