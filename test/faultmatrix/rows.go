package faultmatrix

import (
	"net/http"
	"strconv"
	"time"

	"golang.org/x/net/http2"

	lmtest "github.com/livemigration/livemigration-go/livemigrationtest"
)

// hour is longer than any call of the matrix waits.
const hour = time.Hour

// gatewayStatuses are those below 500 with which gateways say that something took too long or went the wrong way.
var gatewayStatuses = []int{408, 421, 425, 460, 499}

// tookTooLong is what a gateway sends with such a status.
func tookTooLong(code int) lmtest.Fault {
	return lmtest.RawStatus(code, "text/html", "upstream took too long")
}

func harmlessFaults() []*Fault {
	ok := Result{}
	return []*Fault{
		injected("wrong media type", lmtest.WrongMediaType()).is(harmless, ok),
		injected("slow response", lmtest.SlowBody(10*time.Millisecond)).is(harmless, ok),
		injected("body that pauses", lmtest.StalledBody(10*time.Millisecond)).is(harmless, ok),
		injected("byte order mark before the JSON", lmtest.ByteOrderMark()).is(harmless, ok),
		injected("byte order mark before an envelope", lmtest.ByteOrderMark()).is(harmless, ok).enveloped(),
		{Name: "nonce expired", effect: harmless, spoil: (*lmtest.Server).ExpireNonces},
		onTheWire("idle connection closed between two calls or attempts", &wireFault{idle: true}).is(harmless, ok).with(func(f *Fault) { f.warm = true }),
		onTheWire("TLS record in two pieces", &wireFault{tlsOnly: true, respond: tlsRecord(inTwo)}).is(harmless, ok),
		injected("handshake: truncated body", lmtest.TruncatedBody()).is(harmless, ok).handshake(),
		injected("handshake: body of 1 MiB", lmtest.OversizedBody(1<<20)).is(harmless, ok).handshake(),
	}
}

func unsentFaults() []*Fault {
	return []*Fault{
		onTheWire("connection refused", &wireFault{dial: dialNobody}).is(unsent, cause(Refused)).before(),
		onTheWire("host not found", &wireFault{dial: dialNoHost}).is(unsent, cause(NoHost)).before(),
		onTheWire("connection closed when accepted", &wireFault{accept: closeIt}).is(unsent, cause(Broken)).handshake(),
		onTheWire("connection reset when accepted", &wireFault{accept: resetIt}).is(unsent, cause(Broken)).handshake(),
		onTheWire("server accepts and never responds", &wireFault{accept: silence}).is(unsent, cause(TimedOut)).handshake(),
		onTheWire("not an HTTP server", &wireFault{plainOnly: true, accept: greet}).is(unsent, cause(NotHTTP)).handshake(),
		onTheWire("TLS: not a TLS server", &wireFault{tlsOnly: true, accept: greet}).is(unsent, cause(BadTLS)).before(),
		onTheWire("TLS: handshake rejected by an alert", &wireFault{tlsOnly: true, accept: alert}).is(unsent, cause(BadTLS)).before(),
		onTheWire("TLS: record of the handshake cut in two", &wireFault{tlsOnly: true, accept: cutHandshake}).is(unsent, cause(Broken)).before(),
		injected("handshake: reset", lmtest.ResetBeforeRequest()).is(unsent, cause(Broken)).handshake(),
		injected("handshake: no response", lmtest.SlowBody(hour)).is(unsent, cause(TimedOut)).handshake(),
		injected("handshake: 429 with Retry-After", lmtest.Status(429)).is(unsent, status(429)).handshake().after(soon),
		injected("handshake: 500", lmtest.Status(500)).is(unsent, status(500)).handshake(),
		injected("handshake: 502 from a gateway", html(502)).is(unsent, status(502)).handshake(),
		injected("handshake: 499 from a gateway", tookTooLong(499)).is(unsent, status(499)).handshake(),
		injected("handshake: 200 and a page of HTML", html(200)).is(unsent, cause(BadBody)).handshake(),
	}
}

func rejections() []*Fault {
	return []*Fault{
		injected("429 with Retry-After", lmtest.Status(429)).is(rejectedForNow, status(429)).after(soon),
		injected("429 without Retry-After", lmtest.Status(429)).is(rejectedForNow, status(429)),
		injected("429 from a gateway", html(429)).is(rejectedForNow, status(429)),
		injected("503 with Retry-After", lmtest.Status(503)).is(rejectedForNow, status(503)).after(soon),
		injected("429 inside a 200", lmtest.ErrorInSuccess(429)).is(rejectedForNow, status(429)),
	}
}

