package livemigrationtest

import (
	"net/http"
	"strconv"
	"time"
)

// Fault is something that goes wrong with a request, for [Server.Inject]. The functions that return one say whether the
// server carries the operation out. Its methods return changed copies. The zero Fault does nothing.
type Fault struct {
	kind       faultKind
	status     int
	code       string
	detail     string
	mediaType  string
	body       string
	header     http.Header
	delay      time.Duration
	size       int64
	after      int
	carriedOut bool // of a fault that replaces the response
}

type faultKind int

const (
	faultNone faultKind = iota
	faultStatus
	faultRaw
	faultResetBefore
	faultResetAfter
	faultTruncated
	faultSlow
	faultStalled
	faultOversized
	faultWrongMediaType
	faultErrorInSuccess
	faultWithoutEnvelope
	faultByteOrderMark
)

// Status responds with the status, 200 to 599, and an error as Atlas writes it. A 401 comes with a new challenge. At
// the endpoints of OAuth a 4xx other than 429 is an error of OAuth; every other status comes from a gateway before
// them. The operation is not carried out, unless [Fault.Processed] says so.
func Status(code int) Fault {
	return Fault{kind: faultStatus, status: code, detail: "This error was injected."}
}

// RawStatus responds with exactly this status, 200 to 599, and body, without the headers of Atlas: the page of a
// gateway, or nothing at all with an empty body. An empty content type leaves the header out. The operation is not
// carried out, unless [Fault.Processed] says so.
func RawStatus(code int, contentType, body string) Fault {
	return Fault{kind: faultRaw, status: code, mediaType: contentType, body: body}
}

// Redirect responds with 307 (Temporary Redirect) to the location and no body. The operation is not carried out.
// RawStatus with [Fault.WithHeader] makes other redirects.
func Redirect(location string) Fault {
	return RawStatus(http.StatusTemporaryRedirect, "", "").WithHeader("Location", location)
}

// NonJSONBody responds with 200 and a page of HTML. The operation is carried out.
func NonJSONBody() Fault {
	const page = "<!DOCTYPE html>\n<html><head><title>Welcome</title></head><body><h1>Welcome</h1></body></html>\n"
	return RawStatus(http.StatusOK, "text/html; charset=utf-8", page).Processed()
}

// ResetBeforeRequest resets the connection after the head of the request has arrived, and before its body is read. The
// operation is not carried out.
func ResetBeforeRequest() Fault { return Fault{kind: faultResetBefore} }

// ResetAfterRequest resets the connection instead of sending a response. The operation is carried out.
func ResetAfterRequest() Fault { return Fault{kind: faultResetAfter} }

// TruncatedBody cuts the connection in the middle of the body, although Content-Length promises all of it. A response
// without a body promises one. A 204 cannot, and is not sent at all, as with [ResetAfterRequest]. The operation is
// carried out.
func TruncatedBody() Fault { return Fault{kind: faultTruncated} }

// SlowBody carries the operation out and responds after the delay. The delay is real time, or the virtual time of a
// testing/synctest bubble, and not that of the job clock. It ends early when the client gives up, and, with a reset, on
// [Server.Close].
func SlowBody(delay time.Duration) Fault { return Fault{kind: faultSlow, delay: delay} }

// StalledBody carries the operation out, sends the head of the response and half of its body at once, and the rest
// after the delay. The delay is that of [SlowBody]. It ends early, and the connection with it, when the client gives up
// and on [Server.Close]. A response without a body is not delayed.
func StalledBody(delay time.Duration) Fault { return Fault{kind: faultStalled, delay: delay} }

// OversizedBody sends a JSON object of n bytes as the body, or the beginning of one when n is too small. The status
// stays, but a 204 becomes 200. The operation is carried out.
func OversizedBody(n int64) Fault { return Fault{kind: faultOversized, size: max(n, 0)} }

// WrongMediaType sends the right body with the Content-Type text/plain. The operation is carried out.
func WrongMediaType() Fault { return Fault{kind: faultWrongMediaType} }

// ErrorInSuccess responds with 200 and the body of Atlas's error with the given status. An envelope says 200 too. The
// operation is not carried out, unless [Fault.Processed] says so.
func ErrorInSuccess(code int) Fault {
	return Fault{kind: faultErrorInSuccess, status: code, detail: "This error was injected."}
}

// WithoutEnvelope sends the response without the envelope that the client asks for. The operation is carried out.
func WithoutEnvelope() Fault { return Fault{kind: faultWithoutEnvelope} }

// ByteOrderMark puts the UTF-8 byte order mark before the body of the response, if there is a body. The operation is
// carried out.
func ByteOrderMark() Fault { return Fault{kind: faultByteOrderMark} }

// WithCode sets the errorCode of a [Status] or an [ErrorInSuccess], or the error of one of OAuth. Default: what Atlas
// usually sends with that status.
func (f Fault) WithCode(code string) Fault {
	f.code = code
	return f
}

// WithDetail sets the detail of a [Status] or an [ErrorInSuccess], or the error_description of one of OAuth.
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

// Processed makes [Status], [RawStatus] and [ErrorInSuccess] carry the operation out before they respond, as a gateway
// does that times out. A request that Atlas rejects is still not carried out.
func (f Fault) Processed() Fault {
	f.carriedOut = true
	return f
}

// After makes the fault let n matching requests pass first.
func (f Fault) After(n int) Fault {
	f.after = max(n, 0)
	return f
}
