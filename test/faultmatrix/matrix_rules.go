package faultmatrix

import (
	"net/http"
	"slices"
)

// effect is what a fault does to the attempt that it strikes.
type effect int

const (
	harmless effect = iota + 1
	unsent
	refusedForNow
	serverError
	gatewayError
	outcomeLost
	unreadable
	oversized
	final
	ended
	endedUnsent
	tokenMissing
	tokenRejected
	tokenRefused
)

// verdict is what follows from an attempt that failed.
type verdict string

const (
	repeat      verdict = "repeat"
	stop        verdict = "stop"
	stopUnknown verdict = "stop: **unknown**"
)

// rule says what follows from an effect: for creating a migration or a link-token, and for all other operations.
type rule struct {
	effect   effect
	title    string // of the rows in the document
	meaning  string
	others   verdict
	creating verdict
	// doubtful: the attempt may have been carried out, so that a later refusal may be about its success.
	doubtful bool
}

// rules is all there is to know about repeating. Everything that the matrix expects follows from it.
var rules = []rule{
	{harmless, "Harmless", "the answer arrives and can be used", stop, stop, false},
	{unsent, "Nothing was sent", "no credentials went out with the request: dial, DNS, TLS, or a break while the credentials are negotiated", repeat, repeat, false},
	{refusedForNow, "Refused for now", "429, or 503 with `Retry-After`: the server says that it did nothing, and is believed", repeat, repeat, false},
	{serverError, "Server error", "500 from anybody; 502, 503 and 504 with Atlas's JSON error", repeat, stop, true},
	{gatewayError, "Gateway error", "502, 503 and 504 without Atlas's JSON error", repeat, stopUnknown, true},
	{outcomeLost, "Outcome lost", "the request was sent, and no status arrived", repeat, stopUnknown, true},
	{unreadable, "Answer unreadable", "the status is a success, and the body is lost or of no use", repeat, stopUnknown, true},
	{oversized, "Answer too large", "more than 4 MiB, which another attempt would not mend", stop, stopUnknown, true},
	{final, "Refused for good", "every other status; a wait that does not fit; a certificate that is not trusted", stop, stop, false},
	{ended, "The context ends after sending", "its deadline passes, or it is cancelled, before the answer has arrived", stop, stopUnknown, true},
	{endedUnsent, "The context ends with nothing under way", "before credentials went out with the request, or between two attempts", stop, stop, false},
	{tokenMissing, "No access token", "the request for one gets no answer, 429, 500, 502, 503 or 504, or a success without a token; so the operation is not sent", repeat, repeat, false},
	{tokenRejected, "Access token rejected", "401 from Atlas: within the attempt, the operation is sent once more with a new token; a second 401 is about the account", stop, stop, false},
	{tokenRefused, "Access token refused for good", "the request for one gets every other status, or is to wait for too long; so the operation is not sent", stop, stop, false},
}

func ruleFor(e effect) rule { return rules[e-harmless] }

func (r rule) verdict(c class) verdict {
	if c == creating {
		return r.creating
	}
	return r.others
}

// exception is a cell, or several, that the rules alone do not describe.
type exception struct {
	fault   string
	classes []class
	strikes []Strikes
	reason  string
	// Either the fault has another effect than elsewhere, or the expectation is spelled out.
	effect effect
	result Result // of that effect
	want   *Expectation
	remark bool // the rules do describe it; the reason only explains
}

var all = []class{reading, validating, deleting, cuttingOver, creating}

var writing = []class{validating, deleting, cuttingOver, creating}

// sentTwice is the documented behaviour of net/http.Transport.
const sentTwice = "A GET is sent again by net/http itself when a connection that it reuses breaks before an answer has begun. Within an attempt, that happens once at the most."

