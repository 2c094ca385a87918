package livemigrationtest

import (
	"crypto/subtle"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"time"
)

const (
	formMediaType  = "application/x-www-form-urlencoded"
	basicChallenge = `Basic realm="` + realm + `"`
)

// Error codes of OAuth 2.0, RFC 6749 and 7009.
const (
	oauthInvalidClient        = "invalid_client"
	oauthInvalidRequest       = "invalid_request"
	oauthUnsupportedGrantType = "unsupported_grant_type"
	oauthUnsupportedTokenType = "unsupported_token_type"
)

// newOAuthRoutes is the table of the endpoints of OAuth. They stand beside the API and not below it.
func newOAuthRoutes() []*route {
	routes := []*route{
		{
			operation: IssueToken, method: http.MethodPost, path: "/api/oauth/token", form: []string{"grant_type"},
			serve: (*Server).issueToken,
		},
		{
			operation: RevokeToken, method: http.MethodPost, path: "/api/oauth/revoke",
			form: []string{"token", "token_type_hint"}, serve: (*Server).revokeToken,
		},
	}
	for _, r := range routes {
		r.success = statuses{v2: http.StatusOK, v1: http.StatusOK}
		r.javaMethod = "ApiOAuthResource::" + string(r.operation)
	}
	return routes
}

func (s *Server) matchOAuth(method, path string) match {
	for _, r := range s.oauthRoutes {
		switch {
		case r.path != path:
		case r.method != method:
			return match{oauth: true, allow: []string{r.method}}
		default:
			return match{oauth: true, route: r}
		}
	}
	return match{}
}

// checkClient judges the client credentials of a request to one of the endpoints.
func (s *Server) checkClient(r *http.Request) verdict {
	id, secret := clientCredentials(r)
	account, known := s.accounts.find(id)
	if !known || subtle.ConstantTimeCompare([]byte(secret), []byte(account.secret.Reveal())) != 1 {
		return verdict{}
	}
	return verdict{accepted: true, role: account.role, client: id}
}

// clientCredentials reads those of HTTP Basic, whose parts are in the encoding of forms: RFC 6749, section 2.3.1. What
// is malformed comes out empty, as no id and no secret is.
func clientCredentials(r *http.Request) (id, secret string) {
	if len(r.Header["Authorization"]) != 1 {
		return "", ""
	}
	user, password, _ := r.BasicAuth()
	id, _ = url.QueryUnescape(user)
	secret, _ = url.QueryUnescape(password)
	return id, secret
}

// checkForm is the step of the pipeline. No error shows what the body holds, which may be a secret in the wrong place.
func (s *Server) checkForm(c *call) *apiError {
	switch {
	case c.request.URL.RawQuery != "":
		return invalidRequest("The parameters belong in the body.")
	case !isForm(c.request.Header):
		return invalidRequest("The Content-Type of the body must be " + formMediaType + ".")
	case c.bodyErr != nil || len(c.body) > maxBody:
		return invalidRequest("The body could not be read.")
	}
	form, err := url.ParseQuery(string(c.body))
	if err != nil {
		return invalidRequest("The body is not a form.")
	}
	c.form = form
	return checkParameters(form, c.route.form)
}

func isForm(h http.Header) bool {
	values := h["Content-Type"]
	if len(values) != 1 {
		return false
	}
	mediaType, _, err := mime.ParseMediaType(values[0])
	return err == nil && mediaType == formMediaType
}

func checkParameters(form url.Values, known []string) *apiError {
	for _, name := range slices.Sorted(maps.Keys(form)) {
		switch {
		case name == "client_id" || name == "client_secret":
			return invalidRequest("The client credentials belong in the Authorization header.")
		case !slices.Contains(known, name):
			return invalidRequest("The body has a parameter that is not known.")
		case len(form[name]) > 1:
			return invalidRequest("The parameter " + name + " is given more than once.")
		}
	}
	return nil
}

func invalidRequest(description string) *apiError {
	return &apiError{status: http.StatusBadRequest, code: oauthInvalidRequest, detail: description}
}

// wireToken is an access token as Atlas writes it.
type wireToken struct {
	AccessToken string `json:"access_token"`
	TokenType   string `json:"token_type"`
	ExpiresIn   int64  `json:"expires_in"`
}

func (s *Server) issueToken(c *call) (any, *apiError) {
	switch c.form.Get("grant_type") {
	case "client_credentials":
	case "":
		return nil, invalidRequest("The parameter grant_type is missing.")
	default:
		return nil, &apiError{
			status: http.StatusBadRequest, code: oauthUnsupportedGrantType, detail: "The grant type must be client_credentials.",
		}
	}
	c.header.Set("Cache-Control", "no-store")
	return wireToken{
		AccessToken: s.tokens.issue(c.verdict.client, c.verdict.role), TokenType: "Bearer",
		ExpiresIn: int64(s.tokens.lifetime / time.Second),
	}, nil
}

// revokeToken succeeds as well for a token that is not the client's to revoke: RFC 7009, section 2.2.
func (s *Server) revokeToken(c *call) (any, *apiError) {
	token := c.form.Get("token")
	if token == "" {
		return nil, invalidRequest("The parameter token is missing.")
	}
	if hint := c.form.Get("token_type_hint"); hint != "" && hint != "access_token" {
		return nil, &apiError{
			status: http.StatusBadRequest, code: oauthUnsupportedTokenType, detail: "There are access tokens only.",
		}
	}
	s.tokens.revoke(token, c.verdict.client)
	return nil, nil
}

// oauthError is an error as the endpoints of OAuth write it.
type oauthError struct {
	Error       string `json:"error"`
	Description string `json:"error_description"`
}

// fromOAuth tells whether an error is one of the endpoints of OAuth. The others come from what stands before them.
func (e *apiError) fromOAuth() bool {
	return e.status >= 400 && e.status < 500 && e.status != http.StatusTooManyRequests
}

func (s *Server) rejectOAuth(c *call, err *apiError) *response {
	body := oauthError{Error: err.code, Description: err.detail}
	if body.Error == "" {
		body.Error = oauthInvalidRequest
	}
	if err.status == http.StatusUnauthorized {
		c.header.Set("Www-Authenticate", basicChallenge)
		if err.code == "" {
			body.Error = oauthInvalidClient
		}
	}
	c.header.Set("Cache-Control", "no-store")
	s.identify(c, "")
	c.header.Set("Content-Type", jsonMediaType)
	return c.wrap(err.status, body)
}
