package livemigration

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/livemigration/livemigration-go/internal/auth"
	"github.com/livemigration/livemigration-go/internal/auth/bearer"
)

const (
	tokenPath  = "/api/oauth/token"
	revokePath = "/api/oauth/revoke"
)

// ServiceAccount returns the credentials of a service account, which authenticate with an access token (OAuth 2.0 client
// credentials, RFC 6749, section 4.4). The client fetches a token from POST /api/oauth/token of the configured host when
// the first call needs one; all calls share it. It is renewed in the last tenth of its life, at most a minute before its
// end, and once more when Atlas refuses it. [Client.Close] revokes it; nothing else does.
//
// The secret goes to that endpoint only, and neither the credentials nor the client prints it or a token. A call that
// gets no token ends in an [*APIError] whose Path is /api/oauth/token, or in an error of the network that names that
// endpoint. Since the call itself has not been sent then, it is repeated as [RetryPolicy] says, whatever it is.
//
// https://www.mongodb.com/docs/atlas/api/service-accounts-overview/
func ServiceAccount(clientID, clientSecret string) Credentials {
	// A closure, because no printer and no dump looks into one.
	return &serviceAccount{func(origin *url.URL, base http.RoundTripper) (http.RoundTripper, error) {
		if problems := append(checkKey("client id", clientID), checkKey("client secret", clientSecret)...); len(problems) > 0 {
			return nil, errors.New(strings.Join(problems, "; "))
		}
		return newTokenTransport(origin, clientID, clientSecret, base), nil
	}}
}

type serviceAccount struct {
	transport func(*url.URL, http.RoundTripper) (http.RoundTripper, error)
}

func (a *serviceAccount) Transport(origin *url.URL, base http.RoundTripper) (http.RoundTripper, error) {
	return a.transport(origin, base)
}

func (*serviceAccount) Format(f fmt.State, _ rune) {
	_, _ = io.WriteString(f, "livemigration.ServiceAccount("+redacted+")")
}

// tokenTransport authenticates the requests of one client with the tokens of a service account.
type tokenTransport struct {
	*bearer.Transport
	endpoint string // of tokens
	config   func() *clientcredentials.Config
	http     *http.Client // for the token endpoints
}