// exceptions come before the rules. The first that applies counts.
var exceptions = []exception{
	{
		fault: "truncated body", classes: []class{deleting}, strikes: AllStrikes, effect: outcomeLost, result: Result{Cause: Broken},
		reason: "A 204 has no body that could be truncated: the connection is cut in its place. Where the next answer is a truncated 404, its status still counts.",
	},
	{
		fault: "401 with a fresh challenge", classes: all, strikes: []Strikes{Second}, want: &Expectation{Attempts: 2, Authenticated: 3},
		reason: "The nonce has been in use, so the refusal may be about its age: one repeat with the new nonce belongs to the same attempt.",
	},
	{
		fault: "401 with a fresh challenge, between two calls", classes: all, strikes: []Strikes{First}, want: &Expectation{Attempts: 1, Authenticated: 2},
		reason: "The nonce has been in use, so the refusal may be about its age: one repeat with the new nonce belongs to the same attempt.",
	},
	{
		fault: "401 with a fresh challenge, between two calls", classes: all, strikes: []Strikes{Second}, want: &Expectation{Attempts: 2, Authenticated: 3},
		reason: "The nonce has been in use, so the refusal may be about its age: one repeat with the new nonce belongs to the same attempt.",
	},
	{
		fault: "401 with a fresh challenge, between two calls", classes: all, strikes: []Strikes{Every}, want: &Expectation{Result: Result{Status: http.StatusUnauthorized}, Attempts: 1, Authenticated: 2},
		reason: "A second 401 on a fresh nonce is about the keys.",
	},
	{
		fault: "idle connection reset as the request goes out", classes: []class{reading}, strikes: []Strikes{First, Every}, want: &Expectation{Attempts: 1, Authenticated: 2},
		reason: sentTwice,
	},
	{
		fault: "idle connection reset as the request goes out", classes: []class{reading}, strikes: []Strikes{Second}, want: &Expectation{Attempts: 2, Authenticated: 3},
		reason: sentTwice,
	},
	{
		fault: "nonce expired", classes: all, strikes: []Strikes{Every}, want: &Expectation{Result: Result{Status: http.StatusUnauthorized}, Attempts: maxAttempts},
		reason: "A 401 that says that the nonce was stale is not about the keys: it is answered once within an attempt, and the attempt is repeated, but not for ever. None of the requests counts as authenticated.",
	},
	{
		fault: "handshake: 403", classes: writing, strikes: []Strikes{First, Second}, effect: harmless,
		reason: "What is refused is the request for a challenge, a GET without a body, and not the operation, which then gets its own answer.",
	},
	{
		fault: "handshake: 200 and a page of HTML", classes: writing, strikes: []Strikes{First, Second}, effect: harmless,
		reason: "The server looked as if it wanted no credentials, and then asks for them.",
	},
	{
		fault: "handshake: 200 and a page of HTML", classes: []class{creating}, strikes: []Strikes{Every}, want: &Expectation{Result: Result{Cause: BadBody, Unknown: true}, Attempts: 1},
		reason: "A server that never asks for credentials gets the request without them, and may have carried it out.",
	},
	{
		fault: "500, carried out", classes: []class{creating}, strikes: AllStrikes, remark: true,
		reason: "The server says that it failed, and is believed. It is the one case in which something may exist and the error is not an `*OutcomeUnknownError`: look in Atlas first, also after a 5xx.",
	},
	{
		fault: "504, carried out", classes: []class{creating}, strikes: AllStrikes, remark: true,
		reason: "The server says that it failed, and is believed. It is the one case in which something may exist and the error is not an `*OutcomeUnknownError`: look in Atlas first, also after a 5xx.",
	},
	{
		fault: "500 without Atlas's error, carried out", classes: []class{creating}, strikes: AllStrikes, remark: true,
		reason: "The server says that it failed, and is believed. It is the one case in which something may exist and the error is not an `*OutcomeUnknownError`: look in Atlas first, also after a 5xx.",
	},
}

func (x *exception) applies(c Cell) bool {
	return x.fault == c.Fault.Name && slices.Contains(x.classes, c.Operation.class) && slices.Contains(x.strikes, c.Strikes)
}

func exceptionFor(c Cell) *exception {
	for i := range exceptions {
		if exceptions[i].applies(c) {
			return &exceptions[i]
		}
	}
	return nil
}

// Expect says what must come out of a cell.
func Expect(c Cell) Expectation {
	x := exceptionFor(c)
	f := *c.Fault
	switch {
	case x == nil || x.remark:
	case x.want != nil:
		e := *x.want
		e.exception = x
		if e.Result.ok() && e.Authenticated > 0 { // whose request has been accepted in the end
			var atlas model
			atlas.serve(c.Operation.class)
			e.Change = atlas.change
		}
		return e
	default:
		f.effect, f.result = x.effect, x.result
	}
	e := f.expect(c.Operation, c.Strikes)
	e.exception = x
	return e
}

