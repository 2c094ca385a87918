package livemigration

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"unicode"

	"golang.org/x/oauth2"

	"github.com/livemigration/livemigration-go/internal/auth/bearer"
	"github.com/livemigration/livemigration-go/internal/auth/digest"
)

// Credentials authenticate requests. [APIKey], [ServiceAccount], [TokenSource] and [CredentialsFromEnv] make the usual
// ones.
type Credentials interface {
	// Transport returns a transport that authenticates requests to origin and sends them through base. [NewClient]
	// calls it once.
	//
	// The transport must be safe for concurrent use, and must not show its credentials to another origin. It must send
	// each request through base: a request that was not seen there counts as one that may have been carried out.
	Transport(origin *url.URL, base http.RoundTripper) (http.RoundTripper, error)
}

// APIKey returns the credentials of a programmatic API key. They authenticate with HTTP Digest (RFC 7616).
func APIKey(publicKey, privateKey string) Credentials {
	return &builtIn{"APIKey", func(origin *url.URL, base http.RoundTripper) (http.RoundTripper, error) {
		if problems := append(checkKey("public key", publicKey), checkKey("private key", privateKey)...); len(problems) > 0 {
			return nil, errors.New(strings.Join(problems, "; "))
		}
		return digest.NewTransport(origin, publicKey, privateKey, base)
	}}
}

// checkKey finds what comes of copying. No key or secret of Atlas has white space or a colon in it.
func checkKey(name, key string) []string {
	switch {
	case key == "":
		return []string{"the " + name + " is empty"}
	case strings.ContainsFunc(key, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) || r == ':' }):
		return []string{"the " + name + " has white space, a control character or a colon in it"}
	default:
		return nil
	}
}

// builtIn are credentials of this package. The closure keeps their values: no printer and no dump looks into one.
type builtIn struct {
	name      string
	transport func(*url.URL, http.RoundTripper) (http.RoundTripper, error)
}

func (b *builtIn) Transport(origin *url.URL, base http.RoundTripper) (http.RoundTripper, error) {
	return b.transport(origin, base)
}

func (b *builtIn) Format(f fmt.State, _ rune) {
	_, _ = io.WriteString(f, "livemigration."+b.name+"("+redacted+")")
}

// ServiceAccount returns the credentials of a service account. The client fetches an access token (OAuth 2.0 client
// credentials) when a call needs one, shares it between calls and renews it. [Client.Close] revokes it.
//
// A call that gets no token has not been sent. Its error is an [*APIError] whose Path is /api/oauth/token, or a
// [*CallError].
//
// https://www.mongodb.com/docs/atlas/api/service-accounts-overview/
func ServiceAccount(clientID, clientSecret string) Credentials {
	return &builtIn{"ServiceAccount", func(origin *url.URL, base http.RoundTripper) (http.RoundTripper, error) {
		if problems := append(checkKey("client id", clientID), checkKey("client secret", clientSecret)...); len(problems) > 0 {
			return nil, errors.New(strings.Join(problems, "; "))
		}
		return bearer.NewAccount(origin, clientID, clientSecret, base), nil
	}}
}

// TokenSource returns credentials with the access tokens of source, which must be safe for concurrent use. A token is
// kept until shortly before its Expiry (for ever without one), and replaced when Atlas rejects it. [Client.Close] revokes
// nothing.
func TokenSource(source oauth2.TokenSource) Credentials {
	return &builtIn{"TokenSource", func(origin *url.URL, base http.RoundTripper) (http.RoundTripper, error) {
		if source == nil {
			return nil, errors.New("the token source must not be nil")
		}
		return bearer.NewSourceTransport(origin, source, base), nil
	}}
}

// accessToken returns credentials with one token.
func accessToken(token string) Credentials {
	static := TokenSource(oauth2.StaticTokenSource(&oauth2.Token{AccessToken: token}))
	return &builtIn{"TokenSource", func(origin *url.URL, base http.RoundTripper) (http.RoundTripper, error) {
		if problems := checkKey("access token", token); len(problems) > 0 {
			return nil, errors.New(problems[0])
		}
		return static.Transport(origin, base)
	}}
}

