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
	rejectedForNow
	serverError
	outcomeLost
	unreadable
	final
	unclear
	ended
	endedUnsent
	tokenMissing
	tokenRejected
	tokenRequestRejected
)

// verdict is what follows from an attempt that failed.
type verdict string

const (
	retry       verdict = "retry"
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
	// doubtful: the attempt may have taken effect, so that a later rejection may be about its success.
	doubtful bool
}

// rules is all there is to know about retries. Everything that the matrix expects follows from it.
var rules = []rule{
	{harmless, "Harmless", "the response arrives and can be used", stop, stop, false},
	{unsent, "Nothing was sent", "no credentials went out with the request: dial, DNS, TLS, or a break while the credentials are negotiated", retry, retry, false},
	{rejectedForNow, "Rejected for now", "429; 503 with `Retry-After` in Atlas's own JSON; 405 while Atlas is being upgraded: nothing took effect", retry, retry, false},
	{serverError, "Server or gateway error", "every other status from 500 on, and 408, 421, 425, 460, 499, whatever sends it: the request may have taken effect", retry, stopUnknown, true},
	{outcomeLost, "Outcome lost", "the request was sent, and no status arrived", retry, stopUnknown, true},
	{unreadable, "Response unusable", "the status is a success, and the body is lost or cannot be used", retry, stopUnknown, true},
	{final, "Rejected for good", "the statuses of a rejection, even inside a 200; a `Retry-After` that is too long; a certificate that is not trusted", stop, stop, false},
	{unclear, "No rejection", "1xx, 3xx, and 4xx that are neither a rejection nor Atlas's own: whatever sends it may have passed the request on", stop, stopUnknown, true},
	{ended, "The context ends after sending", "its deadline passes, or it is cancelled, before the response has arrived", stop, stopUnknown, true},
	{endedUnsent, "The context ends with nothing under way", "before credentials went out with the request, or between two attempts", stop, stop, false},
	{tokenMissing, "No access token", "the token request gets no response, a status that may pass (429, from 500 on, or a gateway's 408, 421, 425, 460, 499), or a success without a token; so the operation is not sent", retry, retry, false},
	{tokenRejected, "Access token rejected", "401 from Atlas: within the attempt, the operation is sent once more with a new token; a second 401 is about the account", stop, stop, false},
	{tokenRequestRejected, "Token request rejected for good", "every other status, or a `Retry-After` that is too long; so the operation is not sent", stop, stop, false},
}

func ruleFor(e effect) rule { return rules[e-harmless] }

func (r rule) verdict(c class) verdict {
	if c == creating {
		return r.creating
	}
	return r.others
}

var changing = []class{validating, deleting, cuttingOver, creating}

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
}

// sentTwice is the documented behaviour of net/http.Transport.
const sentTwice = "A GET is sent again by net/http itself when a connection that it reuses breaks before a response has begun. That happens at most once within an attempt."

const (
	ownConnection = "A change has its own connection, and asks for its challenge on it first. So a connection in use cannot " +
		"break it, and a new one breaks before the request is sent."

	deadHTTP1 = "connection in use goes dead, HTTP/1.1"
	deadHTTP2 = "connection in use goes dead, HTTP/2"
)

// exceptions come before the rules. The first that applies counts.
var exceptions = []exception{
	{
		fault: "truncated body", classes: []class{deleting}, strikes: []Strikes{First, Second}, effect: outcomeLost, result: Result{Cause: Broken},
		reason: "A 204 has no body that could be truncated, so the connection is cut instead.",
	},
	{
		fault: "truncated body", classes: []class{deleting}, strikes: []Strikes{Every},
		want:   &Expectation{Result: Result{Status: http.StatusNotFound}, Attempts: 2, Authenticated: 2, Change: -1},
		reason: "The 404 of the second attempt is truncated, so it is not Atlas's own word that the link-token is gone.",
	},
	{
		fault: "nonce expired", classes: changing, strikes: AllStrikes, effect: outcomeLost, result: Result{Status: http.StatusUnauthorized},
		reason: "A change has a fresh nonce. If that is called stale, a proxy may have sent the request twice.",
	},
	{
		fault: "nonce expired", classes: []class{reading}, strikes: []Strikes{Every}, want: &Expectation{Result: Result{Status: http.StatusUnauthorized}, Attempts: maxAttempts},
		reason: "A 401 that calls the nonce stale is not about the keys, so the attempt is retried within the policy.",
	},
	{
		fault: "handshake: 200 and a page of HTML", classes: changing, strikes: AllStrikes, effect: final, result: Result{Cause: BadBody},
		reason: "A server that does not ask for credentials is not Atlas, and gets no body.",
	},
	{
		fault: "401 with a fresh challenge", classes: []class{reading}, strikes: []Strikes{Second}, want: &Expectation{Attempts: 2, Authenticated: 3},
		reason: "The nonce has been in use, so the rejection may be about its age. One more request with the new nonce belongs to the same attempt.",
	},
	{
		fault: "401 with a fresh challenge, between two calls", classes: []class{reading}, strikes: []Strikes{First}, want: &Expectation{Attempts: 1, Authenticated: 2},
		reason: "The nonce has been in use, so the rejection may be about its age. One more request with the new nonce belongs to the same attempt.",
	},
	{
		fault: "401 with a fresh challenge, between two calls", classes: []class{reading}, strikes: []Strikes{Second}, want: &Expectation{Attempts: 2, Authenticated: 3},
		reason: "The nonce has been in use, so the rejection may be about its age. One more request with the new nonce belongs to the same attempt.",
	},
	{
		fault: "401 with a fresh challenge, between two calls", classes: []class{reading}, strikes: []Strikes{Every}, want: &Expectation{Result: Result{Status: http.StatusUnauthorized}, Attempts: 1, Authenticated: 3},
		reason: "The keys have been accepted before, so the server may be restarting, node by node. The request is sent three times within the attempt; then the rejection is about the keys.",
	},
	{
		fault: "new connection reset at the first byte", classes: changing, strikes: AllStrikes, effect: unsent, result: cause(Broken),
		reason: ownConnection,
	},
	{
		fault: "new connection accepted, and nothing on it gets a response", classes: changing, strikes: AllStrikes, effect: unsent, result: cause(TimedOut),
		reason: ownConnection,
	},
	{
		fault: deadHTTP1, classes: changing, strikes: []Strikes{First, Second}, effect: harmless,
		reason: ownConnection,
	},
	{
		fault: deadHTTP1, classes: changing, strikes: []Strikes{Every}, effect: unsent, result: cause(TimedOut),
		reason: ownConnection,
	},
	{
		fault: deadHTTP2, classes: changing, strikes: []Strikes{First, Second}, effect: harmless,
		reason: ownConnection,
	},
	{
		fault: deadHTTP2, classes: changing, strikes: []Strikes{Every}, effect: unsent, result: cause(TimedOut),
		reason: ownConnection,
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
		fault: "200 without the envelope asked for", classes: []class{deleting}, strikes: AllStrikes, effect: harmless,
		reason: "A 204 has no body, and so no envelope. Its status is all that Atlas can say.",
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
