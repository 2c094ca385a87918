// Package faultmatrix proves what the client makes of failures.
//
// The fault matrix is every operation × every fault × the attempts that it strikes. [Cells] lists it, [Expect] says what
// must come out of a cell, [Document] prints it, and the package's tests run each cell against the in-memory Atlas: on
// virtual time, over HTTP and HTTPS in memory, and through a listener that breaks HTTP.
//
// It does so for both kinds of credentials: API keys with everything that can go wrong with a request, service accounts
// with what can go wrong with their access tokens.
//
// Expectations are not recorded. They follow from the few lines of the rules in rules.go, applied attempt by
// attempt to a model of Atlas, and from the exceptions there, each with its reason.
package faultmatrix

import (
	"slices"
	"strconv"

	"github.com/livemigration/livemigration-go/livemigrationtest"
)

// maxAttempts is the client's default.
const maxAttempts = 5

// Strikes says which attempts of a call a fault strikes.
type Strikes int

const (
	First Strikes = iota + 1
	// Second: the attempt before it is rejected with 429 and Retry-After, which every operation retries.
	Second
	Every
)

// AllStrikes are the parts of the matrix, in order.
var AllStrikes = []Strikes{First, Second, Every}

// String completes "the fault strikes …".
func (s Strikes) String() string {
	switch s {
	case First:
		return "the first attempt"
	case Second:
		return "the second attempt"
	case Every:
		return "every attempt"
	default:
		return "Strikes(" + strconv.Itoa(int(s)) + ")"
	}
}

// on reports whether the nth attempt, counted from 1, is struck.
func (s Strikes) on(n int) bool {
	switch s {
	case First:
		return n == 1
	case Second:
		return n == 2
	default:
		return n >= 1
	}
}

// Cell is one case of the matrix.
type Cell struct {
	Operation *Operation
	Fault     *Fault
	Strikes   Strikes
}

// String names the cell in a test.
func (c Cell) String() string {
	return c.Fault.Name + " / " + c.Strikes.String() + " / " + string(c.Operation.Name)
}

// Cells are the whole matrix.
func Cells() []Cell {
	var cells []Cell
	for _, f := range Faults() {
		cells = append(cells, f.cells()...)
	}
	return cells
}

// cells are a row of each part of the matrix.
func (f *Fault) cells() []Cell {
	var cells []Cell
	for _, s := range AllStrikes {
		for _, op := range f.operations() {
			cells = append(cells, Cell{op, f, s})
		}
	}
	return cells
}

// operations are those that the fault can strike.
func (f *Fault) operations() []*Operation {
	if f.account == none {
		return Operations
	}
	return slices.DeleteFunc(slices.Clone(Operations), (*Operation).onSource)
}

// class is what the rules know of an operation.
type class int

const (
	reading class = iota + 1
	validating
	deleting
	cuttingOver
	creating
)

// Operation is a column of the matrix.
type Operation struct {
	Name  livemigrationtest.Operation
	class class
	call  call
}

// silent reports whether the status is the whole response, because it has no body.
func (o *Operation) silent() bool { return o.class == deleting || o.class == cuttingOver }

// Cause is what the error of a call is about when Atlas did not give it a status.
type Cause string

const (
	Broken      Cause = "broken"
	Refused     Cause = "refused"
	NoHost      Cause = "no host"
	TimedOut    Cause = "timeout"
	Deadline    Cause = "deadline"
	Cancelled   Cause = "cancelled"
	NotHTTP     Cause = "not HTTP"
	EndlessHead Cause = "endless head"
	BadTLS      Cause = "TLS"
	Certificate Cause = "certificate"
	BadBody     Cause = "body"
)

// Result is what a call returns: success by its zero value; else an error about a status, a cause, or both.
type Result struct {
	Status int
	Cause  Cause
	// Unknown: the error is an *OutcomeUnknownError around that.
	Unknown bool
}

func (r Result) ok() bool { return r == Result{} }

// String is how the document writes the result.
func (r Result) String() string {
	text := string(r.Cause)
	switch {
	case r.ok():
		return "ok"
	case r.Status != 0 && r.Cause != "":
		text += " (" + strconv.Itoa(r.Status) + ")"
	case r.Status != 0:
		text = strconv.Itoa(r.Status)
	}
	if r.Unknown {
		return "**unknown**: " + text
	}
	return text
}

// Expectation is what must come out of a cell, and also what did.
type Expectation struct {
	Result Result
	// Attempts is how often the client says that it has made the request.
	Attempts int
	// Authenticated is how many requests of the operation arrived with credentials that hold.
	Authenticated int
	// Tokens is how many requests for an access token arrived. An API key makes none.
	Tokens int
	// Change is what Atlas holds more than before: jobs, link-tokens, or migrations that are cut over.
	Change int

	exception *exception // by which the expectation differs from the rules
}

// String is how the document writes the cell.
func (e Expectation) String() string {
	requests := strconv.Itoa(e.Authenticated)
	if e.Attempts != e.Authenticated {
		requests += "/" + strconv.Itoa(e.Attempts)
	}
	change := strconv.Itoa(e.Change)
	switch {
	case e.Change > 0:
		change = "+" + change
	case e.Change < 0:
		change = "−" + strconv.Itoa(-e.Change)
	}
	text := e.Result.String() + " · " + requests + " · " + change
	if e.Tokens > 0 {
		text += " · " + strconv.Itoa(e.Tokens)
	}
	return text
}