// The environment variables of Atlas's own tools; of several names the first that is set counts.
var (
	accessTokenVariables  = []string{"MONGODB_ATLAS_ACCESS_TOKEN"}
	clientIDVariables     = []string{"MONGODB_ATLAS_CLIENT_ID"}
	clientSecretVariables = []string{"MONGODB_ATLAS_CLIENT_SECRET"}
	publicKeyVariables    = []string{"MONGODB_ATLAS_PUBLIC_API_KEY", "MONGODB_ATLAS_PUBLIC_KEY"}
	privateKeyVariables   = []string{"MONGODB_ATLAS_PRIVATE_API_KEY", "MONGODB_ATLAS_PRIVATE_KEY"}
	baseURLVariables      = []string{"MONGODB_ATLAS_BASE_URL", "MONGODB_ATLAS_OPS_MANAGER_URL"}
)

// NewClientFromEnv is [NewClient] with the credentials of [CredentialsFromEnv] and the base URL in
// MONGODB_ATLAS_BASE_URL, else MONGODB_ATLAS_OPS_MANAGER_URL, else the default. With [WithBaseURL] these are not read.
// A malformed base URL is an error, so that keys of Atlas for Government never reach the public Atlas.
func NewClientFromEnv(opts ...Option) (*Client, error) {
	credentials, missing := credentialsFromEnv()
	if missing != nil { // named with everything else that is wrong
		credentials = &builtIn{"CredentialsFromEnv", func(*url.URL, http.RoundTripper) (http.RoundTripper, error) { return nil, missing }}
	}
	cfg := newConfig("NewClientFromEnv", opts)
	for _, name := range baseURLVariables {
		if value := os.Getenv(name); value != "" && cfg.baseURLName == "" {
			cfg.baseURL, cfg.baseURLName = strings.TrimSpace(value), name
		}
	}
	return newClient(cfg, credentials)
}

// CredentialsFromEnv returns the first of these credentials that the environment holds:
//
//   - MONGODB_ATLAS_ACCESS_TOKEN, as a [TokenSource];
//   - MONGODB_ATLAS_CLIENT_ID and MONGODB_ATLAS_CLIENT_SECRET, as a [ServiceAccount];
//   - MONGODB_ATLAS_PUBLIC_API_KEY or MONGODB_ATLAS_PUBLIC_KEY, and MONGODB_ATLAS_PRIVATE_API_KEY or
//     MONGODB_ATLAS_PRIVATE_KEY, as an [APIKey].
//
// White space around a value is dropped. One half of a service account is an error, also beside a complete key. The
// error is [ErrInvalidConfig]. It names what is missing, never a value.
func CredentialsFromEnv() (Credentials, error) {
	credentials, missing := credentialsFromEnv()
	if missing != nil {
		return nil, &configError{"credentials from the environment", []error{missing}}
	}
	return credentials, nil
}

// credentialsFromEnv fails with what is not set.
func credentialsFromEnv() (Credentials, error) {
	if token := firstVariable(accessTokenVariables); token != "" {
		return accessToken(token), nil
	}
	account, accountErr := pairFromEnv(clientIDVariables, clientSecretVariables)
	key, keyErr := pairFromEnv(publicKeyVariables, privateKeyVariables)
	switch {
	case accountErr == nil:
		return ServiceAccount(account[0], account[1]), nil
	case keyErr == nil && !accountErr.half:
		return APIKey(key[0], key[1]), nil
	case accountErr.half:
		return nil, accountErr
	case keyErr.half:
		return nil, keyErr
	default:
		return nil, &missingVariables{text: keyErr.text + ", or for a service account: " + accountErr.text +
			", or for an access token: " + strings.Join(accessTokenVariables, " or ")}
	}
}

// missingVariables are those that the environment lacks for one kind of credentials.
type missingVariables struct {
	text string
	half bool // of the two, one is there
}

func (m *missingVariables) Error() string { return "not set: " + m.text }

// pairFromEnv reads two values that belong together.
func pairFromEnv(first, second []string) (pair [2]string, missing *missingVariables) {
	var names []string
	for i, variables := range [][]string{first, second} {
		if pair[i] = firstVariable(variables); pair[i] == "" {
			names = append(names, strings.Join(variables, " or "))
		}
	}
	if len(names) == 0 {
		return pair, nil
	}
	return pair, &missingVariables{strings.Join(names, ", and "), len(names) == 1}
}

func firstVariable(names []string) string {
	for _, name := range names {
		if value := strings.TrimSpace(os.Getenv(name)); value != "" {
			return value
		}
	}
	return ""
}
