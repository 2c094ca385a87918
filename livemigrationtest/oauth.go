package livemigrationtest

import (
	"cmp"
	"crypto/subtle"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

const (
	oauthPath       = "/api/oauth/"
	formMediaType   = "application/x-www-form-urlencoded"
	basicChallenge  = `Basic realm="` + realm + `"`
	bearerChallenge = `Bearer realm="` + realm + `", error="invalid_token"`
)

// checkClient judges the client credentials of a request to one of the endpoints. The parts of HTTP Basic are in the
// encoding of forms: RFC 6749, section 2.3.1.
func (of *site) checkClient(r *http.Request) verdict {
	name, password, _ := r.BasicAuth()
	id, err := url.QueryUnescape(name)
	if err != nil {
		return verdict{}
	}
	secret, err := url.QueryUnescape(password)
	if err != nil {
		return verdict{}
	}
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
	return &apiError{status: http.StatusBadRequest, code: "invalid_request", detail: description}
}

// wireToken is an access token as Atlas writes it.
type wireToken struct {
	AccessToken string `json:"access_token"`
	TokenType   string `json:"token_type"`
	ExpiresIn   int64  `json:"expires_in"`
}

func (s *Server) issueToken(c *call) (any, *apiError) {
	if c.form.Get("grant_type") != "client_credentials" {
		return nil, &apiError{
			status: http.StatusBadRequest, code: "unsupported_grant_type", detail: "The grant_type must be client_credentials.",
		}
	}
	c.header.Set("Cache-Control", "no-store")
	return wireToken{
		AccessToken: c.site.tokens.issue(c.verdict.name, c.verdict.role), TokenType: "Bearer",
		ExpiresIn: int64(c.site.tokens.lifetime / time.Second),
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

// fromOAuth reports whether an error comes from the endpoints of OAuth. The others come from what stands before them.
func (e *apiError) fromOAuth() bool {
	return e.status >= 400 && e.status < 500 && e.status != http.StatusTooManyRequests
}

// rejectOAuth returns an error in the form of RFC 6749, section 5.2.
func (s *Server) rejectOAuth(c *call, err *apiError) *response {
	code := "invalid_request"
	if err.status == http.StatusUnauthorized {
		c.header.Set("Www-Authenticate", basicChallenge)
		code = "invalid_client"
	}
	c.identify("")
	c.header.Set("Cache-Control", "no-store")
	c.header.Set("Content-Type", jsonMediaType)
	return c.wrap(err.status, map[string]string{"error": cmp.Or(err.code, code), "error_description": err.detail})
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

// bearerToken returns the token of an Authorization header of that scheme, and whether it is one.
func bearerToken(header string) (token string, ok bool) {
	scheme, token, _ := strings.Cut(header, " ")
	return strings.TrimLeft(token, " "), strings.EqualFold(scheme, "Bearer")
}
