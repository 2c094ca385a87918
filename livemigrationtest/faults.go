package livemigrationtest

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Fault is something that goes wrong with a request, for [Server.Inject]. The functions that return one say whether the
// server processes the request. Its methods return changed copies. The zero Fault changes nothing, but you can give it
// headers: Fault{}.WithHeader("Connection", "close") ends the connection after the response, over HTTP/2 with GOAWAY.
type Fault struct {
	plain     bool                                  // no envelope
	replaces  func(Fault, *Server, *call) *response // the response of a fault that has its own
	processed bool                                  // of such a fault: the request is processed first
	changes   func(*response)                       // what becomes of the response
	status    int
	code      string
	detail    string
	header    http.Header
	after     int
}

const injected = "This error was injected."

// Status responds with the status, 200 to 599, and an error as Atlas writes it. A 401 comes with a new challenge, except
// on a server [WithoutAuthentication]. At the endpoints of OAuth a 4xx other than 429 is an error of OAuth; every other
// status comes from a gateway before them. The request is not processed, unless [Fault.Processed] says so.
func Status(code int) Fault {
	return Fault{status: code, detail: injected, replaces: func(f Fault, s *Server, c *call) *response {
		return s.reject(c, f.err())
	}}
}

// Upgrading responds with the 405 of [WithUpgrade]. The request is not processed.
func Upgrading() Fault {
	err := upgrading()
	return Status(err.Status).WithCode(err.Code).WithDetail(err.Detail)
}

// ErrorInSuccess responds with 200 and the body of Atlas's error with the given status. An envelope says 200 too. The
// request is not processed, unless [Fault.Processed] says so.
func ErrorInSuccess(code int) Fault {
	return Fault{status: code, detail: injected, replaces: func(f Fault, s *Server, c *call) *response {
		return s.reply(c, http.StatusOK, f.err())
	}}
}

// RawStatus responds with exactly this status, 101 or 200 to 599, and body, without the headers of Atlas: the page of a
// gateway, or nothing at all with an empty body. An empty content type leaves the header out. The request is not
// processed, unless [Fault.Processed] says so.
func RawStatus(code int, contentType, body string) Fault {
	return Fault{replaces: func(Fault, *Server, *call) *response {
		r := &response{status: code, header: make(http.Header), body: []byte(body)}
		if contentType != "" {
			r.header.Set("Content-Type", contentType)
		}
		return r
	}}
}

// Redirect responds with 307 (Temporary Redirect) to the location and no body. The request is not processed. For other
// redirects use RawStatus with [Fault.WithHeader].
func Redirect(location string) Fault {
	return RawStatus(http.StatusTemporaryRedirect, "", "").WithHeader("Location", location)
}

// NonJSONBody responds with 200 and a page of HTML. The request is processed.
func NonJSONBody() Fault {
	const page = "<!DOCTYPE html>\n<html><head><title>Welcome</title></head><body><h1>Welcome</h1></body></html>\n"
	return RawStatus(http.StatusOK, "text/html; charset=utf-8", page).Processed()
}

// ResetBeforeRequest resets the connection as soon as the request has arrived. It is not processed.
func ResetBeforeRequest() Fault {
	return Fault{replaces: func(Fault, *Server, *call) *response {
		return &response{loss: lostByReset, header: make(http.Header)}
	}}
}

// ResetAfterRequest resets the connection instead of sending a response. The request is processed.
func ResetAfterRequest() Fault { return lost(lostByReset) }

// RefusedStream ends the stream of HTTP/2 with REFUSED_STREAM, which says that the request was not processed. It is
// processed all the same, as behind a proxy whose own connection has broken. Over HTTP/1.1 it is [ResetAfterRequest].
func RefusedStream() Fault { return lost(lostByRefusal) }

// GoAway sends GOAWAY over HTTP/2, which says that no request on the connection was processed. It is processed all the
// same. Over HTTP/1.1 it is [ResetAfterRequest].
func GoAway() Fault { return lost(lostByGoAway) }

func lost(how loss) Fault { return Fault{changes: func(r *response) { r.loss = how }} }

// TruncatedBody cuts the connection in the middle of the body, although Content-Length promises all of it. A 204, which
// has no body, is not sent at all, as with [ResetAfterRequest]. The request is processed.
func TruncatedBody() Fault {
	return Fault{changes: func(r *response) {
		if bodyless(r.status) {
			r.loss = lostByReset
			return
		}
		half := len(r.body) / 2
		r.missing = max(len(r.body)-half, 1)
		r.body = r.body[:half]
	}}
}

// SlowBody processes the request and responds after the delay, which does not depend on the job clock. It ends early when
// the client gives up, and, with a reset, on [Server.Close].
func SlowBody(delay time.Duration) Fault {
	return Fault{changes: func(r *response) { r.delay = delay }}
}

// StalledBody processes the request, sends the head of the response and half of its body at once, and the rest after
// the delay of [SlowBody]. A response without a body is not delayed.
func StalledBody(delay time.Duration) Fault {
	return Fault{changes: func(r *response) { r.stall = delay }}
}

// OversizedBody sends a JSON object of n bytes, or the beginning of one if n is too small. The status stays, but a 204
// becomes 200. The request is processed.
func OversizedBody(n int64) Fault {
	return Fault{changes: func(r *response) {
		if bodyless(r.status) {
			r.status = http.StatusOK
		}
		const start, end = `{"padding":"`, `"}`
		padding := strings.Repeat("x", int(max(n-int64(len(start+end)), 0)))
		r.body = []byte(start + padding + end)[:max(n, 0)]
	}}
}

// WrongMediaType sends the right body with the Content-Type text/plain. The request is processed.
func WrongMediaType() Fault { return Fault{}.WithHeader("Content-Type", "text/plain; charset=utf-8") }

// WithoutEnvelope sends the response without the envelope that the client asks for. The request is processed.
func WithoutEnvelope() Fault { return Fault{plain: true} }

// ByteOrderMark puts the UTF-8 byte order mark before the body, if there is one. The request is processed.
func ByteOrderMark() Fault {
	return Fault{changes: func(r *response) {
		if len(r.body) > 0 {
			r.body = slices.Concat([]byte("\xef\xbb\xbf"), r.body)
		}
	}}
}

// WithCode sets the errorCode of a [Status] or an [ErrorInSuccess], or the error of OAuth. Default: what Atlas usually
// sends with that status.
func (f Fault) WithCode(code string) Fault {
	f.code = code
	return f
}

// WithDetail sets the detail of a [Status] or an [ErrorInSuccess], or the error_description of OAuth.
func (f Fault) WithDetail(text string) Fault {
	f.detail = text
	return f
}

// WithRetryAfter adds the header Retry-After, in whole seconds, rounded up.
func (f Fault) WithRetryAfter(d time.Duration) Fault {
	return f.WithHeader("Retry-After", strconv.Itoa(seconds(d)))
}

// WithHeader sets a header of the response. It has no effect on a fault without a response.
func (f Fault) WithHeader(key, value string) Fault {
	f.header = f.header.Clone()
	if f.header == nil {
		f.header = make(http.Header)
	}
	f.header.Set(key, value)
	return f
}

// Processed makes [Status], [RawStatus] and [ErrorInSuccess] process the request before they respond, as behind a
// gateway that times out. A request that Atlas rejects still changes nothing.
func (f Fault) Processed() Fault {
	f.processed = true
	return f
}

// After makes the fault let n matching requests pass first.
func (f Fault) After(n int) Fault {
	f.after = max(n, 0)
	return f
}

func (f Fault) err() *apiError { return newError(f.status, f.code, f.detail) }
