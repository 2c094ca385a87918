package livemigrationtest

import (
	"net/http"
	"slices"
)

// byteOrderMark is that of UTF-8.
const byteOrderMark = "\xef\xbb\xbf"

// beforeRequest tells whether the fault strikes before the operation is carried out, and, where it is known in time,
// before the body is read.
func (f Fault) beforeRequest() bool { return f.kind == faultResetBefore }

// instead returns the response of a fault that keeps the operation from being carried out, or nil.
func (f Fault) instead(s *Server, c *call) *response {
	if f.beforeRequest() {
		return &response{lost: true}
	}
	if f.kind == faultWithoutEnvelope {
		c.envelope = false
	}
	if f.carriedOut {
		return nil
	}
	r := f.replacement(s, c)
	if r != nil {
		f.setHeader(r)
	}
	return r
}

// replacement returns the response of a fault that brings its own, or nil.
func (f Fault) replacement(s *Server, c *call) *response {
	switch f.kind {
	case faultStatus:
		return s.reject(c, f.err())
	case faultErrorInSuccess:
		return s.reply(c, http.StatusOK, f.err().body())
	case faultRaw:
		r := &response{status: f.status, header: make(http.Header), body: []byte(f.body)}
		if f.mediaType != "" {
			r.header.Set("Content-Type", f.mediaType)
		}
		return r
	default:
		return nil
	}
}

func (f Fault) err() *apiError { return &apiError{status: f.status, code: f.code, detail: f.detail} }

// alter changes the response to a request that has been carried out.
func (f Fault) alter(s *Server, c *call, r *response) {
	if own := f.replacement(s, c); own != nil {
		*r = *own
	}
	switch f.kind {
	case faultResetAfter:
		r.lost = true
	case faultTruncated:
		r.truncate()
	case faultSlow:
		r.delay = f.delay
	case faultStalled:
		r.stall = f.delay
	case faultOversized:
		r.oversize(f.size)
	case faultWrongMediaType:
		r.header.Set("Content-Type", "text/plain; charset=utf-8")
	case faultByteOrderMark:
		if len(r.body) > 0 {
			r.body = slices.Concat([]byte(byteOrderMark), r.body)
		}
	}
	f.setHeader(r)
}

func (f Fault) setHeader(r *response) {
	for key, values := range f.header {
		r.header[key] = slices.Clone(values)
	}
}

func (r *response) truncate() {
	if bodyless(r.status) {
		r.lost = true
		return
	}
	half := len(r.body) / 2
	r.missing = max(len(r.body)-half, 1)
	r.body = r.body[:half]
}

func (r *response) oversize(n int64) {
	if bodyless(r.status) {
		r.status = http.StatusOK
	}
	r.body, r.filler = nil, n
}
