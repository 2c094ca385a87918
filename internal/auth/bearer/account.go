package bearer

import (
	"cmp"
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
	"github.com/livemigration/livemigration-go/internal/redact"
	"github.com/livemigration/livemigration-go/internal/response"
)

const (
	tokenPath = "/api/oauth/token"
	// RevokePath is the path of the endpoint that revokes a token.
	RevokePath = "/api/oauth/revoke"
)

// Account authenticates requests with the tokens of a service account (OAuth 2.0 client credentials, RFC 6749, section
// 4.4), which it fetches from the token endpoint of the origin.
type Account struct {
	*Transport
	endpoint string // of tokens
	config   func() *clientcredentials.Config
	http     *http.Client // for the token endpoints
}

// NewAccount returns an Account.
func NewAccount(origin *url.URL, clientID, clientSecret string, base http.RoundTripper) *Account {
	a := &Account{endpoint: origin.String() + tokenPath}
	config := &clientcredentials.Config{
		ClientID: clientID, ClientSecret: clientSecret, TokenURL: a.endpoint, AuthStyle: oauth2.AuthStyleInHeader,
	}
	a.config = func() *clientcredentials.Config { return config }
	a.http = tokenClient(base, "")
	a.Transport = newTransport(origin, func(ctx context.Context, userAgent string) (Token, time.Duration, error) {
		return a.fetch(ctx, tokenClient(base, userAgent))
	}, base)
	return a
}

func tokenClient(base http.RoundTripper, userAgent string) *http.Client {
	return &http.Client{
		Transport:     &tokenRequests{base, userAgent},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// tokenRequests gives requests to the token endpoints their headers, and takes the byte order mark off the responses,
// which x/oauth2 does not read.
type tokenRequests struct {
	base      http.RoundTripper
	userAgent string
}

func (t *tokenRequests) RoundTrip(req *http.Request) (*http.Response, error) {
	out := req.WithContext(req.Context())
	out.Header = auth.CloneHeader(req.Header)
	out.Header.Set("Accept", "application/json")
	if t.userAgent != "" {
		out.Header.Set("User-Agent", t.userAgent)
	}
	resp, err := t.base.RoundTrip(out)
	if err != nil || resp == nil || resp.Body == nil {
		return resp, err
	}
	data, err := response.ReadBody(resp)
	_ = resp.Body.Close()
	resp.Body, resp.ContentLength = io.NopCloser(&readThenFail{data, err}), -1
	return resp, nil
}

// readThenFail is a body that has been read as far as it could be.
type readThenFail struct {
	data []byte
	err  error
}

func (r *readThenFail) Read(p []byte) (int, error) {
	if len(r.data) == 0 {
		return 0, cmp.Or(r.err, io.EOF)
	}
	n := copy(p, r.data)
	r.data = r.data[n:]
	return n, nil
}

// fetch asks for a new token, within the attempt that needs it.
func (a *Account) fetch(ctx context.Context, client *http.Client) (fetched Token, pause time.Duration, err error) {
	asking := auth.WithNegotiation(tokenContext{ctx})
	token, err := a.config().Token(context.WithValue(asking, oauth2.HTTPClient, client))
	if err != nil {
		err = a.explainFailure(ctx, err)
		var failed *response.Error
		if errors.As(err, &failed) && failed.AsksToWait() {
			pause = failed.RetryAfter
		}
		return fetched, pause, err
	}
	if fetched, err = tokenOf(token); err != nil {
		return fetched, 0, &endpointError{a.endpoint, fmt.Errorf("unusable response: %w", err)}
	}
	return fetched, 0, nil
}

// tokenContext has no values but those of this library: a wrapper of the user may have put a trace into the context, and
// that would see the secret.
type tokenContext struct{ context.Context }

func (c tokenContext) Value(key any) any {
	if _, own := key.(interface{ OfLibrary() }); own {
		return c.Context.Value(key)
	}
	return nil
}

// explainFailure names the endpoint. Where that has responded, the error holds a [response.Error].
func (a *Account) explainFailure(ctx context.Context, err error) error {
	var rejected *oauth2.RetrieveError
	var network *url.Error
	switch {
	case ctx.Err() != nil:
		return &endpointError{a.endpoint, ctx.Err()}
	case errors.As(err, &rejected) && rejected.Response != nil && rejected.Response.StatusCode/100 != 2:
		return a.newError(tokenPath, rejected.Response, rejected.Body)
	case errors.As(err, &rejected):
		return &endpointError{a.endpoint, errors.New("unusable response: " + redact.New(a.Secrets()).Clean(rejected.ErrorCode))}
	case errors.As(err, &network): // without what net/http and x/oauth2 put before it
		return &endpointError{a.endpoint, network.Err}
	default:
		return &endpointError{a.endpoint, err}
	}
}

// endpointError is a failure on the way to a token endpoint.
type endpointError struct {
	endpoint string
	err      error
}

// Before is the part of the message that names the endpoint.
func (e *endpointError) Before() string { return "POST " + e.endpoint + ": " }

func (e *endpointError) Error() string { return e.Before() + e.err.Error() }

// Unwrap returns what happened.
func (e *endpointError) Unwrap() error { return e.err }

// newError reads a failure of a token endpoint, in the form of OAuth (RFC 6749, section 5.2) or that of Atlas.
func (a *Account) newError(path string, resp *http.Response, body []byte) *response.Error {
	r := redact.New(a.Secrets())
	e := response.NewError(resp.StatusCode, resp.Header, body, r)
	e.Method, e.Path = http.MethodPost, path
	var oauth struct {
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}
	if !e.FromAtlas && json.Unmarshal(body, &oauth) == nil && oauth.Error != "" {
		e.Code, e.Detail = r.Clean(oauth.Error), r.Clean(oauth.Description)
	}
	return e
}

// Secrets are what no message may show: the client id and secret, the header made of them, and the recent tokens.
func (a *Account) Secrets() []string {
	config := a.config()
	basic := url.QueryEscape(config.ClientID) + ":" + url.QueryEscape(config.ClientSecret)
	secrets := []string{config.ClientID, config.ClientSecret, base64.StdEncoding.EncodeToString([]byte(basic))}
	return append(secrets, a.Recent()...)
}

// Revoke ends the current token, if there is one (RFC 7009). Where the endpoint has rejected that, the error is a
// [response.Error].
func (a *Account) Revoke(ctx context.Context, userAgent string) error {
	token := a.Current()
	if token == "" {
		return nil
	}
	endpoint := strings.TrimSuffix(a.endpoint, tokenPath) + RevokePath
	form := url.Values{"token": {token}, "token_type_hint": {"access_token"}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("User-Agent", userAgent)
	config := a.config()
	req.SetBasicAuth(url.QueryEscape(config.ClientID), url.QueryEscape(config.ClientSecret))
	resp, err := a.http.Do(req)
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		return wrapped.Err
	}
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, _ := response.ReadBody(resp) // the status says everything
	if resp.StatusCode/100 != 2 {
		return a.newError(RevokePath, resp, body)
	}
	a.Forget(token)
	return nil
}
