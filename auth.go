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

type Credentials interface {
	// Transport returns a transport that authenticates requests to origin, shows its credentials to no other origin,
	// sends every request through base, and is safe for concurrent use.
	Transport(origin *url.URL, base http.RoundTripper) (http.RoundTripper, error)
}

// APIKey authenticates with a programmatic API key, over HTTP Digest.
func APIKey(publicKey string, privateKey Secret) Credentials {
	key := string(privateKey)
	problems := append(checkKey("public key", publicKey), checkKey("private key", key)...)
	return &builtIn{"APIKey", problems, func(origin *url.URL, base http.RoundTripper) http.RoundTripper {
		return digest.New(publicKey, key, origin, base)
	}}
}

// checkKey finds mistakes of copying. No key or secret of Atlas contains whitespace or a colon.
func checkKey(name, key string) []string {
	switch {
	case key == "":
		return []string{"the " + name + " is empty"}
	case strings.ContainsFunc(key, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) || r == ':' }):
		return []string{"the " + name + " contains whitespace, a control character or a colon"}
	default:
		return nil
	}
}

// builtIn are credentials of this package. The closure keeps their values from being printed.
type builtIn struct {
	name      string
	problems  []string
	transport func(*url.URL, http.RoundTripper) http.RoundTripper
}

func (b *builtIn) Transport(origin *url.URL, base http.RoundTripper) (http.RoundTripper, error) {
	if len(b.problems) > 0 {
		return nil, errors.New(strings.Join(b.problems, "; "))
	}
	return b.transport(origin, base), nil
}

func (b *builtIn) Format(f fmt.State, _ rune) {
	_, _ = io.WriteString(f, "livemigration."+b.name+"("+redacted+")")
}

// ServiceAccount authenticates as a service account. Calls share an access token, which is fetched when needed and
// renewed; [Client.RevokeToken] revokes it. If Atlas issues none, the [*APIError] has the Path /api/oauth/token.
//
// https://www.mongodb.com/docs/atlas/api/service-accounts-overview/
func ServiceAccount(clientID string, clientSecret Secret) Credentials {
	secret := string(clientSecret)
	problems := append(checkKey("client ID", clientID), checkKey("client secret", secret)...)
	return &builtIn{"ServiceAccount", problems, func(origin *url.URL, base http.RoundTripper) http.RoundTripper {
		return bearer.NewAccount(origin, clientID, secret, base)
	}}
}

// TokenSource authenticates with the access tokens of source, which must be safe for concurrent use. It is called again
// shortly before a token's Expiry, and once after Atlas rejects a token; a cache such as [oauth2.ReuseTokenSource] may
// then return the rejected token.
func TokenSource(source oauth2.TokenSource) Credentials {
	var problems []string
	if source == nil {
		problems = []string{"the token source must not be nil"}
	}
	return &builtIn{"TokenSource", problems, func(origin *url.URL, base http.RoundTripper) http.RoundTripper {
		return bearer.NewSource(origin, source, base)
	}}
}

// NewClientFromEnv is [NewClient] with the credentials of [CredentialsFromEnv] and the base URL from
// MONGODB_ATLAS_BASE_URL or MONGODB_ATLAS_OPS_MANAGER_URL, else from MONGODB_ATLAS_SERVICE ("cloud" or "cloudgov",
// Atlas for Government). [WithBaseURL] takes precedence. Malformed or contradictory variables are an error.
func NewClientFromEnv(opts ...Option) (*Client, error) {
	cfg := newConfig("NewClientFromEnv", opts)
	credentials, missing := credentialsFromEnv()
	if missing != nil { // named with everything else that is wrong
		cfg.problems = append(cfg.problems, missing)
		credentials = APIKey("missing", "missing")
	}
	if cfg.baseURLName == "" {
		cfg.baseURLFromEnv()
	}
	return newClient(cfg, credentials)
}

