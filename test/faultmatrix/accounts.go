package faultmatrix

import (
	"net/http"
	"strconv"
	"time"

	lmtest "github.com/livemigration/livemigration-go/livemigrationtest"
)

// accountFault says what a fault has to do with the access token of a service account.
type accountFault int

const (
	none       accountFault = iota // it is one of an API key
	atEndpoint                     // it strikes the request for a token
	deadToken                      // the token does not hold when it arrives
	liveToken                      // Atlas rejects a token that holds
)

const tokenPath = "/api/oauth/token"

// tokenRequest is a fault of the request for an access token.
func tokenRequest(name string, fault lmtest.Fault) *Fault {
	return &Fault{Name: "token request: " + name, inject: fault, target: lmtest.IssueToken, beforehand: true, account: atEndpoint}
}

// accessToken is a fault of the access token of a call that was made before.
func accessToken(name string, spoil func(*lmtest.Server)) *Fault {
	return (&Fault{Name: "access token " + name, spoil: spoil, account: deadToken, beforehand: true, warm: true}).is(tokenRejected, status(401))
}

// tokenLife is how long an access token lives on livemigrationtest.
const tokenLife = time.Hour

// accountFaults are the rows about service accounts, in the order of the document.
func accountFaults() []*Fault {
	var faults []*Fault
	for _, group := range [][]*Fault{harmlessTokenRequests(), failedTokenRequests(), rejectedTokens(), rejectedTokenRequests(), endedTokenRequests()} {
		faults = append(faults, group...)
	}
	return faults
}

func harmlessTokenRequests() []*Fault {
	return []*Fault{
		tokenRequest("slow response", lmtest.SlowBody(10*time.Millisecond)).is(harmless, Result{}),
		tokenRequest("byte order mark before the JSON", lmtest.ByteOrderMark()).is(harmless, Result{}),
		tokenRequest("wrong media type", lmtest.WrongMediaType()).is(harmless, Result{}),
		tokenRequest("body that pauses", lmtest.StalledBody(10*time.Millisecond)).is(harmless, Result{}),
	}
}

func failedTokenRequests() []*Fault {
	missing := func(name string, fault lmtest.Fault, r Result) *Fault {
		return tokenRequest(name, fault).is(tokenMissing, r)
	}
	success := func(body string) lmtest.Fault { return lmtest.RawStatus(http.StatusOK, "application/json", body) }
	faults := []*Fault{
		missing("reset before it is read", lmtest.ResetBeforeRequest(), cause(Broken)),
		missing("reset after it", lmtest.ResetAfterRequest(), cause(Broken)),
		missing("no response", lmtest.SlowBody(hour), cause(TimedOut)),
		missing("truncated body", lmtest.TruncatedBody(), cause(Broken)),
		missing("body that stalls", lmtest.StalledBody(hour), cause(TimedOut)),
		missing("429 with Retry-After", lmtest.Status(429), status(429)).after(soon),
		missing("429 without Retry-After", lmtest.Status(429), status(429)),
		missing("429 from a gateway", html(429), status(429)).after(soon),
		missing("500", lmtest.Status(500), status(500)),
		missing("503", lmtest.Status(503), status(503)),
		missing("503 with Retry-After", lmtest.Status(503), status(503)).after(soon),
		missing("502 from a gateway", html(502), status(502)),
		missing("503 with Retry-After from a gateway", html(503), status(503)).after(soon),
		missing("504 from a gateway, empty", lmtest.RawStatus(504, "", ""), status(504)),
		missing("500, processed", lmtest.Status(500).Processed(), status(500)),
		missing("200 and a page of HTML", lmtest.NonJSONBody(), cause(BadBody)),
		missing("200 and a page of HTML, no token issued", html(200), cause(BadBody)),
		missing("body of 1 MiB", lmtest.OversizedBody(1<<20), cause(BadBody)),
		missing("200 and no body", success(""), cause(BadBody)),
		missing("200 and half of a JSON", success(`{"access_token":"5f2a1c`), cause(BadBody)),
		missing("200 and no token", success(`{"token_type":"Bearer","expires_in":3600}`), cause(BadBody)),
		missing("200 and a token of another type", success(`{"access_token":"x","token_type":"mac"}`), cause(BadBody)),
		missing("200 and an error", success(`{"error":"invalid_client"}`), cause(BadBody)),
	}
	for _, code := range gatewayStatuses {
		faults = append(faults, missing(strconv.Itoa(code)+" from a gateway", tookTooLong(code), status(code)))
	}
	return faults
}

func rejectedTokens() []*Fault {
	const unknown = `{"access_token":"unknown","token_type":"Bearer","expires_in":3600}`
	return []*Fault{
		accessToken("revoked before the call", (*lmtest.Server).ExpireTokens),
		accessToken("expired before the call", func(s *lmtest.Server) { s.Advance(tokenLife) }),
		{
			Name: "401 for an access token that holds", inject: lmtest.Status(401), account: liveToken,
			effect: tokenRejected, result: status(401), coldOnly: true,
		},
		{
			Name: "401 without a challenge for an access token that holds", inject: html(401), account: liveToken,
			effect: tokenRejected, result: status(401), coldOnly: true,
		},
		tokenRequest("200 and a token that Atlas does not know", lmtest.RawStatus(http.StatusOK, "application/json", unknown)).
			is(tokenRejected, status(401)).with(func(f *Fault) { f.coldOnly = true }), // else it is the second 401
	}
}

func rejectedTokenRequests() []*Fault {
	rejected := func(name string, fault lmtest.Fault, code int) *Fault {
		return tokenRequest(name, fault).is(tokenRequestRejected, status(code))
	}
	return []*Fault{
		rejected("400 invalid_client", lmtest.Status(400).WithCode("invalid_client"), 400),
		rejected("401", lmtest.Status(401), 401),
		rejected("401 from a gateway", html(401), 401),
		rejected("403", lmtest.Status(403), 403),
		rejected("403 from a gateway", html(403), 403),
		rejected("404 from a gateway", html(404), 404),
		rejected("redirect", lmtest.Redirect("https://elsewhere.example/"), 307),
		rejected("429 with a Retry-After of an hour", lmtest.Status(429), 429).after(tooLate),
		rejected("503 with a Retry-After of an hour", lmtest.Status(503), 503).after(tooLate),
		rejected("429 with a Retry-After beyond the deadline", lmtest.Status(429), 429).after(late).until(byDeadline),
	}
}

func endedTokenRequests() []*Fault {
	return []*Fault{
		tokenRequest("no response until the deadline", lmtest.SlowBody(hour)).is(endedUnsent, cause(Deadline)).until(byDeadline),
		tokenRequest("no response until the context is cancelled", lmtest.SlowBody(hour)).is(endedUnsent, cause(Cancelled)).until(byCancel),
		tokenRequest("body that stalls until the deadline", lmtest.StalledBody(hour)).is(endedUnsent, cause(Deadline)).until(byDeadline),
		tokenRequest("429 with Retry-After, cancelled during the wait", lmtest.Status(429)).is(endedUnsent, Result{Status: 429, Cause: Cancelled}).after(late).until(byCancel),
	}
}
