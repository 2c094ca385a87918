package faultmatrix

import (
	"net/http"
	"slices"
	"time"

	lmtest "github.com/livemigration/livemigration-go/livemigrationtest"
)

// Fault is a row of the matrix.
type Fault struct {
	Name   string
	effect effect
	// result is what the error of a struck attempt is about.
	result Result
	// carriedOut: Atlas carries the operation out all the same.
	carriedOut bool
	// beforehand: it strikes before credentials go out with the request.
	beforehand bool
	// keepsStatus: the status of an error still arrives, since only the body is lost. inBody: so does that of a success.
	keepsStatus, inBody bool
	// foreign: a body arrives that is not from Atlas, which counts also where no body is needed.
	foreign bool
	// once: it strikes a connection that is in use, and the attempt after it opens another one.
	once bool

	// How it is done: by livemigrationtest, by a listener, or on the way to either.
	inject lmtest.Fault
	target lmtest.Operation // the cell's own when empty
	wait   wait             // the Retry-After of inject
	wire   *wireFault
	// sockets: it takes a real connection.
	sockets bool
	// spoil ends what the credentials hold, before those requests that the fault strikes.
	spoil func(*lmtest.Server)

	account accountFault // of a service account, instead of an API key

	// warm: a call before the cell's leaves a connection and a nonce.
	warm bool
	// coldOnly: it means something else after another call.
	coldOnly bool
	// impatient: the time for an attempt is short.
	impatient bool
	ends      ending
}

func (f *Fault) inHandshake() bool { return f.target == lmtest.Handshake }

// inTokenRequest reports whether the fault strikes the request for an access token.
func (f *Fault) inTokenRequest() bool { return f.target == lmtest.IssueToken }

// aboutDigest reports whether the fault means something only with the challenges of HTTP Digest.
func (f *Fault) aboutDigest() bool {
	return f.inHandshake() || f.spoil != nil || f.result.Status == http.StatusUnauthorized
}

// costly reports whether a cell takes long, by waiting or by sending much.
func (f *Fault) costly() bool { return f.impatient || f.effect == oversized }

// arrives reports whether a whole response arrives. Then the kind of connection does not matter.
func (f *Fault) arrives() bool {
	return f.wire == nil && f.ends == never && (f.result.Status != 0 || f.result.Cause == BadBody)
}

// ending is what ends the context of a call.
type ending int

const (
	never ending = iota
	byDeadline
	byCancel
)

// wait is a Retry-After.
type wait int

const (
	notGiven wait = iota
	soon
	late // after the end of the context, if that has one
	tooLate
)

func status(code int) Result                      { return Result{Status: code} }
func cause(c Cause) Result                        { return Result{Cause: c} }
func injected(name string, f lmtest.Fault) *Fault { return &Fault{Name: name, inject: f} }
func onTheWire(name string, w *wireFault) *Fault  { return &Fault{Name: name, wire: w} }
func html(code int) lmtest.Fault                  { return lmtest.RawStatus(code, "text/html", "<h1>oops</h1>") }
func json(body string) lmtest.Fault {
	return lmtest.RawStatus(http.StatusOK, "application/json", body).CarriedOut()
}
func (f *Fault) is(e effect, r Result) *Fault { f.effect, f.result = e, r; return f }
func (f *Fault) done() *Fault                 { f.carriedOut = true; return f }
func (f *Fault) with(set func(*Fault)) *Fault { set(f); return f }
func (f *Fault) after(w wait) *Fault          { f.wait = w; return f }
func (f *Fault) shortly() *Fault              { f.impatient = true; return f }
func (f *Fault) until(e ending) *Fault        { f.ends = e; return f }
func (f *Fault) handshake() *Fault            { f.target, f.beforehand = lmtest.Handshake, true; return f }
func (f *Fault) before() *Fault               { f.beforehand = true; return f }
func (f *Fault) notAtlas() *Fault             { f.foreign = true; return f }
func (f *Fault) inTheBody() *Fault            { f.keepsStatus, f.inBody = true, true; return f }

// Faults are the rows of the matrix, in the order of the document.
func Faults() []*Fault { return slices.Concat(keyFaults(), accountFaults()) }

// keyFaults are the rows about API keys.
func keyFaults() []*Fault {
	return slices.Concat(
		harmlessFaults(), unsentFaults(), rejections(), serverErrors(), lostOutcomes(), unreadableResponses(), finalResponses(), ends(),
	)
}

// hour is longer than any call of the matrix waits.
const hour = time.Hour

