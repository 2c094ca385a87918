package durable

import "time"

// Problem says why a record does not go on.
type Problem struct {
	Kind ProblemKind `json:"kind"`
	// Text is for people, and changes from version to version. A program asks for Kind.
	Text string `json:"text"`
	// Since is when the record stopped. It stays while one failure follows another.
	Since time.Time `json:"since"`
	// Operation is the call that failed, such as "Migrations.Create"; empty when none did.
	Operation string `json:"operation,omitempty"`
	// Status and Code are those of the response; 0 and empty when there was none.
	Status int    `json:"status,omitempty"`
	Code   string `json:"code,omitempty"`
}

// ProblemKind says what has to happen before a record goes on.
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
	// ProblemRetrying: something failed that passes by itself. It is tried again.
	ProblemRetrying ProblemKind = "retrying"
	// ProblemNeedsAttention: a person should act. What can be tried again is tried again all the same.
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
