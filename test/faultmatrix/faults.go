package faultmatrix

import (
	"net/http"
	"slices"

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
	// spoil ends what the credentials hold, before those requests that the fault strikes.
	spoil func(*lmtest.Server)

	account accountFault // of a service account, instead of an API key

	// warm: a call before the cell's leaves a connection and a nonce.
	warm bool
	// coldOnly: it means something else after another call.
	coldOnly bool
	// envelope: the call asks for one.
	envelope bool
	ends     ending
}

func (f *Fault) inHandshake() bool { return f.target == lmtest.Handshake }

// inTokenRequest reports whether the fault strikes the request for an access token.
func (f *Fault) inTokenRequest() bool { return f.target == lmtest.IssueToken }

// aboutDigest reports whether the fault means something only with the challenges of HTTP Digest.
func (f *Fault) aboutDigest() bool {
	return f.inHandshake() || f.spoil != nil || f.result.Status == http.StatusUnauthorized
}

// aboutConnection reports whether a connection breaks or waits. Else a whole response arrives, and it does not matter on
// what.
func (f *Fault) aboutConnection() bool {
	return f.wire != nil || f.result.Cause == Broken || f.result.Cause == TimedOut
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
	return lmtest.RawStatus(http.StatusOK, "application/json", body).Processed()
}
func (f *Fault) is(e effect, r Result) *Fault { f.effect, f.result = e, r; return f }
func (f *Fault) done() *Fault                 { f.carriedOut = true; return f }
func (f *Fault) with(set func(*Fault)) *Fault { set(f); return f }
func (f *Fault) after(w wait) *Fault          { f.wait = w; return f }
func (f *Fault) until(e ending) *Fault        { f.ends = e; return f }
func (f *Fault) handshake() *Fault            { f.target, f.beforehand = lmtest.Handshake, true; return f }
func (f *Fault) before() *Fault               { f.beforehand = true; return f }
func (f *Fault) notAtlas() *Fault             { f.foreign = true; return f }
func (f *Fault) inTheBody() *Fault            { f.keepsStatus, f.inBody = true, true; return f }
func (f *Fault) enveloped() *Fault            { f.envelope = true; return f }
func (f *Fault) warmed() *Fault               { f.warm = true; return f }

// Faults are the rows of the matrix, in the order of the document.
func Faults() []*Fault { return slices.Concat(keyFaults(), accountFaults()) }

// keyFaults are the rows about API keys.
func keyFaults() []*Fault {
	return slices.Concat(
		harmlessFaults(), unsentFaults(), rejections(), serverErrors(), lostOutcomes(), unreadableResponses(), finalResponses(), ends(),
	)
}
