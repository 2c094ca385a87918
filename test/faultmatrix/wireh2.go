package faultmatrix

import (
	"bytes"
	"io"
	"net/http"
	"strconv"
	"strings"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// serveH2 serves a connection of HTTP/2, one request after the other.
func (w *wire) serveH2(conn *wireConn) {
	if _, err := io.ReadFull(conn, make([]byte, len(http2.ClientPreface))); err != nil {
		return
	}
	framer := http2.NewFramer(conn, conn)
	framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	_ = framer.WriteSettings() // what cannot be written shows in the next read
	requests := make(map[uint32]*http.Request)
	bodies := make(map[uint32]*bytes.Buffer)
	for {
		frame, err := framer.ReadFrame()
		if err != nil {
			return
		}
		ends := false
		switch f := frame.(type) {
		case *http2.SettingsFrame:
			if !f.IsAck() {
				_ = framer.WriteSettingsAck()
			}
		case *http2.PingFrame:
			if !f.IsAck() {
				_ = framer.WritePing(true, f.Data)
			}
		case *http2.MetaHeadersFrame:
			requests[f.StreamID], bodies[f.StreamID] = requestOf(f), &bytes.Buffer{}
			ends = f.StreamEnded()
		case *http2.DataFrame:
			bodies[f.StreamID].Write(f.Data())
			ends = f.StreamEnded()
		}
		if stream := frame.Header().StreamID; ends && requests[stream] != nil {
			req := requests[stream]
			req.Body = io.NopCloser(bodies[stream])
			delete(requests, stream)
			delete(bodies, stream)
			if !w.exchangeH2(framer, stream, req) {
				return
			}
		}
	}
}

// requestOf is a request without its body.
func requestOf(f *http2.MetaHeadersFrame) *http.Request {
	req, err := http.NewRequest(f.PseudoValue("method"), "https://"+f.PseudoValue("authority")+f.PseudoValue("path"), nil)
	if err != nil {
		return nil
	}
	req.RequestURI = f.PseudoValue("path")
	for _, field := range f.RegularFields() {
		req.Header.Add(field.Name, field.Value)
	}
	if n, err := strconv.ParseInt(req.Header.Get("Content-Length"), 10, 64); err == nil {
		req.ContentLength = n
	}
	return req
}

// exchangeH2 is exchange for a stream of HTTP/2.
func (w *wire) exchangeH2(framer *http2.Framer, stream uint32, req *http.Request) bool {
	n, counted := 0, req.Header.Get("Authorization") != ""
	if counted {
		n = w.nth(&w.requests)
	}
	if fault := w.fault.wire.stream; fault != nil && counted && w.on(n) {
		if w.fault.carriedOut {
			w.handle(req)
		}
		return fault(framer, stream)
	}
	resp := w.handle(req)
	w.killBefore(counted, n+1)
	var head bytes.Buffer
	encoder := hpack.NewEncoder(&head)
	encoder.SetMaxDynamicTableSize(0) // this encoder serves one response
	write := func(name, value string) {
		_ = encoder.WriteField(hpack.HeaderField{Name: strings.ToLower(name), Value: value}) // to memory
	}
	write(":status", strconv.Itoa(resp.StatusCode))
	for name, values := range resp.Header {
		for _, value := range values {
			write(name, value)
		}
	}
	text := []byte(body(resp))
	_ = framer.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: head.Bytes(), EndHeaders: true, EndStream: len(text) == 0})
	const most = 16 << 10 // of a frame, as long as the client sets no other limit
	for len(text) > 0 {
		part := text[:min(most, len(text))]
		text = text[len(part):]
		_ = framer.WriteData(stream, len(text) == 0, part)
	}
	return true
}

func resetStream(code http2.ErrCode) func(*http2.Framer, uint32) bool {
	return func(framer *http2.Framer, stream uint32) bool { return framer.WriteRSTStream(stream, code) == nil }
}

// goAway says that the stream, and all after it, are not processed. Then the server closes the connection.
func goAway(framer *http2.Framer, stream uint32) bool {
	_ = framer.WriteGoAway(stream-min(stream, 2), http2.ErrCodeNo, nil)
	return false
}