func harmlessFaults() []*Fault {
	ok := Result{}
	return []*Fault{
		injected("wrong media type", lmtest.WrongMediaType()).is(harmless, ok),
		injected("slow response", lmtest.SlowBody(10*time.Millisecond)).is(harmless, ok),
		injected("body that pauses", lmtest.StalledBody(10*time.Millisecond)).is(harmless, ok),
		{Name: "nonce expired", effect: harmless, spoil: (*lmtest.Server).ExpireNonces},
		onTheWire("idle connection closed between two calls or attempts", &wireFault{idle: true}).is(harmless, ok).with(func(f *Fault) { f.warm = true }),
		onTheWire("TLS record in two pieces", &wireFault{tlsOnly: true, respond: tlsRecord(inTwo)}).is(harmless, ok),
		injected("handshake: truncated body", lmtest.TruncatedBody()).is(harmless, ok).handshake(),
		injected("handshake: body of 5 MiB", lmtest.OversizedBody(5<<20)).is(harmless, ok).handshake(),
	}
}

func unsentFaults() []*Fault {
	return []*Fault{
		onTheWire("connection refused", &wireFault{dial: dialNobody}).is(unsent, cause(Refused)).before(),
		onTheWire("host not found", &wireFault{dial: dialNoHost}).is(unsent, cause(NoHost)).before(),
		onTheWire("connection closed when accepted", &wireFault{accept: closeIt}).is(unsent, cause(Broken)).handshake(),
		onTheWire("connection reset when accepted", &wireFault{accept: resetIt}).is(unsent, cause(Broken)).handshake(),
		onTheWire("server accepts and never responds", &wireFault{accept: silence}).is(unsent, cause(TimedOut)).handshake().shortly(),
		onTheWire("not an HTTP server", &wireFault{plainOnly: true, accept: greet}).is(unsent, cause(NotHTTP)).handshake(),
		onTheWire("TLS: not a TLS server", &wireFault{tlsOnly: true, accept: greet}).is(unsent, cause(BadTLS)).before(),
		onTheWire("TLS: handshake rejected by an alert", &wireFault{tlsOnly: true, accept: alert}).is(unsent, cause(BadTLS)).before(),
		onTheWire("TLS: record of the handshake cut in two", &wireFault{tlsOnly: true, accept: cutHandshake}).is(unsent, cause(Broken)).before(),
		injected("handshake: reset", lmtest.ResetBeforeRequest()).is(unsent, cause(Broken)).handshake(),
		injected("handshake: no response", lmtest.SlowBody(hour)).is(unsent, cause(TimedOut)).handshake().shortly(),
		injected("handshake: 429 with Retry-After", lmtest.Status(429)).is(unsent, status(429)).handshake().after(soon),
		injected("handshake: 500", lmtest.Status(500)).is(unsent, status(500)).handshake(),
		injected("handshake: 502 from a gateway", html(502)).is(unsent, status(502)).handshake(),
		injected("handshake: 200 and a page of HTML", html(200)).is(unsent, cause(BadBody)).handshake(),
	}
}

func rejections() []*Fault {
	return []*Fault{
		injected("429 with Retry-After", lmtest.Status(429)).is(rejectedForNow, status(429)).after(soon),
		injected("429 without Retry-After", lmtest.Status(429)).is(rejectedForNow, status(429)),
		injected("429 from a gateway", html(429)).is(rejectedForNow, status(429)),
		injected("503 with Retry-After", lmtest.Status(503)).is(rejectedForNow, status(503)).after(soon),
		injected("503 with Retry-After from a gateway", html(503)).is(rejectedForNow, status(503)).after(soon),
	}
}

func serverErrors() []*Fault {
	return []*Fault{
		injected("500", lmtest.Status(500)).is(serverError, status(500)),
		injected("502", lmtest.Status(502)).is(serverError, status(502)),
		injected("503", lmtest.Status(503)).is(serverError, status(503)),
		injected("504", lmtest.Status(504)).is(serverError, status(504)),
		injected("500 without Atlas's error", html(500)).is(serverError, status(500)),
		injected("500, carried out", lmtest.Status(500).CarriedOut()).is(serverError, status(500)).done(),
		injected("504, carried out", lmtest.Status(504).CarriedOut()).is(serverError, status(504)).done(),
		injected("500 without Atlas's error, carried out", html(500).CarriedOut()).is(serverError, status(500)).done(),
		injected("502 from a gateway", html(502)).is(gatewayError, status(502)),
		injected("503 from a gateway", html(503)).is(gatewayError, status(503)),
		injected("504 from a gateway, empty", lmtest.RawStatus(504, "", "")).is(gatewayError, status(504)),
		injected("502 in somebody's JSON", lmtest.RawStatus(502, "application/json", `{"message":"upstream"}`)).is(gatewayError, status(502)),
		injected("502 from a gateway, carried out", html(502).CarriedOut()).is(gatewayError, status(502)).done(),
		injected("504 from a gateway, carried out", html(504).CarriedOut()).is(gatewayError, status(504)).done(),
	}
}

