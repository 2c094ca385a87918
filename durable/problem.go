package durable

import (
	"fmt"
	"regexp"
	"strings"
	"time"
	"unicode"
)

const (
	// cutoverWindow is how long Atlas keeps a migration that is ready for cutover in sync.
	cutoverWindow = 120 * time.Hour
	// finishingPatience is how long a migration may look ready after Atlas has accepted its cutover.
	finishingPatience = 15 * time.Minute
	// worthAnEvent is how long an outage lasts that the history of a record tells of.
	worthAnEvent = time.Minute
)

const timeFormat = "2006-01-02 15:04 MST"

// note is what Problem says while nothing is wrong: which approval the record waits for.
func (r *Record) note() string {
	switch r.Gate() {
	case GateStart:
		return "waits for the approval of the start, which destroys the data of the " + r.Plan.destinationCluster()
	case GateCutover:
		return fmt.Sprintf("waits for the approval of the cutover; the migration expires on %s, and only the Atlas user interface can extend that",
			r.ReadySince.Add(cutoverWindow).UTC().Format(timeFormat))
	default:
		return ""
	}
}

// troubled reports whether something stops the record that is not a missing approval.
func (r *Record) troubled() bool { return r.Problem != "" && r.Problem != r.note() }

// failsForLong reports whether it has been tried for long, and has failed each time. The time for which it only waits does
// not count.
func (r *Record) failsForLong() bool {
	return r.troubled() && r.CheckAt.Sub(r.ProblemSince) > maxBackoff
}

// trouble records a failure. head is the same for failures that are the same to a person, so that a failure that lasts
// changes nothing. It holds no ": ".
func (r *Record) trouble(head, detail string, now time.Time) {
	troubled := r.troubled()
	head = strings.ReplaceAll(head, ": ", " ")
	text := head
	if detail = clean(detail); detail != "" {
		text += ": " + detail
	}
	if before, _, _ := strings.Cut(r.Problem, ": "); troubled && before == head {
		return
	}
	r.Problem = text
	if !troubled {
		r.ProblemSince = now
	}
}

// passes ends trouble.
func (r *Record) passes(now time.Time) {
	if !r.troubled() {
		if r.Problem == "" {
			r.explain(r.note(), now)
		}
		return
	}
	if lasted := now.Sub(r.ProblemSince); lasted >= worthAnEvent {
		head, _, _ := strings.Cut(r.Problem, ": ")
		r.event(now, fmt.Sprintf("continues after %s: %s", lasted.Round(time.Second), head))
	}
	r.Problem, r.ProblemSince = "", time.Time{}
	r.explain(r.note(), now)
}

// explain sets Problem.
func (r *Record) explain(problem string, now time.Time) {
	switch {
	case problem == r.Problem:
	case problem == "":
		r.Problem, r.ProblemSince = "", time.Time{}
	default:
		r.Problem, r.ProblemSince = problem, now
	}
}

// enter takes the record into a state in which it continues.
func (r *Record) enter(state State, now time.Time, text string) {
	r.passes(now)
	r.State = state
	r.step(now, joinText(string(state), text))
	r.explain(r.note(), now)
}

// stop takes the record into a state in which it does not go on.
func (r *Record) stop(state State, now time.Time, problem string) {
	r.passes(now)
	r.lapse(now)
	r.State = state
	r.event(now, joinText(string(state), problem))
	r.explain(problem, now)
}

// unclear asks a person to look in Atlas.
func (r *Record) unclear(now time.Time, what string) {
	source, destination := r.Plan.Request.Source, r.Plan.Request.Destination
	r.stop(StateUnclear, now, fmt.Sprintf(
		"%s. Look in the Atlas user interface at project %s, cluster %s, for a live migration of the source cluster %s. If it is there, adopt its id; if it is not, restart the record",
		what, r.Plan.ProjectID, destination.ClusterName, source.ClusterName))
}

func joinText(state, text string) string {
	if text == "" {
		return state
	}
	return state + ": " + text
}

// maxText is how long a text of somebody else may be in a record.
const maxText = 300

// userinfo is the user and password in a URI.
var userinfo = regexp.MustCompile(`://[^/?#\s"']*@`)

// clean makes a text of somebody else fit for a record: one line, not too long, and without the password of a URI.
func clean(text string) string {
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
