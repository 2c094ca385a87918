package durable

import (
	"cmp"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"time"
	"unicode"
)

// Problem says why a record does not continue.
type Problem struct {
	Kind ProblemKind `json:"kind"`
	// Text is for people, and may change in any version. Programs use Kind.
	Text string `json:"text"`
	// Since is when the problem started. It stays while one failure follows another.
	Since time.Time `json:"since"`
	// Operation is the call that failed, such as "Migrations.Create", or the option whose function failed; else empty.
	Operation string `json:"operation,omitempty"`
	// Status and Code are from the response; 0 and empty if there was none.
	Status int    `json:"status,omitempty"`
	Code   string `json:"code,omitempty"`
}

// ProblemKind says what has to happen before a record continues.
type ProblemKind string

const (
	// ProblemWaitingForApproval: a person, or the function of [WithCutoverApproval], has not approved a gate.
	ProblemWaitingForApproval ProblemKind = "waitingForApproval"
	// ProblemWaitingForWindow: no cutover window is open for long enough.
	ProblemWaitingForWindow ProblemKind = "waitingForWindow"
	// ProblemWaitingForLag: the lag is unknown, or larger than [WithMaxLag] allows.
	ProblemWaitingForLag ProblemKind = "waitingForLag"
	// ProblemWaitingForOther: another record has a host, cluster or name that this one needs. Text names it.
	ProblemWaitingForOther ProblemKind = "waitingForOther"
	// ProblemRetrying: a failure that passes on its own. The action is retried.
	ProblemRetrying ProblemKind = "retrying"
	// ProblemNeedsAttention: a person should act. What can be retried is retried meanwhile.
	ProblemNeedsAttention ProblemKind = "needsAttention"
)

// Waiting reports whether nothing is wrong: the record waits for an approval, a window, the lag, or another record.
func (k ProblemKind) Waiting() bool {
	switch k {
	case ProblemWaitingForApproval, ProblemWaitingForWindow, ProblemWaitingForLag, ProblemWaitingForOther:
		return true
	default:
		return false
	}
}

func (k ProblemKind) known() bool {
	return k.Waiting() || k == ProblemRetrying || k == ProblemNeedsAttention
}

// The operations of Problem.Operation, as the client names them.
const (
	opValidate        = "Validations.Create"
	opCheckValidation = "Validations.Get"
	opCreate          = "Migrations.Create"
	opCheck           = "Migrations.Get"
	opCutover         = "Migrations.Cutover"
)

// cutoverPeriod is how long Atlas keeps a migration that is ready for cutover in sync.
const cutoverPeriod = 120 * time.Hour

// worthAnEvent is how long a failure lasts that becomes an event.
const worthAnEvent = time.Minute

const timeFormat = "2006-01-02 15:04 MST"

func (p *Problem) failing() bool { return p != nil && p.Kind != "" && !p.Kind.Waiting() }

func (p *Problem) sameFailure(q Problem) bool {
	return p.failing() && p.Kind == q.Kind && p.Operation == q.Operation && p.Status == q.Status && p.Code == q.Code
}

// explain sets the problem. Since stays while one failure follows another, or while the record waits for the same. The text of
// a failure stays too, so that a port number in it is no news.
func (r *Record) explain(p Problem, now time.Time) {
	old, note := r.Problem, ""
	if r.State == StateReady {
		note = r.expiry(now)
	}
	if (r.State == StateReady || r.State == StateFinishing) && old != nil && old.Operation == opCutover && p.Operation != opCutover {
		p.Text += "; before, " + old.cutoverText()
		p.Operation, p.Status, p.Code = old.Operation, old.Status, old.Code
	}
	if p.Kind == "" {
		p.Kind = ProblemNeedsAttention
	}
	p.Since = now
	if old != nil && (old.Kind == p.Kind || old.failing() && p.failing()) {
		p.Since = old.Since
	}
	if p.Operation != opCutover && old.sameFailure(p) && strings.HasSuffix(old.Text, note) {
		p.Text = old.Text
	} else {
		p.Text += note
	}
	r.Problem = &p
}

func (p *Problem) cutoverText() string {
	if p.Status == 0 {
		return "the cutover was not accepted, without a response"
	}
	return "the cutover was not accepted: " + statusText(p.Status, p.Code)
}

// expiry is the end of the text of a READY record. It changes 48, 24, 6 and 1 hours before the migration expires.
func (r *Record) expiry(now time.Time) string {
	end := r.ReadyAt.Add(cutoverPeriod)
	left, warning := end.Sub(now), ""
	if left <= 0 {
		return fmt.Sprintf("; the migration expired on %s, unless its time was extended in the Atlas UI", end.Format(timeFormat))
	}
	for _, hours := range []time.Duration{48, 24, 6, 1} {
		if left <= hours*time.Hour {
			warning = fmt.Sprintf("less than %dh left: ", hours)
		}
	}
	return fmt.Sprintf("; %sthe migration expires on %s, and only the Atlas UI can extend that", warning, end.Format(timeFormat))
}

