package digest

// A server may be several nodes that do not know each other's nonces, and that do not call them stale. Good credentials
// are then rejected whenever a request reaches another node than the one that issued its nonce. Nothing tells that apart
// from credentials that are wrong, but for this: they have been accepted before, and the challenge has another nonce.
//
// With two nodes and requests that reach either by chance, half of the attempts fail. So one call in 2^attempts fails
// with good credentials, and credentials that have lost their validity cost one call that many requests: the calls after
// it cost two again, until credentials are accepted.
const (
	// firstAttempts is how often a call tries until the server has been seen to be several nodes.
	firstAttempts = 8
	// nodeAttempts is how often a call tries after that: one in 65,536 fails.
	nodeAttempts = 16
	// manySessions is how many nonces are remembered, so that one that a node offers again keeps its count.
	manySessions = 8
)

// worthAttempt reports whether the challenge to attempt n with a session calls for another attempt.
func (t *Transport) worthAttempt(s *session, c challenge, n int, fresh bool) bool {
	if n == 1 && (!fresh || c.stale) {
		return true // the nonce is old
	}
	most := firstAttempts
	if t.nodes.Load() {
		most = nodeAttempts
	}
	return n < most && t.accepted.Load() && c.nonce != s.keys().challenge.nonce
}

// keepsNonce reports whether the attempt after the n-th has the same nonce once more, and not the one just offered. Where
// nodes take turns, the node that has offered a nonce has its next turn when all others have had theirs. So one is tried
// once, the next one twice, and so on.
func keepsNonce(n int) bool {
	for last, run := 1, 1; last <= n; last, run = last+run, run+1 {
		if last == n {
			return false
		}
	}
	return true
}

// learn notes what a response to credentials, which is not a challenge, says about them and about the server. Before it,
// a nonce that the server does not call stale may have been rejected.
func (t *Transport) learn(status int, rejected bool) {
	if leavesOpen(status) {
		return // it may come from a gateway that has not looked at the credentials
	}
	if !t.accepted.Load() {
		t.accepted.Store(true)
	}
	if rejected && !t.nodes.Load() {
		t.nodes.Store(true)
	}
}