func lostOutcomes() []*Fault {
	return []*Fault{
		injected("reset before the request is read", lmtest.ResetBeforeRequest()).is(outcomeLost, cause(Broken)),
		injected("reset after the request", lmtest.ResetAfterRequest()).is(outcomeLost, cause(Broken)).done(),
		onTheWire("connection closed instead of a response", &wireFault{respond: say("")}).is(outcomeLost, cause(Broken)).done(),
		onTheWire("idle connection reset as the request goes out", &wireFault{respond: resetInstead}).is(outcomeLost, cause(Broken)).
			with(func(f *Fault) { f.warm, f.once = true, true }),
		onTheWire("new connection reset at the first byte of the request", &wireFault{plainOnly: true, idle: true, accept: resetAtFirstByte}).is(outcomeLost, cause(Broken)).before().
			with(func(f *Fault) { f.warm = true }),
		onTheWire("new connection accepted, and the request on it never gets a response", &wireFault{plainOnly: true, idle: true, accept: silence}).is(outcomeLost, cause(TimedOut)).before().shortly().
			with(func(f *Fault) { f.warm = true }),
		onTheWire("no response", &wireFault{respond: hang("")}).is(outcomeLost, cause(TimedOut)).shortly(),
		injected("no response, carried out", lmtest.SlowBody(hour)).is(outcomeLost, cause(TimedOut)).done().shortly(),
		onTheWire("half a status line", &wireFault{respond: say("HTTP/1.1 20")}).is(outcomeLost, cause(NotHTTP)).done(),
		onTheWire("half a status line, then silence", &wireFault{respond: hang("HTTP/1.1 20")}).is(outcomeLost, cause(TimedOut)).done().shortly(),
		onTheWire("a status line that is none", &wireFault{respond: say("HTTP/1.1 abc\r\n\r\n")}).is(outcomeLost, cause(NotHTTP)).done(),
		onTheWire("headers cut off", &wireFault{respond: headOnly(closeIt)}).is(outcomeLost, cause(Broken)).done(),
		onTheWire("headers cut off, then silence", &wireFault{respond: headOnly(silence)}).is(outcomeLost, cause(TimedOut)).done().shortly(),
		onTheWire("headers without end", &wireFault{respond: endlessHead}).is(outcomeLost, cause(EndlessHead)).done(),
		onTheWire("TLS: record of the response cut in two", &wireFault{tlsOnly: true, respond: tlsRecord(cutOff)}).is(outcomeLost, cause(Broken)).done(),
		onTheWire("TLS: record of the response damaged", &wireFault{tlsOnly: true, respond: tlsRecord(damaged)}).is(outcomeLost, cause(BadTLS)).done(),
	}
}

func unreadableResponses() []*Fault {
	return []*Fault{
		injected("truncated body", lmtest.TruncatedBody()).is(unreadable, cause(Broken)).done().inTheBody(),
		injected("body that stalls", lmtest.StalledBody(hour)).is(unreadable, cause(TimedOut)).done().inTheBody().shortly(),
		onTheWire("chunked body that stops", &wireFault{respond: chunked("", closeIt)}).is(unreadable, cause(Broken)).done().inTheBody(),
		onTheWire("chunked body that stops, then silence", &wireFault{respond: chunked("", silence)}).is(unreadable, cause(TimedOut)).done().inTheBody().shortly(),
		onTheWire("chunked body with a chunk of no length", &wireFault{respond: chunked("zz\r\n", closeIt)}).is(unreadable, cause(BadBody)).done().inTheBody(),
		onTheWire("body without a length, cut off", &wireFault{respond: untilClose}).is(unreadable, cause(BadBody)).done().inTheBody(),
		injected("200 and a page of HTML", lmtest.NonJSONBody()).is(unreadable, cause(BadBody)).done().notAtlas(),
		injected("200 and a page of HTML, not carried out", html(200)).is(unreadable, cause(BadBody)).notAtlas(),
		injected("200 and no body", json("")).is(unreadable, cause(BadBody)).done(),
		injected("200 and another JSON", json(`{"message":"welcome"}`)).is(unreadable, cause(BadBody)).done(),
		injected("200 and half of a JSON", json(`{"_id":"5f2a1c2e3d`)).is(unreadable, cause(BadBody)).done().notAtlas(),
		injected("200 and what is not the gzip that it says", json("this is anything but gzip").WithHeader("Content-Encoding", "gzip")).is(unreadable, cause(BadBody)).done().
			with(func(f *Fault) { f.sockets = true }), // in process, nothing is unpacked
		injected("body of 4 MiB and a byte", lmtest.OversizedBody(4<<20+1)).is(oversized, cause(HugeBody)).done().inTheBody().
			with(func(f *Fault) { f.sockets = true }), // because of the time that it takes
	}
}