func newTokenTransport(origin *url.URL, clientID, clientSecret string, base http.RoundTripper) *tokenTransport {
	t := &tokenTransport{
		endpoint: origin.String() + tokenPath,
		http: &http.Client{
			Transport:     &tokenRequestTransport{base},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
	config := &clientcredentials.Config{
		ClientID: clientID, ClientSecret: clientSecret, TokenURL: t.endpoint, AuthStyle: oauth2.AuthStyleInHeader,
	}
	t.config = func() *clientcredentials.Config { return config }
	t.Transport = bearer.NewTransport(origin, t.fetch, base)
	return t
}

// tokenRequestTransport gives requests to the token endpoints the Accept, and those of calls the User-Agent.
type tokenRequestTransport struct{ base http.RoundTripper }

func (t *tokenRequestTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	out := req.WithContext(req.Context())
	out.Header = auth.CloneHeader(req.Header)
	out.Header.Set("Accept", mediaV1)
	if call := callOf(req.Context()); call != nil {
		out.Header.Set("User-Agent", call.client.userAgent)
	}
	return t.base.RoundTrip(out)
}

// fetch asks for a new token, within the attempt that needs it.
func (t *tokenTransport) fetch(ctx context.Context) (fetched bearer.Token, pause time.Duration, err error) {
	asking := auth.WithNegotiation(tokenContext{ctx})
	token, err := t.config().Token(context.WithValue(asking, oauth2.HTTPClient, t.http))
	switch {
	case err == nil && !strings.EqualFold(token.Type(), "Bearer"):
		return fetched, 0, &endpointError{t.endpoint, &brokenAnswerError{errors.New("it is not a bearer token")}}
	case err != nil:
		err = t.explainFailure(ctx, err)
		var api *APIError
		if errors.As(err, &api) && api.asksToWait() {
			pause = api.RetryAfter
		}
		return fetched, pause, err
	}
	fetched.Value = token.AccessToken
	if !token.Expiry.IsZero() {
		fetched.Lifetime = max(time.Until(token.Expiry), 1) // one that has expired is still tried, once
	}
	return fetched, 0, nil
}

// tokenContext has no values but those of this package: a wrapper of the user may have put a trace into the context, which
// would see the secret.
type tokenContext struct{ context.Context }

func (c tokenContext) Value(key any) any {
	switch key.(type) {
	case callKey, attemptKey:
		return c.Context.Value(key)
	default:
		return nil
	}
}

// explainFailure names the endpoint, in an APIError where it has answered with one.
func (t *tokenTransport) explainFailure(ctx context.Context, err error) error {
	var refused *oauth2.RetrieveError
	var network *url.Error
	switch {
	case ctx.Err() != nil:
		return &endpointError{t.endpoint, ctx.Err()}
	case errors.As(err, &refused) && refused.Response != nil && refused.Response.StatusCode/100 != 2:
		return t.newAPIError(tokenPath, refused.Response, refused.Body)
	case errors.As(err, &refused):
		return &endpointError{t.endpoint, &brokenAnswerError{errors.New(newRedactor(t.secrets()).clean(refused.ErrorCode))}}
	case errors.As(err, &network): // without what net/http and x/oauth2 put before it
		return &endpointError{t.endpoint, network.Err}
	default:
		return &endpointError{t.endpoint, err}
	}
}

// endpointError is a failure on the way to a token endpoint.
type endpointError struct {
	endpoint string
	err      error
}

func (e *endpointError) before() string { return "POST " + e.endpoint + ": " }
func (e *endpointError) Error() string  { return e.before() + e.err.Error() }
func (e *endpointError) Unwrap() error  { return e.err }

// newAPIError reads a failure of a token endpoint, in the form of OAuth (RFC 6749, section 5.2) or that of Atlas.
func (t *tokenTransport) newAPIError(path string, resp *http.Response, body []byte) *APIError {
	r := newRedactor(t.secrets())
	e := newAPIError(resp.StatusCode, resp.Header, body, r)
	e.Method, e.Path = http.MethodPost, path
	var oauth struct {
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}
	if !e.fromAtlas && json.Unmarshal(body, &oauth) == nil && oauth.Error != "" {
		e.Code, e.Detail = r.clean(oauth.Error), r.clean(oauth.Description)
	}
	return e
}

func (t *tokenTransport) secrets() []Secret {
	config := t.config()
	secrets := []Secret{
		Secret(config.ClientID), Secret(config.ClientSecret),
		Secret(base64.StdEncoding.EncodeToString([]byte(url.QueryEscape(config.ClientID) + ":" + url.QueryEscape(config.ClientSecret)))),
	}
	for _, token := range t.Recent() {
		secrets = append(secrets, Secret(token))
	}
	return secrets
}

func (*tokenTransport) explain(http.Header) (stale bool, explanation string) { return false, "" }

func (*tokenTransport) countsRequests() bool { return false }

// revoke ends the current token, if there is one (RFC 7009).
func (t *tokenTransport) revoke(ctx context.Context, userAgent string) error {
	token := t.Current()
	if token == "" {
		return nil
	}
	endpoint := strings.TrimSuffix(t.endpoint, tokenPath) + revokePath
	form := url.Values{"token": {token}, "token_type_hint": {"access_token"}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("User-Agent", userAgent)
	config := t.config()
	req.SetBasicAuth(url.QueryEscape(config.ClientID), url.QueryEscape(config.ClientSecret))
	resp, err := t.http.Do(req)
	if err != nil {
		return withoutURL(err)
	}
	defer resp.Body.Close()
	body, _ := readBody(resp) // the status says everything
	if resp.StatusCode/100 != 2 {
		return t.newAPIError(revokePath, resp, body)
	}
	t.Forget(token)
	return nil
}