func serverErrors() []*Fault {
	faults := []*Fault{
		injected("500", lmtest.Status(500)).is(serverError, status(500)),
		injected("503", lmtest.Status(503)).is(serverError, status(503)),
		injected("500, processed", lmtest.Status(500).Processed()).is(serverError, status(500)).done(),
		injected("500 in an envelope, processed", lmtest.Status(500).Processed()).is(serverError, status(500)).done().enveloped(),
		injected("500 inside a 200", lmtest.ErrorInSuccess(500)).is(serverError, status(500)),
		injected("500 inside a 200, processed", lmtest.ErrorInSuccess(500).Processed()).is(serverError, status(500)).done(),
		injected("502 from a gateway", html(502)).is(serverError, status(502)),
		injected("503 with Retry-After from a gateway", html(503)).is(serverError, status(503)).after(soon),
		injected("503 from a gateway, envelope asked for", html(503)).is(serverError, status(503)).enveloped(),
		injected("504 from a gateway, empty", lmtest.RawStatus(504, "", "")).is(serverError, status(504)),
		injected("502 in somebody's JSON", lmtest.RawStatus(502, "application/json", `{"message":"upstream"}`)).is(serverError, status(502)),
		injected("502 from a gateway, processed", html(502).Processed()).is(serverError, status(502)).done(),
	}
	for _, code := range gatewayStatuses {
		name := strconv.Itoa(code) + " from a gateway"
		faults = append(faults,
			injected(name, tookTooLong(code)).is(serverError, status(code)),
			injected(name+", processed", tookTooLong(code).Processed()).is(serverError, status(code)).done())
	}
	return faults
}

func lostOutcomes() []*Fault {
	return []*Fault{
		injected("reset before the request is read", lmtest.ResetBeforeRequest()).is(outcomeLost, cause(Broken)),
		injected("reset after the request", lmtest.ResetAfterRequest()).is(outcomeLost, cause(Broken)).done(),
		onTheWire("connection closed instead of a response", &wireFault{respond: say("")}).is(outcomeLost, cause(Broken)).done(),
		onTheWire("idle connection reset as the request goes out", &wireFault{respond: resetInstead}).is(outcomeLost, cause(Broken)).
			with(func(f *Fault) { f.warm, f.once = true, true }),
		onTheWire("new connection reset at the first byte", &wireFault{plainOnly: true, idle: true, accept: resetAtFirstByte}).is(outcomeLost, cause(Broken)).before().
			with(func(f *Fault) { f.warm = true }),
		onTheWire("new connection accepted, and nothing on it gets a response", &wireFault{plainOnly: true, idle: true, accept: silence}).is(outcomeLost, cause(TimedOut)).before().
			with(func(f *Fault) { f.warm = true }),
		onTheWire("no response", &wireFault{respond: hang("")}).is(outcomeLost, cause(TimedOut)),
		injected("no response, processed", lmtest.SlowBody(hour)).is(outcomeLost, cause(TimedOut)).done(),
		onTheWire(deadHTTP1, &wireFault{dead: true}).is(outcomeLost, cause(TimedOut)).before().warmed(),
		onTheWire(deadHTTP2, &wireFault{tlsOnly: true, dead: true, http2: true}).is(outcomeLost, cause(TimedOut)).before().warmed(),
		onTheWire("HTTP/2: stream refused (REFUSED_STREAM)", &wireFault{tlsOnly: true, stream: resetStream(http2.ErrCodeRefusedStream)}).is(outcomeLost, cause(Broken)).done(),
		onTheWire("HTTP/2: GOAWAY below the stream", &wireFault{tlsOnly: true, stream: goAway}).is(outcomeLost, cause(Broken)).done(),
		onTheWire("HTTP/2: stream reset with PROTOCOL_ERROR", &wireFault{tlsOnly: true, stream: resetStream(http2.ErrCodeProtocol)}).is(outcomeLost, cause(Broken)).done(),
		onTheWire("HTTP/2: stream reset with INTERNAL_ERROR", &wireFault{tlsOnly: true, stream: resetStream(http2.ErrCodeInternal)}).is(outcomeLost, cause(Broken)).done(),
		onTheWire("half a status line", &wireFault{respond: say("HTTP/1.1 20")}).is(outcomeLost, cause(NotHTTP)).done(),
		onTheWire("half a status line, then silence", &wireFault{respond: hang("HTTP/1.1 20")}).is(outcomeLost, cause(TimedOut)).done(),
		onTheWire("a status line that is none", &wireFault{respond: say("HTTP/1.1 abc\r\n\r\n")}).is(outcomeLost, cause(NotHTTP)).done(),
		onTheWire("headers cut off", &wireFault{respond: headOnly(closeIt)}).is(outcomeLost, cause(Broken)).done(),
		onTheWire("headers cut off, then silence", &wireFault{respond: headOnly(silence)}).is(outcomeLost, cause(TimedOut)).done(),
		onTheWire("headers without end", &wireFault{respond: endlessHead}).is(outcomeLost, cause(EndlessHead)).done(),
		onTheWire("TLS: record of the response cut in two", &wireFault{tlsOnly: true, respond: tlsRecord(cutOff)}).is(outcomeLost, cause(Broken)).done(),
		onTheWire("TLS: record of the response damaged", &wireFault{tlsOnly: true, respond: tlsRecord(damaged)}).is(outcomeLost, cause(BadTLS)).done(),
	}
}

