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

// Credentials authenticate requests. [APIKey] and [ServiceAccount] make the usual ones; implement the interface to bring your own.
type Credentials interface {
	// Transport returns a transport that authenticates requests to origin, whose scheme, host and port are set, and
	// sends them through base. [NewClient] calls it once.
	//
	// The transport must keep to the contract of [http.RoundTripper], must be safe for concurrent use, and must not
	// show its credentials to any other origin. It should send every request through base: the client learns there
	// what was sent, and takes a failed request that it has not seen there for one that may have been carried out.
	Transport(origin *url.URL, base http.RoundTripper) (http.RoundTripper, error)
}

// APIKey returns the credentials of a programmatic API key, which authenticate with HTTP Digest (RFC 7616). The keys
// go to the configured host only, in hashed form, and neither the credentials nor the client prints them.
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

// ServiceAccount returns the credentials of a service account, which authenticate with an access token (OAuth 2.0 client
// credentials, RFC 6749, section 4.4). The client fetches a token from POST /api/oauth/token of the configured host when
// the first call needs one; all calls share it. It is renewed in the last tenth of its life, at most a minute before its
// end, and once more when Atlas rejects it. [Client.Close] revokes it; nothing else does.
//
// The secret goes to that endpoint only, and neither the credentials nor the client prints it or a token. A call that
// gets no token ends in an [*APIError] whose Path is /api/oauth/token, or in an error of the network that names that
// endpoint. The call itself has not been sent then, so it is retried as [RetryPolicy] says, whatever it is.
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

// TokenSource returns credentials whose access tokens somebody else issues or caches: another process, a vault, or a file.
// The client asks source when it needs a token, keeps the token until shortly before its Expiry (for ever without one),
// and asks again when Atlas rejects it. source must be safe for concurrent use. A call that gets no token fails as one
// with a [ServiceAccount] does. [Client.Close] revokes nothing.
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

// NewClientFromEnv returns a client with the credentials and the base URL that the environment holds, under the names that
// Atlas's own tools use: [CredentialsFromEnv] says which for the credentials; the base URL is MONGODB_ATLAS_BASE_URL, else
// MONGODB_ATLAS_OPS_MANAGER_URL, else that of [WithBaseURL]. An option given in code wins, and then the variable is not
// read. A base URL that is set and malformed is an error: it may be that of Atlas for Government, whose credentials must
// not reach the public Atlas. Every error is [ErrInvalidConfig].
func NewClientFromEnv(opts ...Option) (*Client, error) {
	credentials, err := CredentialsFromEnv()
	if err != nil {
		return nil, err
	}
	cfg := newConfig("NewClientFromEnv", opts)
	for _, name := range baseURLVariables {
		if value := os.Getenv(name); value != "" && cfg.baseURLName == "" {
			cfg.baseURL, cfg.baseURLName = strings.TrimSpace(value), name
		}
	}
	return newClient(cfg, credentials)
}

// CredentialsFromEnv returns the credentials that the environment holds, under the names that Atlas's own tools use. In
// this order: a [TokenSource] with the token in MONGODB_ATLAS_ACCESS_TOKEN; a [ServiceAccount] from MONGODB_ATLAS_CLIENT_ID
// and MONGODB_ATLAS_CLIENT_SECRET; an [APIKey] from MONGODB_ATLAS_PUBLIC_API_KEY (or MONGODB_ATLAS_PUBLIC_KEY) and
// MONGODB_ATLAS_PRIVATE_API_KEY (or MONGODB_ATLAS_PRIVATE_KEY).
//
// A service account of which only a half is set is an error, also beside a complete key, since whoever sets it means to
// use it. White space around a value is dropped. The error names what is missing, never a value, and is
// [ErrInvalidConfig].
func CredentialsFromEnv() (Credentials, error) {
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
	case keyErr != nil && keyErr.half && !accountErr.half:
		return nil, keyErr.err()
	case accountErr.half:
		return nil, accountErr.err()
	default:
		return nil, (&missingVariables{text: keyErr.text + ", or for a service account: " + accountErr.text}).err()
	}
}

// missingVariables are those that the environment lacks for one kind of credentials.
type missingVariables struct {
	text string
	half bool // of the two, one is there
}

func (m *missingVariables) err() error {
	return &configError{"credentials from the environment", []error{errors.New("not set: " + m.text)}}
}

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