func (c *config) baseURLFromEnv() {
	for _, name := range []string{"MONGODB_ATLAS_BASE_URL", "MONGODB_ATLAS_OPS_MANAGER_URL"} {
		text := os.Getenv(name)
		value := strings.TrimSuffix(strings.TrimSpace(text), "/")
		switch {
		case text == "":
		case c.baseURLName == "":
			c.baseURL, c.baseURLName = value, name
		default:
			c.reject(value != c.baseURL, name+" and "+c.baseURLName+" differ; set one of them")
		}
	}
	const serviceVariable = "MONGODB_ATLAS_SERVICE"
	service := strings.TrimSpace(os.Getenv(serviceVariable))
	switch {
	case service != "" && service != "cloud" && service != "cloudgov":
		c.reject(true, serviceVariable+` must be "cloud" or "cloudgov"`)
	case service == "cloudgov" && c.baseURLName == "":
		c.baseURL, c.baseURLName = "https://cloud.mongodbgov.com", serviceVariable
	case service == "cloudgov":
		u, err := url.Parse(c.baseURL)
		c.reject(err == nil && strings.EqualFold(u.Hostname(), "cloud.mongodb.com"),
			serviceVariable+" is cloudgov, but "+c.baseURLName+" is the URL of the public Atlas; unset one of them")
	}
}

// CredentialsFromEnv returns the first of these that is set:
//
//   - MONGODB_ATLAS_ACCESS_TOKEN, a [TokenSource];
//   - MONGODB_ATLAS_CLIENT_ID and MONGODB_ATLAS_CLIENT_SECRET, a [ServiceAccount];
//   - MONGODB_ATLAS_PUBLIC_API_KEY or MONGODB_ATLAS_PUBLIC_KEY, and MONGODB_ATLAS_PRIVATE_API_KEY or
//     MONGODB_ATLAS_PRIVATE_KEY, an [APIKey].
//
// Half a service account is an error, even if there is a key. The error is [ErrInvalidConfig], and names the variables
// that are missing.
func CredentialsFromEnv() (Credentials, error) {
	credentials, missing := credentialsFromEnv()
	if missing != nil {
		return nil, &configError{"CredentialsFromEnv", []error{missing}}
	}
	return credentials, nil
}

func credentialsFromEnv() (Credentials, error) {
	if token := firstVariable("MONGODB_ATLAS_ACCESS_TOKEN"); token != "" {
		static := TokenSource(oauth2.StaticTokenSource(&oauth2.Token{AccessToken: token})).(*builtIn)
		static.problems = checkKey("access token", token)
		return static, nil
	}
	account, missingOfAccount := pairFromEnv([]string{"MONGODB_ATLAS_CLIENT_ID"}, []string{"MONGODB_ATLAS_CLIENT_SECRET"})
	key, missingOfKey := pairFromEnv([]string{"MONGODB_ATLAS_PUBLIC_API_KEY", "MONGODB_ATLAS_PUBLIC_KEY"},
		[]string{"MONGODB_ATLAS_PRIVATE_API_KEY", "MONGODB_ATLAS_PRIVATE_KEY"})
	switch {
	case len(missingOfAccount) == 0:
		return ServiceAccount(account[0], Secret(account[1])), nil
	case len(missingOfAccount) == 1:
		return nil, errors.New(missingOfAccount[0] + " is not set")
	case len(missingOfKey) == 0:
		return APIKey(key[0], Secret(key[1])), nil
	case len(missingOfKey) == 1:
		return nil, errors.New(missingOfKey[0] + " is not set")
	default:
		return nil, errors.New("no credentials in the environment; set one of: " +
			"MONGODB_ATLAS_CLIENT_ID and MONGODB_ATLAS_CLIENT_SECRET (service account); " +
			"MONGODB_ATLAS_PUBLIC_API_KEY and MONGODB_ATLAS_PRIVATE_API_KEY (API key); MONGODB_ATLAS_ACCESS_TOKEN")
	}
}

// pairFromEnv reads two values that belong together, and names those that are not set.
func pairFromEnv(first, second []string) (pair [2]string, missing []string) {
	for i, variables := range [][]string{first, second} {
		if pair[i] = firstVariable(variables...); pair[i] == "" {
			missing = append(missing, strings.Join(variables, " or "))
		}
	}
	return pair, missing
}

func firstVariable(names ...string) string {
	for _, name := range names {
		if value := strings.TrimSpace(os.Getenv(name)); value != "" {
			return value
		}
	}
	return ""
}
