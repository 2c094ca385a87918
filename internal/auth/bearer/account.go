package bearer

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/oauth2"

	"github.com/livemigration/livemigration-go/internal/auth"
	"github.com/livemigration/livemigration-go/internal/redact"
	"github.com/livemigration/livemigration-go/internal/response"
)

// RevokePath is the path of the endpoint that revokes a token.
const RevokePath = "/api/oauth/revoke"

const (
	tokenPath = "/api/oauth/token"
	maxBody   = 64 << 10
)

// Account authenticates requests with the tokens of a service account (OAuth 2.0 client credentials, RFC 6749, section
// 4.4), which it fetches from the token endpoint of the origin.
type Account struct {
	*Transport
	secret, basic *string // package fmt does not print what a pointer in a struct leads to
}

func NewAccount(origin *url.URL, clientID, clientSecret string, base http.RoundTripper) *Account {
	pair := url.QueryEscape(clientID) + ":" + url.QueryEscape(clientSecret) // RFC 6749, section 2.3.1
	basic := base64.StdEncoding.EncodeToString([]byte(pair))
	a := &Account{secret: &clientSecret, basic: &basic}
	a.Transport = &Transport{origin: origin, base: base}
	a.tokens = &cache{from: "POST " + a.address(tokenPath), fetch: a.fetch, timeout: fetchTimeout}
	return a
}

func (a *Account) address(path string) string { return a.origin.Scheme + "://" + a.origin.Host + path }

// Bound gives a fetch less time than an attempt has. Then a fetch that hangs has ended before the attempt that waits for it
// does, and the next attempt begins another one instead of waiting for the same. Call it before the first request.
func (a *Account) Bound(attempt time.Duration) { a.tokens.timeout = attempt / 10 * 9 }

// fetch reads the response as JSON or form data, whatever its media type says.
func (a *Account) fetch(ctx context.Context, userAgent string) (*oauth2.Token, error) {
	asked := time.Now()
	body, err := a.post(ctx, tokenPath, userAgent, url.Values{"grant_type": {"client_credentials"}})
	if err != nil {
		return nil, err
	}
	var grant struct {
		AccessToken string          `json:"access_token"`
		TokenType   string          `json:"token_type"`
		ExpiresIn   json.RawMessage `json:"expires_in"` // seconds, as a number or a text
		Error       string          `json:"error"`
		Description string          `json:"error_description"`
	}
	_ = json.Unmarshal(body, &grant)
	if grant.AccessToken == "" {
		form, _ := url.ParseQuery(string(body))
		grant.AccessToken, grant.TokenType = form.Get("access_token"), form.Get("token_type")
		grant.ExpiresIn = json.RawMessage(form.Get("expires_in"))
	}
	if grant.AccessToken == "" {
		found := "check the base URL, and whether a proxy has responded"
		if grant.Error != "" {
			found = redact.New(a.Secrets()).Clean(grant.Error + " " + grant.Description)
		}
		return nil, errors.New("no token in the response: " + found)
	}
	token := &oauth2.Token{AccessToken: grant.AccessToken, TokenType: grant.TokenType}
	if lifetime, _ := time.ParseDuration(strings.Trim(string(grant.ExpiresIn), `"`) + "s"); lifetime > 0 {
		token.Expiry = asked.Add(lifetime)
	}
	return token, nil
}

// post returns the body of a success, and an [*EndpointError] for any other response. It follows no redirect.
func (a *Account) post(ctx context.Context, path, userAgent string, form url.Values) ([]byte, error) {
	body := strings.NewReader(form.Encode())
	req, err := http.NewRequestWithContext(auth.WithNegotiation(ctx), http.MethodPost, a.address(path), body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Basic "+*a.basic)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", userAgent)
	resp, err := a.base.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	received := response.Read(resp, maxBody, false)
	if received.Status/100 != 2 {
		return nil, &EndpointError{path, received}
	}
	if received.Truncated { // the beginning of one that is too large is no token either
		return nil, received.Err
	}
	return received.Body, nil
}

// Secrets are the texts that no message may show: the client secret in the forms in which it is sent, and the tokens. The
// client ID is none of them: it does not let anybody in, and names the account in messages.
func (a *Account) Secrets() []string {
	return append(a.Transport.Secrets(), *a.secret, url.QueryEscape(*a.secret), *a.basic)
}

// Revoke ends the current token, if there is one (RFC 7009).
func (a *Account) Revoke(ctx context.Context, userAgent string) error {
	current := a.tokens.usable()
	if current == nil {
		return nil
	}
	form := url.Values{"token": {current.value}, "token_type_hint": {"access_token"}}
	if _, err := a.post(ctx, RevokePath, userAgent, form); err != nil {
		return fmt.Errorf("POST %s: %w", a.address(RevokePath), err)
	}
	a.tokens.reject(current.value)
	return nil
}
