package livemigrationtest

import (
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"
)

// Fault is something that goes wrong with a request, for [Server.Inject]. The functions that return one say whether the
// server carries the operation out all the same; its methods return changed copies. The zero Fault does nothing.
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
	carriedOut bool // of a fault that replaces the answer
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
)

// Status answers with the status, 200 to 599, and an error as Atlas writes it; a 401 comes with a fresh challenge. At the
// endpoints of OAuth a 4xx other than 429 is an error of OAuth, and every other status comes from what stands before
// them. The operation is not carried out, unless [Fault.CarriedOut] says so.
func Status(code int) Fault {
	return Fault{kind: faultStatus, status: code, detail: "This error was injected."}
}

// RawStatus answers with the status, 200 to 599, and the body as they are, without the headers of Atlas: the page of a gateway, or
// nothing at all with an empty body. An empty content type leaves the header out. The operation is not carried out,
// unless [Fault.CarriedOut] says so.
func RawStatus(code int, contentType, body string) Fault {
	return Fault{kind: faultRaw, status: code, mediaType: contentType, body: body}
}

// Redirect answers with 307 (Temporary Redirect) to the location and no body. The operation is not carried out.
// RawStatus with [Fault.WithHeader] makes other redirects.
func Redirect(location string) Fault {
	return RawStatus(http.StatusTemporaryRedirect, "", "").WithHeader("Location", location)
}

// NonJSONBody answers with 200 and a page of HTML. The operation is carried out.
func NonJSONBody() Fault {
	const page = "<!DOCTYPE html>\n<html><head><title>Welcome</title></head><body><h1>Welcome</h1></body></html>\n"
	return RawStatus(http.StatusOK, "text/html; charset=utf-8", page).CarriedOut()
}

// ResetBeforeRequest resets the connection when the head of the request has arrived and before its body is read. The
// operation is not carried out.
func ResetBeforeRequest() Fault { return Fault{kind: faultResetBefore} }

// ResetAfterRequest resets the connection in the place of an answer. The operation is carried out.
func ResetAfterRequest() Fault { return Fault{kind: faultResetAfter} }

// TruncatedBody cuts the connection in the middle of the answer's body, of which Content-Length promises all. An answer
// that has no body promises one, and a 204, which cannot, is not sent at all, as with [ResetAfterRequest]. The
// operation is carried out.
func TruncatedBody() Fault { return Fault{kind: faultTruncated} }

// SlowBody answers only after the delay on the real clock, or the virtual one in a testing/synctest bubble; the job
// clock has no part in it. The wait ends early when the client gives up and, with a reset, on [Server.Close]. The
// operation is carried out, before the wait.
func SlowBody(delay time.Duration) Fault { return Fault{kind: faultSlow, delay: delay} }

// StalledBody sends the head of the answer and half of its body at once, and the rest after the delay, on the same clock
// as [SlowBody]. The wait ends early, and the connection with it, when the client gives up and on [Server.Close]. An
// answer without a body is not delayed. The operation is carried out, before the wait.
func StalledBody(delay time.Duration) Fault { return Fault{kind: faultStalled, delay: delay} }

// OversizedBody streams a JSON object of n bytes in the place of the answer's body, or the beginning of one when n is
// too small. The status stays, but for a 204 that becomes 200. The operation is carried out.
func OversizedBody(n int64) Fault { return Fault{kind: faultOversized, size: max(n, 0)} }

// WrongMediaType sends the right body with the Content-Type text/plain. The operation is carried out.
func WrongMediaType() Fault { return Fault{kind: faultWrongMediaType} }

// WithCode sets the errorCode of a [Status], or the error of one of OAuth. The default is what Atlas usually sends with
// that status.
func (f Fault) WithCode(code string) Fault {
	f.code = code
	return f
}

// WithDetail sets the detail of a [Status], or the error_description of one of OAuth.
func (f Fault) WithDetail(text string) Fault {
	f.detail = text
	return f
}

// WithRetryAfter adds the header Retry-After, in whole seconds, rounded up.
func (f Fault) WithRetryAfter(d time.Duration) Fault {
	return f.WithHeader("Retry-After", strconv.Itoa(seconds(d)))
}

// WithHeader sets a header of the answer. It has no effect on a fault that leaves the client without one.
func (f Fault) WithHeader(key, value string) Fault {
	f.header = f.header.Clone()
	if f.header == nil {
		f.header = make(http.Header)
	}
	f.header.Set(key, value)
	return f
}

