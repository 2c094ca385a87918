package livemigrationtest

import (
	"crypto/subtle"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"sync"
	"time"
)

const oauthPath, formMediaType = "/api/oauth/", "application/x-www-form-urlencoded"

// checkClient judges the client credentials of a request to one of the endpoints. The parts of HTTP Basic are in the
// encoding of forms: RFC 6749, section 2.3.1.
func (of *site) checkClient(r *http.Request) verdict {
	name, password, _ := r.BasicAuth()
	id, _ := url.QueryUnescape(name) // malformed: empty
	secret, _ := url.QueryUnescape(password)
	account, known := of.accounts.find(id)
	if !known || subtle.ConstantTimeCompare([]byte(secret), []byte(account.secret.Reveal())) != 1 {
		return verdict{}
	}
	return verdict{accepted: true, role: account.role, name: id}
}

// checkForm reads the body, which is a form.
func (s *Server) checkForm(c *call) *apiError {
	mediaType, _, err := mime.ParseMediaType(c.request.Header.Get("Content-Type"))
	if err != nil || mediaType != formMediaType {
		return invalidRequest("The Content-Type of the body must be " + formMediaType + ".")
	}
	c.form, err = url.ParseQuery(string(c.body))
	if err != nil || c.bodyErr != nil || len(c.body) > maxBody {
		return invalidRequest("The body is not a form.")
	}
	return nil
}

func invalidRequest(description string) *apiError {
	return newError(http.StatusBadRequest, "invalid_request", description)
}

func (s *Server) issueToken(c *call) (any, *apiError) {
	if c.form.Get("grant_type") != "client_credentials" {
		return nil, newError(http.StatusBadRequest, "unsupported_grant_type", "The grant_type must be client_credentials.")
	}
	c.header.Set("Cache-Control", "no-store")
	return map[string]any{
		"access_token": c.site.tokens.issue(c.verdict.name, c.verdict.role), "token_type": "Bearer",
		"expires_in": int64(c.site.tokens.lifetime / time.Second),
	}, nil
}

// revokeToken succeeds for a token of another client, too: RFC 7009, section 2.2.
func (s *Server) revokeToken(c *call) (any, *apiError) {
	token := c.form.Get("token")
	if token == "" {
		return nil, invalidRequest("The parameter token is missing.")
	}
	c.site.tokens.revoke(token, c.verdict.name)
	return nil, nil
}

// rejectOAuth returns an error in the form of RFC 6749, section 5.2.
func (s *Server) rejectOAuth(c *call, err *apiError) *response {
	code := "invalid_request"
	if err.Status == http.StatusUnauthorized {
		c.header.Set("Www-Authenticate", `Basic realm="`+realm+`"`)
		code = "invalid_client"
	}
	if err.Code != codeFor(err.Status) {
		code = err.Code
	}
	c.identify("")
	c.header.Set("Cache-Control", "no-store")
	c.header.Set("Content-Type", jsonMediaType)
	return c.wrap(err.Status, map[string]string{"error": code, "error_description": err.Detail})
}

// tokens are the access tokens that a site has issued.
type tokens struct {
	clock    *clock
	lifetime time.Duration
	skew     time.Duration

	mu   sync.Mutex
	live map[string]accessToken // and some that have expired
}

type accessToken struct {
	client  string
	role    Role
	expires time.Time
}

// issue creates a token for a service account.
func (t *tokens) issue(client string, role Role) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.bury()
	value := randomText(48)
	t.live[value] = accessToken{client: client, role: role, expires: t.clock.callers().Add(t.lifetime - t.skew)}
	return value
}

// bury forgets the tokens that have expired. The caller has the lock.
func (t *tokens) bury() {
	now := t.clock.callers()
	maps.DeleteFunc(t.live, func(_ string, token accessToken) bool { return !now.Before(token.expires) })
}

// check judges a request that presents a token.
func (t *tokens) check(value string) verdict {
	t.mu.Lock()
	defer t.mu.Unlock()
	token, known := t.live[value]
	if !known || !t.clock.callers().Before(token.expires) {
		return verdict{token: true}
	}
	return verdict{accepted: true, token: true, role: token.role, name: token.client}
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
	clear(t.live)
}

func (t *tokens) count() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.bury()
	return len(t.live)
}
