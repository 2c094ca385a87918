package faultmatrix

import "net/http"

// Expect says what must come out of a cell.
func Expect(c Cell) Expectation {
	x := exceptionFor(c)
	f := *c.Fault
	switch {
	case x == nil:
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
		f.beforehand = f.beforehand || f.spoil != nil && x.effect == outcomeLost // its credentials do not hold
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
		before   Result // of the attempt before
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
		if (a.effect == ended || a.effect == endedUnsent) && a.result.Status == 0 {
			a.result.Status = before.Status // which the error keeps
		}
		before = a.result
		r := ruleFor(a.effect)
		switch v := r.verdict(op.class); {
		case v == retry && e.Attempts < maxAttempts:
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

// afterDoubt is what the last response means where an attempt before it may have taken effect.
func afterDoubt(c class, r Result, doubtful bool) Result {
	switch {
	case !doubtful || r.Cause != "" || r.Status/100 != 4:
		return r
	case c == deleting && r.Status == http.StatusNotFound: // deleted by then
		return Result{}
	case c == cuttingOver: // rejected, perhaps because it took effect
		r.Unknown = true
	}
	return r
}

// attempt is the result of one attempt.
type attempt struct {
	effect   effect
	result   Result
	requests int // with credentials that hold
	tokens   int // requests for an access token
}

func (f *Fault) attempt(op *Operation, strikes Strikes, n int, atlas *model) attempt {
	switch {
	case strikes == Second && n == 1 && f.beforeRequest():
		return attempt{effect: rejectedForNow, result: status(http.StatusTooManyRequests)}
	case strikes == Second && n == 1:
		return attempt{effect: rejectedForNow, result: status(http.StatusTooManyRequests), requests: 1}
	case !f.strikes(strikes, n), f.effect == harmless, f.effect == tokenRejected && strikes != Every:
		return attempt{effect: final, result: atlas.respond(op.class), requests: 1}
	}
	a := attempt{effect: f.effect, result: f.result, requests: 1}
	if f.beforehand {
		a.requests = 0
	}
	if !f.carriedOut {
		return f.seenBy(op, a)
	}
	resp := atlas.respond(op.class)
	if f.keepsStatus && !resp.ok() {
		return attempt{effect: final, result: resp, requests: 1}
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
	rejected := strikes == Second && n == 1 && f.inTokenRequest()
	return a, !rejected && !(struck && (f.effect == tokenMissing || f.effect == tokenRequestRejected || f.effect == endedUnsent))
}

// seenBy makes an attempt a success if it has lost nothing but a body that the response need not have.
func (f *Fault) seenBy(op *Operation, a attempt) attempt {
	if op.silent() && !f.foreign && (a.effect == unreadable || a.effect == ended && f.inBody) {
		return attempt{effect: final, requests: a.requests}
	}
	return a
}

// model is as much of Atlas as the matrix needs: whether what can be done once has been done.
type model struct {
	change int
	done   bool
}

// serve carries an operation out and returns the status of the response.
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

// respond is serve with a result.
func (m *model) respond(c class) Result {
	if status := m.serve(c); status != http.StatusOK {
		return Result{Status: status}
	}
	return Result{}
}
