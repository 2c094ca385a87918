package livemigration

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"unicode"

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

// authenticator is the transport of credentials of this package, about which the pipeline knows more.
type authenticator interface {
	http.RoundTripper
	// secrets are what no message may repeat.
	secrets() []Secret
	// explain says what a 401 with this header means if not that the credentials are wrong: that a nonce was too old, or
	// something that the user should know.
	explain(http.Header) (stale bool, explanation string)
	// countsRequests reports whether a server refuses a request that it gets a second time as it is.
	countsRequests() bool
	// revoke ends what the server has issued.
	revoke(ctx context.Context, userAgent string) error
}

// APIKey returns the credentials of a programmatic API key, which authenticate with HTTP Digest (RFC 7616). The keys
// go to the configured host only, in hashed form, and neither the credentials nor the client prints them.
func APIKey(publicKey, privateKey string) Credentials {
	// A closure, because no printer and no dump looks into one.
	return &apiKey{func(origin *url.URL, base http.RoundTripper) (http.RoundTripper, error) {
		if problems := append(checkKey("public key", publicKey), checkKey("private key", privateKey)...); len(problems) > 0 {
			return nil, errors.New(strings.Join(problems, "; "))
		}
		transport, err := digest.NewTransport(origin, publicKey, privateKey, base)
		if err != nil {
			return nil, err
		}
		return &keyTransport{transport, func() []Secret { return []Secret{Secret(publicKey), Secret(privateKey)} }}, nil
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

type apiKey struct {
	transport func(*url.URL, http.RoundTripper) (http.RoundTripper, error)
}

func (k *apiKey) Transport(origin *url.URL, base http.RoundTripper) (http.RoundTripper, error) {
	return k.transport(origin, base)
}

func (*apiKey) Format(f fmt.State, _ rune) {
	_, _ = io.WriteString(f, "livemigration.APIKey("+redacted+")")
}

// keyTransport authenticates the requests of one client with an API key.
type keyTransport struct {
	*digest.Transport
	keys func() []Secret
}

func (t *keyTransport) secrets() []Secret { return t.keys() }

// explain reads the challenge of a 401.
func (*keyTransport) explain(h http.Header) (stale bool, explanation string) {
	challenges, _ := digest.ParseChallenges(h)
	challenge, ok := digest.Select(challenges)
	if !ok {
		return false, "the server offers no Digest challenge that this client can answer"
	}
	return challenge.Stale, ""
}

func (*keyTransport) countsRequests() bool { return true }

func (*keyTransport) revoke(context.Context, string) error { return nil }

// The environment variables of Atlas's own tools; of several names the first that is set counts.
var (
	clientIDVariables     = []string{"MONGODB_ATLAS_CLIENT_ID"}
	clientSecretVariables = []string{"MONGODB_ATLAS_CLIENT_SECRET"}
	publicKeyVariables    = []string{"MONGODB_ATLAS_PUBLIC_API_KEY", "MONGODB_ATLAS_PUBLIC_KEY"}
	privateKeyVariables   = []string{"MONGODB_ATLAS_PRIVATE_API_KEY", "MONGODB_ATLAS_PRIVATE_KEY"}
)

// CredentialsFromEnv returns the credentials that the environment holds, under the names that Atlas's own tools use:
// a [ServiceAccount] from MONGODB_ATLAS_CLIENT_ID and MONGODB_ATLAS_CLIENT_SECRET, else an [APIKey] from
// MONGODB_ATLAS_PUBLIC_API_KEY (or MONGODB_ATLAS_PUBLIC_KEY) and MONGODB_ATLAS_PRIVATE_API_KEY (or
// MONGODB_ATLAS_PRIVATE_KEY). When both are set, the service account is preferred. A service account of which only a half is set
// is an error, also beside a complete key, since whoever sets it means to use it. White space around a value is dropped. The
// error names what is missing, and never a value.
func CredentialsFromEnv() (Credentials, error) {
	account, accountErr := pairFromEnv(clientIDVariables, clientSecretVariables)
	key, keyErr := pairFromEnv(publicKeyVariables, privateKeyVariables)
	switch {
	case accountErr == nil:
		return ServiceAccount(account[0], account[1]), nil
	case keyErr == nil && !accountErr.half:
		return APIKey(key[0], key[1]), nil
	case keyErr != nil && keyErr.half && !accountErr.half:
		return nil, keyErr
	case accountErr.half:
		return nil, accountErr
	default:
		return nil, &missingVariables{text: keyErr.text + ", or for a service account: " + accountErr.text}
	}
}

// missingVariables are those that the environment lacks for one kind of credentials.
type missingVariables struct {
	text string
	half bool // of the two, one is there
}

func (e *missingVariables) Error() string {
	return messagePrefix + "credentials from the environment: not set: " + e.text
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