// CarriedOut makes [Status] and [RawStatus] carry the operation out before they answer, as a gateway does that times
// out. A request that Atlas refuses is still refused; only its answer is another one.
func (f Fault) CarriedOut() Fault {
	f.carriedOut = true
	return f
}

// After makes the fault let n matching requests pass first.
func (f Fault) After(n int) Fault {
	f.after = max(n, 0)
	return f
}

// Inject makes the next times requests of the operation fail. Faults that match a request queue in the order in which
// they were injected: the second one strikes when the first has done so as often as it should, and what [Fault.After]
// lets pass passes both. Operations other than [Handshake] match authenticated requests only, so that a fault tests the
// operation and not the exchange of credentials before it: for [IssueToken] and [RevokeToken] those with the right
// client credentials. A times of 0 or less does nothing.
func (s *Server) Inject(op Operation, f Fault, times int) {
	if times > 0 && f.kind != faultNone {
		s.faults.add(injection{operation: op, fault: f, pass: f.after, left: times})
	}
}

// PendingFaults returns how many injected faults have not struck yet, so that a test can make sure that all have.
func (s *Server) PendingFaults() int { return s.faults.pending() }

// ClearFaults takes back the faults that have not struck yet.
func (s *Server) ClearFaults() { s.faults.clear() }

// faultQueue is the injected faults, in order.
type faultQueue struct {
	mu    sync.Mutex
	queue []injection
}

type injection struct {
	operation Operation
	fault     Fault
	pass      int // requests to let pass first
	left      int
}

func (i injection) matches(c *call) bool {
	switch {
	case i.operation == Handshake:
		return c.verdict.missing
	case i.operation == AnyOperation:
		return c.verdict.accepted && !c.oauth
	default:
		return c.verdict.accepted && i.operation == c.operation()
	}
}

func (q *faultQueue) add(i injection) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.queue = append(q.queue, i)
}

// next takes the fault for a request; the zero one if there is none.
func (q *faultQueue) next(c *call) Fault {
	q.mu.Lock()
	defer q.mu.Unlock()
	at := slices.IndexFunc(q.queue, func(i injection) bool { return i.matches(c) })
	if at < 0 {
		return Fault{}
	}
	i := &q.queue[at]
	if i.pass > 0 {
		i.pass--
		return Fault{}
	}
	fault := i.fault
	if i.left--; i.left == 0 {
		q.queue = slices.Delete(q.queue, at, at+1)
	}
	return fault
}

func (q *faultQueue) pending() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	sum := 0
	for _, i := range q.queue {
		sum += i.left
	}
	return sum
}

func (q *faultQueue) clear() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.queue = nil
}

// beforeRequest tells whether the fault strikes before the body is read.
func (f Fault) beforeRequest() bool { return f.kind == faultResetBefore }

// instead returns the answer of a fault that keeps the operation from being carried out, or nil.
func (f Fault) instead(s *Server, c *call) *answer {
	if f.carriedOut {
		return nil
	}
	a := f.replacement(s, c)
	if a != nil {
		f.setHeader(a)
	}
	return a
}

// replacement returns the answer of a fault that brings its own, or nil.
func (f Fault) replacement(s *Server, c *call) *answer {
	switch f.kind {
	case faultStatus:
		return s.refuse(c, &apiError{status: f.status, code: f.code, detail: f.detail})
	case faultRaw:
		a := &answer{status: f.status, header: make(http.Header), body: []byte(f.body)}
		if f.mediaType != "" {
			a.header.Set("Content-Type", f.mediaType)
		}
		return a
	default:
		return nil
	}
}

// alter changes the answer to a request that has been carried out.
func (f Fault) alter(s *Server, c *call, a *answer) {
	if own := f.replacement(s, c); own != nil {
		*a = *own
	}
	switch f.kind {
	case faultResetAfter:
		a.lost = true
	case faultTruncated:
		a.truncate()
	case faultSlow:
		a.delay = f.delay
	case faultStalled:
		a.stall = f.delay
	case faultOversized:
		a.oversize(f.size)
	case faultWrongMediaType:
		a.header.Set("Content-Type", "text/plain; charset=utf-8")
	}
	f.setHeader(a)
}

func (f Fault) setHeader(a *answer) {
	for key, values := range f.header {
		a.header[key] = slices.Clone(values)
	}
}

func (a *answer) truncate() {
	if bodyless(a.status) {
		a.lost = true
		return
	}
	half := len(a.body) / 2
	a.missing = max(len(a.body)-half, 1)
	a.body = a.body[:half]
}

func (a *answer) oversize(n int64) {
	if bodyless(a.status) {
		a.status = http.StatusOK
	}
	a.body, a.filler = nil, n
}