func finalResponses() []*Fault {
	faults := []*Fault{
		injected("redirect", lmtest.Redirect("https://elsewhere.example/")).is(final, status(307)),
		injected("401 with a fresh challenge", lmtest.Status(401)).is(final, status(401)).with(func(f *Fault) { f.coldOnly = true }),
		injected("401 with a fresh challenge, between two calls", lmtest.Status(401)).is(final, status(401)).with(func(f *Fault) { f.warm = true }),
		injected("401 without a challenge", html(401)).is(final, status(401)),
	}
	for _, code := range []int{400, 403, 404, 406, 409, 410, 415, 501} {
		faults = append(faults, injected(http.StatusText(code), lmtest.Status(code)).is(final, status(code)).with(func(f *Fault) {
			f.Name = status(code).String() + " " + f.Name
		}))
	}
	return append(faults,
		injected("429 with a Retry-After of an hour", lmtest.Status(429)).is(final, status(429)).after(tooLate),
		injected("503 with a Retry-After of an hour", lmtest.Status(503)).is(final, status(503)).after(tooLate),
		injected("429 with a Retry-After beyond the deadline", lmtest.Status(429)).is(final, status(429)).after(late).until(byDeadline),
		onTheWire("TLS: certificate not trusted", &wireFault{tlsOnly: true, accept: otherCertificate}).is(final, cause(Certificate)).before(),
		injected("handshake: redirect", lmtest.Redirect("https://elsewhere.example/")).is(final, status(307)).handshake(),
		injected("handshake: 401 without a challenge", html(401)).is(final, status(401)).handshake(),
		injected("handshake: 401 with Basic", html(401).WithHeader("Www-Authenticate", `Basic realm="x"`)).is(final, status(401)).handshake(),
		injected("handshake: 403", lmtest.Status(403)).is(final, status(403)).handshake(),
	)
}

func ends() []*Fault {
	return []*Fault{
		injected("no response until the deadline", lmtest.SlowBody(hour)).is(ended, cause(Deadline)).done().until(byDeadline),
		injected("no response until the context is cancelled", lmtest.SlowBody(hour)).is(ended, cause(Cancelled)).done().until(byCancel),
		onTheWire("half a status line until the deadline", &wireFault{respond: hang("HTTP/1.1 20")}).is(ended, cause(Deadline)).done().until(byDeadline),
		injected("body that stalls until the deadline", lmtest.StalledBody(hour)).is(ended, cause(Deadline)).done().inTheBody().until(byDeadline),
		onTheWire("chunked body that stops, and silence until the deadline", &wireFault{respond: chunked("", silence)}).is(ended, cause(Deadline)).done().inTheBody().until(byDeadline),
		onTheWire("chunked body that stops, and silence until the context is cancelled", &wireFault{respond: chunked("", silence)}).is(ended, cause(Cancelled)).done().inTheBody().until(byCancel),
		onTheWire("server accepts and never responds until the deadline", &wireFault{accept: silence}).is(endedUnsent, cause(Deadline)).handshake().until(byDeadline),
		onTheWire("server accepts and never responds until the context is cancelled", &wireFault{accept: silence}).is(endedUnsent, cause(Cancelled)).handshake().until(byCancel),
		injected("handshake: no response until the deadline", lmtest.SlowBody(hour)).is(endedUnsent, cause(Deadline)).handshake().until(byDeadline),
		injected("429 with Retry-After, cancelled during the wait", lmtest.Status(429)).is(endedUnsent, Result{Status: 429, Cause: Cancelled}).after(late).until(byCancel),
	}
}