// passes ends a problem.
func (r *Record) passes(now time.Time) {
	p := r.Problem
	if p.failing() && now.Sub(p.Since) >= worthAnEvent {
		r.event(now, fmt.Sprintf("continues after %s: %s", now.Sub(p.Since).Round(time.Second), p.Text))
	}
	r.Problem = nil
}

func (r *Record) wait(hold Problem, now time.Time) {
	if hold.Kind == ProblemWaitingForApproval {
		if r.approvedByPerson(GateCutover, now) { // since it was asked
			r.waitEnds(now)
			return
		}
		if r.approved(GateCutover, now) {
			r.disapprove(GateCutover) // the function says no by now
		}
	}
	r.explain(hold, now)
}

// waitEnds ends what held a cutover back. A cutover that was not accepted remains the problem until one is accepted.
func (r *Record) waitEnds(now time.Time) {
	switch {
	case r.Problem == nil:
	case r.Problem.Operation != opCutover:
		r.passes(now)
	default:
		p := *r.Problem
		p.Kind, p.Text = kindOf(p.Status), p.cutoverText()
		r.explain(p, now)
	}
}

func (r *Record) waitAtGate(now time.Time) {
	if r.Gate(now) == GateCutover && (r.Problem == nil || !r.Problem.Kind.Waiting()) {
		r.explain(approvalProblem("the cutover"), now)
	}
}

func approvalProblem(what string) Problem {
	return Problem{Kind: ProblemWaitingForApproval, Text: "waits for the approval of " + what}
}

// gateProblem says that a VALIDATED record waits for the approval of its start. It is not stored.
func (r *Record) gateProblem(now time.Time) *Problem {
	if r.Gate(now) != GateStart {
		return nil
	}
	what := "the start"
	if r.Plan.Request.DropDestinationData {
		what += ", which deletes the data of the " + r.Plan.destinationCluster()
	}
	p := approvalProblem(what)
	p.Since = r.UpdatedAt
	return &p
}

// enter takes the record into a state in which it continues.
func (r *Record) enter(state State, now time.Time, text string) {
	r.passes(now)
	r.setState(state, now)
	r.eventOnce(now, joinText(string(state), text))
}

// stop takes the record into a state in which it does not continue.
func (r *Record) stop(state State, now time.Time, problem Problem) {
	r.enter(state, now, problem.Text)
	problem.Kind = ProblemNeedsAttention
	r.explain(problem, now)
}

func (r *Record) unclear(now time.Time, problem Problem) {
	source, destination := r.Plan.Request.Source, r.Plan.Request.Destination
	problem.Text = fmt.Sprintf("%s. Look in the Atlas UI at project %s, cluster %s, for a live migration of the source cluster %s."+
		" If it is there, adopt its ID; if it is not, restart the record",
		problem.Text, r.Plan.ProjectID, destination.ClusterName, source.ClusterName)
	r.stop(StateUnclear, now, problem)
}

func (r *Record) setState(state State, now time.Time) {
	r.State = state
	if state.Final() {
		r.EndedAt = now
	}
	if state.Final() || state == StateUnclear {
		r.NextCheckAt = time.Time{}
	}
	if state == StateComplete || state == StateFailed || state == StateExpired {
		r.Unclear = nil
	}
}

func joinText(state, text string) string {
	if text == "" {
		return state
	}
	return state + ": " + text
}

// statusText is "403 IP_ADDRESS_NOT_ON_ACCESS_LIST", or "503 Service Unavailable" if Atlas gave no code.
func statusText(status int, code string) string {
	return strings.TrimSpace(fmt.Sprintf("%d %s", status, cmp.Or(code, http.StatusText(status))))
}

// kindOf says whether a person should act: on keys, roles, payment and IP access lists.
func kindOf(status int) ProblemKind {
	switch status {
	case http.StatusUnauthorized, http.StatusPaymentRequired, http.StatusForbidden, http.StatusNotFound:
		return ProblemNeedsAttention
	default:
		return ProblemRetrying
	}
}

// userinfo is the user and password in a URI.
var userinfo = regexp.MustCompile(`://[^/?#\s"']*@`)

// clean makes a text from elsewhere fit for a record: one line, not too long, and without the password of a URI.
func clean(text string) string {
	const maxText = 300
	text = strings.Map(func(c rune) rune {
		if unicode.IsControl(c) || c == unicode.ReplacementChar {
			return ' '
		}
		return c
	}, userinfo.ReplaceAllString(text, "://[REDACTED]@"))
	text = strings.Join(strings.Fields(text), " ")
	if runes := []rune(text); len(runes) > maxText {
		return string(runes[:maxText]) + "…"
	}
	return text
}
