package livemigrationtest

import (
	"strings"
	"sync"
	"time"
)

const bearerChallenge = `Bearer realm="` + realm + `", error="invalid_token"`

// ExpireTokens makes every access token invalid now. The next request with one gets a 401, and a client should get a
// new token and retry.
func (s *Server) ExpireTokens() { s.tokens.expire() }

// LiveTokens returns how many access tokens would be accepted now.
func (s *Server) LiveTokenCount() int { return s.tokens.count() }

// tokens are the access tokens that the server has issued.
type tokens struct {
	clock    *clock
	lifetime time.Duration
	skew     time.Duration

	mu    sync.Mutex
	live  map[string]accessToken // and some that have died
	order []string               // of issue, which is that of their death
}

type accessToken struct {
	client string
	role   Role
	death  time.Time
}

// issue makes a token for a service account.
func (t *tokens) issue(client string, role Role) string {
	value := randomText(48)
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.clock.callers()
	t.bury(now)
	if t.live == nil {
		t.live = make(map[string]accessToken)
	}
	t.live[value] = accessToken{client: client, role: role, death: now.Add(t.lifetime - t.skew)}
	t.order = append(t.order, value)
	return value
}

// bury forgets the tokens that have died. The caller holds the lock.
func (t *tokens) bury(now time.Time) {
	for len(t.order) > 0 {
		if now.Before(t.live[t.order[0]].death) { // which is the zero time for one that was revoked
			return
		}
		delete(t.live, t.order[0])
		t.order = t.order[1:]
	}
}

// check judges a request that presents a token.
func (t *tokens) check(value string) verdict {
	t.mu.Lock()
	defer t.mu.Unlock()
	token, known := t.live[value]
	if !known || !t.clock.callers().Before(token.death) {
		return verdict{challenge: bearerChallenge}
	}
	return verdict{accepted: true, role: token.role, challenge: bearerChallenge}
}

// revoke ends a token, if it is one of the client's.
func (t *tokens) revoke(value, client string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.live[value].client == client {
		delete(t.live, value)
	}
}

func (t *tokens) expire() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.live, t.order = nil, nil
}

func (t *tokens) count() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.bury(t.clock.callers())
	return len(t.live)
}

// bearerToken returns the token of an Authorization header of that scheme, and whether it is one.
func bearerToken(header string) (token string, ok bool) {
	scheme, token, _ := strings.Cut(header, " ")
	return strings.TrimLeft(token, " "), strings.EqualFold(scheme, "Bearer")
}