// expect makes attempt after attempt, as the rules say, against a model of Atlas.
func (f *Fault) expect(op *Operation, strikes Strikes) Expectation {
	var (
		e        Expectation
		atlas    model
		doubtful bool
		token    = f.warm // that the client holds
	)
	for {
		e.Attempts++
		a := f.attempt(op, strikes, e.Attempts, &atlas)
		if f.account != none {
			a, token = f.withToken(a, strikes, e.Attempts, token)
		}
		e.Authenticated += a.requests
		e.Tokens += a.tokens
		e.Change = atlas.change
		r := ruleFor(a.effect)
		switch v := r.verdict(op.class); {
		case v == repeat && e.Attempts < maxAttempts:
			doubtful = doubtful || r.doubtful
			continue
		case v == stopUnknown:
			e.Result = a.result
			e.Result.Unknown = true
		default:
			e.Result = afterDoubt(op.class, a.result, doubtful)
		}
		return e
	}
}

// afterDoubt is what a final answer means where an attempt before it may have been carried out.
func afterDoubt(c class, r Result, doubtful bool) Result {
	switch {
	case !doubtful || r.Cause != "" || r.Status/100 != 4:
		return r
	case c == deleting && r.Status == http.StatusNotFound: // deleted by then
		return Result{}
	case c == cuttingOver: // refused, perhaps because it has been carried out
		r.Unknown = true
	}
	return r
}

// attempt is what comes of one attempt.
type attempt struct {
	effect   effect
	result   Result
	requests int // with credentials that hold
	tokens   int // requests for an access token
}

func (f *Fault) attempt(op *Operation, strikes Strikes, n int, atlas *model) attempt {
	switch {
	case strikes == Second && n == 1 && f.beforeRequest():
		return attempt{effect: refusedForNow, result: status(http.StatusTooManyRequests)}
	case strikes == Second && n == 1:
		return attempt{effect: refusedForNow, result: status(http.StatusTooManyRequests), requests: 1}
	case !f.strikes(strikes, n), f.effect == harmless, f.effect == tokenRejected && strikes != Every:
		return attempt{effect: final, result: atlas.answer(op.class), requests: 1}
	}
	a := attempt{effect: f.effect, result: f.result, requests: 1}
	if f.beforehand {
		a.requests = 0
	}
	if !f.carriedOut {
		return f.seenBy(op, a)
	}
	answer := atlas.answer(op.class)
	if f.keepsStatus && !answer.ok() {
		return attempt{effect: final, result: answer, requests: 1}
	}
	return f.seenBy(op, a)
}

// strikes reports whether the fault strikes the nth attempt.
func (f *Fault) strikes(s Strikes, n int) bool { return s.on(n) && (n == 1 || s != Every || !f.once) }

// beforeRequest reports whether it strikes a request that only obtains credentials.
func (f *Fault) beforeRequest() bool { return f.inHandshake() || f.inTokenRequest() }

// withToken adds to an attempt what a service account has to do about its access token. It returns whether the client
// holds one afterwards.
func (f *Fault) withToken(a attempt, strikes Strikes, n int, held bool) (attempt, bool) {
	if !held {
		a.tokens++
	}
	struck := f.strikes(strikes, n)
	if f.effect == tokenRejected && struck {
		a.tokens++ // the new one
		if f.account == liveToken {
			a.requests++ // both have arrived with a token that holds
		}
	}
	refused := strikes == Second && n == 1 && f.inTokenRequest()
	return a, !refused && !(struck && (f.effect == tokenMissing || f.effect == tokenRefused || f.effect == endedUnsent))
}

// seenBy makes a success of an attempt of which nothing was lost but a body that the answer need not have.
func (f *Fault) seenBy(op *Operation, a attempt) attempt {
	if op.silent() && !f.foreign && (a.effect == unreadable || a.effect == oversized || a.effect == ended && f.inBody) {
		return attempt{effect: final, requests: a.requests}
	}
	return a
}

// model is as much of Atlas as the matrix needs: whether what can be done once has been done.
type model struct {
	change int
	done   bool
}

// serve carries an operation out and returns the status of its answer.
func (m *model) serve(c class) int {
	switch {
	case c == validating || c == creating:
		m.change++
	case c == deleting && m.done:
		return http.StatusNotFound
	case c == cuttingOver && m.done:
		return http.StatusConflict
	case c == deleting:
		m.change, m.done = -1, true
	case c == cuttingOver:
		m.change, m.done = 1, true
	}
	return http.StatusOK
}

// answer is serve's as a result.
func (m *model) answer(c class) Result {
	if status := m.serve(c); status != http.StatusOK {
		return Result{Status: status}
	}
	return Result{}
}