func unreadableResponses() []*Fault {
	return []*Fault{
		injected("truncated body", lmtest.TruncatedBody()).is(unreadable, cause(Broken)).done().inTheBody(),
		injected("body that stalls", lmtest.StalledBody(hour)).is(unreadable, cause(TimedOut)).done().inTheBody(),
		onTheWire("chunked body that stops", &wireFault{respond: chunked("", closeIt)}).is(unreadable, cause(Broken)).done().inTheBody(),
		onTheWire("chunked body that stops, then silence", &wireFault{respond: chunked("", silence)}).is(unreadable, cause(TimedOut)).done().inTheBody(),
		onTheWire("chunked body with a chunk of no length", &wireFault{respond: chunked("zz\r\n", closeIt)}).is(unreadable, cause(BadBody)).done().inTheBody(),
		onTheWire("body without a length, cut off", &wireFault{respond: untilClose}).is(unreadable, cause(BadBody)).done().inTheBody(),
		injected("200 and a page of HTML", lmtest.NonJSONBody()).is(unreadable, cause(BadBody)).done().notAtlas(),
		injected("200 and a page of HTML, not processed", html(200)).is(unreadable, cause(BadBody)).notAtlas(),
		injected("200 and no body", json("")).is(unreadable, cause(BadBody)).done(),
		injected("200 and another JSON", json(`{"message":"welcome"}`)).is(unreadable, cause(BadBody)).done(),
		injected("200 without the envelope asked for", lmtest.WithoutEnvelope()).is(unreadable, cause(BadBody)).done().enveloped().notAtlas().
			with(func(f *Fault) { f.keepsStatus = true }),
		injected("envelope with a status of 0", json(`{"status":0,"content":{}}`)).is(unreadable, cause(BadBody)).done().enveloped().notAtlas(),
		injected("envelope with a status that is no number", json(`{"status":"OK","content":{}}`)).is(unreadable, cause(BadBody)).done().enveloped().notAtlas(),
		injected("envelope and no content", json(`{"status":"200"}`)).is(unreadable, cause(BadBody)).done().enveloped(),
		injected("200 and half of a JSON", json(`{"_id":"5f2a1c2e3d`)).is(unreadable, cause(BadBody)).done().notAtlas(),
		injected("200 and what is not the gzip that it says", json("this is anything but gzip").WithHeader("Content-Encoding", "gzip")).
			is(unreadable, cause(BadBody)).done(),
	}
}

// notReady is an error of Atlas.
const notReady = `{"error":409,"errorCode":"NOT_READY","reason":"Conflict","detail":"The migration is not ready."}`

func finalResponses() []*Fault {
	faults := []*Fault{
		injected("redirect", lmtest.Redirect("https://elsewhere.example/")).is(unclear, status(307)),
		injected("409 from a gateway", html(409)).is(unclear, status(409)),
		injected("405 while Atlas is being upgraded", lmtest.Status(405).WithCode("WRITES_NOT_ALLOWED_DURING_APP_UPGRADES")).is(rejectedForNow, status(405)),
		injected("401 with a fresh challenge", lmtest.Status(401)).is(final, status(401)).with(func(f *Fault) { f.coldOnly = true }),
		injected("401 with a fresh challenge, between two calls", lmtest.Status(401)).is(final, status(401)).with(func(f *Fault) { f.warm = true }),
		injected("401 without a challenge", html(401)).is(final, status(401)),
	}
	for _, code := range []int{400, 403, 404, 409, 410} {
		faults = append(faults, injected(http.StatusText(code), lmtest.Status(code)).is(final, status(code)).with(func(f *Fault) {
			f.Name = status(code).String() + " " + f.Name
		}))
	}
	return append(faults,
		injected("409 in an envelope", lmtest.Status(409)).is(final, status(409)).enveloped(),
		injected("409 inside a 200", lmtest.ErrorInSuccess(409)).is(final, status(409)),
		injected("409 inside a 200, in an envelope", lmtest.ErrorInSuccess(409)).is(final, status(409)).enveloped(),
		injected("409 inside a 200 without the envelope asked for", lmtest.RawStatus(http.StatusOK, "application/json", notReady)).is(final, status(409)).enveloped(),
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
